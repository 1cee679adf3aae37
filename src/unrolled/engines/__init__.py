"""Engines: ways of running one layer in one direction, and the choice between them.

An engine is a module with ``forward``, ``backward`` and ``supports``.  It declines what it cannot
do, with its reason, and never does something else instead.  It keeps no state between calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from unrolled.engines.masks import StateMasks
from unrolled.equations import Cell

__all__ = [
    "Choice",
    "Declined",
    "Engine",
    "Forward",
    "Gradients",
    "Inputs",
    "Request",
    "check_name",
    "choose",
    "engine_named",
    "engine_names",
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


class Engine(Protocol):
    """What a module in this folder provides."""

    skips: bool
    """Whether it reads nothing of a step that is not live, and does what ``masks.inside`` says."""

    def supports(self, request: Request) -> str | None:
        """None, or the reason why not."""

    def forward(
        self, cell: Cell, inputs: Inputs, masks: StateMasks, *, save: bool, trace: bool
    ) -> tuple[Forward, Any]:
        """Run; ``save`` what `backward` wants (the second value is handed to it as it is)."""

    def backward(
        self,
        cell: Cell,
        inputs: Inputs,
        masks: StateMasks,
        out: Forward,
        saved: Any,
        d: Gradients,
        needs: tuple[bool, ...],
    ) -> list[Tensor | None]:
        """The gradient of each of ``inputs``; None where ``needs`` is False."""


class Declined(RuntimeError):
    """An engine that was asked for by name cannot do what was asked."""


@dataclass(frozen=True)
class Choice:
    """Which engine runs, and why those before it do not."""

    engine: str
    declined: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        why = "".join(f"; {name} declined: {reason}" for name, reason in self.declined)
        return f"{self.engine}{why}"


def _engines() -> dict[str, Engine]:
    from unrolled.engines import aten, cpu, reference

    # In the order in which "auto" tries them.
    return {"cpu": cpu, "aten": aten, "reference": reference}


def engine_names() -> tuple[str, ...]:
    """The engines in the order in which ``"auto"`` tries them."""
    return tuple(_engines())


def engine_named(name: str) -> Engine:
    """The engine of that name."""
    return _engines()[name]


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


def check_name(name: str) -> str:
    """``name`` itself; ValueError if it is neither ``"auto"`` nor an engine."""
    if name not in ("auto", *_engines()):
        known = ", ".join(repr(n) for n in ("auto", *_engines()))
        raise ValueError(f"engine={name!r} is not an engine: use one of {known}.")
    return name


def choose(name: str, request: Request) -> Choice:
    """The engine for a request.

    Raises
    ------
    ValueError
        If there is no engine of that name.
    Declined
        If the engine was asked for by name and does not support the request.
    """
    engines = _engines()
    if name != "auto":
        reason = engines[check_name(name)].supports(request)
        if reason is not None:
            raise Declined(f"engine={name!r} declined: {reason}; engine='auto' takes another.")
        return Choice(name)
    declined: list[tuple[str, str]] = []
    for known, engine in engines.items():
        reason = engine.supports(request)
        if reason is None:
            return Choice(known, tuple(declined))
        declined.append((known, reason))
    raise Declined("no engine takes this: " + "; ".join(f"{n}: {r}" for n, r in declined) + ".")
