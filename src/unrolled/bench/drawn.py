"""What every contest is made of: a layer with weights, an input and a gradient, drawn once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from unrolled.bench import peers
from unrolled.bench.options import Size
from unrolled.bench.timing import Call, Field
from unrolled.equations import CELLS
from unrolled.layer.lstm import LSTM

__all__ = ["OURS", "Contest", "Drawn", "live", "operations", "over", "ragged"]

OURS = "unrolled"


@dataclass(frozen=True)
class Contest:
    """One comparison, not yet built.

    Parameters
    ----------
    section : str
    what : str
        More of what is compared, where the section does not say it all.
    size : Size
    operations : float
        Multiplications and additions of the products in one call of ours.
    build : callable
        Makes those who take part, or raises `NotMeasured`.
    """

    section: str
    what: str
    size: Size
    operations: float
    build: Callable[[], Field]


class Drawn:
    """A layer of ours, its input, and a gradient for its output: the same numbers each time."""

    def __init__(self, size: Size, **arguments: Any) -> None:
        with peers.seeded():
            self.ours = LSTM(size.I, size.H, **arguments)
            self.x = torch.randn(size.T, size.B, size.I)
            self.d_y = torch.randn(size.T, size.B, size.H)
            self.begins = torch.rand(size.T, size.B) < 0.05
        self.lengths = ragged(size)

    def run(self, **call: Any) -> peers.Run:
        """Our layer, with these arguments of the call."""
        return lambda x: self.ours(x, **call)[0]

    def trained(self, run: peers.Run, weights: Sequence[Tensor] | None = None) -> Call:
        """Forward and backward of ``run``; ``weights`` are ours where none are given."""
        held = [*self.ours.parameters()] if weights is None else weights
        return peers.in_training(run, held, self.x, self.d_y)

    def torch_trained(self, wrap: Callable[[torch.nn.LSTM], peers.Run]) -> Call:
        """The same of what ``wrap`` makes of `torch.nn.LSTM` with our weights."""
        layer = peers.torch_layer(self.ours)
        return self.trained(wrap(layer), list(layer.parameters()))


def operations(size: Size, cell: str = "vanilla", share: float = 1.0) -> float:
    """Of a forward pass; a backward pass has twice as many."""
    T, B, I, H = size
    return share * 2.0 * len(CELLS[cell].gates) * T * B * H * (I + H)


def ragged(size: Size) -> Tensor:
    """A length for each row, from 1 to T."""
    return torch.linspace(1, size.T, size.B).long()


def live(size: Size) -> float:
    """The share of the steps that lie within these lengths."""
    return float(ragged(size).sum()) / (size.T * size.B)


def over(layer: torch.nn.LSTM) -> peers.Run:
    """`torch.nn.LSTM` from x to y."""
    return lambda x: layer(x)[0]
