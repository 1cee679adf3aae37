"""What follows scikit-learn's conventions: forecasts, classes and numbers of whole sequences."""

from typing import TYPE_CHECKING

from unrolled.estimators.forecaster import Forecaster
from unrolled.estimators.run import Run, open_run

if TYPE_CHECKING:
    from unrolled.estimators.whole_sequences import LSTMClassifier, LSTMRegressor

__all__ = ["Forecaster", "LSTMClassifier", "LSTMRegressor", "Run", "open_run"]


def __getattr__(name: str) -> object:
    # Whoever opens a run or forecasts needs no scikit-learn.
    if name in ("LSTMClassifier", "LSTMRegressor"):
        from importlib import import_module

        return getattr(import_module("unrolled.estimators.whole_sequences"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
