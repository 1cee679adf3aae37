"""Intervals made honest: quantile forecasts, corrected by how they fared on a validation part.

This is conformalized quantile regression (Romano, Patterson & Candès, 2019).  Each interval is
widened, or narrowed, on both sides by one number: the validation truths' distances beyond its ends
have a quantile, and that is it.  If validation and future values are exchangeable, an interval of
level p then covers the truth with probability p or more, whatever the network learnt.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from unrolled.errors import InvalidValueError
from unrolled.files.columns import Floats

__all__ = ["Calibration", "interval_of", "levels_of"]

Levels = tuple[float, ...]


def levels_of(coverages: tuple[float, ...]) -> Levels:
    """Quantile levels of central intervals and the median: (0.8,) gives (0.1, 0.5, 0.9)."""
    if not all(0 < share < 1 for share in coverages):
        raise InvalidValueError(f"coverages={coverages} makes no sense: expected shares in 0 to 1.")
    below = [round((1 - share) / 2, 12) for share in coverages]
    return tuple(sorted({*below, 0.5, *(round(1 - level, 12) for level in below)}))


def interval_of(quantiles: Floats, levels: Levels, share: float) -> tuple[Floats, Floats]:
    """Take the two ends of the central interval that covers a share: each [horizon, origins]."""
    for place, level in enumerate(levels):
        if math.isclose(1 - 2 * level, share, abs_tol=1e-9):
            return quantiles[..., place], quantiles[..., -1 - place]
    raise InvalidValueError(
        f"share={share} makes no sense: expected that of an interval of the levels {levels}."
    )


@dataclass(frozen=True)
class Calibration:
    """What each interval is widened by at each step ahead.

    Parameters
    ----------
    levels
        Of the quantiles, rising, and symmetric about the median: each with its counterpart.
    corrections
        [horizon, intervals], the outermost interval first; below 0 narrows.
    notes
        A sentence for whatever could not be done as asked.
    """

    levels: Levels
    corrections: Floats
    notes: tuple[str, ...] = ()

    @classmethod
    def fit(
        cls, quantiles: Floats, truth: Floats, levels: Levels, *, overlapping: bool = False
    ) -> Calibration:
        """Learn from quantiles [horizon, origins, levels] of the validation part and its truth.

        Each step ahead is corrected by its own origins.  Where fewer truths are known than its
        level needs (19 for 95 %: the ⌈(n + 1)·p⌉-th smallest of n has to be there), all steps'
        distances serve it together; where those are too few also, the largest does.  Both are
        said in ``notes``.  A truth that is NaN counts nowhere.

        Errors k steps ahead from neighbouring origins share k − 1 steps of what came: n of them
        tell no more than n / k that share none.  With ``overlapping`` they count as so many, with
        the mean k for every step, and the intervals are as wide as so few ask for.
        """
        _check(levels, quantiles, truth)
        ordered = np.sort(quantiles, axis=-1)
        count, notes = len(levels) // 2, []
        corrections = np.empty((len(truth), count))
        for place in range(count):
            share = 1 - 2 * levels[place]
            lower, upper = ordered[..., place], ordered[..., -1 - place]
            beyond = np.maximum(lower - truth, truth - upper)
            corrections[:, place], said = _by_step(beyond, share, overlapping)
            notes += said
        return cls(levels, corrections, tuple(notes))

    def apply(self, quantiles: Floats) -> Floats:
        """Correct quantiles [horizon, origins, levels]; they rise with their levels afterwards.

        From the median outward each interval takes in the one within it, as well as its own two
        ends if they crossed: none covers less than its correction gave it.
        """
        ordered = np.sort(quantiles, axis=-1)
        lowest, highest = _middle(ordered)
        for place in reversed(range(len(self.levels) // 2)):
            wider = self.corrections[:, None, place]
            lower, upper = ordered[..., place] - wider, ordered[..., -1 - place] + wider
            lowest = np.minimum(lowest, np.minimum(lower, upper))
            highest = np.maximum(highest, np.maximum(lower, upper))
            ordered[..., place], ordered[..., -1 - place] = lowest, highest
        return ordered


def _check(levels: Levels, quantiles: Floats, truth: Floats) -> None:
    rising = all(a < b for a, b in itertools.pairwise(levels))
    paired = all(
        math.isclose(a, 1 - b, abs_tol=1e-9) for a, b in zip(levels, levels[::-1], strict=True)
    )
    if not (levels and rising and paired and levels[0] > 0):
        raise InvalidValueError(
            f"levels={levels} makes no sense: expected rising quantile levels between 0 and 1, "
            "each with its counterpart, such as (0.1, 0.5, 0.9)."
        )
    if quantiles.shape != (*truth.shape, len(levels)):
        raise InvalidValueError(
            f"quantiles of shape {quantiles.shape} do not go with a truth of {truth.shape} and "
            f"{len(levels)} levels: expected {(*truth.shape, len(levels))}."
        )


def _middle(ordered: Floats) -> tuple[Floats, Floats]:
    """The median twice; without one, what every interval takes in: nothing."""
    levels = ordered.shape[-1]
    if levels % 2:
        return ordered[..., levels // 2], ordered[..., levels // 2]
    return np.full(ordered.shape[:-1], np.inf), np.full(ordered.shape[:-1], -np.inf)


def _rank(count: int, share: float, overlap: float = 1.0) -> int:
    """Which of the sorted distances it is, counted from 1: the + 1 is the value to come.

    Of so many that only one in ``overlap`` tells something new.
    """
    telling = max(count / overlap, 1.0)
    return max(math.ceil(round(count * (telling + 1) / telling * share, 9)), 1)


def _by_step(beyond: Floats, share: float, overlapping: bool) -> tuple[Floats, list[str]]:
    """The correction of each step ahead for one interval, and what has to be said of them."""
    steps = [np.sort(row[~np.isnan(row)]) for row in beyond]
    overlap = (len(steps) + 1) / 2 if overlapping else 1.0
    ranks = [_rank(len(row), share, overlap) for row in steps]
    few = [step for step, row in enumerate(steps) if ranks[step] > len(row)]
    pooled = np.sort(np.concatenate(steps)) if steps else np.empty(0)
    together = _of_all(pooled, share, overlap * len(steps) if overlapping else 1)
    corrections = np.full(len(steps), together)
    for step in set(range(len(steps))) - set(few):
        corrections[step] = steps[step][ranks[step] - 1]
    return corrections, _said(few, len(steps), len(pooled), share, overlapping)


def _of_all(pooled: Floats, share: float, overlap: float) -> float:
    """The correction by all steps together; the largest distance where that is too few also."""
    if not len(pooled):
        return 0.0
    return float(pooled[min(_rank(len(pooled), share, overlap), len(pooled)) - 1])


def _said(few: list[int], steps: int, pooled: int, share: float, overlapping: bool) -> list[str]:
    if not few:
        return []
    interval = f"the {100 * share:g} % interval"
    if not pooled:
        return [f"{interval} is as it was learnt: the validation part has no value to correct by"]
    which = f"{len(few)} of {steps} steps ahead" if steps > 1 else "the one step ahead"
    said = f"{interval} is corrected by all steps together for {which}"
    if steps == 1 or _rank(pooled, share) > pooled:
        said = f"{interval} is corrected by the largest of {pooled} errors for {which}"
    needed = math.ceil(round(share / (1 - share), 9))
    alone = " that do not overlap" if overlapping and steps > 1 else ""
    return [f"{said}: fewer than {needed} validation values{alone} are known there"]
