"""One step of the backward pass, each term of which a fault may replace."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from unrolled import equations
from unrolled.equations import Cell, Gates
from unrolled.faults.switches import Switches

__all__ = ["Point", "step_backward"]


class Point(NamedTuple):
    """What a step has: its gates, the c that it read, its h; ``wrapped`` is c[t-1] of Python."""

    gates: Gates
    c_in: Tensor
    h: Tensor
    wrapped: Tensor


def step_backward(
    cell: Cell,
    at: Point,
    d_h: Tensor,
    d_c_next: Tensor,
    p: Tensor | None,
    on: Switches,
    own: tuple[Tensor, Tensor],
    inner: bool,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """`unrolled.equations.step_backward`, each term of which a fault may replace.

    ``own`` is the gradient of the step's own loss, and the forget gate of the step before;
    ``inner`` says whether a step was visited before.
    """
    s, c_in, h, wrapped = at
    if not on.flow:
        zero = torch.zeros_like(s.c)
        return equations.step_backward(
            cell, s, Gates(zero, zero, zero, zero, d_c_next, d_h), c_in, p
        )
    d_own, f_before = own
    pick = on.pick
    p_ = {} if p is None else dict(zip(cell.peepholes, p.unbind(0), strict=True))
    # E6
    if cell.output == "tanh":
        phi, old = torch.tanh(s.c), torch.tanh(c_in)
        slope = (1 - phi * phi)[None]
        slope = pick("c-squared", slope, lambda: 1 - s.c * s.c)
        slope = pick("phi-prime-forgotten", slope, lambda: torch.ones_like(s.c))
        slope = pick("phi-prime-half", slope, lambda: 1 - phi)
        slope = pick("h-squared", slope, lambda: 1 - h * h)
        slope = pick("c-prev-for-c", slope, lambda: 1 - old * old)
        slope = pick("phi-prime-twice", slope, lambda: 1 - torch.tanh(phi) ** 2)
        slope = pick("phi-prime-squared", slope, lambda: (1 - phi * phi) ** 2)
        slope = pick("phi-prime-value", slope, lambda: phi)
    else:
        phi, old, slope = s.c, c_in, torch.ones_like(s.c)[None]
    d_c = d_c_next + pick("c-own-loss", d_h, lambda: d_own) * s.o * slope
    if inner:
        d_c = pick("c-replaces", d_c, lambda: d_c_next)
    read = pick("o-reads-old-c", phi[None], lambda: old)
    read = pick("o-reads-raw-c", read, lambda: s.c)
    # E5
    d_a = {"o": _through_gate("o", s.o, pick("o-own-loss", d_h, lambda: d_own) * read, on)}
    if p_:
        d_c = pick("peephole-not-carried", d_c + d_a["o"] * p_["o"], lambda: d_c)
    # E4
    d_c_in = pick("c-without-f", d_c * s.f, lambda: d_c)
    d_c_in = pick("c-with-other-f", d_c_in, lambda: d_c * f_before)
    d_i = pick("i-g-swapped", d_c * s.g, lambda: d_c * s.i)
    d_g = pick("i-g-swapped", d_c * s.i, lambda: d_c * s.g)
    d_f = pick("f-reads-c", d_c * c_in, lambda: d_c * s.c)
    d_f = pick("f-wraps", d_f, lambda: d_c * wrapped)
    # E3, E2, E1
    d_a["g"] = _through_gate("g", s.g, d_g, on)
    if cell.forget == "learned":
        d_a["f"] = _through_gate("f", s.f, d_f, on)
    elif cell.forget == "coupled":
        d_i = d_i - d_f
    d_a["i"] = _through_gate("i", s.i, d_i, on)
    for k in ("f", "i"):
        if k in p_:
            seen, added = d_c_in, d_a[k] * p_[k]
            d_c_in = pick("peephole-not-carried", seen + added, lambda: seen)  # noqa: B023
    d_p = None
    if p_:
        shares = [d_a[k] * (s.c if k == "o" else c_in) for k in cell.peepholes]
        d_p = torch.stack(torch.broadcast_tensors(*shares))  # type: ignore[no-untyped-call]
    every = torch.broadcast_tensors(*(d_a[k] for k in cell.gates))  # type: ignore[no-untyped-call]
    return torch.cat(every, -1), d_c_in, d_p


def _through_gate(k: str, value: Tensor, d: Tensor, on: Switches) -> Tensor:
    """The gradient before a gate's activation, from that behind it."""

    def of_sigmoid(z: Tensor) -> Tensor:
        return z * (1 - z)

    def of_tanh(z: Tensor) -> Tensor:
        return 1 - z * z

    exact, other = (of_tanh, of_sigmoid) if k == "g" else (of_sigmoid, of_tanh)
    squash, before = (torch.tanh, torch.atanh) if k == "g" else (torch.sigmoid, torch.logit)
    slope = exact(value)[None]
    slope = on.pick(f"{k}-prime-forgotten", slope, lambda: torch.ones_like(value))
    slope = on.pick(f"{k}-prime-half", slope, lambda: 1 - value)
    slope = on.pick(f"{k}-prime-twice", slope, lambda: exact(squash(value)))
    slope = on.pick(f"{k}-prime-of-other", slope, lambda: other(value))
    slope = on.pick(f"{k}-prime-value", slope, lambda: value)
    slope = on.pick(f"{k}-prime-squashed", slope, lambda: squash(value))
    slope = on.pick(f"{k}-prime-squared", slope, lambda: exact(value) ** 2)
    slope = on.pick(f"{k}-prime-raw", slope, lambda: exact(before(value)))
    d_a = d * slope
    return on.pick(f"{k}-delta-sign", d_a, lambda: -d_a)
