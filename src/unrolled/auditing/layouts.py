"""How somebody else's LSTM lays out its weights and sequences, from a few words.

A layout is a set of places in one flat vector that holds every number once, in the order of this
library; each of the learner's arrays is that vector read at its places.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from unrolled.equations import Cell
from unrolled.errors import UnrolledError
from unrolled.faults.passes import Weights

__all__ = ["ArrayLayout", "AuditError"]

Block = tuple[str, str]  # (part, gate)
_SPEC = re.compile(
    r"(?:([ifgo]+):)?((?:ih|hh|b_ih|b_hh|b|p)(?:\|(?:ih|hh|b))*)(\.stack)?(\.T|\.col|\.row)?"
)
_VECTORS = ("b", "b_ih", "b_hh", "p")
_MEANING = {
    "ih": "input weights (ih)",
    "hh": "recurrent weights (hh)",
    "b": "bias (b)",
    "b_ih": "bias of the input (b_ih)",
    "b_hh": "recurrent bias (b_hh)",
    "p": "peephole (p)",
}


class AuditError(UnrolledError):
    """What was given cannot be audited, in one sentence."""


@dataclass(frozen=True)
class ArrayLayout:
    """The learner's names and shapes.

    Parameters
    ----------
    params : mapping of str to str
        For each parameter, by the learner's name, what is in it: ``ih`` [H, I], ``hh`` [H, H],
        ``b`` [H], or ``b_ih`` and ``b_hh``, or ``p`` (peepholes) of the gates one below the other;
        ``"ih|hh"`` side by side; ``"f:ih"`` of one gate alone; ``.stack`` with the gates along an
        axis of their own, [4, H, I]; ``.T`` transposed, and for a bias ``.col`` [.., 1] or
        ``.row`` [1, ..].
    gates : str
        The order of the gates where several are in one array.
    axes : str
        The axes of x: T, B and I in any order, or T and I for one sequence at a time.  Those of h
        are the same with H in I's place.
    output : {"tanh", "identity"}
        h = o⊙tanh(c), or h = o⊙c.

    Raises
    ------
    AuditError
        If one of them makes no sense, or together they leave a weight out.
    """

    params: Mapping[str, str]
    gates: str = "ifgo"
    axes: str = "TBI"
    output: Literal["tanh", "identity"] = "tanh"
    # What is in each parameter: its blocks and how they lie.
    _parts: dict[str, tuple[str, list[str], str]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        if sorted(self.gates) != sorted("ifgo"):
            raise AuditError(
                f"GATES = {self.gates!r} is not an order of the gates: expected the letters i, f, "
                "g and o, once each."
            )
        if sorted(self.axes) not in (sorted("TBI"), sorted("TI")):
            raise AuditError(
                f"X = {self.axes!r} does not name the axes of x: expected T, B and I in your "
                "order, or T and I where there is no batch."
            )
        if self.output not in ("tanh", "identity"):
            raise AuditError(f"OUTPUT = {self.output!r} is not known: expected tanh or identity.")
        if not self.params:
            raise AuditError('PARAMS is empty: name your weights, such as {"W": "ih|hh"}.')
        for name, spec in self.params.items():
            self._parts[name] = self._read(name, spec)
        self._complete()

    def _read(self, name: str, spec: object) -> tuple[str, list[str], str]:
        found = _SPEC.fullmatch(spec.replace(" ", "")) if isinstance(spec, str) else None
        if found is None:
            raise AuditError(
                f"PARAMS[{name!r}] = {spec!r} is not understood: expected words such as 'ih', "
                "'hh.T', 'ih|hh', 'b', 'f:ih' or 'f:b.col'."
            )
        gates, parts, suffix = found[1], found[2].split("|"), found[4] or ""
        if suffix in (".col", ".row") and not (len(parts) == 1 and parts[0] in _VECTORS):
            raise AuditError(f"PARAMS[{name!r}] = {spec!r}: {suffix} is for a bias or a peephole.")
        if gates is None:
            gates = "".join(k for k in self.gates if parts != ["p"] or k != "g")
        if "p" in parts and "g" in gates:
            raise AuditError(f"PARAMS[{name!r}] = {spec!r}: g has no peephole.")
        return gates, parts, (found[3] or "") + suffix

    def _complete(self) -> None:
        """Every block there once; biases and peepholes for all gates or for none."""
        seen: dict[Block, str] = {}
        for name, (gates, parts, _) in self._parts.items():
            for block in ((part, k) for part in parts for k in gates):
                if block in seen:
                    both = f"{seen[block]} and {name}" if seen[block] != name else f"{name}, twice,"
                    raise AuditError(
                        f"the {_MEANING[block[0]]} of gate {block[1]} is in {both}: "
                        "name each once in PARAMS."
                    )
                seen[block] = name
        parts_there = {part for part, _ in seen}
        for part in ("ih", "hh", *sorted(parts_there - {"ih", "hh"})):
            for k in "ifo" if part == "p" else "ifgo":
                if (part, k) not in seen:
                    raise AuditError(
                        f"PARAMS lacks the {_MEANING[part]} of gate {k}: say which array holds it."
                    )
        if "b" in parts_there and parts_there & {"b_ih", "b_hh"}:
            raise AuditError("PARAMS has b beside b_ih or b_hh: one bias is b, two are the others.")

    @property
    def cell(self) -> Cell:
        """The equations that the learner's functions are held against."""
        return Cell(
            peephole=any("p" in parts for _, parts, _ in self._parts.values()), output=self.output
        )

    @property
    def batched(self) -> bool:
        """Whether x has an axis for the batch."""
        return "B" in self.axes

    @property
    def biases(self) -> tuple[str, ...]:
        """Which biases there are."""
        there = {part for _, parts, _ in self._parts.values() for part in parts}
        return tuple(part for part in ("b", "b_ih", "b_hh") if part in there)

    def hidden_of(self, params: Mapping[str, Any]) -> int:
        """H, as the shape of the learner's first array says it."""
        name, (gates, _, suffix) = next(iter(self._parts.items()))
        shape = params[name].shape
        rows: int = shape[-1] if suffix.endswith((".T", ".row")) else shape[0]
        if suffix.startswith(".stack"):
            return rows if suffix.endswith((".T", ".row")) else int(shape[1])
        return rows // len(gates)

    def blocks(self, inputs: int, hidden: int) -> dict[Block, tuple[int, tuple[int, ...]]]:
        """Where each block begins in the flat vector, and its shape."""
        shapes: dict[str, tuple[int, ...]] = {"ih": (hidden, inputs), "hh": (hidden, hidden)}
        for bias in self.biases:
            shapes[bias] = (hidden,)
        if self.cell.peephole:
            shapes["p"] = (hidden,)
        found: dict[Block, tuple[int, tuple[int, ...]]] = {}
        start = 0
        for part, shape in shapes.items():
            for k in self.cell.peepholes if part == "p" else self.cell.gates:
                found[part, k] = (start, shape)
                start += int(torch.Size(shape).numel())
        return found

    def places(self, inputs: int, hidden: int) -> dict[str, Tensor]:
        """For each of the learner's arrays, where its entries lie in the flat vector."""
        where = {
            block: torch.arange(start, start + torch.Size(shape).numel()).view(hidden, -1)
            for block, (start, shape) in self.blocks(inputs, hidden).items()
        }
        out = {}
        for name, (gates, parts, suffix) in self._parts.items():
            rows = [torch.cat([where[part, k] for part in parts], 1) for k in gates]
            stacked = suffix.startswith(".stack")
            suffix = suffix.removeprefix(".stack")
            array = torch.stack(rows) if stacked else torch.cat(rows, 0)
            if suffix in (".T", ".row"):
                array = array.transpose(-1, -2)
            elif not suffix and len(parts) == 1 and parts[0] in _VECTORS:
                array = array[..., 0]
            out[name] = array
        return out

    def weights(self, flat: Tensor, inputs: int, hidden: int) -> Weights:
        """The same numbers as this library lays them out; two biases are added up."""
        blocks = self.blocks(inputs, hidden)

        def rows(part: str) -> Tensor | None:
            found = [
                flat[start : start + torch.Size(shape).numel()].view(shape)
                for (own, _), (start, shape) in blocks.items()
                if own == part
            ]
            if not found:
                return None
            return torch.stack(found) if part == "p" else torch.cat(found)

        biases = [b for b in map(rows, ("b", "b_ih", "b_hh")) if b is not None]
        bias = sum(biases[1:], biases[0]) if biases else None
        w_ih, w_hh = rows("ih"), rows("hh")
        assert w_ih is not None
        assert w_hh is not None
        return Weights(w_ih, w_hh, bias, rows("p"))

    def theirs(self, sequence: Tensor) -> Tensor:
        """A sequence [T, B, …] with the learner's axes."""
        if not self.batched:
            sequence = sequence[:, 0]
        order = [("TBI" if self.batched else "TI").index(axis) for axis in self.axes]
        return sequence.permute(order).contiguous()

    def ours(self, sequence: Tensor) -> Tensor:
        """A sequence with the learner's axes as [T, B, …]."""
        order = [self.axes.index(axis) for axis in ("TBI" if self.batched else "TI")]
        sequence = sequence.permute(order)
        return sequence if self.batched else sequence[:, None]
