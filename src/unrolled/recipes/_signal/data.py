"""The data of the recipe `signal`: its fields, and the signal that they tell of, cut in parts."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated

import numpy as np

from unrolled import training
from unrolled.errors import InvalidValueError
from unrolled.errors.expected import Count, Expected, at_least, share
from unrolled.files.tables import Reading
from unrolled.recipes._signal.delay import delay_between, shifted
from unrolled.recipes._signal.made_up import RATE, drive, played
from unrolled.recipes._signal.parts import (
    Parts,
    Scales,
    Windows,
    divide,
    scales_of,
    windows_of,
)
from unrolled.recipes._signal.reading import Asked, Signal, kind_of, read_signal

__all__ = ["Data"]

SECONDS = 0.5  # how far apart two recordings may lie

_MAYBE = Expected("1 or more", lambda value: value is None or value >= 1)
_MAYBE_NONE = Expected("0 or more", lambda value: value is None or value >= 0)


@dataclass(frozen=True)
class Data(training.Recipe, Reading):
    """What a run learns from, and how much of it at once."""

    seed: int = 0
    """Draws the weights, the batches and the made-up sound."""
    data: Path | None = None
    """What goes in: sound (.wav, .flac, .aiff, .ogg), a table (.csv, .parquet, …) or NumPy (.npy,
    .npz); none: a made-up sound and drive."""
    target: Path | None = None
    """What comes out, in a file of its own of the same kind."""
    inputs: tuple[str, ...] = ()
    """The columns that go in; empty: all but those that come out."""
    outputs: tuple[str, ...] = ()
    """The columns that come out; empty: all of --target."""
    delay: int | None = None
    """By how many steps the target comes after what goes in, which is undone; not given: of sound
    it is found and undone, of a table it is left to be learnt."""
    validation_share: Annotated[float, share] = 0.1
    """The share of steps, before the test part, that chooses which weights are kept."""
    test_share: Annotated[float, share] = 0.1
    """The share of steps, the last ones, that only judges."""
    length: Annotated[int, at_least(1_000)] = 960_000
    """Of the made-up sound: samples at 48,000 Hz."""
    window: Annotated[int | None, _MAYBE] = None
    """Steps in one update; not given: 2,048, or of a short signal a 64th of what is learnt from."""
    windows: Count = 12
    """Windows that follow each other; the state is carried from each to the next."""
    warm_up: Annotated[int | None, _MAYBE_NONE] = None
    """Steps at the begin of the first window that are heard and not learnt from; not given: 1,000,
    or half a window."""

    def check_files(self) -> None:
        """Raise ValueError where a field tells of a file, and there is none."""
        if self.data is not None:
            return
        named = ("target", "inputs", "outputs", "delay")
        for name in named:
            if getattr(self, name) not in (None, ()):
                raise InvalidValueError(
                    f"{name} = {getattr(self, name)} is of no file: add --data FILE."
                )

    # --- the data ---

    def digest(self) -> str:
        """What tells this data from other data: a run goes on with its own alone."""
        told = hashlib.sha256()
        for array in (self.signal.inputs, self.signal.outputs):
            told.update(np.ascontiguousarray(array).data)
        return told.hexdigest()

    @cached_property
    def signal(self) -> Signal:
        """The whole of it, without a delay."""
        if self.data is None:
            x = played(self.length, self.seed)
            pair = (x.astype(np.float32)[:, None], drive(x).astype(np.float32)[:, None])
            return Signal(*pair, (("0",), ("0",)), RATE, "32-bit float")
        return self._undelayed(self.read(self.data, self.target))

    def read(
        self,
        data: Path,
        target: Path | None,
        named: tuple[tuple[str, ...], tuple[str, ...]] | None = None,
    ) -> Signal:
        """Other files, read as this run's own; of tables by these names, where they are known."""
        ins, outs = (self.inputs, self.outputs) if named is None else named
        if kind_of(data) == "sound":
            ins, outs = (), ()
        return read_signal(Asked(data, target, ins, outs, self))

    def _undelayed(self, signal: Signal) -> Signal:
        found = self.delay
        if found is None:
            most = round(SECONDS * signal.rate) or len(signal) // 8
            found = delay_between(signal.inputs[:, 0], signal.outputs[:, 0], most)
            if not signal.is_sound:
                return signal.telling(_left(found)) if found else signal
            if found is None:
                return signal.telling(
                    "no delay could be made out, and none is undone (--delay says one)"
                )
        if abs(found) > len(signal) // 2:
            raise InvalidValueError(
                f"delay = {found} leaves less than half of the {len(signal):,} steps: expected a "
                "smaller one."
            )
        x, y = shifted(signal.inputs, signal.outputs, found)
        why = "found; --delay says another" if self.delay is None else "as was said"
        undone = f"the target comes {late(found)}, which is undone ({why})"
        shorter = dataclasses.replace(signal, inputs=x, outputs=y)
        return shorter.telling(undone if found else f"no delay ({why})")

    @cached_property
    def parts(self) -> Parts:
        """The signal, cut in time."""
        return divide(self.signal, self.validation_share, self.test_share)

    @cached_property
    def windowed(self) -> Windows:
        """How long what one update learns from is."""
        return windows_of(self.parts.first, self.window, self.windows, self.warm_up)

    @cached_property
    def scales(self) -> Scales:
        """Those of the training part."""
        return scales_of(self.parts.training)


def late(delay: int) -> str:
    return f"{abs(delay):,} steps {'later' if delay >= 0 else 'earlier'} than what goes in"


def _left(found: int) -> str:
    """What is said of a table's delay: one that is earlier than its cause cannot be learnt."""
    if found > 0:
        return f"the target comes {late(found)}, which is left to be learnt (--delay)"
    return (
        f"the target comes {late(found)}, which nothing that reads step by step can learn: are the "
        f"rows of one time? --delay {found} shifts them"
    )
