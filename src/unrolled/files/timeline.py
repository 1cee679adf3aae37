"""When the values of a series were, in words and on an axis, and when the next ones will be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, overload

import numpy as np

from unrolled.files.columns import Integers
from unrolled.files.spacing import Spacing

__all__ = ["Clock", "Timeline"]

MICRO = {"s": 10**6, "ms": 10**3, "us": 1}


class Clock(NamedTuple):
    """A grid of steps in time, and how its times are written."""

    start: Any  # datetime64 or float64
    spacing: Spacing | None
    style: str
    name: str

    def at(self, steps: Integers) -> Any:
        """When steps are."""
        if self.spacing is None:
            return np.repeat(np.asarray(self.start)[None], len(steps))
        return self.spacing.at(steps, self.start)

    def label(self, times: Any) -> list[str]:
        """Write times as the file does, and dates as ISO does: a label never rounds one."""
        if self.style == "number":
            return [f"{time:.15g}" for time in np.asarray(times).tolist()]
        if self.style.startswith("epoch"):
            micro = MICRO[self.style.split()[1]]
            counts = times.astype("datetime64[us]").astype(np.int64)
            whole = not (counts % micro).any()
            return [f"{n // micro}" if whole else f"{n / micro:.6f}" for n in counts.tolist()]
        return self._dates(times)

    def _dates(self, times: Any) -> list[str]:
        month = times.astype("datetime64[M]")
        if self.style == "year":
            return _strings(times, "Y")
        if self.style == "month":
            return _strings(month, "M")
        if self.style == "quarter":
            years = _strings(times, "Y")
            numbers = month.astype(np.int64) % 12 // 3 + 1
            return [f"{year}Q{number}" for year, number in zip(years, numbers, strict=True)]
        if self.style == "week":
            return [f"{y}-W{w:02}" for y, w, _ in map(_iso_week, times.astype("datetime64[D]"))]
        return [word.replace("T", " ") for word in _strings(times, self._unit)]

    @property
    def _unit(self) -> Any:
        """The finest unit that any step has: days where all begin at midnight."""
        if self.spacing is None or self.spacing.unit != "us":
            length = 86400e6
        else:
            length = self.spacing.count
        since = int((self.start - self.start.astype("datetime64[D]")).astype(np.int64))
        for unit, micro in (("D", 86400 * 10**6), ("m", 60 * 10**6), ("s", 10**6), ("ms", 1000)):
            if length % micro == 0 and since % micro == 0:
                return unit
        return "us"


def _strings(times: Any, unit: Any) -> list[str]:
    return list(np.datetime_as_string(times, unit).tolist())


def _iso_week(day: Any) -> Any:
    return day.astype(object).isocalendar()


class Labels(Sequence[str]):
    """The words of a clock's steps, written when they are asked for."""

    def __init__(self, clock: Clock, count: int) -> None:
        self._clock, self._count = clock, count

    def __len__(self) -> int:
        """How many steps there are."""
        return self._count

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> list[str]: ...

    def __getitem__(self, place: int | slice) -> str | list[str]:
        """The word of a step, or a list of words."""
        chosen = range(self._count)[place]
        if isinstance(chosen, int):
            return self[chosen : chosen + 1][0]
        steps = np.arange(chosen.start, chosen.stop, chosen.step)
        return self._clock.label(self._clock.at(steps)) if len(steps) else []


@dataclass(frozen=True)
class Timeline:
    """A place on an axis and a label for each value of a series."""

    labels: Sequence[str]
    places: Any  # float64, or datetime64
    name: str
    clock: Clock | None = None

    @classmethod
    def of_clock(cls, clock: Clock, count: int) -> Timeline:
        """The first steps of a clock."""
        return cls(Labels(clock, count), clock.at(np.arange(count)), clock.name, clock)

    @classmethod
    def of_rows(cls, rows: Integers) -> Timeline:
        """The rows' numbers, as a spreadsheet counts."""
        places = rows.astype(np.float64)
        return cls([str(row) for row in rows.tolist()], places, "row")

    def __len__(self) -> int:
        """How many steps there are."""
        return len(self.labels)

    @cached_property
    def is_even(self) -> bool:
        """Whether each place is as far from the one before as the next."""
        if self.clock is not None:
            return self.clock.spacing is not None
        steps = np.diff(self.places)
        return bool(len(steps) and np.allclose(steps, steps[0], rtol=1e-6))

    def ahead(self, count: int) -> list[str]:
        """Label what follows: dates where there are dates, else +1, +2, …"""
        if self.clock is not None and self.is_even:
            return self.clock.label(self.places_ahead(count))
        if self.clock is None and self.is_even and self.labels[-1] == f"{self.places[-1]:.15g}":
            return [f"{place:.15g}" for place in self.places_ahead(count)]
        return [f"+{n}" for n in range(1, count + 1)]

    def places_ahead(self, count: int) -> Any:
        """Where on the axis what follows is, one step after the other."""
        if self.clock is not None and self.is_even:
            return self.clock.at(np.arange(len(self), len(self) + count))
        step = self.places[-1] - self.places[-2] if len(self) > 1 else 1.0
        return self.places[-1] + step * np.arange(1, count + 1)
