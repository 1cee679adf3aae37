"""Networks, losses and optimisers that whole training steps are tested with."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from unrolled import LSTM, Batches, Elman, Loss, Network, train_steps
from unrolled.equations import Cell

Optimizer = torch.optim.Optimizer
OPTIMIZERS: dict[str, Callable[[Any], Optimizer]] = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1),
    "Adagrad": lambda p: torch.optim.Adagrad(p),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.01),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=0.001),
}
VARIANTS: dict[str, Callable[[Any], Optimizer]] = {
    "SGD momentum": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
    "SGD nesterov": lambda p: torch.optim.SGD(
        p, lr=0.05, momentum=0.8, nesterov=True, weight_decay=0.01
    ),
    "SGD dampened": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, dampening=0.3),
    "SGD fused": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, fused=True),
    "Adagrad decay": lambda p: torch.optim.Adagrad(
        p, lr=0.05, lr_decay=0.1, weight_decay=0.01, initial_accumulator_value=0.5, eps=1e-6
    ),
    "Adam decay": lambda p: torch.optim.Adam(p, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.02),
    "Adam fused": lambda p: torch.optim.Adam(p, lr=0.01, fused=True),
    "AdamW decay": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.3, betas=(0.7, 0.9)),
    "RMSprop centered": lambda p: torch.optim.RMSprop(
        p, lr=0.001, alpha=0.9, centered=True, momentum=0.5, weight_decay=0.01
    ),
    "RMSprop momentum": lambda p: torch.optim.RMSprop(p, lr=0.001, momentum=0.9),
}
LOSSES = {
    "squared_error": Loss("squared_error"),
    "sigmoid_squared_error": Loss("sigmoid_squared_error", over="rows", factor=0.5),
    "binary_cross_entropy": Loss("binary_cross_entropy", over="sum"),
    "cross_entropy": Loss("cross_entropy"),
    "quantile": Loss("quantile", quantiles=(0.1, 0.5, 0.9)),
    "emphasised_squared_error": Loss("emphasised_squared_error", emphasis=0.9, offset=0.3),
}


class Task(NamedTuple):
    """A network, its loss, and batches for it."""

    network: Network
    loss: Loss
    batches: Batches


def make_task(
    layer: Cell | str,
    loss: Loss,
    *,
    count: int = 100,
    T: int = 4,
    B: int = 3,
    I: int = 2,
    H: int = 5,
    O: int = 3,
    layers: int = 1,
    read: str = "every",
    head: bool = True,
    bias: bool = True,
    dtype: torch.dtype = torch.float64,
    seed: int = 0,
) -> Task:
    """Random weights and data; ``layer`` is a cell, or an Elman network's activation."""
    g = torch.Generator().manual_seed(seed)
    O -= O % max(len(loss.quantiles), 1)
    recurrent: LSTM | Elman
    if isinstance(layer, str):
        recurrent = Elman(I, H, layer, bias=bias)
    else:
        recurrent = LSTM(I, H, layers, bias=bias, cell=layer)
    network = Network(recurrent, nn.Linear(H, O, bias=bias) if head else None, read=read)
    with torch.no_grad():
        for p in network.parameters():
            p.copy_((torch.rand(p.shape, generator=g) - 0.5) * min(1.0, 2 / H**0.5))
    outputs = network.outputs
    if loss.quantiles:
        outputs //= len(loss.quantiles)
    x = torch.randn(count, T, B, I, generator=g)
    shape = (count, B) if read == "last" else (count, T, B)
    if loss.kind == "cross_entropy":
        target = torch.randint(0, outputs, shape, generator=g)
    else:
        target = torch.rand(*shape, outputs, generator=g)
    if loss.quantiles or loss.emphasis:  # some are not known
        target[torch.rand(target.shape, generator=g) < 0.2] = torch.nan
    floats = target.is_floating_point()
    batches = Batches(x.to(dtype), target.to(dtype) if floats else target)
    return Task(network.to(dtype), loss, batches)


def twin(task: Task, make: Callable[[Any], Optimizer]) -> tuple[Network, Optimizer]:
    """A copy of the network with an optimiser of its own."""
    network = copy.deepcopy(task.network)
    return network, make([p for p in network.parameters() if p.requires_grad])


def run(
    task: Task, make: Callable[[Any], Optimizer], engine: str, **more: Any
) -> tuple[Tensor, Network, Optimizer]:
    """Train a copy; the losses, the copy and its optimiser."""
    network, optimizer = twin(task, make)
    losses = train_steps(network, optimizer, task.loss, task.batches, engine=engine, **more)
    return losses, network, optimizer


def apart(a: Any, b: Any) -> float:
    """The largest difference of two networks' parameters, or two optimisers' states."""
    if isinstance(a, Optimizer):
        pairs = [
            (a.state_dict()["state"][k].get(name), value)
            for k, state in b.state_dict()["state"].items()
            for name, value in state.items()
            if value is not None
        ]
        assert len(a.state_dict()["state"]) == len(b.state_dict()["state"])
    else:
        pairs = list(zip(a.parameters(), b.parameters(), strict=True))
    return max((float((p - q).detach().abs().max()) for p, q in pairs), default=0.0)
