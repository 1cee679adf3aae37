"""The LSTMs of neuralforecast and darts at their defaults, from the origins that all forecast from.

Each is trained once on what lies before the test part, reads as many values as our first network
does, and writes nothing.  Both take no missing values, so that these are filled with the last one.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

__all__ = ["NETWORKS", "Task", "get_ready"]

TRAINER = {
    "accelerator": "cpu",
    "logger": False,
    "enable_progress_bar": False,
    "enable_checkpointing": False,
    "enable_model_summary": False,
}


class Task(NamedTuple):
    """What is to be forecast.

    Attributes
    ----------
    values
        The whole series, NaN where missing: what lies from ``border`` on may be read by a forecast
        from a later origin, and is never learnt from.
    border
        The first row of the test part.
    origins
        The rows after which forecasts begin.
    """

    values: np.ndarray
    border: int
    origins: np.ndarray
    window: int
    horizon: int


def get_ready() -> None:
    """Import both before a clock runs, and have them be quiet."""
    os.environ["NIXTLA_ID_AS_COL"] = "1"
    warnings.filterwarnings("ignore")
    import neuralforecast.models  # noqa: F401

    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in ("pytorch_lightning", "lightning_fabric", "darts"):
            logging.getLogger(name).setLevel(logging.ERROR)


def _filled(values: np.ndarray) -> np.ndarray:
    """Each missing value as the last one before it, which is known when it is read."""
    known = np.maximum.accumulate(np.where(np.isnan(values), -1, np.arange(len(values))))
    return values[np.maximum(known, np.argmax(~np.isnan(values)))]


def _in_order(found: dict[int, np.ndarray], task: Task) -> np.ndarray:
    return np.stack([found[origin] for origin in task.origins.tolist()], 1)


def neuralforecast_lstm(task: Task) -> np.ndarray:
    """Train neuralforecast's LSTM, and forecast: [horizon, origins]."""
    import pandas as pd
    from neuralforecast import NeuralForecast
    from neuralforecast.models import LSTM

    values = _filled(task.values)
    rows: dict[str, Any] = {"unique_id": "series", "ds": np.arange(len(values)), "y": values}
    model = LSTM(h=task.horizon, input_size=task.window, **TRAINER)
    found = NeuralForecast([model], freq=1).cross_validation(
        pd.DataFrame(rows),
        n_windows=None,
        test_size=len(values) - task.border,
        step_size=1,
        refit=False,
    )
    each = found.sort_values("ds").groupby("cutoff")["LSTM"]
    return _in_order({int(cutoff): said.to_numpy() for cutoff, said in each}, task)


def darts_lstm(task: Task) -> np.ndarray:
    """Train darts' RNNModel with LSTM cells on scaled values, and forecast: [horizon, origins]."""
    from darts import TimeSeries
    from darts.dataprocessing.transformers import Scaler
    from darts.models import RNNModel

    series = TimeSeries.from_values(_filled(task.values).astype(np.float32))
    scaler = Scaler()
    learnt = scaler.fit_transform(series[: task.border])
    model = RNNModel(
        input_chunk_length=task.window,
        model="LSTM",
        training_length=task.window + task.horizon,
        random_state=0,
        pl_trainer_kwargs=TRAINER,
    )
    model.fit(learnt)
    said = model.historical_forecasts(
        scaler.transform(series),
        start=task.border,
        start_format="position",
        forecast_horizon=task.horizon,
        retrain=False,
        last_points_only=False,
    )
    found = {int(one.start_time()) - 1: scaler.inverse_transform(one) for one in said}
    return _in_order({origin: one.values().ravel() for origin, one in found.items()}, task)


NETWORKS: dict[str, Callable[[Task], np.ndarray]] = {
    "neuralforecast": neuralforecast_lstm,
    "darts": darts_lstm,
}
"""By the name of the package that each comes from."""
