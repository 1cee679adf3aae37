"""The label of the nearest sequence, where time may be warped: what needs no network at all.

The distance is the least sum of squared distances between steps, over all ways that go from both
begins to both ends, each step of a way forward in one sequence or in both (Sakoe and Chiba 1978).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unrolled.files.columns import Bools, Floats, Integers

__all__ = ["nearest", "steps_needed", "warped"]

AT_ONCE = 2_000_000  # pairs of steps in memory: it changes no result


def steps_needed(one: Sequence[Floats], others: Sequence[Floats]) -> int:
    """How many pairs of steps `nearest` looks at."""
    return sum(map(len, one)) * sum(map(len, others))


def nearest(
    known: Sequence[Floats], labels: Integers, asked: Sequence[Floats], band: float = 1.0
) -> Integers:
    """The label of the nearest known sequence, for each that is asked about."""
    return np.array([labels[int(np.argmin(_distances(values, known, band)))] for values in asked])


def _distances(one: Floats, many: Sequence[Floats], band: float) -> Floats:
    """As `warped`, so many at once that they fit into memory."""
    few = max(1, AT_ONCE // (len(one) * max(map(len, many))))
    return np.concatenate(
        [warped(one, many[begin : begin + few], band) for begin in range(0, len(many), few)]
    )


def warped(one: Floats, many: Sequence[Floats], band: float = 1.0) -> Floats:
    """The distance from one sequence [S, C] to each of many [T_i, C].

    Parameters
    ----------
    band
        How far from the straight way a way may go, as a share of the length; 1 is anywhere.
    """
    lengths = np.array([len(values) for values in many])
    steps = int(lengths.max())
    costs = np.full((len(many), len(one), steps), np.inf)
    for number, values in enumerate(many):
        apart = ((one[:, None] - values[None]) ** 2).sum(-1)
        costs[number, :, : len(values)] = np.where(
            _near(len(one), len(values), band), apart, np.inf
        )
    sums = _least_sums(costs)
    found: Floats = sums[np.arange(len(many)), lengths - 1]
    return found


def _near(rows: int, columns: int, band: float) -> Bools:
    """Where a way may go: near the diagonal, and at least one step to either side."""
    slope = (columns - 1) / max(rows - 1, 1)
    off = np.abs(np.arange(columns)[None] - slope * np.arange(rows)[:, None])
    near: Bools = off <= max(band * max(rows, columns), slope, 1.0)
    return near


def _least_sums(costs: Floats) -> Floats:
    """The least sum of costs [N, S, T] up to the last row's every column: [N, T].

    All pairs are gone through at once, along the antidiagonals: none depends on its own.
    """
    count, rows, columns = costs.shape
    before, last = np.full((2, count, rows + 1), np.inf)  # by row, the first is outside
    found = np.full((count, columns), np.inf)
    for diagonal in range(rows + columns - 1):
        first, end = max(0, diagonal - columns + 1), min(rows, diagonal + 1)
        at = np.arange(first, end)
        least = np.minimum(last[:, at + 1], np.minimum(last[:, at], before[:, at]))
        now = np.full((count, rows + 1), np.inf)
        now[:, at + 1] = costs[:, at, diagonal - at] + (0 if diagonal == 0 else least)
        if end == rows:
            found[:, diagonal - rows + 1] = now[:, rows]
        before, last = last, now
    return found
