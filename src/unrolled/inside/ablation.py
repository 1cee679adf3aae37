"""Take units from a network and judge it again: which of them does what has to be remembered.

A unit is taken by holding it at its mean over the steps at which the property is not there, so that
it says "no" all the time.  Silence would be another thing: 0 may well be its "yes", and the units
that read it have learnt to expect a "no" that is not 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from unrolled.inside.intervention import Seen, held
from unrolled.inside.passage import Question
from unrolled.inside.units import mean_where, responsible

__all__ = ["Ablation", "UnitSearch", "ablate", "search"]

ENOUGH = 0.99  # what needs the property goes wrong so much more often than what does not


class Ablation(NamedTuple):
    """The share right without these units: of what needs the property, and of what does not."""

    units: tuple[int, ...]
    needing: float
    others: float


class UnitSearch(NamedTuple):
    """What was found: nothing taken; each unit alone; and one more at a time, until it breaks.

    ``chosen[-1].units`` are those that hold the property.
    """

    intact: Ablation
    alone: list[Ablation]
    chosen: list[Ablation]


@torch.no_grad()
def ablate(
    model: nn.Module,
    layer: str,
    units: Sequence[int],
    seen: Seen,
    there: Tensor,
    question: Question,
    *,
    say: bool = False,
) -> Ablation:
    """Judge a model whose units say "no" all the time.

    Parameters
    ----------
    model, layer, units
        As `unrolled.inside.intervention.held` takes them.
    seen : Seen
        What the layer did over a passage.
    there : Tensor of bool, [T, B]
        Where the property was there.
    question : Question
    say : bool
        True: they say "yes" instead, their mean over the steps at which it was there.
    """
    places = list(units)
    h, c = (mean_where(seen.values[name], there == say)[places] for name in "hc")
    with held(model, layer, places, h, c):
        return Ablation(tuple(units), *question.judge())


def search(
    model: nn.Module, layer: str, seen: Seen, there: Tensor, question: Question
) -> UnitSearch:
    """Find the fewest units without which what needs the property goes wrong, and nothing else.

    Greedy: each unit that is taken is the one that makes the largest difference between the two
    shares; it ends where that is 99 % or grows no more.
    """
    known: dict[tuple[int, ...], Ablation] = {}

    def harm(units: tuple[int, ...]) -> float:
        key = tuple(sorted(units))
        if key not in known:
            known[key] = ablate(model, layer, key, seen, there, question)
        return known[key].others - known[key].needing

    count = seen.values["h"].shape[-1]
    found = responsible(harm, count, ENOUGH)
    chosen = [found[: size + 1] for size in range(len(found))]
    intact = ablate(model, layer, [], seen, there, question)
    alone = [known[unit,] for unit in range(count)]
    return UnitSearch(
        intact, alone, [known[tuple(sorted(one))]._replace(units=tuple(one)) for one in chosen]
    )
