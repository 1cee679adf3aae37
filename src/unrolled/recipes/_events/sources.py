"""What one file holds: channels, when each step was, and what it says of events at each of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from unrolled.errors import InvalidValueError
from unrolled.files.columns import Floats
from unrolled.files.tables import Table, read_table
from unrolled.files.timed import row_times
from unrolled.files.timeline import Timeline
from unrolled.recipes._events import eeg
from unrolled.recipes._events.arrays import Arrays, read_arrays
from unrolled.recipes._events.asked import Asked, Measured, Signal
from unrolled.recipes._events.clocks import check_no_clock, rate_of, timeline_at
from unrolled.recipes._events.labels import Words, canonical, find_name, split

__all__ = ["measured"]

TABLES = (".csv", ".tsv", ".txt", ".gz", ".zip", ".xlsx", ".parquet")
ARRAYS = (".npy", ".npz")

Source = Table | Arrays  # columns by name, whatever the file


def measured(path: Path, asked: Asked, *, marked: bool) -> Measured:
    """Read one file of any kind.

    Parameters
    ----------
    path
        What `read_signals` takes.
    asked
        What is asked of it.
    marked
        Whether a second file says when its events were.

    Raises
    ------
    ValueError
        In one sentence.
    """
    kind = path.suffix.lower()
    if path.is_dir():
        raise InvalidValueError(f"{path} is a folder: expected a file.")
    if not path.is_file():
        raise InvalidValueError(f"there is no file {path}: check the path.")
    if kind in eeg.KINDS:
        return _of_recording(path, asked)
    if kind in TABLES:
        return _of_source(read_table(path, asked.reading), path.name, asked, marked)
    if kind in ARRAYS:
        return _of_source(read_arrays(path), path.name, asked, marked)
    known = ", ".join((*TABLES, *ARRAYS, *eeg.KINDS))
    hint = " (of a BrainVision recording, name the .vhdr file)" if kind in eeg.PARTS else ""
    raise InvalidValueError(
        f"{path.name} is of a kind that is not read{hint}: expected a file in {known}."
    )


# --- tables and arrays ---


def _of_source(source: Source, file: str, asked: Asked, marked: bool) -> Measured:
    names = list(source.names)
    column, wanted = ("", "") if marked else split(asked.event, names)
    if asked.labelled and not marked:
        if not column:
            raise InvalidValueError(
                f"{file} has the columns {', '.join(names)}: say which one holds the event with "
                "--event COLUMN, or when events were with --events-file FILE."
            )
        find_name(column, names, "column", file)
    for name in (asked.time, *asked.channels):
        if name:
            find_name(name, names, "column", file)
    if marked and not (asked.time or asked.rate):
        raise InvalidValueError(
            f"nothing says when the rows of {file} were, so that the intervals of a second file "
            "have no place in it: name the column with --time, or rows a second with --rate."
        )
    chosen = _channels(source, asked, column)
    values = np.column_stack([_whole(source, name) for name in chosen])
    times = _times(source, asked)
    rate = rate_of(times, asked.rate, file)
    words = _words(source, column, wanted) if column in names else None
    return Measured(Signal(values, chosen, None, times, rate, file=file), words)


def _channels(source: Source, asked: Asked, column: str) -> tuple[str, ...]:
    """The columns that were named, or all others, of which none may be a clock."""
    if column in asked.channels:
        raise InvalidValueError(
            f"column {column!r} is the event: it cannot be one of the channels too."
        )
    if asked.channels:
        return asked.channels
    chosen = tuple(name for name in source.names if name not in (column, asked.time))
    if not chosen:
        raise InvalidValueError(
            f"{source.file} has no column but the event's: expected one or more channels."
        )
    for name in chosen:
        check_no_clock(source, name, [other for other in chosen if other != name])
    return chosen


def _times(source: Source, asked: Asked) -> Timeline:
    if asked.time:
        return row_times(source, asked.time)
    if asked.rate:
        return timeline_at(len(source.rows), asked.rate)
    return Timeline.of_rows(source.rows)


def _words(source: Source, column: str, wanted: str) -> Words:
    words = [
        canonical(word, f"row {row} of column {column!r}")
        for row, word in zip(source.rows.tolist(), source.words(column), strict=True)
    ]
    return Words(column, wanted, words)


def _whole(source: Source, name: str) -> Floats:
    """A column of numbers, every one of which is there."""
    values = source.numbers(name)
    missing = np.flatnonzero(np.isnan(values))
    if len(missing):
        raise InvalidValueError(
            f"row {source.rows[missing[0]]} of column {name!r} has no value, and so have "
            f"{len(missing):,} of {len(values):,} rows: expected a number in each; fill them in, "
            "or leave the column out by naming the others with --channels."
        )
    return values


# --- recordings, and intervals ---


def _of_recording(path: Path, asked: Asked) -> Measured:
    for flag, given in (("--time", asked.time), ("--rate", asked.rate)):
        if given:
            raise InvalidValueError(
                f"{flag} {given} names a column, but {path.name} is a recording, which knows its "
                "own time: leave it out."
            )
    recording = eeg.read_recording(path)
    for name in asked.channels:
        find_name(name, recording.channels, "channel", path.name)
    chosen = asked.channels or recording.channels
    values = recording.values[:, [recording.channels.index(name) for name in chosen]]
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        step, column = bad[0]
        raise InvalidValueError(
            f"sample {step} of channel {chosen[column]!r} of {path.name} is "
            f"{values[step, column]}, not a finite number: cut the recording there, or leave the "
            "channel out with --channels."
        )
    times = timeline_at(len(values), recording.rate)
    signal = Signal(values, chosen, None, times, recording.rate, file=path.name)
    return Measured(signal, marks=recording.events)
