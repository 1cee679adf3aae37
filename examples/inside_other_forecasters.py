"""darts and neuralforecast with our layer inside: their data handling, this recurrence.

Both build their network on `torch.nn.LSTM`.  A layer takes its place with its weights, so that what
they train begins where it would have begun, and every gate can be seen afterwards.

    pip install darts neuralforecast
    python examples/inside_other_forecasters.py
"""

from __future__ import annotations

import logging
import warnings
from typing import Any

import numpy as np
import pandas as pd
from torch import nn

from unrolled import LSTM

MONTHS = pd.date_range("2010-01-01", periods=120, freq="MS")
SALES = 100 + 20 * np.sin(2 * np.pi * np.arange(120) / 12)


def in_place_of(old: nn.LSTM) -> LSTM:
    """Our layer, with the arguments and the weights of torch's."""
    new = LSTM(
        old.input_size,
        old.hidden_size,
        old.num_layers,
        bias=old.bias,
        batch_first=old.batch_first,
        dropout=old.dropout,
        bidirectional=old.bidirectional,
        proj_size=old.proj_size,
    )
    new.load_state_dict(old.state_dict())
    return new


def with_darts() -> Any:
    """An RNNModel of darts, trained for some epochs; its forecast of a year."""
    from darts import TimeSeries
    from darts.models import RNNModel
    from darts.models.forecasting.rnn_model import _RNNModule

    class Unrolled(_RNNModule):  # the class that darts' documentation gives to be followed
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(name="LSTM", **kwargs)
            self.rnn = in_place_of(self.rnn)

    series = TimeSeries.from_times_and_values(MONTHS, (SALES - 100) / 20)
    quiet = {"enable_progress_bar": False, "logger": False, "accelerator": "cpu"}
    model = RNNModel(12, model=Unrolled, training_length=24, n_epochs=3, pl_trainer_kwargs=quiet)
    model.fit(series)
    return model.predict(12).values() * 20 + 100


def with_neuralforecast() -> Any:
    """An LSTM of neuralforecast, trained for some steps; its forecast of a year."""
    from neuralforecast import NeuralForecast
    from neuralforecast.models import LSTM as Theirs

    class Unrolled(Theirs):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.hist_encoder = in_place_of(self.hist_encoder)

    quiet = {"enable_progress_bar": False, "logger": False, "accelerator": "cpu"}
    model = Unrolled(h=12, input_size=24, max_steps=5, **quiet)
    table = pd.DataFrame({"unique_id": "sales", "ds": MONTHS, "y": SALES})
    forecaster = NeuralForecast([model], freq="MS")
    forecaster.fit(table)
    return forecaster.predict()["Unrolled"].to_numpy()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    for name in ("lightning.pytorch", "pytorch_lightning"):
        logging.getLogger(name).setLevel(logging.ERROR)
    for library, forecast in (("darts", with_darts), ("neuralforecast", with_neuralforecast)):
        print(f"{library}: {np.round(forecast().ravel()[:4], 1)} …")
