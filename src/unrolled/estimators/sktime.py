"""`UnrolledForecaster`: the forecaster in sktime's form, where sktime is installed.

`sktime.utils.estimator_checks.check_estimator` passes; so it goes into sktime's pipelines, its
tuning and its evaluation.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pandas as pd
from sktime.forecasting.base import BaseForecaster, ForecastingHorizon

from unrolled.estimators.forecaster import Forecaster
from unrolled.estimators.normal import between

__all__ = ["UnrolledForecaster"]


class UnrolledForecaster(BaseForecaster):  # type: ignore[misc]
    """`unrolled.Forecaster` for sktime.

    Parameters
    ----------
    horizon : int or None
        How many steps ahead are forecast at once; None: as far as the horizon given to ``fit``,
        or 1 without one.  What lies beyond is forecast from its own forecasts.
    options : dict or None
        What else `unrolled.Forecaster` takes, such as ``{"hidden": 8, "search": 4}``.

    Examples
    --------
    >>> from sktime.datasets import load_airline
    >>> from unrolled.estimators.sktime import UnrolledForecaster
    >>> forecaster = UnrolledForecaster(options={"search": 2, "steps": 20})
    >>> forecaster.fit(load_airline(), fh=[1, 2, 3])
    UnrolledForecaster(...)
    >>> forecaster.predict().shape
    (3,)
    """

    _tags: ClassVar[dict[str, Any]] = {
        "authors": ["unrolled"],
        "python_dependencies": ["torch"],
        "y_inner_mtype": "pd.DataFrame",
        "X_inner_mtype": "pd.DataFrame",
        "capability:multivariate": True,
        "capability:exogenous": True,
        "capability:insample": False,
        "capability:missing_values": False,
        "capability:pred_int": True,
        "capability:pred_int:insample": False,
        "capability:random_state": False,
        "requires-fh-in-fit": False,
        "X-y-must-have-same-index": True,
    }

    def __init__(self, horizon: int | None = None, options: dict[str, Any] | None = None) -> None:
        self.horizon, self.options = horizon, options
        super().__init__()

    def _fit(self, y: Any, X: Any, fh: Any) -> UnrolledForecaster:
        steps = 1 if fh is None else max(int(np.max(fh.to_relative(self.cutoff).to_numpy())), 1)
        made = Forecaster(self.horizon or steps, **(self.options or {}))
        self.forecaster_ = made.fit(y, X)
        return self

    def _steps(self, fh: Any, X: Any) -> tuple[Any, dict[str, Any]]:
        """The steps asked for, counted from 0, and what `Forecaster` is to be asked."""
        steps = np.asarray(fh.to_relative(self.cutoff).to_numpy(), dtype=np.int64)
        return steps - 1, {"steps": int(steps.max()), "X": self._ahead(X, int(steps.max()))}

    def _ahead(self, X: Any, steps: int) -> Any:
        """X's rows of the steps to come, in order.

        sktime hands over the steps that are asked for; one between them holds the row before it.
        """
        if X is None or not self.forecaster_.reads_ahead:
            return None
        every = ForecastingHorizon(np.arange(1, steps + 1), is_relative=True)
        return X.reindex(every.to_absolute_index(self.cutoff)).ffill().bfill()

    def _framed(self, values: Any, fh: Any, steps: Any) -> Any:
        whole = np.asarray(values)[steps]
        index = fh.to_absolute_index(self.cutoff)
        columns = self._y.columns if hasattr(self._y, "columns") else [self._y.name]
        return pd.DataFrame(whole.reshape(len(steps), -1), index=index, columns=columns)

    def _predict(self, fh: Any, X: Any) -> Any:
        steps, asked = self._steps(fh, X)
        return self._framed(self.forecaster_.predict(**asked), fh, steps)

    def _predict_quantiles(self, fh: Any, X: Any, alpha: Any) -> Any:
        """Quantiles between and beyond those that were learnt, as those of normal pieces."""
        steps, asked = self._steps(fh, X)
        coverage = sorted(self.forecaster_.coverage, reverse=True)
        ends = [self.forecaster_.predict_interval(**asked, coverage=share) for share in coverage]
        known = [low for low, _ in ends] + [self.forecaster_.predict(**asked)]
        known += [high for _, high in reversed(ends)]
        levels = [0.5 - share / 200 for share in coverage]
        levels = [*levels, 0.5, *(1 - level for level in reversed(levels))]
        stacked = np.stack([self._framed(one, fh, steps).to_numpy() for one in known])
        found = between(np.array(levels), stacked, np.atleast_1d(alpha))
        names = self._get_varnames()
        columns = pd.MultiIndex.from_product([names, np.atleast_1d(alpha)])
        index = fh.to_absolute_index(self.cutoff)
        return pd.DataFrame(np.moveaxis(found, 0, -1).reshape(len(steps), -1), index, columns)

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Small ones, for sktime's own tests."""
        quick: dict[str, Any] = {
            "steps": 4,
            "search": 1,
            "ensemble": 1,
            "refit": False,
            "hidden": 2,
            "window": 3,
        }
        quick |= {"validation_share": 0.0}
        return [{"options": quick}, {"horizon": 2, "options": quick}]
