"""Recordings that MNE reads: EDF, BDF, FIF and BrainVision, with annotations and stim channels."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unrolled.errors import InvalidValueError
from unrolled.files.columns import Floats

__all__ = ["KINDS", "PARTS", "Recording", "read_recording"]

KINDS = (".edf", ".bdf", ".fif", ".vhdr")
PARTS = (".eeg", ".vmrk")  # of a BrainVision recording, beside its .vhdr
# What MNE and BrainVision write about the recording itself, which is no event in it.
HOUSEKEEPING = ("BAD", "EDGE", "New Segment")

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Recording:
    """Channels [T, C] in volts or whatever the file has, samples a second, and [T] flags."""

    values: Floats
    channels: tuple[str, ...]
    rate: float
    events: dict[str, Bools]


def read_recording(path: Path) -> Recording:
    """Read all channels but stim channels; annotations and stim values are the events.

    An annotation without a duration marks one sample.  A stim channel marks an event, of its
    value's name, wherever it is not 0.

    Raises
    ------
    ValueError
        In one sentence: without MNE, or where the file is empty, cut short, or cannot be read.
    """
    try:
        mne: Any = importlib.import_module("mne")
    except ImportError:
        raise InvalidValueError(
            f"reading {path.name} needs MNE: pip install 'unrolled[eeg]' brings it."
        ) from None
    if path.stat().st_size == 0:
        raise InvalidValueError(f"{path.name} is empty (0 bytes): expected a recording.")
    if path.suffix.lower() in (".edf", ".bdf"):
        _check_whole(path)
    try:
        raw = mne.io.read_raw(path, preload=True, verbose="ERROR")
        names, kinds = list(raw.ch_names), list(raw.get_channel_types())
        data = np.asarray(raw.get_data(), dtype=np.float64)
        rate = float(raw.info["sfreq"])
        spans = _annotations(raw)
    except Exception as error:
        reason = (str(error).splitlines() or ["no reason given"])[0].rstrip(".")
        raise InvalidValueError(
            f"{path.name} cannot be read by MNE ({type(error).__name__}: {reason}): is it whole, "
            "and of the kind that its name says?"
        ) from error
    stim = [place for place, kind in enumerate(kinds) if kind == "stim"]
    kept = [place for place in range(len(names)) if place not in stim]
    events = _marked(spans, data.shape[1], rate)
    for place in stim:
        events |= _stim_events(data[place], names[place] if len(stim) > 1 else "")
    return Recording(data[kept].T, tuple(names[place] for place in kept), rate, events)


def _check_whole(path: Path) -> None:
    """Refuse an EDF or BDF file whose header makes no sense, or that ends before its header says.

    MNE would let some of them pass.
    """
    bdf = path.suffix.lower() == ".bdf"
    start, records, length, samples = _header(path, b"\xffBIOSEMI" if bdf else b"0       ")
    if records == 0 or length < 0 or samples <= 0:
        raise InvalidValueError(
            f"{path.name} has no data, by its header: {records:,} records of {length:g} seconds "
            f"and {samples:,} samples; expected some; take it from where it was recorded once more."
        )
    there, promised = path.stat().st_size, start + records * samples * (3 if bdf else 2)
    if records > 0 and there < promised:  # -1: the recorder did not say
        raise InvalidValueError(
            f"{path.name} is cut short: its header promises {promised:,} bytes ({records:,} "
            f"records), and there are {there:,}; take it from where it was recorded once more."
        )


def _header(path: Path, begins: bytes) -> tuple[int, int, float, int]:
    """The header's own size, how many records follow, a record's seconds, and its samples."""
    with open(path, "rb") as file:
        head = file.read(256)
        try:
            start, records = int(head[184:192]), int(head[236:244])
            length, count = float(head[244:252]), int(head[252:256])
            rest = file.read(256 * max(count, 0))
            sizes = [int(rest[216 * count + 8 * n :][:8]) for n in range(count)]
        except ValueError:
            sizes = []
    if not sizes or min(sizes) < 0 or head[:8] != begins or start != 256 * (len(sizes) + 1):
        kind = path.suffix[1:].upper()
        raise InvalidValueError(
            f"{path.name} has a header that is cut short or damaged: it is not a whole {kind} "
            "file; take it from where it was recorded once more."
        )
    return start, records, length, sum(sizes)


def _annotations(raw: Any) -> list[tuple[str, float, float]]:
    """Name, onset and duration in seconds from the first sample on."""
    found = raw.annotations
    return [
        (str(name), float(onset) - float(raw.first_time), float(duration))
        for name, onset, duration in zip(
            found.description, found.onset, found.duration, strict=True
        )
        if not str(name).startswith(HOUSEKEEPING)
    ]


def _marked(spans: list[tuple[str, float, float]], count: int, rate: float) -> dict[str, Bools]:
    events: dict[str, Bools] = {}
    for name, onset, duration in spans:
        flags = events.setdefault(name, np.zeros(count, dtype=bool))
        begin = round(onset * rate)
        flags[max(begin, 0) : max(begin + max(round(duration * rate), 1), 0)] = True
    return dict(sorted(events.items()))


def _stim_events(channel: Floats, name: str) -> dict[str, Bools]:
    """Flags for each value but 0."""
    values = np.unique(channel[channel != 0])
    return {f"{name} {value:g}".strip(): channel == value for value in values}
