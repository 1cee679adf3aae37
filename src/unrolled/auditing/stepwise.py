"""A pass that is written step by step, as the two passes over all steps that an audit calls.

What goes from step to step, and the sums over them, are done here, exactly; what is audited is the
step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unrolled.auditing.layouts import ArrayLayout, AuditError
from unrolled.auditing.learner import named_in
from unrolled.auditing.systems import System

__all__ = ["by_steps"]

Passes = tuple[Callable[[dict[str, Any], Any], Any], Callable[[dict[str, Any], Any, Any], Any]]


def by_steps(
    step: Callable[..., Any], step_backward: Callable[..., Any], layout: ArrayLayout | System
) -> Passes:
    """``forward`` and ``backward`` for `audit`, from those of one step.

    Parameters
    ----------
    step : callable, ``step(params, x, h, c) -> (h, c)`` or ``(h, c, cache)``
        x, h and c are those of one step: [B, I] and [B, H] for axes ``"TBI"``; the first h and c
        are zero.
    step_backward : callable, ``step_backward(params, d_h, d_c, cache) -> dict``
        The gradient of each parameter by its name, of ``"h"`` and ``"c"``, the states that the
        step was given, and of ``"x"`` if there is one.  ``d_h`` and ``d_c`` are the whole
        gradients of the states that it returned.  Without a cache of its own, ``cache`` is
        ``(x, h, c)`` as the step was given them.
    layout : ArrayLayout or System
        What is in each parameter.

    Raises
    ------
    AuditError
        When they are called, if what they return is something else.

    Examples
    --------
    >>> layout = ArrayLayout({"W": "hh|ih", "b": "b"})
    >>> forward, backward = by_steps(my_step, my_step_backward, layout)  # doctest: +SKIP
    >>> unrolled.audit(forward, backward, params=layout.params)  # doctest: +SKIP
    """
    time = layout.axes.index("T")
    last = layout.axes.replace("T", "").index("I")

    def run(params: dict[str, Any], x: Any) -> tuple[list[Any], list[Any]]:
        hs, caches = [], []
        h = c = _zeros(_at(x, time, 0), last, layout.hidden_of(params))
        for t in range(x.shape[time]):
            given = (_at(x, time, t), h, c)
            returned = step(params, *given)
            if not isinstance(returned, tuple) or len(returned) not in (2, 3):
                raise AuditError(f"step returned {_told(returned)}: expected (h, c) or with cache.")
            h, c = returned[:2]
            hs.append(h)
            caches.append(returned[2] if len(returned) == 3 else given)
        return hs, caches

    def forward(params: dict[str, Any], x: Any) -> Any:
        return _stacked(run(params, x)[0], time)

    def backward(params: dict[str, Any], x: Any, d_h: Any) -> dict[str, Any]:
        _, caches = run(params, x)
        sums: dict[str, Any] = {}
        d_xs: list[Any] = []
        d_h_next = d_c_next = _at(d_h, time, 0) * 0
        for t in reversed(range(len(caches))):
            found = step_backward(params, _at(d_h, time, t) + d_h_next, d_c_next, caches[t])
            keys = [_state_in(found, name) for name in ("h", "c")]
            if None in keys:
                raise AuditError(
                    f"step_backward returned {_told(found)}: expected a dict with the gradients of "
                    "h and c, the states before the step, and of each parameter."
                )
            d_h_next, d_c_next = (found[key] for key in keys)
            of_x = named_in(found, "x")
            for name, value in found.items():
                if name not in (*keys, of_x):
                    sums[name] = sums[name] + value if name in sums else value
            d_xs += [found[of_x]] if of_x is not None else []
        if d_xs:
            sums["x"] = _stacked(d_xs[::-1], time)
        return sums

    return forward, backward


def _state_in(found: Any, name: str) -> str | None:
    """Under which name a dict has the gradient of a state before the step."""
    if not isinstance(found, Mapping):
        return None
    forms = (named_in(found, one) for one in (name, f"{name}_prev", f"{name}prev", f"{name}_0"))
    return next((form for form in forms if form is not None), None)


def _at(array: Any, axis: int, place: int) -> Any:
    return array[tuple(place if n == axis else slice(None) for n in range(array.ndim))]


def _stacked(arrays: list[Any], axis: int) -> Any:
    if isinstance(arrays[0], Tensor):
        return torch.stack(arrays, axis)
    return np.stack([np.asarray(array) for array in arrays], axis)


def _zeros(x: Any, axis: int, hidden: int) -> Any:
    shape = [*x.shape]
    shape[axis] = hidden
    return x.new_zeros(shape) if isinstance(x, Tensor) else np.zeros(shape)


def _told(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"a dict with {', '.join(map(str, value)) or 'nothing'}"
    if isinstance(value, tuple):
        return f"a tuple of {len(value)}"
    return f"a {type(value).__name__}"
