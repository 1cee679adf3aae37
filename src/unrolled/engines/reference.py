"""The loop over `unrolled.equations`: every cell, mask, dtype and device.

``forward`` is plain torch, so autograd, ``vmap`` and ``jvp`` go through it any number of times;
``backward`` is derived by hand and is what the other engines are held against.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear

from unrolled import equations
from unrolled.engines.masks import StateMasks, blank
from unrolled.engines.protocol import Backward, Forward, Inputs, Request
from unrolled.equations import Cell, Gates

__all__ = [
    "StepMasks",
    "backward",
    "by_step",
    "forward",
    "keeps_gates",
    "one_step",
    "shown_gates",
    "skips",
    "supports",
]

skips = False
keeps_gates = True


def supports(request: Request) -> str | None:
    """Always None, for the reference can do everything."""
    return None


class StepMasks(NamedTuple):
    """The masks of one step, those over rows as [B, 1]."""

    carry: Tensor | None
    live: Tensor | None
    update: Tensor | None
    keep_h: Tensor | None
    keep_c: Tensor | None
    recur: Tensor | None

    @classmethod
    def of(cls, each: dict[str, Tensor | None], recur: Tensor | None) -> StepMasks:
        """From one step's part of each mask that has a part for each step; see `by_step`."""
        rows = {n: None if m is None else m[..., None] for n, m in each.items() if n in _OVER_ROWS}
        return cls(**(each | rows), recur=recur)


_OVER_ROWS = ("carry", "live")


def by_step(masks: StateMasks) -> dict[str, Tensor | None]:
    """The masks that have a part for each step, by their names."""
    return {name: getattr(masks, name) for name in StepMasks._fields[:-1]}


def one_step(
    cell: Cell,
    inputs: Inputs,
    a_x: Tensor,
    state: tuple[Tensor, Tensor],
    m: StepMasks,
    start: Any,
    place: Callable[[str, Tensor], Tensor] = equations.as_made,
) -> tuple[Gates, Tensor, Tensor]:
    """What one step makes, and h and c behind E8.

    Parameters
    ----------
    a_x : Tensor, [B, G·H]
        What x adds to the pre-activations, W_ih x + b_ih.
    start : (Tensor, Tensor) or (None, None)
        What a row that starts again goes back to; None: zero.
    place : callable, optional
        Is given each value by its letter, and gives the one to go on with; see `forward`.
    """
    h_in = equations.before(state[0], start[0], m.carry)  # E7
    c_in = equations.before(state[1], start[1], m.carry)  # E7
    h_rec = h_in if m.recur is None else h_in * m.recur  # E7
    a = a_x + linear(h_rec, inputs.w_hh, inputs.b_hh)
    s = equations.step(cell, a, c_in, inputs.p, m.update, place)
    h_new = s.h if inputs.w_hr is None else linear(s.h, inputs.w_hr)
    h_new = place("h", h_new)
    h = equations.after(h_in, h_new, m.keep_h, m.live)  # E8
    c = equations.after(c_in, s.c, m.keep_c, m.live)  # E8
    return s, h, c


def shown_gates(s: Gates, live: Tensor | None) -> Tensor:
    """i, f, g and o of a step, [B, 4, H]; 0 in the rows for which it does not happen."""
    ifgo = torch.stack(s[:4], -2)
    return ifgo if live is None else torch.where(live[..., None], ifgo, torch.zeros_like(ifgo))


def _at(masks: StateMasks, t: int) -> StepMasks:
    each = {name: None if m is None else m[t] for name, m in by_step(masks).items()}
    return StepMasks.of(each, masks.recur)


def forward(
    cell: Cell,
    inputs: Inputs,
    masks: StateMasks,
    *,
    save: bool = False,
    trace: bool = False,
    change: Callable[[Gates, Tensor, Tensor, Tensor | None], tuple[Tensor, Tensor]] | None = None,
    place: Callable[[int, str, Tensor], Tensor] | None = None,
) -> tuple[Forward, None]:
    """All steps of one layer and direction; see `unrolled.engines.Engine`.

    ``change`` is given, after every step, what the step made, h and c behind E8, and the rows that
    are live (None: all); it gives the h and c to go on with.  See `unrolled.inside.intervention`.

    ``place`` is given every value of a step as its equation makes it (i, f, g, o and c at E1 to E5,
    and h at E6, behind the projection where there is one), with the step and the letter; it gives
    the value to go on with.  See `unrolled.layer.places`.
    """
    h, c = inputs.h_0, inputs.c_0
    start = (h, c) if masks.to_start else (None, None)
    a_x = linear(inputs.x, inputs.w_ih, inputs.b_ih)
    ys, cs, gates = [], [], []
    for t in range(a_x.shape[0]):
        m = _at(masks, t)
        at = equations.as_made if place is None else partial(place, t)
        s, h, c = one_step(cell, inputs, a_x[t], (h, c), m, start, at)
        if change is not None:
            h, c = change(s, h, c, m.live)
        ys.append(h)
        if save or trace:
            gates.append(shown_gates(s, m.live))
            cs.append(c)
    y = torch.stack(ys)
    if not (save or trace):
        return Forward(y, h, c), None
    return Forward(y, h, c, torch.stack(gates), torch.stack(cs)), None


def _sum(*terms: Tensor | None) -> Tensor | None:
    there = [t for t in terms if t is not None]
    return sum(there[1:], there[0]) if there else None


def _or_zero(d: Tensor | None, like: Tensor) -> Tensor:
    return torch.zeros_like(like) if d is None else d


def backward(back: Backward) -> list[Tensor | None]:
    """Backpropagation through time, by hand; see `unrolled.engines.Engine`.

    Only y, c and the four gates were saved; what a step started from, c_new and h_new are made
    again from them, which is cheaper than to keep them.
    """
    cell, inputs, masks, out, _, d, needs = back
    x, h_0, c_0, w_ih, w_hh, _, _, p, w_hr = inputs
    assert out.gates is not None
    assert out.c is not None
    start = (h_0, c_0) if masks.to_start else (None, None)
    d_h, d_c = _or_zero(d.h_n, h_0), _or_zero(d.c_n, c_0)
    d_h_0: Tensor | None = None
    d_c_0: Tensor | None = None
    d_as, h_recs, d_ps, d_rs = [], [], [], []
    for t in reversed(range(x.shape[0])):
        m = _at(masks, t)
        h_in = equations.before(out.y[t - 1] if t else h_0, start[0], m.carry)
        c_in = equations.before(out.c[t - 1] if t else c_0, start[1], m.carry)
        if m.live is not None:  # what a step that did not happen held may be NaN, and 0·NaN is NaN
            h_in, c_in = (torch.where(m.live, s, torch.zeros_like(s)) for s in (h_in, c_in))
        h_rec = h_in if m.recur is None else h_in * m.recur
        i, f, g, o = out.gates[t].unbind(-2)
        c_new = f * c_in + i * (g if m.update is None else g * m.update)  # E4
        s = Gates(i, f, g, o, c_new, c_new)

        d_h = d_h if d.y is None else d_h + d.y[t]
        d_c = d_c if d.c is None else d_c + d.c[t]
        d_h_new, d_h_in = equations.after_backward(d_h, m.keep_h, m.live)  # E8
        d_c_new, d_c_held = equations.after_backward(d_c, m.keep_c, m.live)  # E8
        if w_hr is not None:
            phi = torch.tanh(c_new) if cell.output == "tanh" else c_new
            d_rs.append(d_h_new.T @ (o * phi).conj())
            d_h_new = d_h_new @ w_hr.conj()
        d_gates = _gate_gradients(d.gates, t, m.live, i)
        d_s = Gates(*d_gates, d_c_new, d_h_new)
        d_a, d_c_in, d_p = equations.step_backward(cell, s, d_s, c_in, p, m.update)
        d_rec = d_a @ w_hh.conj()
        d_rec = d_rec if m.recur is None else d_rec * m.recur.conj()  # E7
        d_h_in = d_rec if d_h_in is None else d_h_in + d_rec
        d_c_in = d_c_in if d_c_held is None else d_c_held + d_c_in
        d_h, d_h_start = equations.before_backward(d_h_in, m.carry)  # E7
        d_c, d_c_start = equations.before_backward(d_c_in, m.carry)  # E7
        if masks.to_start:
            d_h_0, d_c_0 = _sum(d_h_0, d_h_start), _sum(d_c_0, d_c_start)
        d_as.append(d_a)
        h_recs.append(h_rec)
        if d_p is not None:
            d_ps.append(d_p.sum(1))

    d_a = torch.stack(d_as[::-1])
    flat = d_a.flatten(0, 1)
    d_b = flat.sum(0)
    return [
        d_a @ w_ih.conj() if needs[0] else None,
        _sum(d_h, d_h_0),
        _sum(d_c, d_c_0),
        flat.T @ blank(x, masks.live).flatten(0, 1).conj() if needs[3] else None,
        flat.T @ torch.stack(h_recs[::-1]).flatten(0, 1).conj() if needs[4] else None,
        d_b if needs[5] else None,
        d_b.clone() if needs[6] else None,
        torch.stack(d_ps).sum(0) if needs[7] else None,
        torch.stack(d_rs).sum(0) if needs[8] else None,
    ]


def _gate_gradients(
    d_gates: Tensor | None, t: int, live: Tensor | None, like: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The gradient of a loss on the gates themselves; a step that is not live has none."""
    if d_gates is None:
        zero = torch.zeros_like(like)
        return zero, zero, zero, zero
    d = d_gates[t]
    if live is not None:
        d = torch.where(live[..., None], d, torch.zeros_like(d))
    i, f, g, o = d.unbind(-2)
    return i, f, g, o
