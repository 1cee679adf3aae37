"""Every fault and every pair of faults of a cell, given to the search as numbers alone.

``python tests/fault_pairs.py [CELL] [PART/PARTS] [LENGTH …]`` runs all, or one part of them: half
an hour for a cell.  A word for PART/PARTS, such as ``h_0``, runs those with a fault whose place is
called so.  `tests/auditing/test_audit.py` runs a sample.
"""

from __future__ import annotations

import itertools
import sys
from collections import Counter
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from unrolled.auditing.search import Case, FaultSearch
from unrolled.auditing.sums import Block
from unrolled.equations import CELLS, Cell
from unrolled.faults import Fault, compatible
from unrolled.faults.passes import Weights, deltas, forward
from unrolled.faults.sums import gradients
from unrolled.faults.switches import Switches

I, H, B = 4, 3, 3
LENGTHS = (1, 3, 6, 2)
CHUNK = 256

FaultSet = tuple[Fault, ...]
Blocks = dict[Block, Tensor]


def cases(cell: Cell, lengths: Sequence[int] = LENGTHS, seed: int = 0) -> list[Case]:
    """Random weights and sequences, from states of zeros as in an audit."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, dtype=torch.float64) * 2 - 1

    found = []
    rows = len(cell.gates) * H
    zero = torch.zeros(B, H, dtype=torch.float64)
    for steps in lengths:
        p = uniform(len(cell.peepholes), H) if cell.peephole else None
        weights = Weights(uniform(rows, I), uniform(rows, H), uniform(rows), p)
        run = forward(cell, weights, 1.5 * uniform(steps, B, I), zero, zero)
        found.append(Case(weights, run, uniform(steps, B, H)))
    return found


def observed(cell: Cell, case: Case, sets: Sequence[FaultSet]) -> list[Blocks]:
    """The gradient with each of these sets of faults, block by block."""
    on = Switches(sets)
    flow = deltas(cell, case.weights, case.run, case.d_y, on)
    d = gradients(cell, case.weights, case.run, flow, on)
    blocks: Blocks = {}  # of all sets at once
    for part, whole in (("ih", d.w_ih), ("hh", d.w_hh), ("b", d.bias)):
        for k, rows in zip(cell.gates, whole.split(H, 1), strict=True):
            blocks[part, k] = rows.expand(len(sets), *rows.shape[1:])
    if d.p is not None:
        for k, row in zip(cell.peepholes, d.p.unbind(1), strict=True):
            blocks["p", k] = row.expand(len(sets), -1)
    for name, value in (("x", d.x), ("h_0", d.h_0), ("c_0", d.c_0)):
        if any(name in fault.places for faults in sets for fault in faults):
            blocks[name, ""] = value.expand(len(sets), *value.shape[1:])
    return [{name: block[one] for name, block in blocks.items()} for one in range(len(sets))]


def verdict(search: FaultSearch, faults: FaultSet, numbers: Sequence[Blocks] | None = None) -> str:
    """What the search makes of the gradients with these faults, and whether it is right.

    ``named`` (alone), ``equivalent`` (with others that give the same numbers), ``hidden`` (fewer
    faults give the same numbers: one hides another), ``unexplained``, or ``WRONG``.
    """
    if numbers is None:
        numbers = [observed(search.cell, case, [faults])[0] for case in search.cases]
    sets = search.explain(numbers).sets
    if not sets:
        return "unexplained"
    named = [set(found) for found in sets]
    if not _alike(search, faults, [found for found in sets if set(found) != set(faults)]):
        return "WRONG"
    if set(faults) in named:
        return "named" if len(sets) == 1 else "equivalent"
    return "hidden" if len(sets[0]) < len(faults) else "WRONG"


def put(cell: Cell, key: str, blocks: Blocks) -> Blocks:
    """A gradient with a fault of the whole: gates stacked in another order."""
    kind, part, order = key.split("-")
    assert kind == "order", key
    moved = dict(zip(cell.gates, order, strict=True))
    parts = ("ih", "hh", "b") if part == "all" else (part,)
    return {
        (own, k): blocks[own, moved[k]] if own in parts else value
        for (own, k), value in blocks.items()
    }


def _alike(search: FaultSearch, faults: FaultSet, others: Sequence[FaultSet]) -> bool:
    """Whether other sets give what these faults give, on draws that the search has not seen too."""
    lengths = [len(case.d_y) for case in search.cases] if others else []
    inner = [tuple(f for f in other if f.key in search.faults) for other in others]
    outer = [[f for f in other if f.key not in search.faults] for other in others]
    for case in [*search.cases[: len(lengths)], *cases(search.cell, lengths, seed=1)]:
        right, *found = observed(search.cell, case, [faults, *inner])
        for blocks, whole in zip(found, outer, strict=True):
            for fault in whole:
                blocks = put(search.cell, fault.key, blocks)
            for name, block in right.items():
                if (blocks[name] - block).abs().max() > 1e-10 * max(1, block.abs().max()):
                    return False
    return True


def verdicts(search: FaultSearch, sets: Sequence[FaultSet]) -> Iterator[tuple[FaultSet, str]]:
    """The verdict on each set; the gradients of many are computed at once."""
    for start in range(0, len(sets), CHUNK):
        some = sets[start : start + CHUNK]
        numbers = [observed(search.cell, case, some) for case in search.cases]
        for faults, *own in zip(some, *numbers, strict=True):
            yield faults, verdict(search, faults, own)


def main(words: Sequence[str]) -> int:
    """Run all of them; 1 if one is named wrong."""
    cell = CELLS[words[0] if words else "vanilla"]
    which = words[1] if len(words) > 1 else "1/1"
    part, parts = map(int, which.split("/")) if "/" in which else (1, 1)
    lengths = tuple(map(int, words[2:])) or LENGTHS
    search = FaultSearch(cell, cases(cell, lengths))
    known = tuple(search.faults.values())
    sets: list[FaultSet] = [(fault,) for fault in known]
    sets += [pair for pair in itertools.combinations(known, 2) if compatible(pair)]
    if "/" not in which:
        sets = [faults for faults in sets if any(which in fault.places for fault in faults)]
    sets = sets[part - 1 :: parts]
    counts: dict[int, Counter[str]] = {1: Counter(), 2: Counter()}
    for place, (faults, said) in enumerate(verdicts(search, sets), 1):
        counts[len(faults)][said] += 1
        if said in ("WRONG", "unexplained", "hidden") or (len(faults) == 1 and said != "named"):
            print(said, *(fault.key for fault in faults), flush=True)
        if place % 500 == 0:
            print(f"{place} of {len(sets)}", dict(counts[2]), file=sys.stderr, flush=True)
    print(
        f"{words or 'vanilla'}: {len(known)} faults, {len(sets)} sets, T = {lengths}\n"
        f"singly: {dict(counts[1])} in pairs: {dict(counts[2])}"
    )
    return int(any(count[bad] for count in counts.values() for bad in ("WRONG", "unexplained")))


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main(sys.argv[1:]))
