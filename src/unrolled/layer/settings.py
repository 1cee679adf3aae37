"""What an LSTM is made of: its arguments checked, and the names and shapes of its parameters."""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

from unrolled.engines import expected
from unrolled.engines.expected import at_least, check_argument, one_of
from unrolled.equations import CELLS, Cell

__all__ = ["Settings", "cell_named", "probability"]


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
        raise TypeError(f"cell is a {type(cell).__name__}, expected a Cell or a preset's name.")
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
                raise TypeError(f"{name}={getattr(self, name)!r} makes no sense: expected a bool.")
        for name, least in (
            ("input_size", 1),
            ("hidden_size", 1),
            ("num_layers", 1),
            ("proj_size", 0),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, numbers.Integral):
                raise TypeError(f"{name}={value!r} makes no sense: expected an int.")
            check_argument(name, value, at_least(least))
        if self.proj_size >= self.hidden_size:
            raise ValueError(
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
        hidden, out = self.hidden_size, self.proj_size or self.hidden_size
        rows = len(cell.gates) * hidden
        ends = ("", "_reverse") if self.bidirectional else ("",)
        for layer in range(self.num_layers):
            width = self.input_size if layer == 0 else out * len(ends)
            for end in ends:
                key = f"l{layer}{end}"
                yield f"weight_ih_{key}", (rows, width)
                yield f"weight_hh_{key}", (rows, out)
                if self.bias:
                    yield f"bias_ih_{key}", (rows,)
                    yield f"bias_hh_{key}", (rows,)
                if self.proj_size:
                    yield f"weight_hr_{key}", (self.proj_size, hidden)
                if cell.peephole:
                    yield f"weight_ph_{key}", (len(cell.peepholes), hidden)
