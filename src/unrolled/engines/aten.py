"""torch's own LSTM (oneDNN, cuDNN): the vanilla cell, no masks, no view of the gates.

The baseline that the native engines are compared with.  Its backward pass is torch's: the forward
pass is recorded by autograd, and the record travels to the backward pass.  It is kept as long as
the loss is, so `losses.append(loss)` in place of `loss.item()` keeps every activation.  Under
torch.compile only tensors travel: there the backward pass runs the forward pass again, which costs
a third more, and is far from what a loop in Python costs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from unrolled.engines.masks import StateMasks
from unrolled.engines.protocol import Backward, Forward, Inputs, Request, recorded_backward
from unrolled.engines.watching import recording, records_again
from unrolled.equations import Cell

__all__ = ["backward", "forward", "keeps_gates", "skips", "supports"]

skips = False
keeps_gates = False


def supports(request: Request) -> str | None:
    """Why torch's LSTM cannot do it, or None: the vanilla cell, without masks or a trace."""
    if request.foreign is not None:
        return request.foreign
    if request.cell != Cell():
        return "torch has the vanilla cell only"
    if request.masks:
        return f"torch has no masks inside the loop ({', '.join(request.masks)})"
    if request.trace:
        return "torch does not show its gates"
    if request.compiled and not records_again:
        return "torch.compile carries tensors to the backward pass, and no record of torch's own"
    if request.device not in ("cpu", "cuda"):
        return f"not tried on device {request.device!r}"
    return None


def _run(inputs: Inputs, train: bool = False) -> Forward:
    x, h_0, c_0, *weights = inputs
    params = [w for w in weights if w is not None]
    # Arguments: biases, layers, dropout, training, both directions, batch first.
    y, h_n, c_n = torch.lstm(
        x, (h_0[None], c_0[None]), params, inputs.b_ih is not None, 1, 0.0, train, False, False
    )
    return Forward(y, h_n[0], c_n[0])


def _record(inputs: Inputs) -> tuple[list[Tensor | None], Forward]:
    with torch.enable_grad():
        leaves = [None if t is None else t.detach().requires_grad_() for t in inputs]
        # cuDNN has a backward pass for training alone; here is no dropout that it could switch.
        return leaves, _run(Inputs(*leaves), train=True)  # type: ignore[arg-type]


def forward(
    cell: Cell, inputs: Inputs, masks: StateMasks, *, save: bool = False, trace: bool = False
) -> tuple[Forward, Any]:
    """One call of torch; see `unrolled.engines.Engine`."""
    if not save:
        return _run(inputs), None
    leaves, out = _record(inputs)
    return Forward(*(None if t is None else t.detach() for t in out)), (leaves, out)  # type: ignore[arg-type]


def backward(back: Backward) -> list[Tensor | None]:
    """Torch's backward pass; see `unrolled.engines.Engine`."""
    if back.saved is None:
        with recording():
            leaves, recorded = _record(back.inputs)
            return recorded_backward(leaves, recorded, back.d, back.needs)
    leaves, recorded = back.saved
    return recorded_backward(leaves, recorded, back.d, back.needs)
