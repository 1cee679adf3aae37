"""A class with methods, called as two functions: made anew, given its parameters, asked for both.

Its parameters are attributes, or lie in a dict that is one; its gradients are what ``backward``
returns, or attributes called after the parameters: ``dW``, ``d_W``, ``W_grad``, or in a dict of
gradients.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any

import numpy as np
from torch import Tensor, nn

from unrolled.auditing.layouts import AuditError
from unrolled.auditing.learner import FORMS, named_in
from unrolled.auditing.systems import System

__all__ = ["Classed", "class_in", "made_with", "parameters_of"]


def class_in(module: ModuleType, name: str | None) -> type | None:
    """The class that is meant: of that name, or the one with ``forward``; None: there is none.

    Raises
    ------
    AuditError
        If it is not there, or there are several.
    """
    own = [
        v for v in vars(module).values() if inspect.isclass(v) and v.__module__ == module.__name__
    ]
    able = [v for v in own if "forward" in vars(v) and not hasattr(v, "apply")]
    able += [v for v in own if issubclass(v, nn.Module) and "forward" in vars(v)]
    able = list(dict.fromkeys(able))
    if name is not None:
        able = [v for v in able if v.__name__ == name]
        if not able:
            raise AuditError(f"CLASS = {name!r}: the file has no class of that name with forward.")
    if len(able) > 1:
        names = ", ".join(v.__name__ for v in able)
        raise AuditError(f'the file has the classes {names}: say which by CLASS = "…".')
    return able[0] if able else None


def made_with(kind: type, inputs: int, hidden: int, outputs: int = 0) -> Any:
    """One of them: by the names of what its ``__init__`` takes, or else inputs first.

    Raises
    ------
    AuditError
        If it is not to be had with these sizes.
    """
    taken = [p for p in inspect.signature(kind).parameters.values() if p.default is p.empty]
    taken = [p for p in taken if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    left = [inputs, hidden, *([outputs] if outputs else [])]
    given: list[int] = []
    for parameter in taken:
        size = _size_called(parameter.name.lower(), inputs, hidden, outputs)
        if size is None:
            size = left[len(given)] if len(given) < len(left) else 1
        given.append(size)
    try:
        return kind(*given)
    except (Exception, SystemExit) as error:
        message = " ".join(str(error).split())
        raise AuditError(
            f"{kind.__name__}({', '.join(map(str, given))}) raised {type(error).__name__}: "
            f"{message}."
        ) from error


def _size_called(name: str, inputs: int, hidden: int, outputs: int) -> int | None:
    if any(word in name for word in ("hid", "unit", "cell", "mem", "n_h")) or name in ("h", "n_h"):
        return hidden
    if (outputs and any(word in name for word in ("out", "class", "n_y"))) or name == "v":
        return outputs or hidden
    if any(word in name for word in ("in", "x", "feat", "vocab", "d")) or name == "i":
        return inputs
    return None


def parameters_of(made: Any) -> dict[str, tuple[int, ...]]:
    """The arrays that it holds and that are no gradients, by name, with their shapes."""
    found = {name: tuple(value.shape) for name, value in _arrays(made)}
    ours = [name for name in found if not name.startswith(("d_", "grad"))]
    return {
        name: found[name]
        for name in ours
        if not (name[:1] in "dg" and name[1:] in ours) and not name.endswith("_grad")
    }


def _arrays(made: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(made, nn.Module):
        yield from made.named_parameters()
    for name, value in vars(made).items():
        if _is_array(value):
            yield name, value
        elif isinstance(value, dict) and "grad" not in name and not name.startswith(("d", "_")):
            yield from (
                (key, v) for key, v in value.items() if isinstance(key, str) and _is_array(v)
            )


def _is_array(value: Any) -> bool:
    return isinstance(value, (np.ndarray, Tensor)) and value.ndim > 0


class Classed:
    """A class, and how its methods are called as functions of its parameters."""

    def __init__(self, kind: type, system: System, library: str) -> None:
        self.kind, self._system, self._library = kind, system, library

    @property
    def differentiates(self) -> bool:
        """Whether it has a backward pass of its own."""
        return callable(getattr(self.kind, "backward", None))

    def forward(self, params: Mapping[str, Any], x: Any, *beside: Any) -> Any:
        """What its ``forward`` returns."""
        return self._with(params, x).forward(x, *beside)

    def backward(self, params: Mapping[str, Any], x: Any, *beside: Any) -> dict[str, Any]:
        """Its gradients, after a forward pass of the same object."""
        made = self._with(params, x)
        inside = self._system.loss_inside
        given = beside if inside else beside[1:]
        made.forward(x, *given)
        taken = _required(made.backward)
        returned = made.backward(*beside[: taken if taken >= 0 else None])
        return _gradients(made, list(params), returned, "x")

    def step(self, params: Mapping[str, Any], x: Any, h: Any, c: Any) -> Any:
        """One step; the object that took it is its cache."""
        made = self._with(params, x)
        returned = made.forward(x, h, c)
        return (*returned[:2], made) if isinstance(returned, tuple) else returned

    def step_backward(self, params: Mapping[str, Any], d_h: Any, d_c: Any, made: Any) -> Any:
        """Back through the step that an object took."""
        made = copy.copy(made)  # may be asked again
        returned = made.backward(d_h, d_c)
        if isinstance(returned, tuple) and len(returned) == 3:
            returned = dict(zip(("x", "h", "c"), returned, strict=True))
        return _gradients(made, list(params), returned)

    def _with(self, params: Mapping[str, Any], x: Any) -> Any:
        hidden = self._system.hidden_of(params)
        axes = (
            self._system.axes
            if x.ndim == len(self._system.axes)
            else self._system.axes.replace("T", "")
        )
        made = made_with(self.kind, x.shape[axes.index("I")], hidden, self._outputs(params))
        for name, value in params.items():
            _put(made, name, value)
        return made

    def _outputs(self, params: Mapping[str, Any]) -> int:
        return self._system.outputs_of(params)


def _put(made: Any, name: str, value: Any) -> None:
    """Give it a parameter, wherever it has one of that name."""
    within, _, name_there = name.rpartition(".")
    if within and isinstance(made, nn.Module) and name in dict(made.named_parameters()):
        return _put(made.get_submodule(within), name_there, value)
    if isinstance(made, nn.Module) and isinstance(getattr(made, name, None), nn.Parameter):
        del made._parameters[name]
        setattr(made, name, value)
    elif hasattr(made, name):
        setattr(made, name, value)
    else:
        for held in vars(made).values():
            if isinstance(held, dict) and name in held and not name.startswith("d"):
                held[name] = value
                return
        raise AuditError(
            f"{type(made).__name__} has no {name}: PARAMS names the attributes of an object that "
            "was just made."
        )


def _gradients(made: Any, names: list[str], returned: Any, *beside: str) -> dict[str, Any]:
    """What it returned as a dict, and what it holds of gradients."""
    found: dict[str, Any] = dict(returned) if isinstance(returned, Mapping) else {}
    if returned is not None and not found and not isinstance(returned, tuple) and len(beside) == 1:
        found[beside[0]] = returned
    held = vars(made)
    gradients = [v for k, v in held.items() if isinstance(v, Mapping) and k.lstrip("_")[:1] in "dg"]
    places = [held, *(v for v in held.values() if isinstance(v, Mapping))]
    for name in (one for one in names if named_in(found, one) is None):
        own = [v[k] for v in places if (k := named_in(v, name, FORMS)) is not None]
        own += [v[name] for v in gradients if name in v]
        if own:
            found[name] = own[0]
    return found


def _required(function: Callable[..., Any]) -> int:
    given = inspect.signature(function).parameters.values()
    if any(one.kind is one.VAR_POSITIONAL for one in given):
        return -1
    return sum(one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD) for one in given)
