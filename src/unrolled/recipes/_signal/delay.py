"""By how many steps one signal comes after another."""

from __future__ import annotations

import numpy as np

from unrolled.files.columns import Floats

__all__ = ["delay_between", "shifted"]

SEEN = 2**22  # steps that are looked at, 87 seconds at 48,000 Hz
BLOCK = 1024
NEAR = 64  # how far around the best single step the response may begin
FLOOR = 1e-5  # of the mean energy: a band with less than that says nothing
FIRST = 0.1  # of the largest value: what is less is not yet its rise
CERTAIN = 7  # times the root of the mean square: chance has five over 8,000 steps
MADE = 8  # steps that a filter makes of itself, and a network as well


def delay_between(inputs: Floats, outputs: Floats, most: int) -> int | None:
    """By how many steps ``outputs`` [T] comes after ``inputs`` [T]: less than 0, if before.

    The cross-correlation is largest where the output is most like the input, which of a filter is
    some steps away from where it begins to answer.  So what the input itself is like is taken out
    of it, by which it becomes the response to a single step; the delay is where that rises.  What
    lies within eight steps of none counts as none.  Where no step stands out of the others, as of
    an effect that has lost the sign of what goes in, or of a longer delay, there is none to say:
    None.

    Parameters
    ----------
    most
        How far to look on either side.
    """
    x, y = (signal[:SEEN] - signal[:SEEN].mean() for signal in (inputs, outputs))
    peak = _peak(x, y, min(most, len(x) // 4))
    if peak is None:
        return None
    near = min(NEAR, len(x) // 8)
    response = np.abs(_response(*shifted(x, y, peak)))
    around = response[np.arange(-near, near + 1)]
    delay = peak - near + _begin(around)
    return 0 if abs(delay) <= MADE else delay


def shifted(inputs: Floats, outputs: Floats, delay: int) -> tuple[Floats, Floats]:
    """The two as if the second had not been late by ``delay`` steps, with what both have."""
    begin_in, begin_out = max(-delay, 0), max(delay, 0)
    count = min(len(inputs) - begin_in, len(outputs) - begin_out)
    return inputs[begin_in : begin_in + count], outputs[begin_out : begin_out + count]


def _peak(x: Floats, y: Floats, most: int) -> int | None:
    """Where the cross-correlation is largest in size; of equals, nearest to 0; None: nowhere."""
    size = 1 << (len(x) + most).bit_length()
    product = np.fft.rfft(y, size) * np.conj(np.fft.rfft(x, size))
    # By its root each tone counts less than it is loud: a long tone is like itself a period later.
    product /= np.sqrt(np.abs(product)) + 1e-12
    lags = np.arange(-most, most + 1)
    sizes = np.abs(np.fft.irfft(product, size)[lags])
    if sizes.max() < CERTAIN * np.sqrt(np.mean(sizes**2)):
        return None
    best = np.flatnonzero(sizes >= sizes.max() * (1 - 1e-9))
    return int(lags[best[np.argmin(np.abs(lags[best]))]])


def _begin(response: Floats) -> int:
    """Where a response rises to its largest value."""
    top = int(np.argmax(response))
    below = np.flatnonzero(response[:top] < FIRST * response[top])
    return int(below[-1]) + 1 if len(below) else 0


def _response(x: Floats, y: Floats) -> Floats:
    """What y answers to a single step of x, as a circle of steps: the mean over blocks (Welch)."""
    block = min(BLOCK, len(x) // 2)
    across, within = np.zeros(block // 2 + 1, dtype=complex), np.zeros(block // 2 + 1)
    window = np.hanning(block)
    for begin in range(0, len(x) - block + 1, block // 2):
        one, other = (np.fft.rfft(s[begin : begin + block] * window) for s in (x, y))
        across += np.conj(one) * other
        within += np.abs(one) ** 2
    response: Floats = np.fft.irfft(across / (within + FLOOR * within.mean() + 1e-300), block)
    return response
