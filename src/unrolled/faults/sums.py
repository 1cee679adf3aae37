"""Every parameter's gradient as a sum over steps and rows, with a switch for each fault."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from unrolled.equations import Cell
from unrolled.faults.passes import Deltas, FaultyRun, Switches, Weights

__all__ = ["FaultyGradients", "gradients"]


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
    w_hh = torch.einsum("tnbgh,tbk->nghk", of_hh, h[:-1])
    if on.on("hh-reads-h"):
        later = torch.einsum("tnbgh,tbk->nghk", of_hh, h[1:])
        w_hh = on.number("hh-reads-h", w_hh, later)
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
        torch.einsum("tnbgh,ghi->tnbi", d_a, weights.w_ih.view(*d_a.shape[-2:], -1)).transpose(
            0, 1
        ),
        found.d_h_0,
        found.d_c_0,
    )


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
    weight = on.number("time-mean", weight, weight / steps)
    return weight[None, :, :, None, None]
