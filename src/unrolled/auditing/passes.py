"""Which of a file's functions, or which class of it, are its two passes; how they are called."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from unrolled.auditing.classes import Classed, class_in
from unrolled.auditing.layouts import AuditError
from unrolled.auditing.stepwise import by_steps
from unrolled.auditing.systems import System

__all__ = ["Passes", "passes_of"]


class Passes(NamedTuple):
    """Two functions over all steps; ``states``: whether they are called with h_0 and c_0."""

    forward: Callable[..., Any]
    backward: Callable[..., Any]
    states: bool


def passes_of(
    module: ModuleType,
    path: Path,
    system: System,
    library: str,
    call: str = "sequence",
    name: str | None = None,
) -> Passes:
    """The passes of a file: two functions, those of one step, or the methods of a class.

    Without a backward pass of its own, a file that uses torch is differentiated by torch.

    Raises
    ------
    AuditError
        If there is nothing of the kind.
    """
    if call not in ("sequence", "step"):
        raise AuditError(f"CALL = {call!r} is not known: expected 'sequence' or 'step'.")
    there = {one: callable(getattr(module, one, None)) for one in _FUNCTIONS}
    if there["step"] and there["step_backward"] and not there["forward"]:
        return Passes(*by_steps(module.step, module.step_backward, system), False)
    kind = None if there["forward"] and name is None else class_in(module, name)
    if kind is not None:
        return _of_class(Classed(kind, system, library), system, call)
    if not there["forward"] or not (there["backward"] or library == "torch"):
        lacks = "backward" if there["forward"] else "forward"
        raise AuditError(
            f"{path} has no function {lacks}: `unrolled audit --template` shows what is needed."
        )
    backward = module.backward if there["backward"] else _differentiated(module.forward, system)
    if call == "step":
        return Passes(*by_steps(module.forward, backward, system), False)
    return Passes(module.forward, _trimmed(backward), _taken(module.forward) == 4)


_FUNCTIONS = ("forward", "backward", "step", "step_backward")


def _of_class(made: Classed, system: System, call: str) -> Passes:
    if call == "step":
        return Passes(*by_steps(made.step, made.step_backward, system), False)
    states = _taken(vars(made.kind)["forward"]) == 4  # with self
    if made.differentiates:
        return Passes(made.forward, made.backward, states)
    return Passes(made.forward, _differentiated(made.forward, system), states)


def _taken(function: Callable[..., Any]) -> int:
    """How many arguments it takes at the most, or -1 where that has no end or is not known."""
    try:
        given = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return -1
    if any(one.kind is one.VAR_POSITIONAL for one in given):
        return -1
    return sum(one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD) for one in given)


def _trimmed(backward: Callable[..., Any]) -> Callable[..., Any]:
    """The same, called with as much as it takes: what it has from the forward pass, it leaves."""
    most = _taken(backward)

    def called(*given: Any) -> Any:
        return backward(*(given if most < 0 else given[:most]))

    return called


def _differentiated(forward: Callable[..., Any], system: System) -> Callable[..., Any]:
    """The gradient by torch's autograd of somebody's forward pass, their own Functions in it."""

    def backward(params: Mapping[str, Tensor], *given: Tensor) -> dict[str, Tensor]:
        leaves = {name: value.clone().requires_grad_() for name, value in params.items()}
        d_y = None if system.loss_inside else given[1]
        beside = given if d_y is None else (given[0], *given[2:])
        x = beside[0].clone().requires_grad_()
        with torch.enable_grad():
            returned = forward(leaves, x, *beside[1:])
            value = returned[0] if isinstance(returned, tuple) else returned
            value = torch.stack(value) if isinstance(value, list) else value
        wanted = {**leaves, "x": x}
        try:
            found = torch.autograd.grad(value, list(wanted.values()), d_y, allow_unused=True)
        except RuntimeError as error:
            raise AuditError(
                f"there is no function backward, and torch does not differentiate forward: {error}"
            ) from None
        return {
            name: torch.zeros_like(leaf) if one is None else one
            for (name, leaf), one in zip(wanted.items(), found, strict=True)
        }

    return backward
