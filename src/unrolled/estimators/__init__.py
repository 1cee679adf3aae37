"""Trained runs opened again, and a forecaster that follows scikit-learn's conventions."""

from unrolled.estimators.forecaster import Forecaster
from unrolled.estimators.run import Run, open_run

__all__ = ["Forecaster", "Run", "open_run"]
