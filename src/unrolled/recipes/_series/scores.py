"""How good forecasts are: errors, intervals, and who wins.

Forecasts are [horizon, origins], quantiles [horizon, origins, levels], the truth [horizon,
origins], where NaN is a truth that nobody knows: it counts nowhere.  A forecast that is NaN where
the truth is known is refused: left out, it would flatter whoever gave it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from unrolled.errors import InvalidValueError
from unrolled.files.columns import Bools, Floats

__all__ = [
    "Score",
    "coverage",
    "mae",
    "mase",
    "mean_width",
    "pinball",
    "ranking",
    "rmse",
    "seasonal_error",
    "winner",
]


@dataclass(frozen=True)
class Score:
    """One figure over everything, and one for each step ahead; NaN where no truth is known."""

    overall: float
    by_step: Floats

    @classmethod
    def mean(cls, losses: Floats, known: Bools) -> Score:
        """Mean of losses [horizon, origins] over what is known: every truth counts the same."""
        sums, counts = np.where(known, losses, 0.0).sum(1), known.sum(1)
        return cls(float(_ratio(sums.sum(), counts.sum())), _ratio(sums, counts))

    def root(self) -> Score:
        """Square root of each figure."""
        return Score(self.overall**0.5, np.sqrt(self.by_step))

    def over(self, scale: float) -> Score:
        """Each figure as a multiple of the scale; NaN where the scale is 0 or NaN."""
        return Score(float(_ratio(self.overall, scale)), _ratio(self.by_step, scale))


def _ratio(above: Floats | float, below: Floats | float) -> Floats:
    """Divide, and give NaN where there is nothing to divide by."""
    divisor = np.where(np.asarray(below) > 0, below, np.nan)
    ratio: Floats = np.asarray(above, dtype=np.float64) / divisor
    return ratio


def _known(forecasts: Floats, truth: Floats) -> Bools:
    """Which truths are known; the forecast of each has to be a number."""
    known: Bools = ~np.isnan(truth)
    given = np.isfinite(forecasts).reshape(*truth.shape, -1).all(-1)
    missing = int((known & ~given).sum())
    if missing:
        raise InvalidValueError(
            f"{missing:,} of {int(known.sum()):,} forecasts are no number where the truth is "
            "known: expected one for each; a score without them would be too good."
        )
    return known


# --- errors ---


def mae(forecasts: Floats, truth: Floats) -> Score:
    """Mean absolute error, in the series' own units."""
    return Score.mean(np.abs(forecasts - truth), _known(forecasts, truth))


def rmse(forecasts: Floats, truth: Floats) -> Score:
    """Root of the mean squared error, in the series' own units."""
    return Score.mean(np.square(forecasts - truth), _known(forecasts, truth)).root()


def seasonal_error(training: Floats, period: int | None) -> float:
    """Mean absolute error of the seasonal naive forecast, within the training part: MASE's scale.

    Without a season that is the mean change from one step to the next.  NaN where no two values
    one season apart are known.
    """
    apart = np.abs(training[period or 1 :] - training[: -(period or 1)])
    known = apart[~np.isnan(apart)]
    return float(known.mean()) if len(known) else float("nan")


def mase(forecasts: Floats, truth: Floats, scale: float) -> Score:
    """Mean absolute scaled error (Hyndman & Koehler, 2006): the MAE over `seasonal_error`.

    Below 1 is better than the seasonal naive forecast was, one season ahead, in the training part.
    Where that made no error at all, because each season repeats the last or all values are equal,
    there is nothing to scale by: it is NaN, and the MAE has to serve.
    """
    return mae(forecasts, truth).over(scale)


# --- intervals ---


def pinball(quantiles: Floats, truth: Floats, levels: tuple[float, ...]) -> Score:
    """Pinball loss of quantiles, the mean over levels (Koenker & Bassett, 1978).

    A level q costs q for each unit that the truth lies above, 1 − q for each that it lies below;
    in the mean the least is paid by the true quantile.  Of the median it is half the MAE.
    """
    known = _known(quantiles, truth)
    above = truth[..., None] - quantiles
    at = np.array(levels)
    return Score.mean(np.maximum(at * above, (at - 1) * above).mean(-1), known)


def coverage(lower: Floats, upper: Floats, truth: Floats) -> Score:
    """Share of truths that lie within the interval, its ends included."""
    known = _known(np.stack((lower, upper), -1), truth)
    return Score.mean(((lower <= truth) & (truth <= upper)).astype(np.float64), known)


def mean_width(lower: Floats, upper: Floats, truth: Floats) -> Score:
    """How wide the intervals are, in the mean, where the truth is known."""
    return Score.mean(upper - lower, _known(np.stack((lower, upper), -1), truth))


# --- who wins ---


def ranking(scores: Mapping[str, float]) -> list[tuple[str, ...]]:
    """Names by their score, the least first; those together that print the same (4 digits).

    Who has no score (NaN) comes last.
    """
    places: dict[float, list[str]] = {}
    for name, score in scores.items():
        key = float("inf") if np.isnan(score) else float(f"{score:.4g}")
        places.setdefault(key, []).append(name)
    return [tuple(places[key]) for key in sorted(places)]


def winner(scores: Mapping[str, float], metric: str) -> str:
    """Say in one line who has the least score, who shares it, and who comes next.

    >>> winner({"LSTM": 0.7, "AR(9)": 0.8, "persistence": 1.5}, "MASE")
    'LSTM is best by MASE, 0.7; AR(9) has 0.8'
    """
    told = {name: score for name, score in scores.items() if not np.isnan(score)}
    if not told:
        return f"nobody is best by {metric}: there is no score"
    first, *others = ranking(told)
    best = f"{told[first[0]]:.4g}"
    if len(first) > 1:
        line = f"{_listed(first)} are equally good by {metric}, {best}"
    else:
        line = f"{first[0]} is best by {metric}, {best}"
    if not others:
        return line
    have = "have" if len(others[0]) > 1 else "has"
    return f"{line}; {_listed(others[0])} {have} {told[others[0][0]]:.4g}"


def _listed(names: tuple[str, ...]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
