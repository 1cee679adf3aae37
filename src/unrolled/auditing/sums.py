"""One block of a gradient, summed from the deltas in every way in which people sum it."""

from __future__ import annotations

import itertools
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from unrolled.equations import Cell
from unrolled.faults.passes import Deltas, FaultyRun, Weights
from unrolled.faults.sums import SCALES, SHIFTED

__all__ = ["Block", "ChosenBlocks", "SummedBlocks", "Way", "ways_of"]

# (part, gate); the parts are ih, hh, b, b_ih, b_hh, p, and without a gate x, h_0 and c_0
Block = tuple[str, str]
Way = frozenset[str]  # keys of faults of the sums; empty where the sum is right
# Of what is no parameter, no parameter's faults are told but its own.
_FACTORS = {"zero": 0.0, "sign": -1.0, "twice": 2.0, "half": 0.5}
_OF_INPUTS = {f"{name}-{k}": by for name in ("x", "h_0", "c_0") for k, by in _FACTORS.items()}
_WHOLE = {"whole-sign": -1.0, **{f"whole-{key}": by for key, by in SCALES}}

_ENDS = {
    "last": slice(-1, None),
    "first": slice(0, 1),
    "without-first": slice(1, None),
    "without-last": slice(0, -1),
    "zero": slice(0, 0),
}
SCALE, SIGN = 0, 1  # their places among those of a block
KEPT = 2**14  # sets times ways, of one block, that are worth computing for all sets at once


@cache
def ways_of(
    cell: Cell, block: Block, rows: int, most: int, with_inputs: bool = False
) -> tuple[Way, ...]:
    """Every way in which one block's sum can be wrong, with ``most`` faults at most.

    ``with_inputs`` says whether the gradients of x or of the states are there, too: only then can
    all be wrong at once.
    """
    part, gate = block
    if not gate:
        own_faults = [*(f"{part}-{key}" for key in _FACTORS), *_WHOLE]
        if part == "x":
            own_faults += ["x-reversed", *(f"x-without-{k}" for k in cell.gates)]
        if part == "c_0" and cell.forget != "one" and not cell.peephole:
            own_faults.append("c_0-without-f")
        return (frozenset(), *(frozenset([key]) for key in own_faults if most))
    places = _places(cell, part, gate, rows)
    if with_inputs:
        places[SCALE] += tuple(key for key in _WHOLE if key != "whole-sign")
        if part != "p":  # the peepholes' gradients have no sign of their own in the catalogue
            places[SIGN] += ("whole-sign",)
    return tuple(
        frozenset(keys)
        for size in range(min(most, len(places)) + 1)
        for some in itertools.combinations(places, size)
        for keys in itertools.product(*some)
    )


def _places(cell: Cell, part: str, gate: str, rows: int) -> list[tuple[str, ...]]:
    """Where a block's sum can be wrong, and the faults that can be there."""
    places: list[tuple[str, ...]] = [tuple(dict(SCALES)), ("time-mean", "time-mean-twice")]
    if rows > 1:
        places.append(("batch-first-row", "batch-mean", "batch-mean-twice"))
    if part == "p":
        return places
    own = _own(part)
    whose = (own, "sums")  # its own fault, or the cause that is the same for every parameter
    places.insert(SIGN, tuple(f"{who}-sign" for who in whose))
    places += [
        tuple(f"{who}-{end}" for who in whose for end in _ENDS),
        tuple(f"{own}-{gate}-from-{j}" for j in cell.gates if j != gate),
    ]
    if own == "b" and rows > 1:
        places.append(("b-first-row", "b-mean"))
    if own == "hh":
        places += [("hh-reads-h", "hh-wraps"), ("hh-gradient-transposed",)]
    if own == "ih":
        places.append(tuple(SHIFTED))
    return places


def _own(part: str) -> str:
    """What the catalogue calls a part: it has one name for a bias, be there one or two."""
    return "b" if part.startswith("b") else part


class SummedBlocks:
    """The gradients of one case, by block, for N sets of faults of the flow.

    What it has computed once it keeps, for those that are chosen from it too.
    """

    def __init__(self, cell: Cell, weights: Weights, run: FaultyRun, found: Deltas) -> None:
        self._cell, self._weights, self._run, self._found = cell, weights, run, found
        self._sums: dict[_Sum, Tensor] = {}
        self._blocks: dict[tuple[Block, tuple[Way, ...]], tuple[Tensor, Tensor]] = {}

    def __len__(self) -> int:
        return self._found.d_a.shape[1]

    def of(self, chosen: Tensor) -> ChosenBlocks:
        """Those of some of the sets, by their places."""
        return ChosenBlocks(self, chosen)

    def alone(self, chosen: Tensor) -> SummedBlocks:
        """The same, which keeps what it computes to itself."""
        d_p = None if self._found.d_p is None else self._found.d_p[:, chosen]
        found = Deltas(
            self._found.d_a[:, chosen], d_p, self._found.d_h_0[chosen], self._found.d_c_0[chosen]
        )
        return SummedBlocks(self._cell, self._weights, self._run, found)

    def block(self, block: Block, ways: tuple[Way, ...]) -> tuple[Tensor, Tensor]:
        """The gradient of a block summed in each way, [N, W, H·…], and its largest entry [N, W]."""
        key = (block, ways)
        if key not in self._blocks:
            value = self._block(*block, ways).flatten(2)
            self._blocks[key] = value, value.abs().amax(2)
        return self._blocks[key]

    def _block(self, part: str, gate: str, ways: tuple[Way, ...]) -> Tensor:
        if part == "x":
            w_ih = self._weights.w_ih.view(*self._found.d_a.shape[-2:], -1)
            each = torch.einsum("tnbgh,ghi->ngtbi", self._found.d_a, w_ih)
            return torch.stack([_of_x(self._cell, each, way) for way in ways], 1)
        if not gate:
            return torch.stack([self._of_state(part, way) for way in ways], 1)
        plan = _planned(_own(part), gate, ways, *self._run.x.shape[:2])
        value = torch.stack([self._sum(what) for what in plan.sums], 1)[:, plan.places]
        if plan.turned:
            value[:, plan.turned] = value[:, plan.turned].transpose(-1, -2)
        return value * plan.factors.view(-1, *[1] * (value.dim() - 2))

    def _of_state(self, part: str, way: Way) -> Tensor:
        """The gradient of h_0 or c_0, [N, B, H]."""
        value = self._found.d_h_0 if part == "h_0" else self._found.d_c_0
        if "c_0-without-f" in way:
            value = value / self._run.gates[0].f
        return _scaled(value, way)

    def _sum(self, what: _Sum) -> Tensor:
        if what not in self._sums:
            self._sums[what] = self._summed(what)
        return self._sums[what]

    def _summed(self, what: _Sum) -> Tensor:
        rows = slice(0, 1) if what.first_row else slice(None)
        if what.part == "p":
            assert self._found.d_p is not None
            place = self._cell.peepholes.index(what.source)
            return self._found.d_p[:, :, place, rows].sum((0, 2))
        steps = _ENDS.get(what.ends, slice(None))
        d_a = self._found.d_a[steps, :, rows, self._cell.gates.index(what.source)]
        if what.part == "b":
            return d_a.sum((0, 2))
        if what.part == "ih":
            read = self._run.x.roll(SHIFTED.get(what.reads, 0), 0)
        else:
            read = self._run.h[1:] if what.reads else self._run.h[:-1]
            read = read.roll(1, 0) if what.reads == "hh-wraps" else read
        return torch.einsum("tnbh,tbi->nhi", d_a, read[steps, rows])


class ChosenBlocks:
    """Some of the sets of `SummedBlocks`."""

    def __init__(self, whole: SummedBlocks, chosen: Tensor) -> None:
        self._whole, self._chosen = whole, chosen
        self._own: SummedBlocks | None = None

    def of(self, keep: Tensor) -> ChosenBlocks:
        """Some of these, by a mask."""
        return ChosenBlocks(self._whole, self._chosen[keep])

    def block(self, block: Block, ways: tuple[Way, ...]) -> tuple[Tensor, Tensor]:
        """As of `SummedBlocks`, of these sets."""
        if len(self._whole) * len(ways) <= KEPT or len(self._chosen) == len(self._whole):
            value, largest = self._whole.block(block, ways)
            return value[self._chosen], largest[self._chosen]
        if self._own is None:
            self._own = self._whole.alone(self._chosen)
        return self._own.block(block, ways)


class _Sum(NamedTuple):
    """What is summed: whose delta, over which steps and rows, times what."""

    part: str
    source: str
    ends: str
    reads: str
    first_row: bool


class _Plan(NamedTuple):
    """How ways come from sums: which sum each is, which are transposed, times what."""

    sums: tuple[_Sum, ...]
    places: Tensor
    turned: list[int]
    factors: Tensor


@cache
def _planned(own: str, gate: str, ways: tuple[Way, ...], steps: int, rows: int) -> _Plan:
    read = [_read(own, gate, way) for way in ways]
    sums = tuple(dict.fromkeys(read))
    factors = []
    for way in ways:
        factor = -1.0 if way & {f"{own}-sign", "sums-sign"} else 1.0
        factor /= rows ** sum(key in way for key in ("batch-mean", "b-mean"))
        factor /= rows**2 if "batch-mean-twice" in way else 1
        factor /= steps ** (2 if "time-mean-twice" in way else "time-mean" in way)
        for key, by in (*SCALES, *_WHOLE.items()):
            factor *= by if key in way else 1
        factors.append(factor)
    return _Plan(
        sums,
        torch.tensor([sums.index(what) for what in read]),
        [place for place, way in enumerate(ways) if "hh-gradient-transposed" in way],
        torch.tensor(factors, dtype=torch.float64),
    )


def _read(own: str, gate: str, way: Way) -> _Sum:
    source, ends, reads = gate, "", ""
    for key in way:
        end = key.removeprefix(f"{own}-").removeprefix("sums-")
        if key in _READS:
            reads = key
        elif end in _ENDS:
            ends = end
        elif key.startswith(f"{own}-{gate}-from-"):
            source = key[-1]
    first_row = not way.isdisjoint(("batch-first-row", "b-first-row"))
    return _Sum(own, source, ends, reads, first_row)


_READS = ("hh-reads-h", "hh-wraps", *SHIFTED)


def _of_x(cell: Cell, each: Tensor, way: Way) -> Tensor:
    """The gradient of x [N, T, B, I] from each gate's share [N, G, T, B, I]."""
    value = each.sum(1)
    for key in way:
        if key == "x-reversed":
            value = value.flip(1)
        elif key.startswith("x-without"):
            value = value - each[:, cell.gates.index(key[-1])]
    return _scaled(value, way)


def _scaled(value: Tensor, way: Way) -> Tensor:
    for key in way:
        value = value * (_OF_INPUTS | _WHOLE).get(key, 1.0)
    return value
