"""The made-up task: which of three things does a noisy sequence do twice, and in which order?

Every sequence has two channels and 30 to 60 steps of noise.  Somewhere in its first half a bump
rises or falls in channel x, and somewhere in its second half one does in channel y.  The label is
"same" where both go up or both go down, "fall" where x goes up and y down, and "rise" where x goes
down and y up.  No single step tells the label, and no channel alone does.
"""

from __future__ import annotations

import numpy as np

from unrolled.recipes._labels.collection import Collection

__all__ = ["made_up"]

WIDTH = 9  # steps of a bump
LABELS = {(1, 1): "same", (-1, -1): "same", (1, -1): "fall", (-1, 1): "rise"}


def made_up(count: int, generator: np.random.Generator) -> Collection:
    """Draw so many sequences."""
    bump = np.hanning(WIDTH + 2)[1:-1] * 2
    sequences, labels = [], []
    for _ in range(count):
        steps = int(generator.integers(30, 61))
        values = generator.normal(0, 0.6, (steps, 2))
        first_way, second_way = map(int, generator.choice((-1, 1), 2))
        for channel, way in enumerate((first_way, second_way)):
            first = channel * (steps // 2)
            begin = first + int(generator.integers(0, steps // 2 - WIDTH + 1))
            values[begin : begin + WIDTH, channel] += way * bump
        sequences.append(values)
        labels.append(LABELS[first_way, second_way])
    names = [f"sequence {number}" for number in range(count)]
    return Collection("made-up sequences", sequences, labels, names, ("x", "y"), said="two bumps")
