"""Exponential smoothing: level, trend and season, each a mean that forgets (Holt and Winters)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from unrolled.errors import InvalidValueError
from unrolled.files.columns import Floats, Integers

__all__ = ["ExponentialSmoothing"]

# What bounds the time: three fits of so many rows take about two seconds.  A longer season gets two
# of it, and some rows more for gaps at the beginning: 3,600 steps, the longest, take four.
MOST_ROWS = 3000


@dataclass(frozen=True)
class ExponentialSmoothing:
    """Additive smoothing in the form of Holt and Winters, its parameters fitted once.

    With e the error of the forecast for step t (Hyndman & Athanasopoulos, *Forecasting: Principles
    and Practice*, 8.3, in the error-correction form)::

        e        = x[t] − (level + φ·trend + season[t−m])
        level   ←  level + φ·trend + α·e
        trend   ←  φ·trend + α·β·e
        season[t] = season[t−m] + γ·e

    The states run through all values that are known at an origin; where a value is missing (NaN)
    there is no error, and they go on as they forecast themselves.

    Parameters
    ----------
    alpha, beta, gamma, phi
        How much of an error goes to level, trend and season, and what is left of the trend after a
        step.
    level, trend, seasons
        The states before the value at ``start``; ``seasons`` is empty where there is no season.
    start
        Where the rows begin that it was fitted on: values[start] of the training part.
    note
        What was cut to bound the time, and how many gaps were filled in to fit.
    """

    alpha: float
    beta: float
    gamma: float
    phi: float
    level: float
    trend: float
    seasons: tuple[float, ...]
    start: int = 0
    note: str = ""
    name: str = "exponential smoothing"

    @classmethod
    def fit(cls, training: Floats, period: int | None) -> ExponentialSmoothing:
        """Fit on the training part alone, with statsmodels.

        There is a season where its length is given and the part holds it twice; whether there is a
        trend, and whether it is damped, is what has the least corrected Akaike criterion.  To fit,
        and only for that, gaps are filled along straight lines.

        No more than the last 3,000 rows are looked at, or two seasons and 100 where that is more;
        what was cut is said in ``note``.

        Raises
        ------
        ValueError
            If fewer than eight values are known.
        """
        first = max(len(training) - max(MOST_ROWS, 2 * (period or 0) + 100), 0)
        first += int(np.isfinite(training[first:]).argmax())  # no gap before the first value
        recent = training[first:]
        gaps = int(np.isnan(recent).sum())
        if len(recent) - gaps < 8:
            raise InvalidValueError(
                f"exponential smoothing needs 8 values to be fitted on, and {len(recent) - gaps} "
                "of its rows have one: bring more rows."
            )
        seasonal = period if period and period > 1 and _holds(len(recent), period) else None
        found = _fitted(_filled(recent), seasonal)
        return cls(
            alpha=float(found["smoothing_level"]),
            beta=_or(found["smoothing_trend"], 0.0),
            gamma=_or(found["smoothing_seasonal"], 0.0) if seasonal else 0.0,
            phi=_or(found["damping_trend"], 1.0),
            level=float(found["initial_level"]),
            trend=_or(found["initial_trend"], 0.0),
            seasons=tuple(np.asarray(found["initial_seasons"]).tolist()) if seasonal else (),
            start=first,
            note=_note(first, len(training), gaps),
        )

    def forecast(self, values: Floats, origins: Integers, horizon: int) -> Floats:
        """Forecast from each origin: [horizon, origins]; ``values`` begin where training did.

        Raises
        ------
        ValueError
            If an origin lies before the rows that it was fitted on: there are no states.
        """
        if len(origins) and origins.min() < self.start:
            raise InvalidValueError(
                f"exponential smoothing was fitted from row {self.start} on and cannot forecast "
                f"from row {origins.min()}: expected origins from there on."
            )
        if not len(origins):
            return np.empty((horizon, 0))
        level, trend, seasons = self._states(values[self.start : int(origins.max()) + 1])
        at = origins - self.start
        # One step ahead has φ of the trend, two have φ + φ², and so on.
        far = np.cumsum(self.phi ** np.arange(1.0, horizon + 1))[:, None]
        forecasts: Floats = level[at] + far * trend[at] + self._season(seasons, at, horizon)
        return forecasts

    def _season(self, seasons: Floats, at: Integers, horizon: int) -> Any:
        """Take the season of each step ahead as it was known last, at the origin or before."""
        period = len(self.seasons)
        if not period:
            return 0.0
        ahead = np.arange(horizon)[:, None]
        # The first ``period`` of the seasons are the start, which shifts the places.
        return seasons[at + 1 + ahead % period]

    def _states(self, values: Floats) -> tuple[Floats, Floats, Floats]:
        """Level and trend after each value; and all seasons, behind those before the first.

        Plain numbers in a plain loop: a million rows take a second, and each needs the one before.
        """
        level, trend, seasons = self.level, self.trend, list(self.seasons)
        period, a, phi, levels, trends = len(seasons), self.alpha, self.phi, [], []
        to_trend = a * self.beta
        for t, value in enumerate(values.tolist()):
            season = seasons[t] if period else 0.0
            ahead = level + phi * trend
            error = value - ahead - season
            if error != error:  # a missing value
                error = 0.0
            level = ahead + a * error
            trend = phi * trend + to_trend * error
            levels.append(level)
            trends.append(trend)
            if period:
                seasons.append(season + self.gamma * error)
        return np.array(levels), np.array(trends), np.array(seasons)


def _holds(rows: int, period: int) -> bool:
    """Whether the rows are two seasons, and as many as statsmodels' first guess needs."""
    return rows >= max(2 * period, 10 + 2 * (period // 2))


def _fitted(values: Floats, period: int | None) -> dict[str, Any]:
    """Fit without trend, with one, and with a damped one, and give the best one's parameters."""
    # Only here: statsmodels brings pandas and scipy, a second that no other command pays.
    from statsmodels.tsa.holtwinters import ExponentialSmoothing as HoltWinters

    season = {"seasonal": "add", "seasonal_periods": period} if period else {}
    results = []
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # A series without noise converges to an error of 0, which is said in warnings.
        warnings.simplefilter("ignore")
        for trend in ({}, {"trend": "add"}, {"trend": "add", "damped_trend": True}):
            model = HoltWinters(values, initialization_method="heuristic", **trend, **season)
            results.append(model.fit())
    best = min(results, key=lambda result: _or(result.aicc, np.inf))
    return dict(best.params)


def _filled(values: Floats) -> Floats:
    """Fill gaps along straight lines; behind the last value, with it."""
    known = np.isfinite(values)
    places = np.arange(len(values))
    return np.asarray(np.interp(places, places[known], values[known]))


def _or(value: Any, instead: float) -> float:
    """The number, or another where it is none: statsmodels says NaN of what a model has not."""
    return instead if np.isnan(value) else float(value)


def _note(first: int, rows: int, gaps: int) -> str:
    told = [f"fitted on the last {rows - first:,} of {rows:,} rows"] if first else []
    told += [f"{gaps:,} gaps filled in to fit"] if gaps else []
    return ", ".join(told)
