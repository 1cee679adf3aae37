"""One series or several, as arrays: what is forecast, what is known till now, what is known ahead.

The series lie one below the other, each in a stretch of its own, so that a window is named by one
number, the row of its last value: the *origin*.  A stretch goes on beyond its series' end for as
many rows as something is known ahead; there the values are NaN, as they are at a missing step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from unrolled.errors import InvalidValueError
from unrolled.files.columns import Bools, Floats, Integers
from unrolled.files.timeline import Timeline

__all__ = ["Panel", "Parts", "Strand", "joined", "parts_of"]


@dataclass(frozen=True)
class Strand:
    """One series: its targets and past columns side by side, and the columns known ahead."""

    name: str
    timeline: Timeline
    values: Floats  # [T, C], NaN where missing
    known: Floats  # [T or more, K]


@dataclass(frozen=True)
class Panel:
    """Series on rows that are all numbered in one go."""

    targets: tuple[str, ...]
    past: tuple[str, ...]
    ahead: tuple[str, ...]  # the names of what is known ahead
    groups: tuple[str, ...]
    timelines: Sequence[Timeline]
    values: Floats  # [R, C]
    known: Floats  # [R, K]
    starts: Integers  # [G]
    counts: Integers  # [G]: without what is known ahead
    subject: str = ""
    said: tuple[str, ...] = field(default=(), compare=False)

    @cached_property
    def group_of(self) -> Integers:
        """The number of the series that each row is of."""
        return np.searchsorted(self.starts, np.arange(len(self.values)), side="right") - 1

    @property
    def width(self) -> int:
        """How many columns are forecast."""
        return len(self.targets)

    def series(self, group: int, column: int = 0) -> Floats:
        """One column of one series, as long as it goes."""
        start = int(self.starts[group])
        values: Floats = self.values[start : start + int(self.counts[group]), column]
        return values

    def missing(self) -> tuple[int, str]:
        """How many steps lack a value that is forecast, and when the first of them was."""
        count, first = 0, ""
        for group, timeline in enumerate(self.timelines):
            for column in range(self.width):
                gaps = np.flatnonzero(np.isnan(self.series(group, column)))
                count += len(gaps)
                if len(gaps) and not first:
                    first = timeline.labels[int(gaps[0])]
        return count, first

    def depth(self, origins: Integers) -> Integers:
        """How many values each origin has, itself among them."""
        depth: Integers = origins - self.starts[self.group_of[origins]] + 1
        return depth

    def window(self, origins: Integers, length: int) -> Tensor:
        """Give the values up to each origin, NaN before the first: [length, origins, C]."""
        steps = np.arange(1 - length, 1)[:, None]
        depth = self.depth(origins)
        values = self.values[origins + np.maximum(steps, 1 - depth)]
        values[steps < 1 - depth] = np.nan
        return torch.from_numpy(values)

    def following(self, origins: Integers, horizon: int) -> Tensor:
        """What came after each origin: [horizon, origins, targets]."""
        rows = origins + np.arange(1, horizon + 1)[:, None]
        return torch.from_numpy(self.values[rows, : self.width])

    def beside(self, origins: Integers, length: int, horizon: int) -> Tensor:
        """What is known ahead, along each window and beyond: [length + horizon, origins, K].

        Before the first value it is what it was there.
        """
        steps = np.maximum(np.arange(1 - length, horizon + 1)[:, None], 1 - self.depth(origins))
        return torch.from_numpy(self.known[origins + steps])


def joined(
    strands: Sequence[Strand],
    targets: tuple[str, ...],
    past: tuple[str, ...],
    ahead: tuple[str, ...],
    room: int,
    subject: str = "",
    said: tuple[str, ...] = (),
) -> Panel:
    """Lay series one below the other, with ``room`` rows beyond the end of each."""
    values, known = [], []
    for strand in strands:
        beyond = np.full((room, strand.values.shape[1]), np.nan)
        values.append(np.concatenate((strand.values, beyond)))
        rows = len(strand.values) + room
        lacking = np.full((max(rows - len(strand.known), 0), len(ahead)), np.nan)
        known.append(np.concatenate((strand.known[:rows], lacking)))
    counts = np.array([len(strand.values) for strand in strands])
    starts = np.concatenate(([0], np.cumsum(counts + room)[:-1]))
    return Panel(
        targets,
        past,
        ahead,
        tuple(strand.name for strand in strands),
        [strand.timeline for strand in strands],
        np.concatenate(values),
        np.concatenate(known),
        starts,
        counts,
        subject,
        said,
    )


@dataclass(frozen=True)
class Parts:
    """Origins to learn from, to choose by and to judge on, in order of time.

    ``validation`` and ``test`` are the numbers of each series' first row of that part.
    """

    training_origins: Integers
    validation_origins: Integers
    test_origins: Integers
    learnt: Bools  # [R]: the rows that scaling is learnt from
    validation: Integers  # [G]
    test: Integers  # [G]

    def thinned(self, most: int) -> Parts:
        """The same, chosen by and judged at no more than so many origins, evenly spread."""
        chosen, judged = (
            origins[:: -(-len(origins) // most) or 1]
            for origins in (self.validation_origins, self.test_origins)
        )
        return replace(self, validation_origins=chosen, test_origins=judged)


def parts_of(panel: Panel, window: int, horizon: int, tested: Integers, chosen: Integers) -> Parts:
    """Cut every series in time: the last ``tested`` rows, the ``chosen`` ones before, the others.

    Raises
    ------
    ValueError
        If a part is too short for the window and the horizon, or nothing can be learnt from it.
    """
    training, validation, test = [], [], []
    learnt = np.zeros(len(panel.values), bool)
    for group, (start, count) in enumerate(zip(panel.starts, panel.counts, strict=True)):
        first_test = int(count - tested[group])
        first_chosen = first_test - int(chosen[group])
        _check_long(panel, group, window, horizon, int(tested[group]), int(chosen[group]))
        _check_varied(panel, group, first_chosen)
        learnt[start : start + first_chosen] = True
        training.append(start + np.arange(window - 1, first_chosen - horizon))
        validation.append(start + np.arange(first_chosen - 1, first_test - horizon))
        if tested[group]:
            test.append(start + np.arange(first_test - 1, count - horizon))
    ends = panel.starts + panel.counts - tested
    found = [_to_learn(panel, np.concatenate(o), window, horizon) for o in (training, validation)]
    if not len(found[0]):
        raise InvalidValueError(
            f"{panel.subject} has no window of {window} steps in its training part with a value in "
            f"it and one in the {horizon} after it: bring more rows, or make steps longer with "
            "--every."
        )
    last = np.concatenate(test) if test else np.empty(0, np.int64)
    judged = _to_learn(panel, last, window, horizon)
    return Parts(found[0], found[1], judged, learnt, ends - chosen, ends)


def _to_learn(panel: Panel, origins: Integers, window: int, horizon: int) -> Integers:
    """The origins with something in their window and something to forecast."""
    there = np.isfinite(panel.values[:, : panel.width]).any(1)
    so_far = np.concatenate(([0], np.cumsum(there)))
    read = so_far[origins + 1] > so_far[origins + 1 - window]
    follows = so_far[origins + 1 + horizon] > so_far[origins + 1]
    chosen: Integers = origins[read & follows]
    return chosen


def _check_long(
    panel: Panel, group: int, window: int, horizon: int, tested: int, chosen: int
) -> None:
    rows = int(panel.counts[group])
    needed = window + horizon + 1  # two windows: one alone has no spread to scale by
    enough = all(part == 0 or part >= horizon for part in (tested, chosen))
    if enough and rows - tested - chosen >= needed:
        return
    name = f"the series {panel.groups[group]!r}" if panel.groups[group] else "the series"
    more = f", beside {chosen} to choose by (--validation-share)" if chosen else ""
    raise InvalidValueError(
        f"{name} has {rows} rows, of which {tested} are for testing: a window of "
        f"{window} and a horizon of {horizon} need at least {needed} to train on and {horizon} "
        f"to test on{more}; lower --window or --horizon, or bring more rows."
    )


def _check_varied(panel: Panel, group: int, rows: int) -> None:
    for column in range(panel.width):
        values = panel.series(group, column)[:rows]
        values = values[np.isfinite(values)]
        if len(values) and np.ptp(values) > 0:
            continue
        where = f" of {panel.groups[group]}" if panel.groups[group] else ""
        what = f"all {values[0]:g}" if len(values) else "blank"
        raise InvalidValueError(
            f"the first {rows} rows{where}, the training part, are {what}: a constant "
            "series leaves nothing to learn; choose another column."
        )
