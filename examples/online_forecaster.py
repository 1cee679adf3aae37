"""A forecaster that keeps learning as values arrive, in microseconds a value.

After each value it makes one update on the last 32, beginning with the state that it had before
them, and then says what comes next.  The signal changes its period half-way; one that has stopped
learning does not notice.
"""

import copy
import math
import time

import torch
from torch import nn

from unrolled import LSTM, Network, train_steps

torch.manual_seed(0)
T, VALUES = 32, 20_000
time_steps = torch.arange(VALUES + 1, dtype=torch.float32)
period = torch.where(time_steps < VALUES / 2, 25.0, 17.0)
signal = torch.sin((2 * math.pi / period).cumsum(0)) + 0.05 * torch.randn(VALUES + 1)

network = Network(LSTM(1, 16), nn.Linear(16, 1))
optimizer = torch.optim.Adam(network.parameters(), lr=0.003)

# Windows [N, T, 1, 1] are views of the one signal; each target is the value after.
windows = signal.unfold(0, T + 1, 1)[..., None, None]
x, target = windows[:, :-1], windows[:, 1:]


def errors(model: Network, first: int, last: int) -> float:
    """The root of the mean squared error of forecasts made with no value ahead known."""
    with torch.no_grad():
        said, _ = model(x[first:last, :, 0].transpose(0, 1))
    return float((said[-1, :, 0] - target[first:last, -1, 0, 0]).square().mean().sqrt())


block = 100  # of a live stream: 1; larger only so that this loop is short
stopped = network
began = time.perf_counter()
for first in range(0, len(x), block):
    train_steps(
        network,
        optimizer,
        "squared_error",
        (x[first : first + block], target[first : first + block]),
    )
    if first == len(x) // 2 // block * block - block:
        stopped = copy.deepcopy(network)
seconds = time.perf_counter() - began

print(f"{seconds / len(x) * 1e6:.1f} µs a value, one update each")
end = len(x) - 1000
print(
    f"error of the last 1,000 values: {errors(network, end, len(x)):.3f} of the one that learns on"
)
print(f"                          {errors(stopped, end, len(x)):.3f} of one that stopped half-way")
