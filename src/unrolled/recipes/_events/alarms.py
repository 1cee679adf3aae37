"""Figures by event: how many are found, how many alarms are false, how late an alarm comes.

Any overlap counts: an alarm is a run of steps at or above the threshold; an event is found where an
alarm has one of its steps, and an alarm is false where it has a step of no event.  It is the
"any-overlap" scoring of Ziyabari, Shah, Golmohammadi, Obeid and Picone, Objective evaluation
metrics for automatic classification of EEG events (arXiv:1712.10107).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from unrolled.files.columns import Bools, Floats, Integers

__all__ = [
    "Alarms",
    "Clock",
    "Part",
    "alarms_at",
    "chosen_threshold",
    "count_events",
    "most_found",
    "runs_of",
    "swept",
]

MOST_THRESHOLDS = 300


class Clock(NamedTuple):
    """What false alarms are counted by: an hour, or 1,000 steps where nobody knows a second."""

    rate: float | None

    @property
    def unit(self) -> float:
        """Steps in the time in which one false alarm is allowed."""
        return 1000.0 if self.rate is None else self.rate * 3600

    @property
    def per(self) -> str:
        """The name of that time."""
        return "1,000 steps" if self.rate is None else "hour"

    def latency(self, steps: float) -> float:
        """Steps in seconds, where a second is known."""
        return steps if self.rate is None else steps / self.rate


@dataclass(frozen=True)
class Part:
    """One event in a part of the data: flags and probabilities [T], and the part's pieces."""

    flags: Bools
    probabilities: Floats
    stretches: Sequence[slice]

    def runs(self, flags: Bools) -> Integers:
        """Begin and end [2, N] of runs of true flags, none of which goes on in the next piece."""
        each = [edges_of(flags[piece]) + piece.start for piece in self.stretches]
        return np.concatenate(each, axis=1) if each else np.empty((2, 0), np.int64)


@dataclass(frozen=True)
class Alarms:
    """What came of a threshold: latencies in steps, one for each event that was found."""

    threshold: float
    events: int
    latencies: Sequence[int]
    false: int
    steps: int

    @property
    def sensitivity(self) -> float:
        """The share of events that were found."""
        return len(self.latencies) / self.events if self.events else float("nan")

    @property
    def latency(self) -> float:
        """The median, from an event's first step to its first step with an alarm."""
        return float(np.median(self.latencies)) if self.latencies else float("nan")

    def false_by(self, clock: Clock) -> float:
        """False alarms an hour, or in 1,000 steps."""
        return self.false * clock.unit / self.steps


def edges_of(flags: Bools) -> Integers:
    """Where runs of true flags begin, and the steps after their ends: [2, N]."""
    edges = np.flatnonzero(np.diff(flags.astype(np.int8), prepend=0, append=0))
    return edges.reshape(-1, 2).T


def runs_of(flags: Bools) -> list[tuple[int, int]]:
    """Where runs of true flags begin, and the steps after their ends."""
    return [(begin, end) for begin, end in edges_of(flags).T.tolist()]


def count_events(flags: Bools, stretches: Sequence[slice]) -> int:
    """Count the events: runs of consecutive steps."""
    return len(Part(flags, np.empty(0), stretches).runs(flags)[0])


def alarms_at(part: Part, threshold: float) -> Alarms:
    """Count what a threshold finds."""
    raised = part.probabilities >= threshold
    begins, ends = part.runs(part.flags)
    alarms = np.append(np.flatnonzero(raised), len(raised))
    first = alarms[np.searchsorted(alarms, begins)]
    late = (first - begins)[first < ends]
    so_far = np.concatenate(([0], np.cumsum(part.flags)))
    from_, to = part.runs(raised)
    false = int((so_far[to] == so_far[from_]).sum())
    return Alarms(threshold, len(begins), late.tolist(), false, len(part.flags))


def swept(part: Part, clock: Clock, most: float = np.inf) -> list[Alarms]:
    """Lower the threshold from the highest probability on, and count what each finds.

    It ends where false alarms are first more than ``most`` an hour, or alarms lie over half of the
    steps without an event: below, they run into each other, until one of them lies over everything
    and is false nowhere.
    """
    found: list[Alarms] = []
    quiet = part.probabilities[~part.flags]
    for threshold in _thresholds(part.probabilities):
        counted = alarms_at(part, threshold)
        loud = len(quiet) and (quiet >= threshold).mean() > 0.5
        if found and (loud or counted.false_by(clock) > most):
            break
        found.append(counted)
    return found


def _thresholds(probabilities: Floats) -> list[float]:
    """One above all probabilities, then some of them, close together at the top."""
    ordered = np.unique(probabilities)[::-1]
    places = np.geomspace(1, max(len(ordered), 1), MOST_THRESHOLDS).round().astype(np.int64) - 1
    above = float(np.nextafter(ordered[0], np.inf))
    return [above, *ordered[np.unique(places)].tolist()]


def chosen_threshold(part: Part, clock: Clock) -> float:
    """The threshold that finds most events with one false alarm an hour, or 1,000 steps, at most.

    Of equals it is the highest.  A part shorter than that allows no false alarm.
    """
    return most_found(swept(part, clock, most=1.0)).threshold


def most_found(counted: Sequence[Alarms]) -> Alarms:
    """The point of a sweep at which most events are found; of equals the first, and highest."""
    return max(counted, key=lambda alarms: len(alarms.latencies))
