"""Learning-rate schedules by name: torch's own, asked for the rate of each update.

Between two updates an optimiser has the rate that it was made with, and only while it makes one
that of the schedule.  So a checkpoint holds nothing of a schedule: the rate of an update follows
from its number and from how many there are.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    ExponentialLR,
    LinearLR,
    LRScheduler,
    OneCycleLR,
)

from unrolled.engines.watching import mark_stepped
from unrolled.errors import InvalidValueError

__all__ = ["CONSTANT", "NAMES", "Schedule", "check_schedule"]

CONSTANT = "constant"


def _one_cycle(optimizer: Optimizer, steps: int) -> LRScheduler:
    greatest = optimizer.param_groups[0]["lr"]
    return OneCycleLR(optimizer, greatest, steps, cycle_momentum=False)


def _warmup(optimizer: Optimizer, steps: int) -> LRScheduler:
    """Even steps up from 0, which itself is left out: an update of nothing is none."""
    rising = steps // 20
    return LinearLR(optimizer, 1 / (rising + 1), 1.0, rising)


_MADE: dict[str, Callable[[Optimizer, int], LRScheduler]] = {
    "linear": lambda optimizer, steps: LinearLR(optimizer, 1.0, 0.0, steps),
    "cosine": CosineAnnealingLR,
    "one-cycle": _one_cycle,
    "exponential": lambda optimizer, steps: ExponentialLR(optimizer, 0.01 ** (1 / steps)),
    "warmup": _warmup,
}
NAMES = (CONSTANT, *_MADE)

_READ_ONCE = {"Rprop": "takes the rate for its first update alone"}


def check_schedule(name: str, optimizer: str) -> None:
    """Raise ValueError where an optimiser of torch would not follow the schedule."""
    if name != CONSTANT and optimizer in _READ_ONCE:
        raise InvalidValueError(
            f"schedule = {name!r} would change nothing: {optimizer} {_READ_ONCE[optimizer]}; use "
            f"{CONSTANT!r}, or another optimizer."
        )


class Schedule:
    """Gives an optimiser the rate of each of its updates, for as long as it makes them.

    Parameters
    ----------
    name : str
        One of `NAMES`.
    optimizer : torch.optim.Optimizer
        With one group of parameters, whose rate is what the schedule starts from.
    steps : int
        How many updates there are.
    """

    def __init__(self, name: str, optimizer: Optimizer, steps: int) -> None:
        self._optimizer = optimizer
        self._coming = None if name == CONSTANT else _rates(name, self._group["lr"], steps)
        self._rates = array("d")  # as far as they have been asked for

    @property
    def _group(self) -> dict[str, Any]:
        (group,) = self._optimizer.param_groups  # others, each time that a state was loaded
        return group

    def rate(self, step: int) -> float:
        """The rate of the update that is made after ``step`` others."""
        if self._coming is None:
            return float(self._group["lr"])
        while len(self._rates) <= step:
            self._rates.append(next(self._coming))
        return self._rates[step]

    def alike(self, step: int, most: int) -> int:
        """How many updates after ``step`` others have one rate: ``most`` at the most."""
        if self._coming is None:
            return most
        count = 1
        while count < most and self.rate(step + count) == self.rate(step):
            count += 1
        return count

    def during(self, step: int) -> AbstractContextManager[None]:
        """Updates after ``step`` others: their rate inside ``with``, the optimiser's own after."""
        return nullcontext() if self._coming is None else self._given(self.rate(step))

    @contextmanager
    def _given(self, rate: float) -> Generator[None]:
        group = self._group
        own = group["lr"]
        group["lr"] = rate
        try:
            yield
        finally:
            group["lr"] = own


def _rates(name: str, rate: float, steps: int) -> Iterator[float]:
    """Rate after rate, of an optimiser of nothing that one of torch's schedules drives.

    Driven itself, the optimiser that learns would have more settings, and save them: initial_lr.
    """
    driven = torch.optim.SGD([torch.zeros(0, device="cpu")], lr=rate)
    schedule = _MADE[name](driven, steps)
    mark_stepped(driven)  # an update of its own would call anybody's hooks on every optimiser
    while True:
        yield driven.param_groups[0]["lr"]
        schedule.step()
