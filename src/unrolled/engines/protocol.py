"""What an engine is: what it reads, what it gives, and how it declines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from unrolled.engines.masks import StateMasks
from unrolled.equations import Cell
from unrolled.errors import UnrolledError

__all__ = [
    "Backward",
    "Choice",
    "Declined",
    "Engine",
    "Forward",
    "Gradients",
    "Inputs",
    "Request",
    "recorded_backward",
]


class Inputs(NamedTuple):
    """What one layer and direction reads, in the order in which gradients are given back."""

    x: Tensor  # [T, B, I]
    h_0: Tensor  # [B, P]; P = H where there is no projection
    c_0: Tensor  # [B, H]
    w_ih: Tensor  # [G·H, I]; G gates, those of cell.gates
    w_hh: Tensor  # [G·H, P]
    b_ih: Tensor | None  # [G·H]
    b_hh: Tensor | None  # [G·H]
    p: Tensor | None  # [3, H] or [2, H]: the peepholes of cell.peepholes
    w_hr: Tensor | None  # [P, H]: the projection


class Forward(NamedTuple):
    """What one layer and direction gives.  ``gates`` and ``c`` are there when asked for."""

    y: Tensor  # [T, B, P]: h after every step
    h_n: Tensor  # [B, P]
    c_n: Tensor  # [B, H]
    gates: Tensor | None = None  # [T, B, 4, H]: i, f, g, o, always four
    c: Tensor | None = None  # [T, B, H]: c after every step


class Gradients(NamedTuple):
    """The gradient that reaches each output of `Forward`; None is zero."""

    y: Tensor | None
    h_n: Tensor | None
    c_n: Tensor | None
    gates: Tensor | None
    c: Tensor | None


class Backward(NamedTuple):
    """What a backward pass is given: a call, what it gave, and the gradient that reaches that."""

    cell: Cell
    inputs: Inputs
    masks: StateMasks
    out: Forward  # with gates and c
    saved: Any  # what the engine's forward pass gave to be handed over
    d: Gradients
    needs: tuple[bool, ...]  # of each of the inputs, whether its gradient is wanted


@dataclass(frozen=True)
class Request:
    """What is asked of an engine, in the words in which it may decline."""

    cell: Cell
    masks: tuple[str, ...]
    dtype: torch.dtype
    device: str
    projected: bool = False
    trace: bool = False
    compiled: bool = False  # with gradients, under torch.compile or torch.export
    foreign: str | None = None  # why one of its tensors cannot be read by its address


class Engine(Protocol):
    """What a module in this folder provides."""

    skips: bool
    """Whether it reads nothing of a step that is not live, and does what ``masks.inside`` says."""

    keeps_gates: bool
    """Whether its backward pass reads gates and c; otherwise it can make do with the inputs."""

    def supports(self, request: Request) -> str | None:
        """None, or the reason why not."""

    def forward(
        self, cell: Cell, inputs: Inputs, masks: StateMasks, *, save: bool, trace: bool
    ) -> tuple[Forward, Any]:
        """Run; ``save`` what `backward` wants (the second value is handed to it as it is)."""

    def backward(self, back: Backward) -> list[Tensor | None]:
        """The gradient of each of ``back.inputs``; None where ``back.needs`` is False."""


class Declined(UnrolledError, RuntimeError):
    """An engine that was asked for by name cannot do what was asked."""


@dataclass(frozen=True)
class Choice:
    """Which engine runs, and why those before it do not."""

    engine: str
    declined: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        why = "".join(f"; {name} declined: {reason}" for name, reason in self.declined)
        return f"{self.engine}{why}"


def recorded_backward(
    inputs: Sequence[Tensor | None],
    out: Forward,
    d: Gradients,
    needs: tuple[bool, ...],
    *,
    differentiable: bool = False,
) -> list[Tensor | None]:
    """The gradient of each of ``inputs`` from autograd's own record of ``out``.

    ``differentiable`` asks for one that can be differentiated again; the record is kept either way.
    """
    wanted = [t for t, need in zip(inputs, needs, strict=True) if need and t is not None]
    pairs = [(t, g) for t, g in zip(out, d, strict=True) if g is not None and t is not None]
    found = iter(
        torch.autograd.grad(
            [t for t, _ in pairs],
            wanted,
            [g for _, g in pairs],
            retain_graph=True,
            create_graph=differentiable,
            allow_unused=True,
        )
    )
    return [next(found) if need else None for need in needs]
