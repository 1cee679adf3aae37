"""A table's rows in order of time, on a grid of even steps; what is missing has no row.

Nothing is put in order without a word: rows that run backwards are turned round, which is said; any
other order is refused with the first row that breaks it, unless sorting was asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

import numpy as np

from unrolled.errors import InvalidValueError
from unrolled.errors.expected import flagged, one_of
from unrolled.files.columns import Floats, Integers
from unrolled.files.moments import Column, Moments, moments
from unrolled.files.order import disorder, in_order, usual_step, words_of
from unrolled.files.spacing import Spacing, parse_spacing, spacing_of
from unrolled.files.tables import Table
from unrolled.files.timeline import Clock, Timeline

__all__ = ["Timed", "Timing", "first_missing", "in_rows", "on_time", "row_times", "says_when"]


@dataclass(frozen=True, kw_only=True)
class Timing:
    """How times are to be taken, where the file does not tell: each field is a flag of a recipe."""

    every: str = ""
    """Of a file with --time: from one step to the next, such as 1h, 30s, 1D, B, W, MS; several rows
    in one step become their mean (empty: found from the times)."""
    day_first: Annotated[str, one_of(("", "yes", "no"))] = ""
    """Of a file with --time: whether 01/02/2020 is in February (empty: found)."""
    sort: bool = False
    """Of a file with --time: put the rows in order of time, where they are in none."""


@dataclass(frozen=True)
class Timed:
    """A table whose rows have a place on a line of even steps.

    ``places`` is the step of each row of ``table``; a step may have no row, or several.
    """

    table: Table
    timeline: Timeline
    places: Integers
    said: tuple[str, ...]

    def __len__(self) -> int:
        """How many steps there are, those without a row too."""
        return len(self.timeline)

    def numbers(self, column: str) -> Floats:
        """A column, a value for each step: NaN where there is none, the mean where several are."""
        return self.on_steps(self.table.numbers(column))

    def on_steps(self, values: Floats) -> Floats:
        """Give values of rows to the steps that they belong to."""
        if len(values) == len(self) and bool((np.diff(self.places) == 1).all()):
            return values
        there = ~np.isnan(values)
        counts = np.bincount(self.places[there], minlength=len(self))
        sums = np.bincount(self.places[there], weights=values[there], minlength=len(self))
        steps = np.full(len(self), np.nan)
        np.divide(sums, counts, out=steps, where=counts > 0)
        return steps

    def summary(self, numbers: Sequence[str] = ()) -> str:
        """One line that says how the file was read; ``numbers`` is said of those of a column."""
        marks, *more = self.table.said
        return f"read as: {', '.join((marks, *numbers, *more))}; {', '.join(self.said)}"


def in_rows(table: Table) -> Timed:
    """Take the rows as they lie, as evenly spaced; their numbers are their times."""
    timeline = Timeline.of_rows(table.rows)
    times = next((name for name in table.columns if _may_be_times(table, name)), "")
    lie = f"as they lie, for want of {flagged('--time', times)}" if times else "as they lie"
    return Timed(table, timeline, np.arange(len(table)), (_rows(len(table)), lie))


def _may_be_times(table: Table, name: str) -> bool:
    """Whether the first rows of a column say when they were, in more than a bare number."""
    cells = table.columns[name][:20]
    return cells.dtype.kind == "M" if cells.dtype != object else says_when(name, cells.tolist())


def says_when(name: str, words: Sequence[str]) -> bool:
    """Whether the words of a column say when something was, in more than a bare number."""
    try:
        read = moments(Column(name, np.array(words, dtype=object), int, "yes"))
    except InvalidValueError:
        return False
    return read.style not in ("number", "year") and len(words) > 1


def on_time(table: Table, time: str, timing: Timing | None = None) -> Timed:
    """Put a table's rows in their places in time.

    Parameters
    ----------
    table
        One series: of several in one file, `Table.where` takes one and `Table.split` all.
    time
        The column that says when each row was.
    timing
        What was said about it.

    Raises
    ------
    ValueError
        If a time cannot be read, rows are in no order, two have the same time, or they are not
        evenly spaced: in one sentence that says which row, and how to mend it.
    """
    asked = Timing() if timing is None else timing
    name = table.find(time)
    read = _moments(table, name, asked.day_first)
    order, said = in_order(table, name, read, sort=asked.sort, several=bool(asked.every))
    table, times = table.take(order), read.values[order]
    spacing = _spacing(table, name, read._replace(values=times), asked.every)
    clock = Clock(times[0], spacing, read.style, name)
    if spacing is None:
        return Timed(table, Timeline.of_clock(clock, 1), np.zeros(1, np.int64), ("1 row",))
    places = _places(times, spacing)
    _check_alone(table, name, read._replace(values=times), places, bool(asked.every))
    timeline = Timeline.of_clock(clock, int(places[-1]) + 1)
    said = [spacing.name, *_gaps(places, timeline), *_moved(times, places, clock), *said]
    return Timed(table, timeline, places, (_rows(len(table)), *said, *read.said))


class Dated(Protocol):
    """What holds columns of which one may say when: a table, or arrays."""

    @property
    def file(self) -> str:
        """The name of its file."""

    @property
    def rows(self) -> Integers:
        """The number of each row."""

    def words(self, column: str, /) -> list[str]:
        """A column as text."""


def row_times(source: Dated, time: str) -> Timeline:
    """Say when each row was, where rows need not be evenly spaced, but run forward.

    Raises
    ------
    ValueError
        If a time cannot be read, or a row is no later than the one before.
    """
    words = np.array(source.words(time), dtype=object)
    values = moments(Column(time, words, lambda place: int(source.rows[place]))).values
    back = np.flatnonzero(values[1:] <= values[:-1])
    if len(back):
        at = int(back[0]) + 1
        raise InvalidValueError(
            f"row {source.rows[at]} of {source.file}: {time} is {words[at]} after {words[at - 1]}: "
            "expected a later time in each row; put the rows in order of time."
        )
    return Timeline(list(words), values, time)


def _rows(count: int) -> str:
    return f"{count:,} row" + ("" if count == 1 else "s")


def _moments(table: Table, name: str, day_first: str) -> Moments:
    cells = table.columns[name]
    if cells.dtype.kind == "M":
        missing = np.flatnonzero(np.isnat(cells))
        if len(missing):
            raise InvalidValueError(
                f"row {table.rows[missing[0]]} of column {name!r} is blank: expected when the row "
                "was; complete it, or leave out --time to take the rows as they lie."
            )
        return Moments(cells, "date", [])
    words = np.array(table.words(name), dtype=object)
    return moments(Column(name, words, lambda place: int(table.rows[place]), day_first))


# --- the grid ---


def _spacing(table: Table, name: str, read: Moments, every: str) -> Spacing | None:
    times = read.values
    if every:
        return parse_spacing(every, times)
    if len(times) < 2:
        return None
    if (times[1:] == times[:-1]).any():
        raise disorder(table, name, read, int(np.flatnonzero(times[1:] == times[:-1])[0]) + 1)
    found = spacing_of(times)
    if found is None:
        raise _uneven(table, name, read)
    return found


def _uneven(table: Table, name: str, read: Moments) -> Exception:
    apart = np.diff(read.values)
    different, counts = np.unique(apart, return_counts=True)
    usual = different[counts.argmax()]
    ratio = (apart / usual).astype(float)
    at = int(np.flatnonzero(np.abs(ratio - np.round(ratio)) > 1e-3)[0:1].sum()) + 1
    words = words_of(read)
    dates = read.values.dtype.kind == "M"
    such = Spacing(int(usual.astype(np.int64)), "us").name if dates else f"{usual:.6g}"
    return InvalidValueError(
        f"the rows of {table.file} are not evenly spaced: mostly {such}, but row {table.rows[at]} "
        f"is at {words(at)} after {words(at - 1)}: say how far steps are apart, such as with "
        f"--every {usual_step(read.values)}, which averages rows of one step, or leave out --time "
        "to take the rows as they lie."
    )


def _places(times: Any, spacing: Spacing) -> Integers:
    """The step of each time: the nearest where rows are as frequent as steps, else the last."""
    exact = spacing.steps(times, times[0])
    near = len(times) > 1 and 0.9 <= float(np.median(np.diff(exact))) <= 1.1
    if near and spacing.unit in ("us", "number"):
        return np.round(exact).astype(np.int64)
    return np.floor(exact + 1e-9).astype(np.int64)


def _check_alone(table: Table, name: str, read: Moments, places: Integers, several: bool) -> None:
    if places[-1] > 20 * len(places) + 1000:
        raise InvalidValueError(
            f"--every makes {int(places[-1]) + 1:,} steps of {len(places):,} rows, of which nearly "
            "all would be missing: choose a longer one."
        )
    same = np.flatnonzero(np.diff(places) == 0)
    if len(same) and not several:
        raise disorder(table, name, read, int(same[0]) + 1)


def _gaps(places: Integers, timeline: Timeline) -> list[str]:
    steps = int(places[-1]) + 1
    said = [] if (np.diff(places) > 0).all() else [f"averaged into {steps:,} steps"]
    gaps = np.flatnonzero(np.diff(places) > 1)
    if len(gaps):
        count = steps - len(np.unique(places))
        many = "1 gap" if count == 1 else f"{count:,} gaps"
        said.append(f"{many}, the first after {timeline.labels[int(places[gaps[0]])]}")
    return said


def _moved(times: Any, places: Integers, clock: Clock) -> list[str]:
    """What --every does to rows that lie between two of its steps."""
    off = np.flatnonzero(clock.at(places) != times) if times.dtype.kind == "M" else ()
    alone = bool((np.diff(places) > 0).all())
    return [f"{len(off):,} rows moved to the step nearest or before"] if len(off) and alone else []


def first_missing(values: Floats, timeline: Timeline) -> str:
    """Name the steps without a value, or "" where there is none."""
    places = np.flatnonzero(np.isnan(values))
    if not len(places):
        return ""
    first = timeline.labels[int(places[0])]
    return f"{len(places):,} of {len(values):,} steps, the first at {timeline.name} {first}"
