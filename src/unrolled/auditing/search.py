"""Which faults explain a gradient: a search that says nothing unless the numbers agree.

Faults of the flow are tried in sets; for each set, the deltas are computed, and every block of
the gradient says by itself which faults of the sums it can have.  A set explains the gradient when
the blocks agree with one another.  So triples need no table of triples of everything.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from unrolled.auditing.sums import Block, ChosenBlocks, SummedBlocks, Way, ways_of
from unrolled.auditing.wholes import clipped_at, clipping, norm_clipped, wholes
from unrolled.equations import Cell
from unrolled.faults.catalogue import Fault, catalogue, compatible
from unrolled.faults.passes import Deltas, FaultyRun, Weights, deltas
from unrolled.faults.switches import Switches

__all__ = ["Case", "Explanation", "FaultSearch"]

MOST_FLOW = 3
MOST_WHOLE = 2  # other faults beside one of the whole gradient
MOST_SUMS = (3, 3, 2, 1)  # in one block, beside 0, 1, 2 and 3 faults of the flow
FEW = 2  # so many faults are looked for by themselves first: that is a matter of milliseconds
CHUNK = 2048
WAYS = 64  # compared at once

FaultSet = tuple[Fault, ...]
Blocks = Mapping[Block, Tensor]


class Case(NamedTuple):
    """What a gradient was computed from.

    ``parameters`` are the weights by block as they were given: two biases, where there are two.
    """

    weights: Weights
    run: FaultyRun
    d_y: Tensor
    parameters: Mapping[Block, Tensor] | None = None


@dataclass(frozen=True)
class Explanation:
    """Sets of faults, each of which gives exactly these numbers; the fewest faults that do.

    Where there is none, ``nearest`` is the set that explains most blocks, and the blocks left over.
    """

    sets: tuple[FaultSet, ...] = ()
    nearest: tuple[FaultSet, tuple[Block, ...]] | None = None


class FaultSearch:
    """The catalogue, ready to be searched for what explains gradients of these cases.

    Parameters
    ----------
    cell : Cell
    cases : sequence of Case
        Of different lengths, 3 and more among them: that is what tells faults apart.  Those that
        do it soonest come first.
    """

    def __init__(self, cell: Cell, cases: Sequence[Case]) -> None:
        self.cell, self.cases = cell, cases
        longest = max(len(case.d_y) for case in cases) - 1
        self.rows = cases[0].d_y.shape[1]
        known = [
            f for f in catalogue(cell, longest) if self.rows > 1 or not f.slot.endswith("batch")
        ]
        self.faults = {f.key: f for f in known}
        self._kept: dict[tuple[int, int, int], SummedBlocks] = {}
        self._bound: float | None = None  # at which every number is cut

    def explain(
        self, observed: Sequence[Blocks], rtol: float = 1e-6, most: int | None = None
    ) -> Explanation:
        """Find the smallest sets of faults that explain every block of every case.

        ``observed`` has the gradient of each case by blocks; ``rtol`` is how far a block may be
        from what a fault predicts, in units of its largest entry.  With ``most``, sets of so many
        faults and fewer are looked for, and nothing that is only near.
        """
        best: list[FaultSet] = []
        for size in range(min(FEW, FEW if most is None else most) + 1):
            best = self._fewest(observed, rtol, size)
            if best:
                break
        if most is not None and most <= FEW:
            return Explanation(tuple(best))
        if not best or len(best[0]) > 1:
            best = self._of_the_whole(observed, rtol, len(best[0]) if best else None) or best
        best = best or self._fewest(observed, rtol, len(self.faults) if most is None else most)
        if best or most is not None:
            return Explanation(tuple(best))
        return self._nearest(observed, rtol)

    def _of_the_whole(
        self, observed: Sequence[Blocks], rtol: float, fewer: int | None
    ) -> list[FaultSet]:
        """The smallest sets with a fault of the whole gradient; of less than so many, if given."""
        exact = [self._exact(place, blocks) for place, blocks in enumerate(observed)]
        best: list[FaultSet] = []
        most = MOST_WHOLE + 1 if fewer is None else fewer - 1
        if (scaled := norm_clipped(observed, exact, rtol)) is not None:
            rest = [
                {block: right[block] if block[1] else value for block, value in blocks.items()}
                for blocks, right in zip(observed, exact, strict=True)
            ]
            return [(scaled, *faults) for faults in self._fewest(rest, rtol, most - 1, flow=0)]
        if (bound := clipped_at(observed)) is not None:
            self._bound = bound
            found = self._fewest(observed, rtol, most - 1, flow=1)
            self._bound = None
            best = [(clipping(bound), *faults) for faults in found]
        weights = [case.parameters or _by_blocks(self.cell, case.weights) for case in self.cases]
        for whole in wholes(self.cell, observed, exact, weights):
            most = min(most, len(best[0])) if best else most
            beside = min(most - 1, MOST_WHOLE if whole.cheap else 1)
            found = self._fewest(whole.observed, rtol, beside, flow=1) if beside >= 0 else []
            sets = [(whole.fault, *faults) for faults in found]
            if sets and (not best or len(sets[0]) < len(best[0])):
                best = sets
            elif sets and len(sets[0]) == len(best[0]):
                best += sets
        return best

    def _exact(self, place: int, like: Blocks) -> dict[Block, Tensor]:
        """The exact gradient of a case, in the blocks in which one was observed."""
        sums = self._sums(0, 0, place, torch.arange(1))
        right: tuple[Way, ...] = (frozenset(),)
        return {block: sums.block(block, right)[0].view(v.shape) for block, v in like.items()}

    def _fewest(
        self, observed: Sequence[Blocks], rtol: float, most: int, flow: int = MOST_FLOW
    ) -> list[FaultSet]:
        """The sets of the fewest faults that explain it, of sets of ``most`` faults and fewer.

        Of these, ``flow`` may be of the flow.
        """
        best: list[FaultSet] = []
        for size in range(flow + 1):
            if size > most:
                break
            in_block = min(MOST_SUMS[size], most - size)
            ways = self._ways(in_block, observed)
            for faults, found in self._survivors(size, in_block, observed, rtol):
                for sums in _unions(found, ways, most - size):
                    if size + len(sums) < most:
                        best, most = [], size + len(sums)
                    best.append((*faults, *(self.faults[key] for key in sorted(sums))))
        return best

    def _nearest(self, observed: Sequence[Blocks], rtol: float) -> Explanation:
        """The one fault of the flow under which most blocks are what they would be."""
        nearest: tuple[FaultSet, tuple[Block, ...]] | None = None
        for faults, found in self._survivors(1, MOST_SUMS[1], observed, rtol, strict=False):
            left = tuple(block for block, some in found.items() if not some)
            if nearest is None or len(left) < len(nearest[1]):
                nearest = (faults, left)
        # Blocks that are right as they are speak for no fault; of the others it must explain most.
        plain = list(self._survivors(0, MOST_SUMS[0], observed, rtol, strict=False))
        found = plain[0][1] if plain else {}
        wrong = sum(not found.get(block) for block in observed[0])
        if nearest is None or 2 * len(nearest[1]) >= wrong:
            return Explanation()
        return Explanation(nearest=nearest)

    def _ways(self, most: int, observed: Sequence[Blocks]) -> dict[Block, tuple[Way, ...]]:
        known = (self.rows, most, any(not gate for _, gate in observed[0]))
        return {block: ways_of(self.cell, block, *known) for block in observed[0]}

    def _sets(self, size: int) -> tuple[FaultSet, ...]:
        """The sets of so many flow faults."""
        flow = tuple(f for f in self.faults.values() if f.flow and (size < MOST_FLOW or not f.rare))
        return _compatible_sets(flow, size)

    def _sums(self, size: int, start: int, place: int, alive: Tensor) -> ChosenBlocks:
        """What a chunk's sets that are alive give in a case; small sets are kept for next time."""
        key = (size, start, place)
        case, sets = self.cases[place], self._sets(size)[start : start + CHUNK]
        if size == MOST_FLOW:
            return self._summed(case, [sets[one] for one in alive.tolist()]).of(
                torch.arange(len(alive))
            )
        if key not in self._kept:
            self._kept[key] = self._summed(case, sets)
        return self._kept[key].of(alive)

    def _summed(self, case: Case, sets: Sequence[FaultSet]) -> SummedBlocks:
        found: Deltas = deltas(self.cell, case.weights, case.run, case.d_y, Switches(sets))
        return SummedBlocks(self.cell, case.weights, case.run, found)

    def _survivors(
        self,
        size: int,
        in_block: int,
        observed: Sequence[Blocks],
        rtol: float,
        strict: bool = True,
    ) -> Iterator[tuple[FaultSet, dict[Block, list[Way]]]]:
        """The sets of flow faults under which the blocks can be explained, and how.

        With ``in_block`` faults of the sums at most in each block.  Of all blocks, if ``strict``:
        then most sets fall at the first.
        """
        ways = self._ways(in_block, observed)
        order = sorted(ways, key=lambda block: len(ways[block]))
        for start in range(0, len(self._sets(size)), CHUNK):
            sets = self._sets(size)[start : start + CHUNK]
            alive = torch.arange(len(sets))
            matches: dict[Block, Tensor] = {}  # which ways agree so far, for each set alive [N, W]
            for place, blocks in enumerate(observed):
                sums = self._sums(size, start, place, alive)
                for block in order:
                    agree = _agree(sums, block, ways[block], blocks[block], rtol, self._bound)
                    matches[block] = matches[block] & agree if block in matches else agree
                    keep = matches[block].any(1)
                    if strict and not keep.all():
                        alive, sums = alive[keep], sums.of(keep)
                        if not len(alive):
                            break
                        matches = {known: match[keep] for known, match in matches.items()}
                if not len(alive):
                    break
            for one, number in enumerate(alive.tolist()):
                found = {
                    block: [ways[block][way] for way in match[one].nonzero()[:, 0].tolist()]
                    for block, match in matches.items()
                }
                if any(found.values()):
                    yield sets[number], found


def _by_blocks(cell: Cell, weights: Weights) -> dict[Block, Tensor]:
    """A layer's parameters by block; a bias that is one of two is not known by itself."""
    found: dict[Block, Tensor] = {}
    for part, whole, names in (
        ("ih", weights.w_ih, cell.gates),
        ("hh", weights.w_hh, cell.gates),
        ("b", weights.bias, cell.gates),
        ("p", weights.p, cell.peepholes),
    ):
        if whole is not None:
            rows = whole.view(len(names), -1, *whole.shape[1:]) if part != "p" else whole
            found |= {(part, k): row for k, row in zip(names, rows, strict=True)}
    return found


# There are tens of thousands, the same for every search of a cell.
@cache
def _compatible_sets(faults: FaultSet, size: int) -> tuple[FaultSet, ...]:
    """The sets of so many of the faults that can be in one backward pass."""
    sets = [s for s in itertools.combinations(faults, size) if compatible(s)]
    sets.sort(key=lambda s: any("truncation" in f.places for f in s))  # these take longer
    return tuple(sets)


def _agree(
    sums: ChosenBlocks,
    block: Block,
    ways: tuple[Way, ...],
    observed: Tensor,
    rtol: float,
    bound: float | None = None,
) -> Tensor:
    """Whether each set [N] and each way of summing [W] gives what was observed, [N, W]."""
    theirs, largest = observed.flatten(), observed.abs().max()
    near = []
    for start in range(0, len(ways), WAYS):
        ours, size = sums.block(block, ways[start : start + WAYS])
        if bound is not None and (block[1] or largest <= bound):
            ours, size = ours.clamp(-bound, bound), size.clamp(max=bound)
        scale = torch.maximum(size, largest).clamp(min=1e-12)
        near.append((ours - theirs).abs().amax(2) <= rtol * scale)
    return near[0] if len(near) == 1 else torch.cat(near, 1)


def _unions(
    found: Mapping[Block, list[Way]], ways: Mapping[Block, tuple[Way, ...]], most: int
) -> list[Way]:
    """The smallest sets of faults of the sums of which every block shows what concerns it."""
    concerns = {block: frozenset[str]().union(*some) for block, some in ways.items()}
    allowed = {block: set(some) for block, some in found.items()}
    best: set[Way] = set()
    tried: set[Way] = set()

    def grow(union: Way) -> None:
        nonlocal most, best
        if len(union) > most or union in tried:
            return
        tried.add(union)
        for block, some in allowed.items():
            shown = union & concerns[block]
            if shown not in some:
                larger = [way for way in some if way > shown]
                for way in larger:
                    if not any(other < way for other in larger):
                        grow(union | way)
                return
        if len(union) < most:
            best, most = set(), len(union)
        best.add(union)

    grow(frozenset())
    return sorted(best, key=sorted)
