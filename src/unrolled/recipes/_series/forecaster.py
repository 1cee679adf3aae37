"""An LSTM that reads a window of values and forecasts the next ones, in the series' own units."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from unrolled.files.columns import Floats
from unrolled.files.timeline import Timeline
from unrolled.inside.passage import Passage
from unrolled.layer.lstm import LSTM
from unrolled.recipes._series.forecasting import Origins, Split, targets, windows

__all__ = ["Forecaster", "extend", "forecast", "last_windows", "window_of"]


class Forecaster(nn.Module):
    """Window in, forecasts out; the scaling is learned from the training part and kept as buffers.

    The scaling is done in float64, so that a series of large numbers which differ by little keeps
    its differences; the LSTM and the output work in float32.

    Parameters
    ----------
    lstm
        One feature in, time-major.
    split
        The series: only its training part is looked at.
    changes
        Values in and out count from the window's last one, or else from the training part's mean.
    scaled
        Divide what goes in, and what comes out at each step ahead, by the root of its mean square
        over the training part; or else leave both as they are, the mean too.
    """

    mean: Tensor
    scale: Tensor
    target_scale: Tensor

    def __init__(self, lstm: LSTM, split: Split, *, changes: bool, scaled: bool) -> None:
        super().__init__()
        self.lstm = lstm
        self.readout = nn.Linear(lstm.hidden_size, split.horizon)
        self.changes = changes
        known = windows(split.training, split.training_origins, split.window)
        ahead = targets(split.training, split.training_origins, split.horizon)
        mean = split.training.mean() if scaled else 0.0
        base = known[-1] if changes else mean
        scale, scales = 1.0, [1.0] * split.horizon
        if scaled:
            scale = _size(known - base) or 1.0
            # A change over exactly one period is always 0, and 0 divides nothing.
            scales = [_size(row) or scale for row in ahead - base]
        for name, value in (("mean", mean), ("scale", scale), ("target_scale", scales)):
            self.register_buffer(name, torch.tensor(value, dtype=torch.float64))

    def forward(self, values: Tensor) -> Tensor:
        """Forecasts [horizon, B] for windows [T, B, 1], both float64 and in own units."""
        base = values[-1, :, 0] if self.changes else self.mean
        _, (h, _) = self.lstm(self.scaled(values))
        ahead: Tensor = self.readout(h[-1]).T
        return base + ahead.double() * self.target_scale[:, None]

    def scaled(self, values: Tensor) -> Tensor:
        """What the LSTM sees of windows [T, B, 1]."""
        base = values[-1:] if self.changes else self.mean
        return ((values - base) / self.scale).to(self.readout.weight.dtype)

    @torch.no_grad()
    def start_as_tensorflow(self) -> None:
        """Draw the first weights as TensorFlow 1's BasicLSTMCell and fully_connected do.

        Glorot uniform over one kernel of inputs and hidden units by all four gates, biases 0, and
        1 added to the forget gate.
        """
        for name, weight in self.lstm.named_parameters():
            if not name.startswith("weight_ih"):
                continue
            layer = name.removeprefix("weight_ih")
            recurrent = self.lstm.get_parameter(f"weight_hh{layer}")
            rows, columns = weight.shape
            bound = (6 / (rows + columns + recurrent.shape[1])) ** 0.5
            weight.uniform_(-bound, bound)
            recurrent.uniform_(-bound, bound)
            bias = self.lstm.get_parameter(f"bias_ih{layer}").zero_()
            self.lstm.get_parameter(f"bias_hh{layer}").zero_()
            gates = self.lstm.cell.gates
            if "f" in gates:
                bias.chunk(len(gates))[gates.index("f")].fill_(1)
        nn.init.xavier_uniform_(self.readout.weight)
        self.readout.bias.zero_()


def _size(values: Floats) -> float:
    """Root of the mean square."""
    return float(np.sqrt(np.mean(np.square(values))))


def window_of(split: Split, origins: Origins) -> Tensor:
    """Give the windows that end at the origins: [T, origins, 1]."""
    return torch.from_numpy(windows(split.values, origins, split.window))[..., None]


def forecast(model: Forecaster, split: Split, origins: Origins) -> Floats:
    """Forecast from each origin: [horizon, origins]."""
    with torch.no_grad():
        values: Floats = model(window_of(split, origins)).numpy()
    return values


def extend(model: Forecaster, split: Split, count: int) -> list[float]:
    """Forecast what follows the whole series; beyond the horizon, from its own forecasts."""
    known = list(split.values[-split.window :])
    while len(known) < split.window + count:
        window = torch.tensor(known[-split.window :], dtype=torch.float64)[:, None, None]
        with torch.no_grad():
            known += model(window)[:, 0].tolist()
    return [float(value) for value in known[split.window : split.window + count]]


def last_windows(model: Forecaster, split: Split, timeline: Timeline, most: int = 200) -> Passage:
    """Hand over the test part's last windows; behind each step, the value just read, the change."""
    values = window_of(split, split.test_origins[::-1][:most].copy())
    with torch.no_grad():
        read = model.scaled(values)[..., 0]
        ahead = model(values[:, :1])[0, 0].item()
    end = int(split.test_origins[-1]) + 1
    return Passage(
        call=lambda: model(values),
        inputs=timeline.labels[end - split.window : end],
        outputs=[*[""] * (split.window - 1), f"{ahead:.4g}"],
        followed=lambda: model(values[:, :1])[0, 0],
        following="the forecast",
        properties={"the value": read, "its change": read.diff(dim=0, prepend=read[:1])},
    )
