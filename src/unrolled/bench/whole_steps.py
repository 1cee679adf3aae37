"""Whole training steps, forward to update, beside the same with torch's modules and optimiser."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from unrolled.bench import peers
from unrolled.bench.drawn import OURS, Contest, operations
from unrolled.bench.options import BenchOptions, Size
from unrolled.bench.timing import Field, Peer
from unrolled.layer.lstm import LSTM
from unrolled.steps.network import Network
from unrolled.steps.stepping import train_steps

__all__ = ["steps"]

MOST = 100  # steps in a turn, or as many as a tenth of a second may hold
RATE = 0.01


class _Work:
    """Batches, and the weights that everybody begins with."""

    def __init__(self, size: Size, count: int) -> None:
        T, B, I, H = size
        with peers.seeded():
            self.lstm = LSTM(I, H)
            self.head = nn.Linear(H, 1)
            self.x = torch.randn(count, T, B, I)
            self.target = (torch.rand(count, T, B, 1) < 0.5).float()

    def ours(self, name: str, engine: str) -> Peer:
        """`train_steps` of a copy."""
        network = copy.deepcopy(Network(self.lstm, self.head))
        optimizer = torch.optim.SGD(network.parameters(), lr=RATE)
        block = (self.x, self.target)

        def call() -> tuple[Tensor, ...]:
            loss = "binary_cross_entropy"
            losses = train_steps(network, optimizer, loss, block, engine=engine)
            return (losses, *network.parameters())

        return Peer(name, call, steps=len(self.x))

    def torchs(self) -> Peer:
        """`nn.LSTM`, `nn.Linear`, the loss and `torch.optim.SGD`, as one writes it."""
        layer, head = peers.torch_layer(self.lstm), copy.deepcopy(self.head)
        weights = [*layer.parameters(), *head.parameters()]
        optimizer = torch.optim.SGD(weights, lr=RATE)
        criterion = nn.BCEWithLogitsLoss()

        def call() -> tuple[Tensor, ...]:
            losses = torch.empty(len(self.x))
            for k in range(len(self.x)):
                optimizer.zero_grad()
                loss: Any = criterion(head(layer(self.x[k])[0]), self.target[k])
                loss.backward()
                optimizer.step()
                losses[k] = loss.detach()
            return (losses, *weights)

        return Peer("torch.nn.LSTM", call, steps=len(self.x))


def steps(size: Size, options: BenchOptions) -> Iterator[Contest]:
    """Linear head, cross entropy of bits, SGD: everything that a step of training is."""
    T, B, _, H = size
    work = 3 * (operations(size) + 2.0 * T * B * H)
    count = int(min(MOST, max(1, 1e9 / work)))

    def build() -> Field:
        w = _Work(size, count)
        return Field(
            w.ours(OURS, "native"),
            [w.torchs, lambda: w.ours("our layer, torch's SGD", "plain")],
        )

    yield Contest("steps", "", size, work, build)
