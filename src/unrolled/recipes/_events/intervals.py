"""When events were, out of a second file: start, end and label, one interval a row."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from unrolled.errors import InvalidValueError
from unrolled.errors.expected import ending
from unrolled.files.columns import Bools, Floats
from unrolled.files.moments import Column, moments
from unrolled.files.tables import Table, read_table
from unrolled.files.timeline import Timeline
from unrolled.recipes._events.labels import NONE_WORDS

__all__ = ["read_intervals"]

# The columns that are read, and how the Brain Imaging Data Structure names them.
PLAIN, BIDS = ("start", "end", "label"), ("onset", "duration", "trial_type")


class Spans(NamedTuple):
    """Intervals in seconds, or in units of the time column, from the first step on."""

    rows: list[int]
    starts: Floats
    ends: Floats
    labels: list[str]


def read_intervals(path: Path, times: Timeline, recording: str) -> tuple[dict[str, Bools], str]:
    """Read where events are, and say in a line how the file was read.

    An interval has the steps from the one nearest to its start up to, and without, the one nearest
    to its end; one that ends where it starts has one step.

    Parameters
    ----------
    path
        A table with the columns start, end and label; or onset, duration and trial_type.
    times
        When each step was.
    recording
        The file that the steps are of.

    Raises
    ------
    ValueError
        In one sentence: a column or a cell that is missing or cannot be read, an interval that
        ends before it starts, or that does not lie in the recording.
    """
    table = read_table(path)
    names = _names(table)
    spans = _spans(table, names, times, recording)
    _check_inside(spans, table, times, recording)
    events = _flags(spans, times)
    told = f"{len(spans.labels):,} intervals of {table.file}, by {', '.join(names)}"
    return events, f"{told} in {_unit(times)} of {recording}"


def _names(table: Table) -> tuple[str, str, str]:
    """The three columns, however their names are capitalised."""
    folded = {name.strip().casefold(): name for name in table.names}
    for names in (PLAIN, BIDS):
        if all(name in folded for name in names):
            start, end, label = (table.find(folded[name]) for name in names)
            return start, end, label
    lacking = next(name for name in PLAIN if name not in folded)
    raise InvalidValueError(
        f"{table.file} has no column {lacking!r}, its columns are {', '.join(table.names)}: "
        f"expected {', '.join(PLAIN)}, or {', '.join(BIDS)}{ending(lacking, folded)}"
    )


def _spans(table: Table, names: tuple[str, str, str], times: Timeline, recording: str) -> Spans:
    starts = _places(table, names[0], times, recording)
    if names[1].strip().casefold() == BIDS[1]:
        ends = starts + _numbers(table, names[1])
    else:
        ends = _places(table, names[1], times, recording)
    labels = [label.strip() for label in table.words(names[2])]
    rows = table.rows.tolist()
    for row, start, end, label in zip(rows, starts, ends, labels, strict=True):
        if not label:
            raise InvalidValueError(
                f"row {row} of column {names[2]!r} of {table.file} is blank: expected what the "
                "interval is of."
            )
        if end < start:
            raise InvalidValueError(
                f"row {row} of {table.file} ends before it starts: expected {names[1]} to be "
                f"{'0 or more' if names[1].casefold() == BIDS[1] else f'no less than {names[0]}'}."
            )
    return Spans(rows, starts, ends, labels)


def _places(table: Table, column: str, times: Timeline, recording: str) -> Floats:
    """A column of times, as far from the first step as `_since` says of the steps."""
    if times.places.dtype.kind != "M":
        return _numbers(table, column) - float(times.places[0])
    words = np.array(table.words(column), dtype=object)
    try:
        read = moments(Column(column, words, lambda place: int(table.rows[place]))).values
    except InvalidValueError as error:
        raise InvalidValueError(
            f"{str(error).split(': ')[0]}: expected times as those of {recording} are written, "
            f"such as {times.labels[0]}, in {table.file}."
        ) from None
    if read.dtype.kind != "M":
        raise InvalidValueError(
            f"row {table.rows[0]} of column {column!r} of {table.file} is {words[0]}, but the "
            f"times of {recording} are dates, such as {times.labels[0]}: expected dates."
        )
    found: Floats = (read - times.places[0]) / np.timedelta64(1, "s")
    return found


def _numbers(table: Table, column: str) -> Floats:
    values = table.numbers(column)
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise InvalidValueError(
            f"row {table.rows[bad[0]]} of column {column!r} of {table.file} is no finite number: "
            "expected a time in each row."
        )
    return values


def _since(times: Timeline) -> Floats:
    """How far each step is from the first: in seconds where there are dates."""
    apart = times.places - times.places[0]
    found: Floats = apart / np.timedelta64(1, "s") if apart.dtype.kind == "m" else apart
    return found


def _check_inside(spans: Spans, table: Table, times: Timeline, recording: str) -> None:
    """Refuse intervals that begin before the first step or end after the last."""
    since = _since(times)
    step = float(np.median(np.diff(since))) if len(since) > 1 else 1.0
    outside = (spans.starts < -step / 2) | (spans.ends > since[-1] + 1.5 * step)
    outside |= spans.starts > since[-1] + step / 2
    if outside.any():
        place = int(np.argmax(outside))
        cells = " to ".join(table.words(name)[place] for name in _names(table)[:2])
        raise InvalidValueError(
            f"row {spans.rows[place]} of {table.file}, {cells}, does not lie in {recording}, where "
            f"{_unit(times)} go from {times.labels[0]} to {times.labels[len(times) - 1]}: is it "
            "the file of this recording, in the same units?"
        )


def _flags(spans: Spans, times: Timeline) -> dict[str, Bools]:
    since = _since(times)
    middles = (since[1:] + since[:-1]) / 2
    begins = np.searchsorted(middles, spans.starts, side="right")
    stops = np.searchsorted(middles, spans.ends, side="right")
    # An end that lies beyond the last step is behind it, not at it.
    half = (since[-1] - since[-2]) / 2 if len(since) > 1 else 0.5
    stops = stops + (spans.ends >= since[-1] + half)
    wanted = [label for label in spans.labels if label.casefold() not in NONE_WORDS]
    events = {label: np.zeros(len(since), dtype=bool) for label in sorted(set(wanted))}
    for begin, stop, label in zip(begins, stops, spans.labels, strict=True):
        if label in events:
            events[label][begin : max(stop, begin + 1)] = True
    return events


def _unit(times: Timeline) -> str:
    """What intervals are counted in: seconds, steps, or the values of a column."""
    plain = times.name in ("second", "step", "row")
    return f"the {times.name}s" if plain else f"the values of column {times.name!r}"
