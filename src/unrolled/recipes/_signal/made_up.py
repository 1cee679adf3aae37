"""A made-up drive, and something to play through it: what `signal` learns where no file is given.

The rule is the one of many amplifiers, and it is all here: a filter, a tanh, a filter.
"""

from __future__ import annotations

import numpy as np

from unrolled.files.columns import Floats

__all__ = ["RATE", "drive", "played"]

RATE = 48_000

DRIVE = 6.0  # how much louder it is before the tanh
HIGH_PASS = 0.98  # of the filter before: y[t] = x[t] − x[t−1] + 0.98·y[t−1]
LOW_PASS = 0.8  # of the filter behind: y[t] = 0.2·x[t] + 0.8·y[t−1]
NOTE = 12_000  # samples from one note to the next
LEVEL = 0.5
STRETCH = 2_048  # a filter's response is below 1e-17 of its first value after that


def drive(sound: Floats) -> Floats:
    """What the made-up drive makes of a sound [T]: filter, tanh, filter."""
    before = DRIVE * _one_pole(np.diff(sound, prepend=0.0), HIGH_PASS)
    return (1 - LOW_PASS) * _one_pole(np.tanh(before), LOW_PASS)


def _one_pole(x: Floats, pole: float) -> Floats:
    """y[t] = x[t] + pole·y[t−1]."""
    size = 1 << (len(x) + STRETCH - 1).bit_length()
    spectrum = np.fft.rfft(x, size) * np.fft.rfft(pole ** np.arange(STRETCH), size)
    y: Floats = np.fft.irfft(spectrum, size)[: len(x)]
    return y


def played(length: int, seed: int) -> Floats:
    """Notes that die away [length], each of a pitch and a loudness that are drawn."""
    random = np.random.default_rng([seed, 16])
    sound = np.zeros(length)
    for begin in range(0, length, NOTE):
        note = _note(min(2 * NOTE, length - begin), random)
        sound[begin : begin + len(note)] += note
    return LEVEL * sound + 1e-3 * random.standard_normal(length)


def _note(length: int, random: np.random.Generator) -> Floats:
    """Eight partials of one pitch, the higher ones softer and sooner gone."""
    second = np.arange(length) / RATE
    pitch, loudness = 80.0 * 2 ** random.uniform(0, 3), 10 ** random.uniform(-1.3, 0)
    note = np.zeros(length)
    for partial in range(1, 9):
        phase, decay = random.uniform(0, 2 * np.pi), 3.0 * partial
        wave = np.sin(2 * np.pi * pitch * partial * second + phase)
        note += wave * np.exp(-decay * second) / partial
    return loudness * note * np.minimum(second / 0.002, 1)
