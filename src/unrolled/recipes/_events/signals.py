"""Signals of several channels with their events, out of CSV, NumPy or EEG files.

Read as they stand, or refused with one sentence: nothing is skipped, filled in or repaired.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from unrolled.errors import InvalidValueError
from unrolled.files.columns import Bools
from unrolled.files.tables import Reading
from unrolled.files.timeline import Timeline
from unrolled.recipes._events.asked import Asked, Measured, Signal
from unrolled.recipes._events.intervals import read_intervals
from unrolled.recipes._events.labels import MOST_EVENTS, events_of, find_name
from unrolled.recipes._events.sources import measured

__all__ = ["Asked", "Bools", "Signal", "read_signal", "read_signals", "thin", "widen"]


def read_signal(
    path: Path,
    event: str,
    channels: Sequence[str] = (),
    time: str = "",
    *,
    labelled: bool = True,
    reading: Reading | None = None,
) -> Signal:
    """Read a signal from one file: `read_signals` says how."""
    asked = Asked(event, tuple(channels), time, labelled=labelled, reading=reading)
    (signal,) = read_signals([path], asked)
    return signal


def read_signals(
    paths: Sequence[Path], asked: Asked, intervals: Sequence[Path] = ()
) -> list[Signal]:
    """Read signals that one network is to learn, each from a file of any kind.

    Parameters
    ----------
    paths
        ``.csv``, ``.tsv`` or ``.txt`` with a header; ``.npy`` or ``.npz``; ``.edf``, ``.bdf``,
        ``.fif`` or ``.vhdr``, for which MNE is needed.
    asked
        What is asked of them.
    intervals
        For each of them, the file that says when its events were; none: they say it themselves.

    Raises
    ------
    ValueError
        In one sentence: also where they have not the same channels in the same order, or rate.
    """
    files = [measured(path, asked, marked=bool(intervals)) for path in paths]
    if intervals:
        files = [_marked(*each) for each in zip(files, intervals, strict=True)]
    for file in files[1:]:
        _check_alike(files[0].signal, file.signal)
    if any(file.words is None and file.marks is None for file in files):
        return [file.signal for file in files]
    if files[0].words is not None:
        words = [file.words for file in files if file.words is not None]
        events, said = events_of(words, labelled=asked.labelled, known=asked.known)
    else:
        names, said = _marks_of(files, asked), ()
        events = [_flags(file, names) for file in files]
        if not names:  # nothing is marked, anywhere
            return [file.signal for file in files]
    signals = [replace(file.signal, events=each) for file, each in zip(files, events, strict=True)]
    return [replace(signals[0], said=(*said, *signals[0].said)), *signals[1:]]


def _check_alike(first: Signal, other: Signal) -> None:
    """Refuse a file that has not the channels, or the rate, of the first."""
    if other.channels != first.channels:
        raise InvalidValueError(
            f"{other.file} has the channels {', '.join(other.channels)}, and {first.file} "
            f"{', '.join(first.channels)}: one network needs the same channels in the same order; "
            "name them with --channels."
        )
    here, there = first.rate or 0.0, other.rate or 0.0
    if abs(here - there) > 1e-3 * here:
        raise InvalidValueError(
            f"{other.file} has {there:g} steps a second, and {first.file} {here:g}: expected one "
            "rate; bring them to it before."
        )


def _marked(file: Measured, path: Path) -> Measured:
    """The same file with the events of its intervals, and none of its own."""
    signal = file.signal
    marks, told = read_intervals(path, signal.times, signal.file)
    return Measured(replace(signal, said=(*signal.said, told)), marks=marks)


def _marks_of(files: Sequence[Measured], asked: Asked) -> list[str]:
    """Choose the marks that are events, of all that any of the files has."""
    names = sorted({name for file in files for name in file.marks or {}})
    where = " and ".join(file.signal.file for file in files)
    if asked.known is not None:
        return list(asked.known)
    if asked.event and (asked.labelled or asked.event in names):
        return [find_name(asked.event, names, "event", where)]
    if asked.labelled and not names:
        raise InvalidValueError(
            f"{where} has no annotation, and no stim channel that says anything: nothing tells "
            "when the event is."
        )
    if len(names) > MOST_EVENTS:
        raise InvalidValueError(
            f"{where} has {len(names):,} different events, more than {MOST_EVENTS}: choose "
            f"one with --event NAME, such as {names[0]!r}."
        )
    return names


def _flags(file: Measured, names: Sequence[str]) -> Mapping[str, Bools]:
    """Where each event is in one file."""
    nowhere = np.zeros(len(file.signal.values), dtype=bool)
    return {name: (file.marks or {}).get(name, nowhere) for name in names}


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
    rate = signal.rate and signal.rate / every
    return replace(
        signal, values=blocks.mean(1), events=signal.events and events, times=times, rate=rate
    )
