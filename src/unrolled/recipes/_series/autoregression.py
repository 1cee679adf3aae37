"""The autoregression: each value as a sum of those before it, by least squares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unrolled.errors import InvalidValueError
from unrolled.files.columns import Floats, Integers

__all__ = ["Autoregression"]

# What bounds the time: the last 20,000 rows, or fewer where each has more than 200 values before
# it to be looked at; still 25 rows for each coefficient of the highest order.
MOST_ROWS = 20_000
MOST_CELLS = 4_000_000
MOST_ORDER = 400
ROUNDING = 1e-12
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

        To bound the time no more than the last 20,000 rows are looked at (10,000 of the highest
        orders), and orders up to 400; what was cut is said in ``note``.

        Raises
        ------
        ValueError
            If none of these rows has a value.
        """
        bounded = min(most, MOST_ORDER)
        recent = training[-min(MOST_ROWS, MOST_CELLS // (bounded + 1)) :]
        if np.isnan(recent).all():
            raise InvalidValueError(
                f"the autoregression has no value among the last {len(recent):,} rows of the "
                "training part to be fitted on: bring rows that have one."
            )
        mean, size = float(np.nanmean(recent)), float(np.nanstd(recent)) or 1.0
        standard = (recent - mean) / size
        constant, *coefficients = _solved(standard, _least_aic(standard, bounded))
        constant = mean + size * constant - mean * sum(coefficients)
        return cls(constant, tuple(coefficients), mean, _note(len(recent), len(training), most))

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


def _rows(values: Floats, order: int) -> Floats:
    """1, the ``order`` values before, nearest first, and the value itself: where all are known."""
    places = _places(values, order)
    lagged = values[places[:, None] - np.arange(1, order + 1)]
    return np.column_stack((np.ones(len(places)), lagged, values[places]))


def _places(values: Floats, order: int) -> Integers:
    """Where a value and the ``order`` before it are known."""
    return np.flatnonzero(_known_since(values) > order)


def _least_aic(values: Floats, most: int) -> int:
    """The order of 0 to ``most`` with the least AIC, all on the rows that the highest leaves.

    Cholesky's triangle of the products serves all orders: each one's error is what is left of the
    last column below it.  Of standardised values, what is below 10⁻¹² of their variance is taken
    for rounding: a series without noise is exact with the first order that comes there.
    """
    most = _fitting(values, most)
    rows = _rows(values, most)
    left = np.cumsum(np.square(np.linalg.cholesky(_products(rows))[-1, :0:-1]))[::-1]
    return int(np.argmin(len(rows) * np.log(left / len(rows)) + 2 * np.arange(most + 1)))


def _solved(values: Floats, order: int) -> list[float]:
    """Constant and coefficients by least squares on all rows that the order leaves.

    The equations are solved by their products, which is the quickest way and loses half of the
    digits; solving again for what is left of the rows, twice, brings them back.
    """
    rows = _rows(values, order)
    products = _products(rows)[:-1, :-1]
    solved = np.zeros(order + 1)
    for _ in range(3):
        left = rows[:, -1] - rows[:, :-1] @ solved
        solved = solved + np.linalg.solve(products, rows[:, :-1].T @ left)
    return [float(value) for value in solved]


def _products(rows: Floats) -> Floats:
    """Of each column with each; a little on the diagonal keeps them solvable without noise."""
    products: Floats = rows.T @ rows + ROUNDING * len(rows) * np.eye(rows.shape[1])
    return products


def _note(looked_at: int, rows: int, most: int) -> str:
    cuts = []
    if looked_at < rows:
        cuts.append(f"fitted on the last {looked_at:,} of {rows:,} rows")
    if most > MOST_ORDER:
        cuts.append(f"looks back {MOST_ORDER} steps at the most, not {most:,}")
    return ", ".join(cuts)
