"""Windows on a series, the split in time, and the forecasts that a network has to beat.

A forecast stands at an *origin*, the last value that it may know: values[origin].  One step ahead
is values[origin + 1]; the horizon is how many steps ahead are forecast from each origin.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unrolled.errors import InvalidValueError
from unrolled.files.columns import Floats

__all__ = [
    "Autoregression",
    "Origins",
    "Split",
    "persistence",
    "rmse",
    "split",
    "targets",
    "windows",
]

Origins = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """A series cut in time: everything learned comes from ``values[:border]``."""

    values: Floats
    border: int
    window: int
    horizon: int

    @property
    def training(self) -> Floats:
        """The part that scaling, network and autoregression learn from."""
        return self.values[: self.border]

    @property
    def training_origins(self) -> Origins:
        """Origins with a whole window behind them and every target before the border."""
        return np.arange(self.window - 1, self.border - self.horizon)

    @property
    def test_origins(self) -> Origins:
        """Origins whose every target lies at or beyond the border.

        The windows of the first few reach back over it: what has been seen is known when
        forecasting.
        """
        return np.arange(self.border - 1, len(self.values) - self.horizon)


def split(values: Floats, window: int, horizon: int, test_rows: int) -> Split:
    """Cut a series into a training part and ``test_rows`` rows after it.

    Raises
    ------
    ValueError
        If the parts are too short for the window and the horizon, or the training part is
        constant.
    """
    needed = window + horizon + 1  # two windows: one alone has no spread to scale by
    if test_rows < horizon or len(values) - test_rows < needed:
        raise InvalidValueError(
            f"the series has {len(values)} rows, of which {test_rows} are for testing: a window of "
            f"{window} and a horizon of {horizon} need at least {needed} to train on and {horizon} "
            "to test on; lower --window or --horizon, or bring more rows."
        )
    border = len(values) - test_rows
    if np.ptp(values[:border]) == 0:
        raise InvalidValueError(
            f"the first {border} rows, the training part, are all {values[0]:g}: a constant "
            "series leaves nothing to learn; choose another column."
        )
    return Split(values, border, window, horizon)


def windows(values: Floats, origins: Origins, length: int) -> Floats:
    """Give the ``length`` values up to each origin, oldest first: [length, origins]."""
    cut: Floats = values[origins + np.arange(1 - length, 1)[:, None]]
    return cut


def targets(values: Floats, origins: Origins, horizon: int) -> Floats:
    """Give the values that follow each origin: [horizon, origins]."""
    cut: Floats = values[origins + np.arange(1, horizon + 1)[:, None]]
    return cut


def rmse(forecasts: Floats, truth: Floats) -> float:
    """Root of the mean squared error over everything given."""
    return float(np.sqrt(np.mean(np.square(forecasts - truth))))


def persistence(values: Floats, origins: Origins, horizon: int) -> Floats:
    """Forecast that nothing changes: [horizon, origins]."""
    return np.repeat(values[origins][None], horizon, axis=0)


@dataclass(frozen=True)
class Autoregression:
    """x[t] = constant + Σ coefficients[k]·x[t−1−k], by least squares: the classical forecast."""

    constant: float
    coefficients: tuple[float, ...]

    @property
    def order(self) -> int:
        """How many values back it looks."""
        return len(self.coefficients)

    @classmethod
    def fit(cls, training: Floats, most: int) -> Autoregression:
        """Fit with statsmodels, on the training part alone.

        The order is the one with the least Akaike information criterion among 0 to ``most``: it
        may look back as far as the network's window and need not.
        """
        # Only here: statsmodels brings pandas and scipy, a second that no other command pays.
        from statsmodels.tsa.ar_model import AutoReg, ar_select_order

        most = min(most, (len(training) - 2) // 3)
        with warnings.catch_warnings():
            # A series without noise (the cosine) fits in more than one way, and any way is exact.
            warnings.simplefilter("ignore")
            lags = ar_select_order(training, most, ic="aic").ar_lags if most > 0 else None
            order = max(lags) if lags else 0
            constant, *coefficients = AutoReg(training, order).fit().params
        return cls(float(constant), tuple(float(value) for value in coefficients))

    def forecast(self, values: Floats, origins: Origins, horizon: int) -> Floats:
        """Forecast from each origin, feeding its own forecasts back: [horizon, origins]."""
        known = list(windows(values, origins, self.order))
        for _ in range(horizon):
            latest = reversed(known[len(known) - self.order :])
            terms = (a * x for a, x in zip(self.coefficients, latest, strict=True))
            known.append(sum(terms, start=np.full(len(origins), self.constant)))
        return np.array(known[self.order :])
