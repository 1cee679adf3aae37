"""The linear filter that a network has to beat: finite, by least squares, of every input.

What least squares needs of a signal are its correlations, which are summed block by block: so a
signal of any length costs no more memory than a short one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unrolled.files.columns import Floats

__all__ = ["Correlations", "LinearFilter", "correlate", "solved"]

BLOCK = 1 << 16
RIDGE = 1e-9  # of the mean energy: it keeps a band that the signal does not have from being heard


@dataclass(frozen=True)
class Correlations:
    """Sums over all steps t of inputs [T, C] and outputs [T, D].

    Parameters
    ----------
    within : array, [K, C, C]
        x[t, a]·x[t − k, b].
    across : array, [K, C, D]
        x[t − k, a]·y[t, d].
    energy : array, [D]
        y[t, d]².
    """

    within: Floats
    across: Floats
    energy: Floats


def correlate(inputs: Floats, outputs: Floats, taps: int) -> Correlations:
    """The sums up to ``taps`` steps apart."""
    (count, width), outs = inputs.shape, outputs.shape[1]
    within, across = np.zeros((taps, width, width)), np.zeros((taps, width, outs))
    size = 2 * BLOCK if taps < BLOCK else 1 << (2 * taps - 1).bit_length()
    step = size - taps
    for begin in range(0, count, step):
        low = max(begin - taps, 0)
        end = min(begin + step, count)
        past = np.fft.rfft(inputs[low:end], size, axis=0)
        now = np.zeros((end - low, width))
        now[begin - low :] = inputs[begin:end]
        then = np.zeros((end - low, outs))
        then[begin - low :] = outputs[begin:end]
        for a in range(width):
            spectrum = np.conj(past[:, a, None])
            across[:, a] += np.fft.irfft(np.fft.rfft(then, size, axis=0) * spectrum, size, axis=0)[
                :taps
            ]
            within[:, :, a] += np.fft.irfft(
                np.fft.rfft(now, size, axis=0) * spectrum, size, axis=0
            )[:taps]
    return Correlations(within, across, (outputs * outputs).sum(0))


def solved(found: Correlations) -> Floats:
    """The taps [K, C, D] of least squares."""
    taps, width, outs = found.across.shape
    lags = np.arange(taps)[:, None] - np.arange(taps)
    # Rows and columns (j, a), (k, b): the sum of x[t − j, a]·x[t − k, b].
    later = found.within[np.abs(lags)]  # x[·, first]·x[· − |j − k|, second]
    matrix = np.where((lags <= 0)[..., None, None], later, later.swapaxes(2, 3))
    normal = matrix.swapaxes(1, 2).reshape(taps * width, taps * width)
    normal = normal + RIDGE * np.trace(normal) / len(normal) * np.eye(len(normal))
    return np.linalg.solve(normal, found.across.reshape(-1, outs)).reshape(taps, width, outs)


@dataclass(frozen=True)
class LinearFilter:
    """y[t] = offset + Σ taps[k]·(x[t − k] − mean)."""

    taps: Floats
    mean: Floats
    offset: Floats

    @classmethod
    def fit(cls, inputs: Floats, outputs: Floats, taps: int) -> LinearFilter:
        """By least squares over all steps of [T, C] and [T, D]; before the first is the mean."""
        mean, offset = inputs.mean(0, dtype=np.float64), outputs.mean(0, dtype=np.float64)
        return cls(solved(correlate(inputs - mean, outputs - offset, taps)), mean, offset)

    def __call__(self, inputs: Floats) -> Floats:
        """What it makes of inputs [T, C]: [T, D]."""
        count, (taps, _, outs) = len(inputs), self.taps.shape
        size = 1 << (count + taps - 1).bit_length()
        spectrum = np.fft.rfft(inputs - self.mean, size, axis=0)
        y = np.empty((count, outs))
        for d in range(outs):
            each = spectrum * np.fft.rfft(self.taps[:, :, d], size, axis=0)
            y[:, d] = np.fft.irfft(each.sum(1), size)[:count] + self.offset[d]
        return y
