"""A made-up signal of several channels, in which events are told by what came before them.

Six channels of coloured noise that have sources in common.  On channels D and E there is a burst of
an oscillation every fifty steps or so.  It is an event only where a shorter burst on A and B, the
cue, lies some tens of steps before it; the same cue on C and F, or none, makes it no event.  A
burst begins at any phase, so its mean says little: only a slow bump of its own size under it does.
What labels these steps therefore has to measure an oscillation, keep what it found over tens of
steps, and put two pairs of channels together.
"""

from __future__ import annotations

import numpy as np

from unrolled.files.columns import Bools, Floats

__all__ = ["CHANNELS", "bursts"]

CHANNELS = ("A", "B", "C", "D", "E", "F")
CUE, WRONG_CUE, ANSWER = (0, 1), (2, 5), (3, 4)
AMPLITUDE = 1.6  # of a burst; each channel's noise has a standard deviation of 1
BUMP = 0.35  # of the slow bump under it, in amplitudes
SHARED = 0.5  # of a neighbour's source in a channel's noise
KINDS = (0.35, 0.35, 0.30)  # how often the right cue, the wrong cue, none


def bursts(count: int, random: np.random.Generator) -> tuple[Floats, Bools]:
    """Draw ``count`` steps: the values [count, 6], and whether each step is of an event [count].

    Examples
    --------
    >>> values, events = bursts(1000, np.random.default_rng(0))
    >>> values.shape, events.dtype
    ((1000, 6), dtype('bool'))
    """
    values = _noise(count, random)
    events = np.zeros(count, dtype=bool)
    at = 0
    while at < count:
        rest = int(random.integers(22, 44))
        cue, answer = int(random.integers(10, 15)), int(random.integers(18, 28))
        kind = random.choice(3, p=KINDS)
        before = at + int(random.integers(0, rest - cue + 1))
        begin = at + rest
        if kind < 2:
            _add_burst(values, before, cue, (CUE, WRONG_CUE)[kind], random)
        _add_burst(values, begin, answer, ANSWER, random)
        if kind == 0:
            events[begin : begin + answer] = True
        at = begin + answer
    return values, events


def _add_burst(
    values: Floats, begin: int, length: int, channels: tuple[int, ...], random: np.random.Generator
) -> None:
    """Add an oscillation that swells and fades, of a period of 5 to 7 steps and any phase."""
    step = np.arange(length)
    swell = np.sin(np.pi * (step + 0.5) / length) ** 0.5
    period, phase = random.uniform(5, 7), random.uniform(0, 2 * np.pi)
    wave = AMPLITUDE * swell * (np.sin(2 * np.pi * step / period + phase) + BUMP)
    room = max(min(length, len(values) - begin), 0)
    for channel in channels:
        values[begin : begin + room, channel] += wave[:room]


def _noise(count: int, random: np.random.Generator) -> Floats:
    """Draw six channels of variance 1 that mix six sources, each remembering its last value."""
    size = len(CHANNELS)
    memory = np.linspace(0.5, 0.95, size)
    fresh = random.standard_normal((count, size)) * np.sqrt(1 - memory**2)
    sources = np.empty((count, size))
    now = random.standard_normal(size)
    for step in range(count):
        now = memory * now + fresh[step]
        sources[step] = now
    mixing = np.eye(size) + SHARED * (np.eye(size, k=1) + np.eye(size, k=-1))
    noise: Floats = sources @ (mixing / np.linalg.norm(mixing, axis=1, keepdims=True)).T
    return noise
