"""Every parameter's gradient as a sum over steps and rows, with a switch for each fault."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from unrolled.equations import Cell
from unrolled.faults.passes import Deltas, FaultyRun, Weights
from unrolled.faults.switches import Switches

__all__ = ["SCALES", "SHIFTED", "FaultyGradients", "gradients"]


class FaultyGradients(NamedTuple):
    """Gradients for N sets of faults: each has N in front of the shape of what it belongs to."""

    w_ih: Tensor
    w_hh: Tensor
    bias: Tensor
    p: Tensor | None
    x: Tensor
    h_0: Tensor
    c_0: Tensor


def gradients(
    cell: Cell, weights: Weights, run: FaultyRun, found: Deltas, on: Switches
) -> FaultyGradients:
    """Every parameter's gradient from the deltas, for each set of faults."""
    d_a, h = found.d_a, run.h
    of_ih = _weighed(cell, d_a, "ih", on)
    of_hh = _weighed(cell, d_a, "hh", on)
    of_b = _weighed(cell, d_a, "b", on)
    w_ih = torch.einsum("tnbgh,tbi->nghi", of_ih, run.x)
    for key, by in SHIFTED.items():
        if on.on(key):
            moved = torch.einsum("tnbgh,tbi->nghi", of_ih, run.x.roll(by, 0))
            w_ih = on.number(key, w_ih, moved)
    w_hh = torch.einsum("tnbgh,tbk->nghk", of_hh, h[:-1])
    if on.on("hh-reads-h"):
        later = torch.einsum("tnbgh,tbk->nghk", of_hh, h[1:])
        w_hh = on.number("hh-reads-h", w_hh, later)
    if on.on("hh-wraps"):
        wrapped = torch.einsum("tnbgh,tbk->nghk", of_hh, h[1:].roll(1, 0))
        w_hh = on.number("hh-wraps", w_hh, wrapped)
    w_hh = on.number("hh-gradient-transposed", w_hh, w_hh.transpose(-1, -2))
    bias = of_b.sum((0, 2))
    d_p = None
    if found.d_p is not None:
        weight = _batch_and_time(d_a, on, "p").transpose(2, 3)
        d_p = (found.d_p * weight).sum((0, 3))
    return FaultyGradients(
        w_ih.flatten(1, 2),
        w_hh.flatten(1, 2),
        bias.flatten(1, 2),
        d_p,
        _of_x(cell, d_a, weights, on),
        _of_state("h_0", found.d_h_0, on),
        _of_c_0(run, found.d_c_0, on),
    )


def _of_x(cell: Cell, d_a: Tensor, weights: Weights, on: Switches) -> Tensor:
    """The gradient of x, [N, T, B, I]."""
    w_ih = weights.w_ih.view(*d_a.shape[-2:], -1)
    each = torch.einsum("tnbgh,ghi->ngtbi", d_a, w_ih)
    whole = each.sum(1)
    found = whole
    for place, k in enumerate(cell.gates):
        found = on.number(f"x-without-{k}", found, whole - each[:, place])
    for key, factor in (("zero", 0.0), ("sign", -1.0), ("twice", 2.0), ("half", 0.5)):
        found = on.number(f"x-{key}", found, factor * whole)
    return on.number("x-reversed", found, whole.flip(1))


def _of_state(name: str, whole: Tensor, on: Switches) -> Tensor:
    """The gradient of h_0 or c_0, [N, B, H]."""
    found = whole
    for key, factor in (("zero", 0.0), ("sign", -1.0), ("twice", 2.0), ("half", 0.5)):
        found = on.number(f"{name}-{key}", found, factor * whole)
    return found


def _of_c_0(run: FaultyRun, whole: Tensor, on: Switches) -> Tensor:
    found = _of_state("c_0", whole, on)
    if on.on("c_0-without-f"):
        found = on.number("c_0-without-f", found, whole / run.gates[0].f)
    return found


def _weighed(cell: Cell, d_a: Tensor, part: str, on: Switches) -> Tensor:
    """The deltas [T, N, B, G, H] that a parameter's gradient is summed from."""
    if any(on.on(f"{part}-{k}-from-{j}") for k in cell.gates for j in cell.gates):
        columns = []
        for k, own in zip(cell.gates, d_a.unbind(3), strict=True):
            taken = own.transpose(0, 1)
            for j, other in zip(cell.gates, d_a.unbind(3), strict=True):
                taken = on.number(f"{part}-{k}-from-{j}", taken, other.transpose(0, 1))
            columns.append(taken.transpose(0, 1))
        d_a = torch.stack(columns, 3)
    which = torch.ones(1, len(d_a), dtype=d_a.dtype, device=d_a.device)
    every = which
    for key, places in _STEPS.items():
        lacks = key.startswith("without")
        chosen = every.clone() if lacks else torch.zeros_like(every)
        if places is not None:
            chosen[0, places] = 0 if lacks else 1
        which = on.number(f"{part}-{key}", which, chosen)
    which = on.number(f"{part}-sign", which, -which)
    return d_a * which.T[:, :, None, None, None] * _batch_and_time(d_a, on, part)


SCALES = (("twice", 2.0), ("half", 0.5))
"""What every gradient is multiplied by, of the faults that do that."""

SHIFTED = {"ih-reads-earlier": 1, "ih-reads-later": -1}
"""By how many steps x is moved, of the faults that read it elsewhere."""

_STEPS = {"last": -1, "first": 0, "without-first": 0, "without-last": -1, "zero": None}


def _batch_and_time(d_a: Tensor, on: Switches, part: str) -> Tensor:
    """What the faults of the batch and of time multiply every term by, [1, N, B, 1, 1]."""
    steps, rows = len(d_a), d_a.shape[2]
    weight = torch.ones(1, rows, dtype=d_a.dtype, device=d_a.device)
    first = torch.zeros_like(weight)
    first[0, 0] = 1
    for whose in ("batch", part):
        weight = on.number(f"{whose}-first-row", weight, weight * first)
        weight = on.number(f"{whose}-mean", weight, weight / rows)
    weight = on.number("batch-mean-twice", weight, weight / rows**2)
    for key, factor in (("time-mean", 1 / steps), ("time-mean-twice", 1 / steps**2), *SCALES):
        weight = on.number(key, weight, weight * factor)
    return weight[None, :, :, None, None]
