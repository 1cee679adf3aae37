"""A sweep: 60 small models side by side on all cores, each its own seed and learning rate.

They learn a decaying average of their input.  `train_many` gives each a thread of its own, and each
ends with the bits that it would have alone.
"""

import time
from collections.abc import Iterator

import torch
from torch import nn

from unrolled import LSTM, Job, Network, TrainingError, train_many

RATES = (0.003, 0.01, 0.03, 0.1, 0.3, 100.0)
SEEDS = 10
STEPS, T, B = 500, 20, 1


def average(x: torch.Tensor) -> torch.Tensor:
    """0.8 of what it was, and 0.2 of what comes: [N, T, B, 1]."""
    y = torch.zeros_like(x)
    for t in range(x.shape[1]):
        y[:, t] = 0.2 * x[:, t] + (0.8 * y[:, t - 1] if t else 0)
    return y


def jobs() -> Iterator[Job]:
    """Each model and its data are made when a core is free for them."""
    for rate in RATES:
        for seed in range(SEEDS):
            torch.manual_seed(seed)
            network = Network(LSTM(1, 16), nn.Linear(16, 1))
            x = torch.randn(STEPS, T, B, 1)
            optimizer = torch.optim.SGD(network.parameters(), lr=rate, momentum=0.9)
            yield Job(network, optimizer, "squared_error", (x, average(x)))


began = time.perf_counter()
trained = train_many(jobs())
seconds = time.perf_counter() - began

for one in trained:
    if one.error is not None and not isinstance(one.error, TrainingError):
        raise one.error  # it is no rate that is too high

print(f"{len(trained)} models of {STEPS} updates in {seconds:.2f} s")
for k, rate in enumerate(RATES):
    found = trained[k * SEEDS : (k + 1) * SEEDS]
    good = [t.losses[-50:].mean().item() for t in found if t.error is None]
    middle = f"{sorted(good)[len(good) // 2]:.2e}" if good else "none"
    print(f"rate {rate:<6g} median loss {middle:>9}, {SEEDS - len(good)} of {SEEDS} not finite")
