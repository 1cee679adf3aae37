"""A signal of several channels with its events, out of a CSV, NumPy or EEG file.

Read as it stands, or refused with one sentence: nothing is skipped, filled in or repaired.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from unrolled.errors import InvalidValueError
from unrolled.errors.expected import ending
from unrolled.files.columns import Bools, Floats
from unrolled.files.tables import Reading, Table, read_table
from unrolled.files.timed import row_times
from unrolled.files.timeline import Timeline
from unrolled.recipes._events import eeg
from unrolled.recipes._events.arrays import Arrays, read_arrays

__all__ = ["Bools", "Signal", "find_name", "read_signal", "thin", "widen"]

TABLES = (".csv", ".tsv", ".txt", ".gz", ".zip", ".xlsx", ".parquet")
ARRAYS = (".npy", ".npz")
MOST_EVENTS = 20
NONE_WORDS = ("0", "no", "none", "false")  # what a column of events says where there is none


@dataclass(frozen=True)
class Signal:
    """What was measured, step by step, and what was going on.

    ``values`` is [T, C], float64; ``events`` has [T] flags by the name of the event, and is None
    where the file does not say.  A value of a column is the event COLUMN=VALUE.
    """

    values: Floats
    channels: tuple[str, ...]
    events: Mapping[str, Bools] | None
    times: Timeline


Source = Table | Arrays  # columns by name, whatever the file


def read_signal(
    path: Path,
    event: str,
    channels: Sequence[str] = (),
    time: str = "",
    *,
    labelled: bool = True,
    reading: Reading | None = None,
) -> Signal:
    """Read a signal from a file of any kind.

    Parameters
    ----------
    path
        ``.csv``, ``.tsv`` or ``.txt`` with a header; ``.npy`` or ``.npz``; ``.edf``, ``.bdf``,
        ``.fif`` or ``.vhdr``, for which MNE is needed.
    event
        Of a table or an array, the column that says when the event is: each of its values but 0,
        no, none and false is an event; ``COLUMN=VALUE`` takes that value alone.  Of a recording,
        the annotation, or the value of the stim channel; empty: all of them.
    channels
        Which columns to read, in this order; empty: all but the event's and the time's.
    time
        Of a table or an array: the column that says when each row was.
    labelled
        Whether a file that does not say when the event is must be refused.
    reading
        Of a table: what is known of how it is written.

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
        if time:
            raise InvalidValueError(
                f"--time {time} names a column, but {path.name} is a recording, which knows its "
                "own time: leave it out."
            )
        return _of_recording(path, event, channels, labelled)
    if kind in TABLES:
        return _of_source(read_table(path, reading), path.name, event, channels, time, labelled)
    if kind in ARRAYS:
        return _of_source(read_arrays(path), path.name, event, channels, time, labelled)
    known = ", ".join((*TABLES, *ARRAYS, *eeg.KINDS))
    hint = " (of a BrainVision recording, name the .vhdr file)" if kind in eeg.PARTS else ""
    raise InvalidValueError(
        f"{path.name} is of a kind that is not read{hint}: expected a file in {known}."
    )


def find_name(name: str, known: Sequence[str], what: str, file: str) -> str:
    """Give the name back if it is known.

    Raises
    ------
    ValueError
        Naming what there is, and what may have been meant.
    """
    if name in known:
        return name
    there = f"its {what}s are {', '.join(known)}" if known else f"it has no {what}"
    raise InvalidValueError(f"{file} has no {what} {name!r}: {there}{ending(name, known)}")


# --- tables and arrays ---


def _of_source(
    source: Source, file: str, event: str, channels: Sequence[str], time: str, labelled: bool
) -> Signal:
    names = list(source.names)
    column, wanted = _column_of(event, names)
    if labelled and not column:
        raise InvalidValueError(
            f"{file} has the columns {', '.join(names)}: say which one holds the event with "
            "--event COLUMN."
        )
    if labelled:
        find_name(column, names, "column", file)
    for name in (time, *channels):
        if name:
            find_name(name, names, "column", file)
    chosen = tuple(channels) or tuple(name for name in names if name not in (column, time))
    if column in chosen:
        raise InvalidValueError(
            f"column {column!r} is the event: it cannot be one of the channels too."
        )
    if not chosen:
        raise InvalidValueError(
            f"{file} has no column but the event's: expected one or more channels."
        )
    values = np.column_stack([_whole(source, name) for name in chosen])
    rows = source.rows.tolist()
    times = row_times(source, time) if time else Timeline.of_rows(source.rows)
    events = None
    if column in names:
        words = [
            _canonical(word, f"row {row} of column {column!r}")
            for row, word in zip(rows, source.words(column), strict=True)
        ]
        events = _events_of(words, column, wanted, labelled)
    return Signal(values, chosen, events, times)


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


def _column_of(event: str, names: Sequence[str]) -> tuple[str, str]:
    """Take ``COLUMN=VALUE`` apart, but for a column that has = in its name."""
    if event in names or "=" not in event:
        return event, ""
    column, _, value = event.rpartition("=")
    return column, value


def _events_of(words: list[str], column: str, wanted: str, labelled: bool) -> dict[str, Bools]:
    found = sorted(set(words))
    names = [word for word in found if word.casefold() not in NONE_WORDS]
    if wanted:
        name = _canonical(wanted, f"--event {column}={wanted}")
        names = [find_name(name, found, "value", f"column {column!r}") if labelled else name]
    if len(names) > MOST_EVENTS:
        raise InvalidValueError(
            f"column {column!r} holds {len(names):,} different events, more than {MOST_EVENTS}: "
            f"expected a few words or whole numbers; --event {column}=VALUE takes one alone."
        )
    if labelled and not names:
        raise InvalidValueError(
            f"column {column!r} is {' or '.join(found) or 'nothing'} in every row: there is no "
            "event to learn from; choose another --event."
        )
    array = np.array(words)
    return {f"{column}={name}": array == name for name in names}


def _canonical(word: str, where: str) -> str:
    """Give 1.0 and 1 one name; other words are as they are."""
    if not word:
        raise InvalidValueError(f"{where} is blank: write 0 where there is no event.")
    try:
        value = float(word)
    except ValueError:
        return word
    if not math.isfinite(value):
        raise InvalidValueError(f"{where} is {word}: write 0 where there is no event.")
    return f"{value:.10g}"


# --- recordings ---


def _of_recording(path: Path, event: str, channels: Sequence[str], labelled: bool) -> Signal:
    recording = eeg.read_recording(path)
    for name in channels:
        find_name(name, recording.channels, "channel", path.name)
    chosen = tuple(channels) or recording.channels
    place = [recording.channels.index(name) for name in chosen]
    values = recording.values[:, place]
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        step, column = bad[0]
        raise InvalidValueError(
            f"sample {step} of channel {chosen[column]!r} of {path.name} is "
            f"{values[step, column]}, not a finite number: cut the recording there, or leave the "
            "channel out with --channels."
        )
    events = recording.events
    if event and (labelled or event in events):
        name = find_name(event, list(events), "event", path.name)
        events = {name: events[name]}
    if labelled and not events:
        raise InvalidValueError(
            f"{path.name} has no annotation, and no stim channel that says anything: nothing tells "
            "when the event is."
        )
    if len(events) > MOST_EVENTS:
        raise InvalidValueError(
            f"{path.name} has {len(events):,} different events, more than {MOST_EVENTS}: choose "
            f"one with --event NAME, such as {next(iter(events))!r}."
        )
    seconds = np.arange(len(values)) / recording.rate
    times = Timeline([f"{second:.10g}" for second in seconds], seconds, "second")
    return Signal(values, chosen, events or None, times)


# --- other steps of the same signal ---


def widen(signal: Signal, around: int) -> Signal:
    """Count ``around`` steps before and after each event as the event too."""
    if not around or signal.events is None:
        return signal
    wide = {name: _widened(flags, around) for name, flags in signal.events.items()}
    return replace(signal, events=wide)


def _widened(flags: Bools, around: int) -> Bools:
    so_far = np.concatenate(([0], np.cumsum(flags)))
    step = np.arange(len(flags))
    last = np.minimum(step + around + 1, len(flags))
    wide: Bools = so_far[last] > so_far[np.maximum(step - around, 0)]
    return wide


def thin(signal: Signal, every: int) -> Signal:
    """Make one step of each ``every`` steps: the mean of each channel; any event is one.

    A step is named by the first that it is made of.  Steps at the end that are fewer than ``every``
    make none.
    """
    if every == 1:
        return signal
    if every > len(signal.values):
        raise InvalidValueError(
            f"every = {every} makes no step of the {len(signal.values):,} that there are: lower "
            "--every."
        )
    count = len(signal.values) // every
    whole = slice(0, count * every)
    blocks = signal.values[whole].reshape(count, every, -1)
    events = {
        name: np.logical_or.reduce(flags[whole].reshape(count, every), axis=1)
        for name, flags in (signal.events or {}).items()
    }
    times = signal.times
    times = Timeline(times.labels[whole][::every], times.places[whole][::every], times.name)
    return replace(signal, values=blocks.mean(1), events=signal.events and events, times=times)
