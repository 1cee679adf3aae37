"""The other networks of an ensemble: trained side by side, each kept as the validation part says.

They differ from the first in their first weights and in the order of their batches alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from unrolled.recipes._series.forecaster import Forecaster
from unrolled.steps.batches import Batches
from unrolled.steps.many import Job, train_many
from unrolled.steps.network import Network

__all__ = ["Teaching", "teach"]

Make = Callable[[list[nn.Parameter]], torch.optim.Optimizer]


class Teaching(NamedTuple):
    """How the others learn.

    ``draw`` gives the next block of batches from a generator; ``judge`` is a batch that chooses, or
    None: the last weights are kept.
    """

    draw: Callable[[torch.Generator], Batches]
    judge: tuple[Tensor, ...] | None
    make: Make
    rounds: int
    blocks: int  # in one round
    clip: float
    seed: int


class _Pupil:
    """One network, its optimiser, and the best of its weights."""

    def __init__(self, network: Network, teaching: Teaching, number: int) -> None:
        self.network = network.requires_grad_(True)
        self.optimizer = teaching.make(list(network.parameters()))
        self.generator = torch.Generator().manual_seed(teaching.seed + 7919 * number)
        self.best: dict[str, Tensor] = {}
        self.value = float("inf")

    def job(self, model: Forecaster, teaching: Teaching) -> Job:
        """The next round."""
        blocks = [teaching.draw(self.generator) for _ in range(teaching.blocks)]
        return Job(self.network, self.optimizer, model.criterion, blocks, teaching.clip)

    @torch.no_grad()
    def judge(self, model: Forecaster, batch: tuple[Tensor, ...] | None) -> None:
        """Keep the weights, if they were never as good."""
        value = 0.0 if batch is None else model.loss_of(batch, self.network).item()
        if batch is None or value < self.value:
            self.value = value
            state = self.network.state_dict()
            self.best = {name: t.clone() for name, t in state.items()}

    def settle(self) -> None:
        """Take the best weights, and learn no more."""
        self.network.load_state_dict(self.best)
        self.network.requires_grad_(False)


def teach(model: Forecaster, teaching: Teaching) -> None:
    """Train the others of a model, which from now on are heard."""
    others = model.networks[1:]
    with torch.enable_grad():
        pupils = [_Pupil(network, teaching, n) for n, network in enumerate(others, 1)]
        for _ in range(teaching.rounds):
            jobs: list[Any] = [pupil.job(model, teaching) for pupil in pupils]
            train_many(jobs, progress=False, stop_at_first=True)
            for pupil in pupils:
                pupil.judge(model, teaching.judge)
    for pupil in pupils:
        pupil.settle()
    model.heard.fill_(True)
