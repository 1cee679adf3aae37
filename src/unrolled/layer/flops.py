"""How many operations a layer costs, for `torch.utils.flop_counter`.

As torch counts: the matrix products alone, 2·m·n·k each.  A layer and direction of G gates over T
steps and B rows is W_ih x, W_hh h and, with a projection, W_hr h.  Going back, each product becomes
two: one for the gradient of what was multiplied, one for that of the weight.

The counter is imported by who counts, and never here: with it comes triton, where there is a GPU.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import torch

from unrolled.engines.watching import dispatch_modes

__all__ = ["backward_flops", "forward_flops", "make_known"]

Shape = Sequence[int]
_COUNTER = "torch.utils.flop_counter"


def forward_flops(
    x: Shape,
    h_0: Shape,
    c_0: Shape,
    w_ih: Shape,
    w_hh: Shape,
    b_ih: Shape | None,
    b_hh: Shape | None,
    p: Shape | None,
    w_hr: Shape | None,
    *rest: Any,
    out_shape: Any = None,
) -> int:
    """Of ``unrolled::recurrence``, whose arguments' shapes these are."""
    weights = [w_ih, w_hh] if w_hr is None else [w_ih, w_hh, w_hr]
    steps, rows, _ = x
    return 2 * steps * rows * sum(height * width for height, width in weights)


def backward_flops(*shapes: Any, out_shape: Any = None) -> int:
    """Of ``unrolled::recurrence_backward``: it gives every gradient, whoever wants it."""
    return 2 * forward_flops(*shapes)


def make_known() -> None:
    """Tell torch's counters of the two ops, those too that count already."""
    counter: Any = sys.modules.get(_COUNTER)
    if counter is None:
        return
    ops = {
        torch.ops.unrolled.recurrence: forward_flops,
        torch.ops.unrolled.recurrence_backward: backward_flops,
    }
    for op, formula in ops.items():
        if op not in counter.flop_registry:
            counter.register_flop_formula(op)(formula)
    for mode in dispatch_modes():
        if hasattr(mode, "counter"):  # it copied the table when it was made
            for op in ops:
                mode.counter.flop_registry.setdefault(op, counter.flop_registry[op])
