"""A whole system of a learner's: layers one above the other, and what reads the topmost one.

One vector holds every number once: the layers from the bottom up, then the head.  Each of the
learner's arrays is that vector read at its places.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from unrolled.auditing.layouts import ArrayLayout, AuditError
from unrolled.equations import Cell

__all__ = ["HEADS", "LayerParts", "Sizes", "System"]

HEADS = ("linear", "softmax", "sigmoid", "squared error", "sigmoid squared error")
_LAYER = re.compile(r"(.*)@(\d)")
_HEAD = re.compile(r"(head|head_b)(\.T|\.col|\.row)?")


class Sizes(NamedTuple):
    """I, H, and what a head gives: V, 0 where there is none."""

    inputs: int
    hidden: int
    outputs: int = 0


class LayerParts(NamedTuple):
    """One layer: its layout, where it begins in the vector, how long it is, how many inputs."""

    layout: ArrayLayout
    start: int
    length: int
    inputs: int

    def of(self, flat: Tensor) -> Tensor:
        """Its own part of the vector."""
        return flat[self.start : self.start + self.length]

    def split(self, flat: Tensor, hidden: int) -> dict[tuple[str, str], Tensor]:
        """Its part of the whole vector, by blocks."""
        own = self.of(flat)
        return {
            block: own[start : start + torch.Size(shape).numel()].view(shape)
            for block, (start, shape) in self.layout.blocks(self.inputs, hidden).items()
        }


@dataclass(frozen=True)
class System:
    """The learner's names and shapes, of every layer and of the head.

    Parameters
    ----------
    params : mapping of str to str
        As of `ArrayLayout`; with ``@0``, ``@1``, … after the word where there are several layers,
        the lowest first; ``"head"`` [V, H] and ``"head_b"`` [V] for what reads the last layer's h.
    gates, axes, output
        As of `ArrayLayout`, the same for every layer.
    head : str, optional
        What the head is: ``"linear"``, where the functions are called for its output and the
        gradient of that; or with the loss inside ``"softmax"`` (with cross-entropy), ``"sigmoid"``
        (with binary cross-entropy), ``"squared error"``, ``"sigmoid squared error"``.

    Raises
    ------
    AuditError
        If one of them makes no sense, or together they leave a weight out.
    """

    params: Mapping[str, str]
    gates: str = "ifgo"
    axes: str = "TBI"
    output: Literal["tanh", "identity"] = "tanh"
    head: str | None = None
    layers: tuple[ArrayLayout, ...] = field(init=False)
    _head: dict[str, tuple[str, str]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        of: dict[int, dict[str, str]] = {}
        for name, spec in self.params.items():
            words = spec.replace(" ", "") if isinstance(spec, str) else ""
            if found := _HEAD.fullmatch(words):
                self._add_to_head(name, found[1], found[2] or "")
                continue
            layer = _LAYER.fullmatch(words)
            number = int(layer[2]) if layer else 0
            of.setdefault(number, {})[name] = layer[1] if layer else spec
        if sorted(of) != list(range(len(of))):
            raise AuditError(
                f"PARAMS has the layers {', '.join(map(str, sorted(of)))}: expected @0, @1, … "
                "without a gap."
            )
        each = [
            ArrayLayout(of.get(n, {}), self.gates, self.axes, self.output)
            for n in range(max(1, len(of)))
        ]
        object.__setattr__(self, "layers", tuple(each))
        self._check_head()

    def _add_to_head(self, name: str, what: str, suffix: str) -> None:
        if any(what == known for known, _ in self._head.values()):
            raise AuditError(f"PARAMS[{name!r}]: the {what} is named twice.")
        if (suffix == ".T") != (what == "head") and suffix:
            expected = "'head' or 'head.T'" if what == "head" else "'head_b', '.col' or '.row'"
            raise AuditError(f"PARAMS[{name!r}] = {what + suffix!r}: expected {expected}.")
        self._head[name] = (what, suffix)

    def _check_head(self) -> None:
        kinds = {what for what, _ in self._head.values()}
        if self.head is not None and self.head not in HEADS:
            raise AuditError(
                f"HEAD = {self.head!r} is not known: expected one of {', '.join(HEADS)}."
            )
        if self.head is None and kinds:
            raise AuditError(
                f"PARAMS has a {min(kinds)}, and HEAD does not say what it is: expected HEAD to be "
                f"one of {', '.join(HEADS)}."
            )
        if self.head is not None and "head" not in kinds:
            raise AuditError(
                f"HEAD = {self.head!r}, and PARAMS has no 'head': say which array holds its "
                "weights."
            )

    @property
    def cell(self) -> Cell:
        """The equations of every layer."""
        return self.layers[0].cell

    @property
    def batched(self) -> bool:
        """Whether x has an axis for the batch."""
        return self.layers[0].batched

    @property
    def loss_inside(self) -> bool:
        """Whether the functions compute the loss themselves."""
        return self.head not in (None, "linear")

    @property
    def head_bias(self) -> bool:
        """Whether the head has one."""
        return any(what == "head_b" for what, _ in self._head.values())

    def parts(self, sizes: Sizes) -> list[LayerParts]:
        """Each layer, the lowest first."""
        found, start, inputs = [], 0, sizes.inputs
        for layout in self.layers:
            blocks = layout.blocks(inputs, sizes.hidden)
            length = sum(torch.Size(shape).numel() for _, shape in blocks.values())
            found.append(LayerParts(layout, start, length, inputs))
            start, inputs = start + length, sizes.hidden
        return found

    def of_head(self, flat: Tensor, sizes: Sizes) -> tuple[Tensor, Tensor | None]:
        """The head's weights [V, H] and bias [V]."""
        start = self._head_start(sizes)
        count = sizes.outputs * sizes.hidden
        weight = flat[start : start + count].view(sizes.outputs, sizes.hidden)
        return weight, flat[start + count :] if self.head_bias else None

    def _head_start(self, sizes: Sizes) -> int:
        last = self.parts(sizes)[-1]
        return last.start + last.length

    def size(self, sizes: Sizes) -> int:
        """How many numbers there are."""
        head = 0
        if self.head is not None:
            head = sizes.outputs * (sizes.hidden + self.head_bias)
        return self._head_start(sizes) + head

    def places(self, sizes: Sizes) -> dict[str, Tensor]:
        """For each of the learner's arrays, where its entries lie in the vector."""
        found: dict[str, Tensor] = {}
        for part in self.parts(sizes):
            own = part.layout.places(part.inputs, sizes.hidden)
            found |= {name: place + part.start for name, place in own.items()}
        where = torch.arange(self.size(sizes))
        for name, (what, suffix) in self._head.items():
            weight, bias = self.of_head(where, sizes)
            if what == "head":
                found[name] = weight.T if suffix else weight
            else:
                assert bias is not None
                found[name] = {"": bias, ".col": bias[:, None], ".row": bias[None]}[suffix]
        return {name: found[name] for name in self.params}

    def hidden_of(self, params: Mapping[str, Tensor]) -> int:
        """H, as the shape of the learner's first array says it."""
        return self.layers[0].hidden_of(params)

    def outputs_of(self, params: Mapping[str, Tensor]) -> int:
        """V, as the shape of the learner's head says it; 0 where there is none."""
        for name, (what, suffix) in self._head.items():
            if what == "head":
                return int(params[name].shape[1 if suffix else 0])
        return 0

    def theirs(self, sequence: Tensor) -> Tensor:
        """A sequence [T, B, …] with the learner's axes."""
        return self.layers[0].theirs(sequence)

    def ours(self, sequence: Tensor) -> Tensor:
        """A sequence with the learner's axes as [T, B, …]."""
        return self.layers[0].ours(sequence)
