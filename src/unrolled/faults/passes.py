"""The exact backward pass over all steps, with a switch for each fault.

What is exact comes from `unrolled.equations`; the terms of a step are written out here once more
only where a fault has to replace one of them; `tests/faults/test_faults.py` holds the two together.

Many sets of faults run at once: a dimension N in front of the batch, and each switch a choice
along it.  That is what makes the search of `unrolled audit` a matter of seconds.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import torch
from torch import Tensor

from unrolled.equations import Cell, Gates, step
from unrolled.faults.switches import Switches
from unrolled.faults.within import Point, step_backward

__all__ = [
    "Deltas",
    "FaultyRun",
    "Weights",
    "deltas",
    "forward",
]


class Weights(NamedTuple):
    """A layer's parameters, as torch lays them out.

    ``w_ih`` [G·H, I], ``w_hh`` [G·H, H], ``bias`` [G·H] or None, ``p`` [P, H] for peepholes.
    """

    w_ih: Tensor
    w_hh: Tensor
    bias: Tensor | None = None
    p: Tensor | None = None


class FaultyRun(NamedTuple):
    """What a forward pass leaves: x [T, B, I]; h and c [T+1, B, H], from the start; the gates."""

    x: Tensor
    h: Tensor
    c: Tensor
    gates: list[Gates]


class Deltas(NamedTuple):
    """What flows back: d_a [T, N, B, G, H], d_p [T, N, P, B, H] or None, d_h_0, d_c_0 [N, B, H]."""

    d_a: Tensor
    d_p: Tensor | None
    d_h_0: Tensor
    d_c_0: Tensor


def forward(cell: Cell, weights: Weights, x: Tensor, h_0: Tensor, c_0: Tensor) -> FaultyRun:
    """All steps of the exact forward pass; x is [T, B, I], the states [B, H]."""
    h, c, gates = [h_0], [c_0], []
    a_x = x @ weights.w_ih.T
    if weights.bias is not None:
        a_x = a_x + weights.bias
    for t in range(len(x)):
        s = step(cell, a_x[t] + h[-1] @ weights.w_hh.T, c[-1], weights.p)
        gates.append(s)
        h.append(s.h)
        c.append(s.c)
    return FaultyRun(x, torch.stack(h), torch.stack(c), gates)


# --- the flow ---


def deltas(
    cell: Cell,
    weights: Weights,
    run: FaultyRun,
    d_y: Tensor,
    on: Switches,
    d_h_n: Tensor | None = None,
    d_c_n: Tensor | None = None,
) -> Deltas:
    """The gradients of the pre-activations, for each set of faults.

    ``d_y`` [T, B, H] is the gradient of every step's h, ``d_h_n`` and ``d_c_n`` [B, H] that of the
    last states.
    """
    zero = torch.zeros_like(run.c[0])
    d_h_n = zero if d_h_n is None else d_h_n
    d_c_n = zero if d_c_n is None else d_c_n
    last = len(d_y) - 1
    if "truncated" not in on.steps:
        return _walk(cell, weights, run, d_y, d_h_n, d_c_n, on, None)
    # The pass is linear in d_y, so each step's loss may go back by itself, as far as it may.
    total: Deltas | None = None
    for s in range(last + 1):
        alone = torch.zeros_like(d_y)
        alone[s] = d_y[s]
        ends = (d_h_n, d_c_n) if s == last else (zero, zero)
        part = _walk(cell, weights, run, alone, *ends, on, s)
        total = part if total is None else _sum(total, part)
    assert total is not None
    return total


def _sum(a: Deltas, b: Deltas) -> Deltas:
    d_p = None if a.d_p is None or b.d_p is None else a.d_p + b.d_p
    return Deltas(a.d_a + b.d_a, d_p, a.d_h_0 + b.d_h_0, a.d_c_0 + b.d_c_0)


def _walk(
    cell: Cell,
    weights: Weights,
    run: FaultyRun,
    d_y: Tensor,
    d_h_n: Tensor,
    d_c_n: Tensor,
    on: Switches,
    source: int | None,
) -> Deltas:
    steps = range(len(d_y))
    back = _along(cell, weights, run, d_y, (d_h_n, d_c_n), on, source, list(reversed(steps)))
    if not on.on("loop-forward"):
        return back
    ahead = _along(cell, weights, run, d_y, (d_h_n, d_c_n), on, source, list(steps))
    pairs = zip(back, ahead, strict=True)
    chosen: list[Any] = [
        None if b is None or f is None else _chosen(on, b, f, n < 2)
        for n, (b, f) in enumerate(pairs)
    ]
    return Deltas(*chosen)


def _chosen(on: Switches, back: Tensor, ahead: Tensor, timed: bool) -> Tensor:
    """What goes forward in the sets that do: [T, N, …] if ``timed``, else [N, …]."""
    if not timed:
        return on.number("loop-forward", back, ahead)
    return on.number("loop-forward", back.transpose(0, 1), ahead.transpose(0, 1)).transpose(0, 1)


def _along(
    cell: Cell,
    weights: Weights,
    run: FaultyRun,
    d_y: Tensor,
    ends: tuple[Tensor, Tensor],
    on: Switches,
    source: int | None,
    order: list[int],
) -> Deltas:
    """One pass over the steps in an order; each hands on to the next."""
    last, size = len(d_y) - 1, run.h.shape[-1]
    w_hh = weights.w_hh.view(len(cell.gates), size, size)
    d_h_next, d_c_next = (end[None] for end in ends)
    d_as: list[Tensor] = [run.h[:0]] * len(d_y)
    d_ps: list[Tensor] = []
    for place, t in enumerate(order):
        d_h = d_y[t] + d_h_next
        if place:
            d_h = on.pick("h-replaces", d_h, lambda: d_h_next)  # noqa: B023
        live = _live(on, t, last, source)
        if live is not None:
            live = live.to(d_h.device)
            d_h, d_c_next = d_h * live, d_c_next * live
        point = Point(run.gates[t], run.c[t], run.h[t + 1], run.c[-1] if t == 0 else run.c[t])
        own = (d_y[t] if live is None else d_y[t] * live, run.gates[max(t - 1, 0)].f)
        d_a, d_c_prev, d_p = step_backward(
            cell, point, d_h, d_c_next, weights.p, on, own, place > 0
        )
        d_a = _stacked(cell, d_a.view(*d_a.shape[:-1], len(cell.gates), size), on)
        d_h_next = _carry(cell, d_a, w_hh, on)
        d_c_next = on.pick("c-not-carried", d_c_prev, lambda: torch.zeros_like(d_c_prev))  # noqa: B023
        d_c_next = on.pick("c-twice", d_c_next, lambda: 2 * d_c_prev)  # noqa: B023
        through = _passes(on, t)
        if through is not None:
            through = through.to(d_h.device)
            d_h_next, d_c_next = d_h_next * through, d_c_next * through
        d_as[t] = d_a.expand(on.count, *d_a.shape[1:])
        if d_p is not None:
            d_ps.append(d_p.transpose(0, 1).expand(on.count, *d_p.shape[:1], *d_p.shape[2:]))
    in_time = [d_ps[order.index(t)] for t in range(len(d_ps))]
    return Deltas(
        torch.stack(d_as),
        torch.stack(in_time) if in_time else None,
        d_h_next.expand(on.count, *d_h_next.shape[1:]),
        d_c_next.expand(on.count, *d_c_next.shape[1:]),
    )


def _stacked(cell: Cell, d_a: Tensor, on: Switches) -> Tensor:
    """The deltas [N, B, G, H] as they are stacked, for every product that they are part of."""
    found = d_a.flatten(2)
    for order in itertools.permutations(range(len(cell.gates))):
        key = f"stacked-{''.join(cell.gates[k] for k in order)}"
        if on.on(key):
            wrong = d_a[:, :, list(order)].flatten(2)
            found = on.pick(key, found, lambda: wrong)  # noqa: B023
    return found.view(-1, *d_a.shape[1:])


def _carry(cell: Cell, d_a: Tensor, w_hh: Tensor, on: Switches) -> Tensor:
    """The gradient of the h that the step has read, from d_a [N, B, G, H]."""
    share = torch.einsum("nbgh,ghk->nbgk", d_a, w_hh)
    if on.on("hh-transposed"):
        turned = torch.einsum("nbgh,gkh->nbgk", d_a, w_hh)
        # One set may have become N of them.
        flat = on.pick("hh-transposed", share.flatten(2), lambda: turned.flatten(2))
        share = flat.view(-1, *share.shape[1:])
    d_h = share.sum(2)
    for place, k in enumerate(cell.gates):
        d_h = on.pick(f"h-without-{k}", d_h, lambda: d_h - share[:, :, place])  # noqa: B023
    for one, other in itertools.combinations(range(len(cell.gates)), 2):
        key = f"h-{cell.gates[one]}-{cell.gates[other]}-exchanged"
        if on.on(key):
            order = list(range(len(cell.gates)))
            order[one], order[other] = other, one
            wrong = torch.einsum("nbgh,ghk->nbk", d_a[:, :, order], w_hh)
            d_h = on.pick(key, d_h, lambda: wrong)  # noqa: B023
    d_h = on.pick("h-twice", d_h, lambda: 2 * d_h)
    return on.pick("h-not-carried", d_h, lambda: torch.zeros_like(d_h))


def _live(on: Switches, t: int, last: int, source: int | None) -> Tensor | None:
    """Whether step t is visited at all, [N, 1, 1]; None: by every set."""
    dead = [False] * on.count
    for name, end in (("stopped", last), ("truncated", source)):
        for place, k in enumerate(on.steps.get(name, ())):
            if k and end is not None and end - t >= k:
                dead[place] = True
    live = ~torch.tensor(dead)[:, None, None] if any(dead) else None
    if t == last and on.on("begins-late"):
        every = torch.ones(on.count, 1, 1, dtype=torch.bool) if live is None else live
        return on.number("begins-late", every, torch.zeros_like(every))
    return live


def _passes(on: Switches, t: int) -> Tensor | None:
    """Whether anything goes from step t to step t-1, [N, 1, 1]; None: in every set."""
    shut = [bool(k) and t % k == 0 for k in on.steps.get("detached", ())]
    return ~torch.tensor(shut)[:, None, None] if any(shut) else None
