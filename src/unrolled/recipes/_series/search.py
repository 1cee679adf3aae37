"""The other networks of a forecaster: trained side by side, chosen by the validation part.

Each differs from the first in its settings (`settings`), its first weights and the order of its
batches.  All are trained in whole native steps, one to a core; one that has found nothing better
for some rounds learns no more.  Those that are kept then learn anew from the training and the
validation part together, for as many updates as were best.
"""

from __future__ import annotations

import contextlib
import math
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from unrolled.files.columns import Integers
from unrolled.recipes._series.forecaster import Forecaster
from unrolled.recipes._series.member import Member, blocks
from unrolled.steps.batches import Batches
from unrolled.steps.many import Job, train_many
from unrolled.steps.program import TrainingError
from unrolled.training.schedules import CONSTANT, Schedule

__all__ = ["AT_ONCE", "PER_ROUND", "Search", "off", "refit", "search"]

AT_ONCE = 32  # batches that are drawn in one go
BLOCKS = 3  # of so many batches, after which a network is judged
PER_ROUND = AT_ONCE * BLOCKS
PATIENCE = 5  # rounds without anything better, after which a network learns no more
AS_GOOD = 1.5  # times the best loss on the validation part: one that is worse is not heard
KEPT_READ = 4_000_000  # numbers of windows that are read once and kept, instead of at every draw

Batch = tuple[Tensor, ...]


class Search(NamedTuple):
    """How the networks learn.

    ``at`` gives the windows at some origins and what followed them, ``depth`` how many values there
    are up to each: a network learns from those that fill its window.  ``judge`` is a batch that
    chooses, or None: the first of the networks are kept, with their last weights.
    """

    at: Callable[[Integers], Batch]
    depth: Callable[[Integers], Integers]
    origins: Integers
    judge: Batch | None
    make: Callable[[list[nn.Parameter], float], torch.optim.Optimizer]
    steps: int
    batch_size: int
    clip: float
    seed: int
    schedule: str = CONSTANT
    minutes: float = 0.0


class _Source:
    """Batches for one network, drawn from some origins."""

    def __init__(self, member: Member, plan: Search, origins: Integers, number: int) -> None:
        self._member, self._plan, self._origins = member, plan, origins
        self._generator = torch.Generator().manual_seed(plan.seed + 7919 * number)
        self._read = None
        if len(origins) * member.setting.context * member.lstm.input_size <= KEPT_READ:
            self._read = member.read_batch(*_whole(plan.at(origins)))

    def blocks(self, count: int) -> list[Batches]:
        """So many batches, in blocks."""
        return [self._block(min(AT_ONCE, count - n)) for n in range(0, count, AT_ONCE)]

    def _block(self, count: int) -> Batches:
        sizes = (count, self._plan.batch_size)
        chosen = torch.randint(len(self._origins), sizes, generator=self._generator).flatten()
        axis = int(self._member.reads_on)
        if self._read is None:
            origins = self._origins[chosen.numpy()]
            x, goals, mask = self._member.read_batch(*_whole(self._plan.at(origins)))
        else:
            x, goals, mask = self._read
            x, goals = x.index_select(1, chosen), goals.index_select(axis, chosen)
            mask = None if mask is None else mask.index_select(1, chosen)
        return Batches(
            blocks(x, 1, sizes),
            blocks(goals, axis, sizes),
            mask=None if mask is None else blocks(mask, 1, sizes),
        )


def _whole(batch: Batch) -> tuple[Any, ...]:
    return batch if len(batch) == 4 else (*batch, None, None)


class _Pupil:
    """One network, its optimiser, and the best of its weights."""

    def __init__(
        self, member: Member, plan: Search, origins: Integers, number: int, steps: int
    ) -> None:
        self.member, self.due, self._plan = member, steps, plan
        self._network = member.network.requires_grad_(True)
        rate = member.setting.learning_rate
        self._optimizer = plan.make(list(self._network.parameters()), rate)
        deep = origins[plan.depth(origins) >= member.setting.context]
        self._source = _Source(member, plan, deep, number)
        self._schedule = Schedule(plan.schedule, self._optimizer, steps)
        self.failed = False
        self.made = 0
        self.best: dict[str, Tensor] = {}
        self.best_made = 0
        self.value = math.inf

    def job(self) -> Job:
        """The next round."""
        count = min(PER_ROUND, self.due - self.made)
        self.made += count
        batches = self._source.blocks(count)
        loss = self.member.criterion
        return Job(self._network, self._optimizer, loss, batches, self._plan.clip)

    def rate(self) -> AbstractContextManager[None]:
        """Have the rate that the schedule gives the middle of the next round, for all of it."""
        return self._schedule.during(min(self.made + PER_ROUND // 2, self.due - 1))

    def fail(self) -> None:
        """Learn no more: a loss was not finite, and nor are the weights."""
        self.failed = True

    def judge(self, value: float) -> None:
        """Keep the weights, if they were never as good; without a judge, the last ones."""
        if value < self.value or self._plan.judge is None:
            self.value, self.best_made = value, self.made
            state = self._network.state_dict()
            self.best = {name: t.clone() for name, t in state.items()}

    @property
    def over(self) -> bool:
        """Whether it has made all its updates, or found nothing better for long."""
        waited = self.made - self.best_made
        return self.failed or self.made >= self.due or waited >= PATIENCE * PER_ROUND

    def settle(self) -> None:
        """Take the best weights, and learn no more."""
        if self.best:
            self._network.load_state_dict(self.best)
        self._network.requires_grad_(False)


def search(model: Forecaster, plan: Search, ensemble: int, first: int) -> list[int]:
    """Train all members but the first, and hear the best.

    Parameters
    ----------
    ensemble
        How many are heard.
    first
        After how many updates the first one's weights were kept.

    Returns
    -------
    list of int
        How many updates each member had made when it was at its best.
    """
    line = _Line(len(model.each), plan.minutes)
    value = _value(model, model.first, plan)
    pupils = [
        _Pupil(member, plan, plan.origins, number, plan.steps)
        for number, member in enumerate(model.each[1:], 1)
    ]
    going = pupils
    while going and not line.late():
        for pupil in _round(going):
            pupil.judge(_value(model, pupil.member, plan))
        going = [pupil for pupil in going if not pupil.over]
        line.tell(min(value, *(pupil.value for pupil in pupils)), len(going))
    line.end()
    for pupil in pupils:
        pupil.settle()
    _hear(model, [value, *(pupil.value for pupil in pupils)], ensemble)
    return [first, *(pupil.best_made for pupil in pupils)]


def _round(pupils: Sequence[_Pupil]) -> list[_Pupil]:
    """Train each for a round; gives those whose losses were finite."""
    with contextlib.ExitStack() as rates, torch.enable_grad():
        for pupil in pupils:
            rates.enter_context(pupil.rate())
        jobs: list[Any] = [pupil.job() for pupil in pupils]
        ended = train_many(jobs, progress=False)
    for pupil, trained in zip(pupils, ended, strict=True):
        if trained.error is not None and not isinstance(trained.error, TrainingError):
            raise trained.error
        if trained.error is not None:
            pupil.fail()
    return [pupil for pupil, trained in zip(pupils, ended, strict=True) if trained.error is None]


def _hear(model: Forecaster, values: Sequence[float], ensemble: int) -> None:
    order = sorted(range(len(values)), key=lambda number: (values[number], number))
    most = AS_GOOD * values[order[0]]
    good = [number for number in order if values[number] <= most < math.inf] or [0]
    model.heard.fill_(False)
    model.heard[good[:ensemble]] = True


@torch.no_grad()
def _value(model: Forecaster, member: Member, plan: Search) -> float:
    """How far a member is off the validation part, in sizes of its series' changes."""
    if plan.judge is None:
        return 0.0
    return off(model, member.spread, plan.judge)


def off(model: Forecaster, spread: Callable[..., Tensor], batch: Batch) -> float:
    """Mean pinball loss of quantiles, or squared error, in sizes of the series' changes."""
    values, ahead, known, groups = _whole(batch)
    sizes = model.sizes(groups)
    found = spread(values, known if model.reads_on else None, groups) / sizes[..., None]
    error = (ahead.reshape(found.shape[:3]) / sizes)[..., None] - found
    losses = error**2
    if model.quantiles:
        levels = torch.tensor(model.quantiles, dtype=error.dtype)
        losses = torch.maximum(levels * error, (levels - 1) * error)
    value = losses.nanmean().item()
    return value if math.isfinite(value) else math.inf


def refit(
    model: Forecaster, fresh: Forecaster, plan: Search, origins: Integers, made: Sequence[int]
) -> None:
    """Train those that are heard once more, from their first weights, on all these origins.

    The updates grow with the origins, so that each is seen as often as before.
    """
    longer = len(origins) / len(plan.origins)
    pupils, before = [], []
    for number, (member, updates) in enumerate(zip(model.each, made, strict=True)):
        if model.heard[number] and updates:
            before.append((member, {name: t.clone() for name, t in member.state_dict().items()}))
            first = dict(fresh.each[number].named_parameters())
            member.load_state_dict(first, strict=False)
            pupils.append(_Pupil(member, plan, origins, number, round(updates * longer)))
    going = pupils
    while going:
        going = [pupil for pupil in _round(going) if pupil.made < pupil.due]
    for pupil, (member, weights) in zip(pupils, before, strict=True):
        if pupil.failed:
            member.load_state_dict(weights)
        member.requires_grad_(False)


class _Line:
    """One line on a terminal that the next one replaces, and the time that there is."""

    def __init__(self, count: int, minutes: float) -> None:
        self._count, self._seen = count, sys.stderr.isatty()
        self._due = time.monotonic() + 60 * minutes if minutes else math.inf

    def late(self) -> bool:
        """Whether the time that was given is over."""
        return time.monotonic() >= self._due

    def tell(self, best: float, going: int) -> None:
        """Say how far it is."""
        self._write(f"{self._count} networks, {going} still learn; best validation loss {best:.4g}")

    def end(self) -> None:
        """Leave the terminal as it was."""
        self._write("")

    def _write(self, words: str) -> None:
        if self._seen:
            print(f"\r\x1b[K{words}", end="", file=sys.stderr, flush=True)
