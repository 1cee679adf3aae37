"""An LSTM layer with an exact forward pass and a backward pass that has faults."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor

from unrolled.equations import Cell, Gates
from unrolled.faults.catalogue import Fault
from unrolled.faults.passes import FaultyRun, Weights, deltas, forward
from unrolled.faults.sums import gradients
from unrolled.faults.switches import Switches

__all__ = ["faulty_lstm"]


def faulty_lstm(
    x: Tensor,
    h_0: Tensor,
    c_0: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
    *,
    faults: Collection[Fault] = (),
    cell: Cell | None = None,
    w_ph: Tensor | None = None,
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Run a layer whose gradients have these faults.

    Parameters
    ----------
    x : Tensor, [T, B, I]
    h_0, c_0 : Tensor, [B, H]
    w_ih : Tensor, [G·H, I]
    w_hh : Tensor, [G·H, H]
    b_ih, b_hh : Tensor, [G·H], optional
        Both get the same gradient.
    faults : collection of Fault
        What is wrong; with none, the gradients are exact.
    cell : Cell, optional
        Vanilla by default.
    w_ph : Tensor, [P, H], optional
        Peephole weights.

    Returns
    -------
    y : Tensor, [T, B, H]
    (h_n, c_n) : Tensor, [B, H]

    Raises
    ------
    ValueError
        If two of the faults are in the same place.
    """
    bias = b_ih if b_hh is None else b_hh if b_ih is None else b_ih + b_hh
    switches = Switches([tuple(faults)])
    y, h_n, c_n = _Faulty.apply(cell or Cell(), switches, x, h_0, c_0, w_ih, w_hh, bias, w_ph)  # type: ignore[no-untyped-call]
    return y, (h_n, c_n)


class _Faulty(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, cell: Cell, on: Switches, *tensors: Any) -> tuple[Tensor, ...]:
        x, h_0, c_0, *weights = tensors
        run = forward(cell, Weights(*weights), x, h_0, c_0)
        ctx.cell, ctx.on = cell, on
        gates = [part for s in run.gates for part in s]
        ctx.save_for_backward(*weights, x, run.h, run.c, *gates)
        return run.h[1:].clone(), run.h[-1].clone(), run.c[-1].clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, d_y: Tensor, d_h_n: Tensor, d_c_n: Tensor) -> tuple[Any, ...]:
        weights, (x, h, c), gates = _unpack(ctx.saved_tensors)
        run = FaultyRun(x, h, c, gates)
        flow = deltas(ctx.cell, weights, run, d_y, ctx.on, d_h_n, d_c_n)
        d = gradients(ctx.cell, weights, run, flow, ctx.on)
        bias = None if weights.bias is None else d.bias[0]
        p = None if d.p is None else d.p[0]
        return None, None, d.x[0], d.h_0[0], d.c_0[0], d.w_ih[0], d.w_hh[0], bias, p


def _unpack(saved: tuple[Any, ...]) -> tuple[Weights, tuple[Tensor, ...], list[Gates]]:
    flat = saved[7:]
    gates = [Gates(*flat[t : t + 6]) for t in range(0, len(flat), 6)]
    return Weights(*saved[:4]), saved[4:7], gates
