"""The autoregression: each value as a sum of those before it, by least squares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from unrolled.files.columns import Floats, Integers

__all__ = ["Autoregression"]

# What bounds the time: 20,000 rows of 400 values back are fitted in about two seconds.
MOST_ROWS = 20_000
MOST_ORDER = 400
ORIGINS_AT_ONCE = 4096


@dataclass(frozen=True)
class Autoregression:
    """x[t] = constant + Σ coefficients[k]·x[t−1−k], by least squares: the classical forecast.

    Parameters
    ----------
    constant, coefficients
        Of the equation; the nearest value comes first.
    start
        What stands for the values before the first one: the mean of the training part.
    note
        What was cut to bound the time; empty where nothing was.
    """

    constant: float
    coefficients: tuple[float, ...]
    start: float = 0.0
    note: str = ""

    @property
    def order(self) -> int:
        """How many values back it looks."""
        return len(self.coefficients)

    @property
    def name(self) -> str:
        """As a table names it."""
        return f"AR({self.order})"

    @classmethod
    def fit(cls, training: Floats, most: int) -> Autoregression:
        """Fit on the training part alone, as statsmodels' `ar_select_order` and `AutoReg` would.

        The order is the one with the least Akaike information criterion among 0 to ``most``, each
        judged on the same rows; the coefficients are fitted on all rows that this order leaves.
        Missing values (NaN): a row counts where it and the values before it, as far as the order
        reaches, are known.  That uses every stretch, and no lag reaches across a gap as if it
        were not there.

        To bound the time no more than the last 20,000 rows are looked at, and orders up to 400;
        what was cut is said in ``note``.
        """
        recent = training[-MOST_ROWS:]
        bounded = min(most, MOST_ORDER)
        order = _least_aic(recent, _fitting(recent, bounded))
        design, ahead = _rows(recent, order)
        constant, *coefficients = np.linalg.lstsq(design, ahead, rcond=None)[0].tolist()
        return cls(constant, tuple(coefficients), float(np.nanmean(recent)), _note(training, most))

    def forecast(self, values: Floats, origins: Integers, horizon: int) -> Floats:
        """Forecast from each origin, feeding its own forecasts back: [horizon, origins].

        A missing value is what the autoregression itself would have forecast for it.
        """
        weights, constants = self._ahead(horizon)
        known = self._filled(values)
        forecasts = np.empty((horizon, len(origins)))
        for first in range(0, len(origins), ORIGINS_AT_ONCE):
            some = slice(first, first + ORIGINS_AT_ONCE)
            # The first ``order`` of the values known are the start, which shifts the places.
            windows = known[origins[some] + np.arange(1, self.order + 1)[:, None]]
            forecasts[:, some] = weights @ windows + constants[:, None]
        return forecasts

    def _ahead(self, horizon: int) -> tuple[Floats, Floats]:
        """Each step ahead as a sum of the last values, oldest first, and a constant."""
        order = self.order
        terms = np.zeros((order + horizon, order + 1))  # the last column is the constant
        terms[:order, :order] = np.eye(order)
        oldest_first = np.array(self.coefficients[::-1])
        for step in range(order, order + horizon):
            terms[step] = oldest_first @ terms[step - order : step]
            terms[step, -1] += self.constant
        return terms[order:, :order], terms[order:, -1]

    def _filled(self, values: Floats) -> Floats:
        """Give the values, gaps filled by forecasts from what was known before, after the start."""
        known = np.concatenate((np.full(self.order, self.start), values))
        oldest_first = np.array(self.coefficients[::-1])
        for place in (self.order + np.flatnonzero(np.isnan(values))).tolist():
            before = known[place - self.order : place]
            known[place] = self.constant + float(oldest_first @ before)
        return known


def _fitting(values: Floats, most: int) -> int:
    """The highest order up to ``most`` that leaves more than twice as many rows as terms.

    Gaps leave fewer rows than the length says.
    """
    most = max(min(most, (len(values) - 2) // 3), 0)
    since = _known_since(values)
    while most > 0 and int((since > most).sum()) < 2 * most + 2:
        most -= 1
    return most


def _known_since(values: Floats) -> Integers:
    """How many values in a row are known, up to and with each."""
    places = np.arange(len(values))
    gaps = np.where(np.isnan(values), places, -1)
    return places - np.maximum.accumulate(gaps)


def _rows(values: Floats, order: int) -> tuple[Floats, Floats]:
    """1 and the ``order`` values before, nearest first; and the value itself: the known rows."""
    places = np.flatnonzero(_known_since(values) > order)
    lagged = values[places[:, None] - np.arange(1, order + 1)]
    return np.column_stack((np.ones(len(places)), lagged)), values[places]


def _least_aic(values: Floats, most: int) -> int:
    """The order of 0 to ``most`` with the least AIC, all on the rows that the highest leaves.

    In a triangle that the columns were turned into, each order's error is what is left of the last
    column below it: one decomposition serves all orders.
    """
    if most == 0:
        return 0
    design, ahead = _rows(values, most)
    triangle: Any = np.linalg.qr(np.column_stack((design, ahead)), mode="r")
    left = np.cumsum(np.square(triangle[:0:-1, -1]))[::-1]  # after 1, 2, … columns
    count = len(ahead)
    # Without noise nothing is left, and any order that leaves nothing is exact.
    error = np.maximum(left[: most + 1] / count, np.finfo(np.float64).tiny)
    return int(np.argmin(count * np.log(error) + 2 * np.arange(most + 1)))


def _note(training: Floats, most: int) -> str:
    cuts = []
    if len(training) > MOST_ROWS:
        cuts.append(f"fitted on the last {MOST_ROWS:,} of {len(training):,} rows")
    if most > MOST_ORDER:
        cuts.append(f"looks back {MOST_ORDER} steps at the most, not {most:,}")
    return ", ".join(cuts)
