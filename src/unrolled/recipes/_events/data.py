"""The data of a labeller: the made-up signal or files, cut in time; each field is a flag."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated

import numpy as np

from unrolled import training
from unrolled.errors import InvalidValueError
from unrolled.errors.expected import (
    Before,
    Count,
    Expected,
    Layers,
    at_least,
    below_one,
    only,
    share,
)
from unrolled.files.tables import Reading
from unrolled.files.timeline import Timeline
from unrolled.recipes._events.bursts import CHANNELS, bursts
from unrolled.recipes._events.parts import DividedSignal, Shares, divide
from unrolled.recipes._events.signals import Asked, Signal, read_signals, thin, widen
from unrolled.training.recipe import CellName

__all__ = ["FRESH", "Data", "made_up"]

FRESH = 2_000  # steps of the built-in signal that `unrolled try` labels
_PART = Expected("a share of 0 or more, below 1", lambda value: 0 <= value < 1)


@dataclass(frozen=True)
class Data(training.Recipe, Reading):
    """What a labeller reads, and how large it is."""

    seed: int = 0
    """Draws the weights, the batches and the made-up signal."""
    steps: int = 2000
    """Updates: about half a minute for the made-up signal."""
    learning_rate: float = 0.005
    """How far an update goes; 0.01 needs fewer updates, and ends less evenly."""
    steps_per_update: Annotated[int, only(0, "each window begins from a state of zeros")] = 0
    """Only 0 makes sense: a window is short, and each begins from a state of zeros."""
    report_every: int = 100
    """Updates from one report to the next; each labels the held-out part."""
    data: Path | tuple[Path, ...] | None = None
    """A table (.csv, .tsv, .txt, .gz, .zip, .xlsx, .parquet), NumPy (.npy, .npz) or, with the extra
    'eeg', an EDF, BDF, FIF or BrainVision (.vhdr) file, or several, with the same channels; none: a
    made-up signal."""
    hold_out: Annotated[tuple[Path, ...], Before(())] = ()
    """Of several files in --data: those that nothing is learned from; none: the last share of each
    (--test-share)."""
    event: str = ""
    """The event's column: every value but 0, no, none and false is an event, of two words the rarer
    one; COLUMN=VALUE: that value alone. Of a recording, or with --events-file: one label, or value
    of the stim channel; empty: all."""
    events_file: Annotated[Path | tuple[Path, ...] | None, Before(None)] = None
    """A table that says when events were, with the columns start, end and label (or onset, duration
    and trial_type): in seconds, or in what --time holds; of several files in --data one for each,
    in their order."""
    channels: tuple[str, ...] = ()
    """The channels to read, in this order; empty: every column but the event's and the time's."""
    time: str = ""
    """The column that says when each row was, for pictures, answers and intervals; it is no
    channel."""
    rate: Annotated[float, at_least(0), Before(0.0)] = 0.0
    """Of a table or an array without dates in --time: rows a second, so that false alarms are
    counted by the hour and latencies in seconds; 0: nobody knows."""
    every: Count = 1
    """Make one step of so many: their mean, and the event if it is in any of them. The last steps,
    where they are fewer, make none."""
    around: Annotated[int, at_least(0)] = 0
    """Count so many steps before and after each event as the event too, as for brief markers."""
    test_share: Annotated[float, share] = 0.25
    """The share of steps, the last ones of each file, that nothing is learned from, nor chosen by;
    with --hold-out, all of those files and none of the others."""
    validation_share: Annotated[float, _PART, Before(0.0)] = 0.15
    """The share of steps before those that chooses which weights are kept, and the threshold of the
    figures by event; 0: none, so that the last weights are kept."""
    length: Count = 80_000
    """Of the made-up signal: steps. With 24,000 the network learns its training part by heart."""
    both_directions: bool = False
    """Read forwards and backwards: better where the whole signal is there, useless while it is
    being recorded. Without, the probability at a step knows nothing of what comes after it."""
    cell: CellName = "vanilla"
    """The LSTM's cell: vanilla, carousel, peephole, coupled or linear."""
    hidden: Count = 16
    """Hidden units (in each direction); 32 learn the made-up signal by heart the sooner."""
    layers: Layers = 1
    """Layers of the LSTM, one on the other; document 004 chains several."""
    dropout: Annotated[float, below_one] = 0.0
    """The share of numbers set to 0 in training, between layers, of two or more."""
    window: Count = 128
    """Steps in a training window, each of which begins from a state of zeros."""
    warm_up: Annotated[int, at_least(0)] = 32
    """Steps at a window's begin (and end, with both directions) that are read and not judged: what
    belongs to them may lie outside."""
    batch_size: Count = 32
    """Windows in one update."""

    @property
    def files(self) -> tuple[Path, ...]:
        """The files to read, none for the made-up signal."""
        return _several(self.data)

    def check_files(self) -> None:
        """Raise ValueError where what is asked needs files that were not given, or others."""
        named = ("event", "channels", "time", "hold_out", "events_file", "rate")
        for name in named if not self.files else ():
            if value := getattr(self, name):
                told = tuple(map(str, value)) if name == "hold_out" else value
                raise InvalidValueError(f"{name} = {told!r} is of no file: add --data FILE.")
        for name in ("data", "events_file"):
            if getattr(self, name) == ():
                raise InvalidValueError(
                    f"--{name.replace('_', '-')} names nothing: give it one file or more, or leave "
                    "it out."
                )
        names = [path.resolve() for path in self.files]
        for path in self.files:
            if names.count(path.resolve()) > 1:
                raise InvalidValueError(
                    f"--data names {path} twice: what is held out in one place would be learned "
                    "from in the other; name it once."
                )
        self._check_held(names)
        given = _several(self.events_file)
        if given and len(given) != len(self.files):
            raise InvalidValueError(
                f"--events-file names {len(given)} and --data {len(self.files)}: expected one for "
                "each, in the same order."
            )

    def _check_held(self, names: Sequence[Path]) -> None:
        for path in self.hold_out:
            if path.resolve() not in names:
                told = " ".join(map(str, self.files))
                raise InvalidValueError(
                    f"--hold-out {path} is none of the files in --data, {told}: name it there too."
                )
        if self.hold_out and len(self._held) == len(names):
            raise InvalidValueError(
                "--hold-out names every file in --data, so that nothing is left to learn from: "
                "name fewer."
            )

    @property
    def _held(self) -> frozenset[int]:
        """Which of the files are held out."""
        held = {path.resolve() for path in self.hold_out}
        return frozenset(n for n, path in enumerate(self.files) if path.resolve() in held)

    def digest(self) -> str:
        """What tells this data from other data: a run goes on with its own alone."""
        told = hashlib.sha256("\n".join((*self.signal.channels, "", *self.parts.events)).encode())
        for array in (self.parts.values, self.parts.flags):
            told.update(np.ascontiguousarray(array).tobytes())
        return told.hexdigest()

    @property
    def signal(self) -> Signal:
        """The first signal, as it is labelled: of all of them it has the channels and the rate."""
        return self.signals[0]

    @cached_property
    def signals(self) -> list[Signal]:
        """Every signal, as it is labelled."""
        if not self.files:
            return [self.prepared(made_up(self.length, [self.seed, 0]))]
        asked = Asked(self.event, self.channels, self.time, self.rate, reading=self)
        found = read_signals(self.files, asked, _several(self.events_file))
        return [self.prepared(signal) for signal in found]

    def reread(self, path: Path, events: Sequence[str]) -> Signal:
        """Read a file to be labelled: the same channels, and of events those that were learnt."""
        asked = Asked(
            self.event,
            self.signal.channels,
            self.time,
            self.rate,
            labelled=False,
            known=tuple(events),
            reading=self,
        )
        (signal,) = read_signals([path], asked)
        if self.events_file is not None:  # what it says itself is not what was learnt
            signal = replace(signal, events=None)
        return self.prepared(signal)

    def prepared(self, signal: Signal) -> Signal:
        """The signal in the steps that are labelled."""
        return thin(widen(signal, self.around), self.every)

    @cached_property
    def parts(self) -> DividedSignal:
        """The signals, cut in time."""
        shares = Shares(self.test_share, self.validation_share, self._held)
        return divide(self.signals, shares, self.window)


def _several(given: Path | tuple[Path, ...] | None) -> tuple[Path, ...]:
    if given is None:
        return ()
    return given if isinstance(given, tuple) else (given,)


def made_up(length: int, seed: list[int]) -> Signal:
    """Draw the built-in signal."""
    values, events = bursts(length, np.random.default_rng(seed))
    steps = np.arange(float(length))
    times = Timeline([str(step) for step in range(length)], steps, "step")
    return Signal(values, CHANNELS, {"event": events}, times)
