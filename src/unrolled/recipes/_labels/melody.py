"""Log-mel features: how much power a sound has in bands that are as wide as the ear's, over time.

A frame is 25 ms under a Hann window, the next begins 10 ms later; the power spectrum of each is
summed up in triangles that are evenly spaced on the mel scale, 2595·log10(1 + f/700), and its
natural logarithm taken.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from unrolled.errors import InvalidValueError

__all__ = ["log_mel", "mel_triangles"]

FRAME, HOP = 0.025, 0.010  # seconds
FLOOR = 1e-8  # beneath which power is silence: full scale is 1

Singles = npt.NDArray[np.float32]


def log_mel(samples: Singles, rate: int, bands: int = 40) -> Singles:
    """Features [T, bands] in float32 of one channel of sound [samples].

    Raises
    ------
    ValueError
        If the sound is shorter than a frame, or the rate too low for so many bands.
    """
    size, hop = round(FRAME * rate), round(HOP * rate)
    if len(samples) < size:
        raise InvalidValueError(
            f"{len(samples):,} samples at {rate:,} Hz are shorter than a frame of "
            f"{1000 * FRAME:g} ms: expected {size:,} or more."
        )
    frames = np.lib.stride_tricks.sliding_window_view(samples, size)[::hop]
    return _features(frames, rate, size, bands)


def _features(frames: Singles, rate: int, size: int, bands: int) -> Singles:
    width = 1 << (size - 1).bit_length()
    window = np.hanning(size + 1)[:-1].astype(np.float32)
    triangles = mel_triangles(rate, width, bands)
    found = np.empty((len(frames), bands), dtype=np.float32)
    for begin in range(0, len(frames), 1024):  # bounds the memory, and changes no result
        few = slice(begin, begin + 1024)
        spectrum = np.fft.rfft(frames[few] * window, width, axis=1)
        power = (spectrum.real**2 + spectrum.imag**2) / np.sum(window**2)
        found[few] = np.log(power @ triangles.T + np.float32(FLOOR))
    return found


@lru_cache(8)
def mel_triangles(rate: int, width: int, bands: int) -> Singles:
    """Triangles [bands, width // 2 + 1] between 0 Hz and half the rate; each is 1 at its middle."""
    top = 2595 * np.log10(1 + rate / 2 / 700)
    corners = 700 * (10 ** (np.linspace(0, top, bands + 2) / 2595) - 1)
    at = np.arange(width // 2 + 1) * rate / width
    low, middle, high = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    rising, falling = (at - low) / (middle - low), (high - at) / (high - middle)
    triangles = np.maximum(0, np.minimum(rising, falling)).astype(np.float32)
    if not triangles.any(axis=1).all():
        raise InvalidValueError(
            f"{bands} mel bands are too many for sound at {rate:,} Hz: a band would lie between "
            "two frequencies of its spectrum; lower --mel-bands."
        )
    return triangles
