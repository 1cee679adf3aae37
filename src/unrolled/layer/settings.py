"""What an LSTM is made of: its arguments checked, and the names and shapes of its parameters."""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

from unrolled.equations import CELLS, Cell
from unrolled.errors import InvalidTypeError, InvalidValueError, expected
from unrolled.errors.expected import at_least, check_argument, one_of

__all__ = ["PROJECTION", "WEIGHTS", "Settings", "cell_named", "probability", "weight_shapes"]

WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_ph")
"""What a layer's parameters are called, in the order in which engines read them (`Inputs`)."""

PROJECTION = "weight_hr"
"""The one that follows them where there is a projection."""


def cell_named(cell: Cell | str) -> Cell:
    """The `Cell` itself, or the preset of that name.

    Raises
    ------
    ValueError, TypeError
        If there is no such preset, or it is neither a cell nor a name.
    """
    if isinstance(cell, Cell):
        return cell
    if not isinstance(cell, str):
        raise InvalidTypeError(
            f"cell is a {type(cell).__name__}, expected a Cell or a preset's name."
        )
    check_argument("cell", cell, one_of(CELLS, "a Cell"))
    return CELLS[cell]


def probability(name: str, value: Any) -> float:
    """A number in [0, 1].

    Raises
    ------
    ValueError
        If it is not.
    """
    check_argument(name, value, expected.probability)
    return float(value)


def weight_shapes(
    cell: Cell, width: int, hidden: int, bias: bool, projected: int = 0
) -> dict[str, tuple[int, ...] | None]:
    """The shape of each parameter of a layer that reads ``width`` numbers; None: there is none."""
    rows = len(cell.gates) * hidden
    shapes = (
        (rows, width),
        (rows, projected or hidden),
        (rows,) if bias else None,
        (rows,) if bias else None,
        (len(cell.peepholes), hidden) if cell.peephole else None,
        (projected, hidden) if projected else None,
    )
    return dict(zip((*WEIGHTS, PROJECTION), shapes, strict=True))


class Settings(NamedTuple):
    """The arguments of `torch.nn.LSTM` that decide its parameters."""

    input_size: int
    hidden_size: int
    num_layers: int
    bias: bool
    batch_first: bool
    dropout: float
    bidirectional: bool
    proj_size: int

    def check(self) -> None:
        """Raise TypeError or ValueError where `torch.nn.LSTM` does."""
        probability("dropout", self.dropout)
        for name in ("bias", "batch_first", "bidirectional"):
            if not isinstance(getattr(self, name), bool):
                raise InvalidTypeError(
                    f"{name}={getattr(self, name)!r} makes no sense: expected a bool."
                )
        for name, least in (
            ("input_size", 1),
            ("hidden_size", 1),
            ("num_layers", 1),
            ("proj_size", 0),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, numbers.Integral):
                raise InvalidTypeError(f"{name}={value!r} makes no sense: expected an int.")
            check_argument(name, value, at_least(least))
        if self.proj_size >= self.hidden_size:
            raise InvalidValueError(
                f"proj_size={self.proj_size} makes no sense: expected less than "
                f"hidden_size={self.hidden_size}, or 0 for no projection."
            )
        if self.dropout > 0 and self.num_layers == 1:
            warnings.warn(
                f"dropout={self.dropout} acts between layers and there is one layer only.",
                stacklevel=4,
            )

    def shapes(self, cell: Cell) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Each parameter's name and shape, in torch's order; peepholes come last of a layer."""
        out = self.proj_size or self.hidden_size
        names = (*WEIGHTS[:4], PROJECTION, *WEIGHTS[4:])
        ends = ("", "_reverse") if self.bidirectional else ("",)
        for layer in range(self.num_layers):
            width = self.input_size if layer == 0 else out * len(ends)
            shapes = weight_shapes(cell, width, self.hidden_size, self.bias, self.proj_size)
            for end in ends:
                for name in names:
                    shape = shapes[name]
                    if shape is not None:
                        yield f"{name}_l{layer}{end}", shape
