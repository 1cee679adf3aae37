"""What a wrong gradient costs in training: pairs of short runs that differ in nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from unrolled.faults import PUBLISHED, Fault, faulty_lstm

__all__ = ["TASKS", "Progress", "Task", "train"]

Progress = Callable[[int, int], None]  # told (update, of how many)


class Task(NamedTuple):
    """A short training: in words, how long, and what is measured at its end."""

    name: str
    figure: str
    updates: int
    rate: float
    faults: dict[str, tuple[Fault, ...]]


TASKS = (
    Task(
        "adder as in document 000: 8 bits, 32 cells, one sum at a time, rate 0.1",
        "share of the 16,384 sums right",
        2000,
        0.1,
        {"the exact gradient": (), "000's gradient": PUBLISHED["000"]},
    ),
    Task(
        "recall the first of 8 inputs: 16 cells, batches of 32, rate 0.3",
        "mean squared error (the variance is 0.33)",
        2000,
        0.3,
        {"the exact gradient": (), "002's gradient": PUBLISHED["002"]},
    ),
)


class _Network(nn.Module):
    """An LSTM with a gradient of our choice, and a linear output."""

    def __init__(
        self, sizes: tuple[int, int], bound: float, faults: tuple[Fault, ...], biased: bool
    ) -> None:
        super().__init__()
        inputs, hidden = sizes
        self.hidden, self.faults = hidden, faults
        self.w_ih = nn.Parameter(torch.empty(4 * hidden, inputs))
        self.w_hh = nn.Parameter(torch.empty(4 * hidden, hidden))
        self.bias = nn.Parameter(torch.empty(4 * hidden))
        self.out = nn.Parameter(torch.empty(hidden, 1))
        self.out_bias = nn.Parameter(torch.zeros(1), requires_grad=biased)
        self.bound = bound

    @torch.no_grad()
    def draw(self, generator: torch.Generator) -> None:
        """Every weight from ±bound."""
        for weight in (self.w_ih, self.w_hh, self.bias, self.out):
            weight.uniform_(-self.bound, self.bound, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        """Outputs [T, B] for x [T, B, I]."""
        zero = x.new_zeros(x.shape[1], self.hidden)
        y, _ = faulty_lstm(x, zero, zero, self.w_ih, self.w_hh, self.bias, faults=self.faults)
        return (y @ self.out + self.out_bias)[..., 0]


def train(
    task: Task,
    faults: tuple[Fault, ...],
    seed: int = 0,
    progress: Progress | None = None,
    updates: int | None = None,
) -> float:
    """Train once, by default as long as the task says; its figure at the end."""
    updates = task.updates if updates is None else updates
    generator = torch.Generator().manual_seed(seed)
    adding = task is TASKS[0]
    network = _Network((2, 32) if adding else (1, 16), 1.0 if adding else 0.25, faults, not adding)
    network.draw(generator)
    losses = _sums(network, generator) if adding else _recalls(network, generator)
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    for update in range(1, updates + 1):
        gradients = torch.autograd.grad(next(losses), weights)
        with torch.no_grad():
            for weight, gradient in zip(weights, gradients, strict=True):
                weight.sub_(task.rate * gradient)
        if progress is not None and (update % 50 == 0 or update == updates):
            progress(update, updates)
    with torch.no_grad():
        return _sums_right(network) if adding else float(_recall_error(network, 4096, generator))


def _bits(numbers: Tensor) -> Tensor:
    return (numbers >> torch.arange(8)[:, None] & 1).float()


def _sums(network: _Network, generator: torch.Generator) -> Iterator[Any]:
    while True:
        # As MATLAB's randi: from 1.
        a = torch.randint(1, 129, (1,), generator=generator)
        b = torch.randint(1, 128, (1,), generator=generator)
        logits = network(torch.stack((_bits(a), _bits(b)), -1))
        yield nn.functional.binary_cross_entropy_with_logits(logits, _bits(a + b), reduction="sum")


def _sums_right(network: _Network) -> float:
    a, b = torch.arange(128).repeat_interleave(128), torch.arange(128).repeat(128)
    said = network(torch.stack((_bits(a), _bits(b)), -1)) > 0
    return float((said == (_bits(a + b) > 0)).all(0).double().mean())


def _recalls(network: _Network, generator: torch.Generator) -> Iterator[Any]:
    while True:
        yield _recall_error(network, 32, generator)


def _recall_error(network: _Network, count: int, generator: torch.Generator) -> Tensor:
    x = torch.rand(8, count, 1, generator=generator) * 2 - 1
    error: Tensor = network(x)[-1] - x[0, :, 0]
    return error.square().mean()
