"""What a wrong gradient costs in training: pairs of short runs that differ in nothing else."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from statistics import fmean
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from unrolled import recipes, training
from unrolled.faults import PUBLISHED, Fault, faulty_lstm

__all__ = ["TASKS", "Progress", "Task", "train"]

Progress = Callable[[int, int], None]  # told (update, of how many)
EXACT = "the exact gradient"


class Task(NamedTuple):
    """A short training: in words, how long, and what is measured at its end.

    ``gradients`` are those it is run with, in words, and the document that publishes each; ``run``
    takes one of them, a seed, how many updates, and whom to tell of them.
    """

    name: str
    figure: str
    updates: int
    gradients: dict[str, str]
    run: Callable[[str, int, int, Progress], float]


def train(
    task: Task,
    document: str,
    seed: int = 0,
    progress: Progress | None = None,
    updates: int | None = None,
) -> float:
    """Train once, by default as long as the task says; its figure at the end.

    ``document`` is that of the gradient, "" for the exact one.
    """
    updates = task.updates if updates is None else updates

    def tell(update: int, total: int) -> None:
        if progress is not None and (update % 50 == 0 or update == total):
            progress(update, total)

    return task.run(document, seed, updates, tell)


# --- the adder ---


class _Adder(nn.Module):
    """An LSTM with a gradient of our choice, and a linear output, as document 000 draws them."""

    def __init__(self, faults: tuple[Fault, ...], generator: torch.Generator) -> None:
        super().__init__()
        self.faults = faults

        def drawn(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(shape).uniform_(-1, 1, generator=generator))

        self.w_ih, self.w_hh = drawn(128, 2), drawn(128, 32)
        self.bias, self.out = drawn(128), drawn(32)

    def forward(self, x: Tensor) -> Tensor:
        """Outputs [T, B] for x [T, B, I]."""
        zero = x.new_zeros(x.shape[1], 32)
        y, _ = faulty_lstm(x, zero, zero, self.w_ih, self.w_hh, self.bias, faults=self.faults)
        out: Tensor = y @ self.out
        return out


def _add(document: str, seed: int, updates: int, tell: Progress) -> float:
    generator = torch.Generator().manual_seed(seed)
    network = _Adder(PUBLISHED.get(document, ()), generator)
    weights = list(network.parameters())
    losses = _sums(network, generator)
    for update in range(1, updates + 1):
        gradients = torch.autograd.grad(next(losses), weights)
        with torch.no_grad():
            for weight, gradient in zip(weights, gradients, strict=True):
                weight.sub_(0.1 * gradient)
        tell(update, updates)
    with torch.no_grad():
        return _sums_right(network)


def _bits(numbers: Tensor) -> Tensor:
    return (numbers >> torch.arange(8)[:, None] & 1).float()


def _sums(network: _Adder, generator: torch.Generator) -> Iterator[Any]:
    while True:
        # As MATLAB's randi: from 1.
        a = torch.randint(1, 129, (1,), generator=generator)
        b = torch.randint(1, 128, (1,), generator=generator)
        logits = network(torch.stack((_bits(a), _bits(b)), -1))
        yield nn.functional.binary_cross_entropy_with_logits(logits, _bits(a + b), reduction="sum")


def _sums_right(network: _Adder) -> float:
    a, b = torch.arange(128).repeat_interleave(128), torch.arange(128).repeat(128)
    bits = network(torch.stack((_bits(a), _bits(b)), -1)) > 0
    return float((bits == (_bits(a + b) > 0)).all(0).double().mean())


# --- recalling ---


def _recall(document: str, seed: int, updates: int, tell: Progress) -> float:
    """The recipe `memory`, as its published figures were measured."""
    recipe: Any = recipes.find("memory").recipe(seed=seed).published()
    network = document or "vanilla"
    recipe = dataclasses.replace(recipe, networks=(network,), steps=updates)
    losses = []
    for step in training.train(recipe):
        losses.append(step.loss)  # half the squared error
        tell(step.step, updates)
    return 2 * fmean(losses[-100:])  # at this rate a single batch may be far off


TASKS = (
    Task(
        "adder as in document 000: 8 bits, 32 cells, one sum at a time, rate 0.1",
        "share of the 16,384 sums right",
        2000,
        {EXACT: "", "000's gradient": "000"},
        _add,
    ),
    Task(
        "recall the first of 8 inputs (the recipe memory --published): 16 cells, batches of 32, "
        "rate 0.3",
        "mean squared error over the last 100 batches (always saying 0: 0.3333)",
        2000,
        {EXACT: "", "002's gradient": "002"},
        _recall,
    ),
)
