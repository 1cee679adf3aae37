"""Which faults explain a gradient: a search that says nothing unless the numbers agree.

Faults of the flow are tried in sets; for each set, the deltas are computed, and every block of
the gradient says by itself which faults of the sums it can have.  A set explains the gradient when
the blocks agree with one another.  So triples need no table of triples of everything.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from unrolled.equations import Cell
from unrolled.faults.catalogue import Fault, catalogue, compatible
from unrolled.faults.passes import Deltas, Run, Switches, Weights, deltas, gradients

__all__ = ["Case", "Explanation", "explain"]

Block = tuple[str, str]  # (part, gate); the parts are ih, hh, b, b_ih, b_hh, p and x
Sums = frozenset[str]  # keys of faults of the sums
MOST_FLOW = 3
MOST_SUMS = (3, 3, 2, 1)  # in one block, beside 0, 1, 2 and 3 faults of the flow
CHUNK = 2048


class Case(NamedTuple):
    """One gradient that was computed: from what, and what came out, block by block."""

    weights: Weights
    run: Run
    d_y: Tensor
    blocks: dict[Block, Tensor]


@dataclass(frozen=True)
class Explanation:
    """Sets of faults, each of which gives exactly these numbers; the fewest faults that do."""

    sets: tuple[tuple[Fault, ...], ...] = ()
    #: the set that explains most blocks, where none explains all, and the blocks left over
    nearest: tuple[tuple[Fault, ...], tuple[Block, ...]] | None = field(default=None)


def explain(cell: Cell, cases: Sequence[Case], rtol: float = 1e-6) -> Explanation:
    """Find the smallest sets of faults that explain every block of every case.

    Parameters
    ----------
    cell : Cell
    cases : sequence of Case
        Of different lengths, 3 and more among them: that is what tells faults apart.
    rtol : float
        How far a block may be from what a fault predicts, in units of its largest entry.
    """
    longest = max(len(case.d_y) for case in cases) - 1
    rows = cases[0].d_y.shape[1]
    known = [f for f in catalogue(cell, longest) if rows > 1 or f.slot != "batch"]
    flow = [f for f in known if f.flow]
    by_key = {f.key: f for f in known}
    best: list[tuple[Fault, ...]] = []
    nearest: tuple[int, tuple[Fault, ...], tuple[Block, ...]] | None = None
    fewest = len(known)
    for size in range(MOST_FLOW + 1):
        if size > fewest:
            break
        recipes = {
            block: tuple(_recipes(cell, block, rows, MOST_SUMS[size])) for block in cases[0].blocks
        }
        sets = [s for s in itertools.combinations(flow, size) if compatible(s)]
        sets.sort(key=lambda s: any(f.slot == "truncation" for f in s))  # these take longer
        for start in range(0, len(sets), CHUNK):
            chunk = sets[start : start + CHUNK]
            for faults, found in _survivors(cell, cases, chunk, recipes, rtol, size > 1):
                left = tuple(block for block, ways in found.items() if not ways)
                if left:
                    if nearest is None or len(left) < nearest[0]:
                        nearest = (len(left), faults, left)
                    continue
                for sums in _unions(found, recipes, fewest - size):
                    total = size + len(sums)
                    if total < fewest:
                        best, fewest = [], total
                    best.append((*faults, *sorted((by_key[key] for key in sums), key=_order)))
    if best:
        return Explanation(tuple(best))
    worth = nearest is not None and nearest[1] and nearest[0] < len(recipes)
    return Explanation(nearest=nearest[1:] if nearest is not None and worth else None)


def _order(fault: Fault) -> str:
    return fault.key


# --- what a block can have been summed from ---


def _recipes(cell: Cell, block: Block, rows: int, most: int) -> Iterator[Sums]:
    """Every way in which the sums can be wrong in one block, as sets of at most so many faults."""
    part, gate = block
    if part == "x":
        yield frozenset()
        return
    whole: list[tuple[str | None, ...]] = [(None, "time-mean")]
    if rows > 1:
        whole.append((None, "batch-first-row", "batch-mean"))
    if part != "p":
        own = "b" if part.startswith("b") else part
        ends = ("last", "first", "without-first", "without-last", "zero")
        whole.append((None, *(f"{own}-{end}" for end in ends)))
        whole.append((None, f"{own}-sign"))
        whole.append((None, *(f"{own}-{gate}-from-{j}" for j in cell.gates if j != gate)))
        if own == "hh":
            whole.append((None, "hh-reads-h"))
            whole.append((None, "hh-gradient-transposed"))
    for chosen in itertools.product(*whole):
        keys = frozenset(key for key in chosen if key)
        if len(keys) <= most:
            yield keys


def _survivors(
    cell: Cell,
    cases: Sequence[Case],
    sets: Sequence[tuple[Fault, ...]],
    recipes: dict[Block, tuple[Sums, ...]],
    rtol: float,
    strict: bool,
) -> Iterator[tuple[tuple[Fault, ...], dict[Block, list[Sums]]]]:
    """The sets of flow faults under which blocks can be explained, and how.

    ``strict`` asks for every block, which is fast: most sets fall at the first.
    """
    matches = {
        block: torch.ones(len(sets), len(ways), dtype=torch.bool) for block, ways in recipes.items()
    }
    alive = torch.arange(len(sets))
    for case in cases:
        on = Switches([sets[place] for place in alive.tolist()])
        found = deltas(cell, case.weights, case.run, case.d_y, on)
        for block in sorted(recipes, key=lambda block: len(recipes[block])):
            matches[block][alive] &= _agree(cell, case, found, block, recipes[block], rtol)
            if strict:
                keep = matches[block][alive].any(1)
                alive, found = alive[keep], _of(found, keep)
                if not len(alive):
                    return
    for place in alive.tolist():
        ways_of = {
            block: [ways[way] for way in matches[block][place].nonzero()[:, 0].tolist()]
            for block, ways in recipes.items()
        }
        if any(ways_of.values()):
            yield sets[place], ways_of


def _of(found: Deltas, keep: Tensor) -> Deltas:
    d_p = None if found.d_p is None else found.d_p[:, keep]
    return Deltas(found.d_a[:, keep], d_p, found.d_h_0[keep], found.d_c_0[keep])


def _agree(
    cell: Cell, case: Case, found: Deltas, block: Block, ways: Sequence[Sums], rtol: float
) -> Tensor:
    """Whether each set [N] and each way of summing [W] gives the block of this case, [N, W]."""
    observed = case.blocks[block]
    part, gate = block
    if part == "x":
        whole = torch.einsum(
            "tnbgh,ghi->tnbi", found.d_a, case.weights.w_ih.view(*found.d_a.shape[-2:], -1)
        ).transpose(0, 1)
        return _near(whole, observed, rtol)[:, None]
    sums = _Sums(cell, case, found)
    out = torch.empty(found.d_a.shape[1], len(ways), dtype=torch.bool)
    for start in range(0, len(ways), 64):
        values = sums.block(part, gate, ways[start : start + 64])  # [N, W, H, …]
        scale = torch.maximum(values.flatten(2).abs().amax(2), observed.abs().max())
        error = (values - observed).flatten(2).abs().amax(2)
        out[:, start : start + 64] = error <= rtol * scale.clamp(min=1e-12)
    return out


def _near(ours: Tensor, theirs: Tensor, rtol: float) -> Tensor:
    scale = torch.maximum(ours.flatten(1).abs().amax(1), theirs.abs().max()).clamp(min=1e-12)
    return (ours - theirs).flatten(1).abs().amax(1) <= rtol * scale


class _Sums:
    """The gradient of one block for N deltas, in whichever way it is summed."""

    def __init__(self, cell: Cell, case: Case, found: Deltas) -> None:
        self._gates, self._peepholes = cell.gates, cell.peepholes
        self._case, self._found = case, found
        self._known: dict[tuple[str, ...], Tensor] = {}

    def block(self, part: str, gate: str, ways: Sequence[Sums]) -> Tensor:
        """The gradient summed in each way, [N, W, H, …]."""
        own = "b" if part.startswith("b") else part
        parsed = [_parsed(own, gate, way) for way in ways]
        value = torch.stack([self._summed(own, *way.what) for way in parsed], 1)
        turned = [place for place, way in enumerate(ways) if "hh-gradient-transposed" in way]
        if turned:
            value[:, turned] = value[:, turned].transpose(-1, -2)
        steps, rows = self._case.d_y.shape[:2]
        factors = [
            way.sign / (rows if way.mean else 1) / (steps if way.time else 1) for way in parsed
        ]
        return value * torch.tensor(factors, dtype=value.dtype).view(-1, *[1] * (value.dim() - 2))

    def _summed(self, part: str, source: str, ends: str, reads: str, row: str) -> Tensor:
        key = (part, source, ends, reads, row)
        if key in self._known:
            return self._known[key]
        run, steps = self._case.run, slice(None)
        if ends:
            steps = _ENDS[ends]
        rows = slice(0, 1) if row == "first" else slice(None)
        if part == "p":
            assert self._found.d_p is not None
            value = self._found.d_p[:, :, self._peepholes.index(source), rows].sum((0, 2))
        else:
            d_a = self._found.d_a[steps, :, rows, self._gates.index(source)]
            if part == "b":
                value = d_a.sum((0, 2))
            else:
                later = run.h[1:] if reads else run.h[:-1]
                read = run.x if part == "ih" else later
                value = torch.einsum("tnbh,tbi->nhi", d_a, read[steps, rows])
        self._known[key] = value
        return value


class _Way(NamedTuple):
    what: tuple[str, str, str, str]  # the delta's gate, the steps, what is read, the rows
    sign: float
    mean: bool
    time: bool


@cache
def _parsed(own: str, gate: str, way: Sums) -> _Way:
    """One way of summing a block, read from the keys of its faults."""
    source, ends = gate, ""
    for key in way:
        end = key.removeprefix(f"{own}-")
        if end in _ENDS:
            ends = end
        elif key.startswith(f"{own}-{gate}-from-"):
            source = key[-1]
    reads = "h" if "hh-reads-h" in way else ""
    row = "first" if "batch-first-row" in way else "all"
    sign = -1.0 if f"{own}-sign" in way else 1.0
    return _Way((source, ends, reads, row), sign, "batch-mean" in way, "time-mean" in way)


_ENDS = {
    "last": slice(-1, None),
    "first": slice(0, 1),
    "without-first": slice(1, None),
    "without-last": slice(0, -1),
    "zero": slice(0, 0),
}


# --- faults of the sums that agree with one another ---


def _unions(
    found: dict[Block, list[Sums]], recipes: dict[Block, tuple[Sums, ...]], most: int
) -> list[Sums]:
    """The smallest sets of faults of which every block shows the part that concerns it."""
    concerns = {block: frozenset[str]().union(*ways) for block, ways in recipes.items()}
    allowed = {block: set(ways) for block, ways in found.items()}
    best: set[Sums] = set()
    tried: set[Sums] = set()

    def grow(union: Sums) -> None:
        nonlocal most, best
        if len(union) > most or union in tried:
            return
        tried.add(union)
        for block, ways in allowed.items():
            shown = union & concerns[block]
            if shown in ways:
                continue
            larger = [way for way in ways if way > shown]
            for way in larger:
                if not any(other < way for other in larger):
                    grow(union | way)
            return
        if len(union) < most:
            best, most = set(), len(union)
        best.add(union)

    grow(frozenset())
    return sorted(best, key=sorted)


def predicted(cell: Cell, case: Case, faults: Sequence[Fault]) -> dict[str, Tensor]:
    """What the pass with these faults gives for a case: the gradient by parameter."""
    on = Switches([tuple(faults)])
    found = gradients(
        cell, case.weights, case.run, deltas(cell, case.weights, case.run, case.d_y, on), on
    )
    return {name: value[0] for name, value in found._asdict().items() if value is not None}
