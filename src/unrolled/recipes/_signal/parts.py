"""A signal cut in time, in what is learnt from, what chooses, and what judges; and its windows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from unrolled.errors import InvalidValueError
from unrolled.recipes._signal.reading import Numbers, Signal

__all__ = ["Parts", "Scales", "Windows", "divide", "drawn", "scales_of", "windows_of"]

WINDOW, WARM_UP = 2_048, 1_000  # of a long signal; Automated-GuitarAmpModelling's
SHARE = 64  # of a short one, a window is so small a part


@dataclass(frozen=True)
class Scales:
    """What is taken away from each column and what it is then divided by, [C] and [D].

    Of sound nothing is taken away: silence stays silence.
    """

    mean_in: Numbers
    size_in: Numbers
    mean_out: Numbers
    size_out: Numbers


@dataclass(frozen=True)
class Parts:
    """Steps before ``first`` are learnt from, those before ``second`` choose, the rest judge."""

    signal: Signal
    first: int
    second: int

    @cached_property
    def training(self) -> Signal:
        """What is learnt from."""
        return self.signal.part(0, self.first)

    @property
    def test(self) -> tuple[int, int]:
        """Where the part that only judges begins and ends."""
        return self.second, len(self.signal)


def divide(signal: Signal, validation_share: float, test_share: float) -> Parts:
    """Cut a signal in time.

    Raises
    ------
    ValueError
        If a part has no step, or is the same at every step.
    """
    if validation_share + test_share >= 1:
        raise InvalidValueError(
            f"validation_share = {validation_share:g} and test_share = {test_share:g} leave "
            "nothing to learn from: expected less than 1 together."
        )
    count = len(signal)
    second = count - round(test_share * count)
    first = second - round(validation_share * count)
    cuts = {"training": (0, first), "validation": (first, second), "test": (second, count)}
    for name, (begin, end) in cuts.items():
        part = signal.part(begin, end)
        if end - begin < 2 or not np.ptp(part.outputs, axis=0).all():
            what = f"has {max(end - begin, 0)} steps" if end - begin < 2 else "has a silent target"
            raise InvalidValueError(
                f"the {name} part, steps {begin:,} to {end:,} of {count:,}, {what}: change "
                "--validation-share or --test-share, or bring a longer recording."
            )
    if not np.ptp(signal.inputs[:first], axis=0).all():
        raise InvalidValueError(
            f"what goes in is silent in the training part, the first {first:,} steps: bring "
            "another recording."
        )
    return Parts(signal, first, second)


def scales_of(training: Signal) -> Scales:
    """The spread of what is learnt from, and but for sound its mean."""
    given = (training.inputs, training.outputs)
    means = [values.mean(0, dtype=np.float64) * (not training.is_sound) for values in given]
    sizes = [
        np.sqrt(np.square(values - mean, dtype=np.float64).mean(0))
        for values, mean in zip(given, means, strict=True)
    ]
    return Scales(means[0], sizes[0], means[1], sizes[1])


@dataclass(frozen=True)
class Windows:
    """How long the stretches are that one update learns from.

    ``size`` steps are one window, ``count`` windows follow each other and carry the state on, and
    of the first ``warm_up`` steps of the first nothing is learnt.
    """

    size: int
    count: int
    warm_up: int

    @property
    def reach(self) -> int:
        """Steps of all windows that follow each other."""
        return self.size * self.count


def windows_of(steps: int, window: int | None, count: int, warm_up: int | None) -> Windows:
    """The windows of a training part of ``steps`` steps; what is None is chosen.

    Raises
    ------
    ValueError
        If the training part is too short for them, or nothing is learnt from.
    """
    size = window or max(min(WINDOW, steps // SHARE), 1)
    warm = min(WARM_UP, size // 2) if warm_up is None else warm_up
    found = Windows(size, count, warm)
    if found.reach > steps:
        raise InvalidValueError(
            f"window = {size} with windows = {count} needs {found.reach:,} steps to learn from, "
            f"and there are {steps:,}: lower --window or --windows, or bring a longer recording."
        )
    if warm >= size:
        raise InvalidValueError(
            f"warm_up = {warm} leaves nothing of the first window of {size} steps to learn from: "
            "lower --warm-up or raise --window."
        )
    return found


def drawn(values: Tensor, begins: Tensor, windows: Windows) -> Tensor:
    """Windows [K, T, B, C] that follow each other, of rows that begin at ``begins`` [B]."""
    places = begins + torch.arange(windows.reach)[:, None]
    return values[places].reshape(windows.count, windows.size, len(begins), -1)
