"""Every fault and every pair of faults of a cell, given to the search as numbers alone.

``python tests/fault_pairs.py [CELL] [PART/PARTS] [LENGTH …]`` runs all, or one part of them:
some ten minutes for the vanilla cell.  `tests/test_audit.py` runs a sample.
"""

from __future__ import annotations

import itertools
import sys
from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from unrolled.auditing.search import Case, Search
from unrolled.auditing.sums import Block
from unrolled.equations import CELLS, Cell
from unrolled.faults import Fault, compatible
from unrolled.faults.passes import Switches, Weights, deltas, forward, gradients

I, H, B = 4, 3, 3
LENGTHS = (3, 6, 2, 1)


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


def observed(cell: Cell, case: Case, faults: Sequence[Fault]) -> dict[Block, Tensor]:
    """The gradient with these faults, block by block."""
    on = Switches([tuple(faults)])
    flow = deltas(cell, case.weights, case.run, case.d_y, on)
    d = gradients(cell, case.weights, case.run, flow, on)
    blocks: dict[Block, Tensor] = {}
    for part, whole in (("ih", d.w_ih), ("hh", d.w_hh), ("b", d.bias)):
        for k, rows in zip(cell.gates, whole[0].split(H), strict=True):
            blocks[part, k] = rows
    if d.p is not None:
        for k, row in zip(cell.peepholes, d.p[0], strict=True):
            blocks["p", k] = row
    return blocks


def verdict(search: Search, faults: tuple[Fault, ...]) -> str:
    """Named (alone), equivalent (with others that give the same), hidden (one hides another)."""
    numbers = [observed(search.cell, case, faults) for case in search.cases]
    sets = search.explain(numbers).sets
    if not sets:
        return "unexplained"
    for found in sets:
        for case, blocks in zip(search.cases, numbers, strict=True):
            again = observed(search.cell, case, found)
            if any(not torch.allclose(again[k], blocks[k], rtol=1e-5, atol=1e-9) for k in blocks):
                return "WRONG"
    if set(faults) in [set(found) for found in sets]:
        return "named" if len(sets) == 1 else "equivalent"
    return "hidden" if len(sets[0]) < len(faults) else "WRONG"


def main(words: Sequence[str]) -> int:
    """Run all of them; 1 if one is named wrong."""
    cell = CELLS[words[0] if words else "vanilla"]
    part, parts = map(int, words[1].split("/")) if len(words) > 1 else (1, 1)
    lengths = tuple(map(int, words[2:])) or LENGTHS
    search = Search(cell, cases(cell, lengths))
    known = tuple(search.faults.values())
    sets = [(fault,) for fault in known]
    sets += [pair for pair in itertools.combinations(known, 2) if compatible(pair)]
    sets = sets[part - 1 :: parts]
    counts: dict[int, Counter[str]] = {1: Counter(), 2: Counter()}
    for place, faults in enumerate(sets, 1):
        said = verdict(search, faults)
        counts[len(faults)][said] += 1
        if said in ("WRONG", "unexplained") or (len(faults) == 1 and said != "named"):
            print(said, *(fault.key for fault in faults), flush=True)
        if place % 500 == 0:
            print(f"{place} of {len(sets)}", dict(counts[2]), flush=True)
    print(
        f"{words or 'vanilla'}: {len(known)} faults, {len(sets) - len(known)} pairs, T = {lengths}"
    )
    print("singly:", dict(counts[1]), "in pairs:", dict(counts[2]))
    return int(any(count[bad] for count in counts.values() for bad in ("WRONG", "unexplained")))


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main(sys.argv[1:]))
