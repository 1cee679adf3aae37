"""The recurrence as a graph that runs without us: torch's own operations, or ONNX's LSTM.

An engine's op is a name that nobody else knows.  What is to leave Python is written out here: the
steps of `unrolled.equations` inside torch's scan, which is one operation for any number of steps,
or the node that ONNX has for the cells that it knows.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from unrolled.engines import Forward, Inputs, reference
from unrolled.engines.masks import NO_MASKS, StateMasks
from unrolled.engines.watching import scan, traced
from unrolled.equations import Cell
from unrolled.errors import InvalidStateError

__all__ = ["arranged", "has_node", "node", "onnx_form", "written_out"]

State = tuple[Tensor, Tensor]


def onnx_form(cell: Cell, inputs: Inputs, masks: StateMasks, trace: bool) -> Forward:
    """One layer and direction for ``torch.onnx.export``: a node where ONNX has the cell."""
    plain = masks is NO_MASKS and inputs.w_hr is None and not trace
    if not plain or not has_node(cell, inputs.x.dtype):
        return written_out(cell, inputs, masks, trace)
    weights = [None if w is None else w[None] for w in arranged(cell, inputs)]
    state = inputs.h_0[None], inputs.c_0[None]
    y, h_n, c_n = node(cell, inputs.x, weights, state, "forward", None)
    return Forward(y[:, 0], h_n[0], c_n[0])


def has_node(cell: Cell, dtype: torch.dtype) -> bool:
    """Whether ONNX's LSTM can say a cell; runtimes compute it in single precision alone."""
    known = cell.forget in ("learned", "coupled") and cell.output == "tanh"
    return known and dtype == torch.float32


def node(
    cell: Cell,
    x: Tensor,
    weights: list[Tensor | None],
    state: State,
    direction: str,
    lengths: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """ONNX's LSTM in a graph that torch.onnx records.

    Parameters
    ----------
    x : Tensor, [T, B, I]
    weights : list of Tensor
        W, R, B and P as in `arranged`, each with the directions, D, first.
    state : (Tensor, Tensor), each [D, B, H]
    direction : {"forward", "bidirectional"}
    lengths : Tensor of int32, [B], optional

    Returns
    -------
    (Tensor, Tensor, Tensor)
        y [T, D, B, H], and h_n and c_n as ``state``.
    """
    w, r, b, p = weights
    assert r is not None
    hidden = r.shape[-1]
    options: dict[str, Any] = {"hidden_size": hidden, "direction": direction}
    if cell.forget == "coupled":
        options["input_forget"] = 1
    (steps, rows), directions = x.shape[:2], r.shape[0]
    shapes = [(steps, directions, rows, hidden), *[(directions, rows, hidden)] * 2]
    y, h_n, c_n = torch.onnx.ops.symbolic_multi_out(
        "LSTM", (x, w, r, b, lengths, *state, p), options, dtypes=[x.dtype] * 3, shapes=shapes
    )
    return y, h_n, c_n


_ONNX_GATES = ("i", "o", "f", "g")
_ONNX_PEEPHOLES = ("i", "o", "f")


def arranged(cell: Cell, inputs: Inputs) -> list[Tensor | None]:
    """The weights of a layer and direction as ONNX's LSTM reads them: W, R, B and P.

    The gates stand in the order i, o, f, c; B is both biases, one behind the other.  A gate without
    weights has zeros, which are not read.
    """
    w, r, b_ih, b_hh = (
        None if t is None else _in_order(t, cell.gates, _ONNX_GATES)
        for t in (inputs.w_ih, inputs.w_hh, inputs.b_ih, inputs.b_hh)
    )
    b = None if b_ih is None or b_hh is None else torch.cat((b_ih, b_hh))
    p = inputs.p
    return [w, r, b, None if p is None else _in_order(p.flatten(), cell.peepholes, _ONNX_PEEPHOLES)]


def _in_order(t: Tensor, own: tuple[str, ...], wanted: tuple[str, ...]) -> Tensor:
    """Blocks of rows, one for each gate, in another order."""
    blocks = dict(zip(own, t.chunk(len(own)), strict=True))
    return torch.cat([blocks.get(gate, torch.zeros_like(blocks["i"])) for gate in wanted])


def written_out(cell: Cell, inputs: Inputs, masks: StateMasks, trace: bool) -> Forward:
    """One layer and direction in torch's own operations, for any number of steps.

    torch.jit.trace knows no scan: there each step is written by itself, and their number is fixed.
    """
    if traced():
        return reference.forward(cell, inputs, masks, trace=trace)[0]
    if scan is None:
        raise InvalidStateError(
            f"torch {torch.__version__} has no scan, with which a layer is written out: expected "
            "torch 2.13."
        )
    # Cloned, here and below: of two tensors that are one, torch makes one, or gives up.
    start = (inputs.h_0.clone(), inputs.c_0.clone()) if masks.to_start else (None, None)
    each = reference.by_step(masks)
    there = [name for name, m in each.items() if m is not None]
    # The compiler behind torch.export finds the number of rows only where a step names it.
    rows = None if torch.onnx.is_in_onnx_export() else inputs.x.shape[1]

    def step(state: State, seen: list[Tensor]) -> tuple[State, list[Tensor]]:
        h, c = state if rows is None else (s.view(rows, s.shape[-1]) for s in state)
        now = dict.fromkeys(each) | dict(zip(there, seen[1:], strict=True))
        m = reference.StepMasks.of(now, masks.recur)
        s, h, c = reference.one_step(cell, inputs, seen[0], (h, c), m, start)
        shown = [reference.shown_gates(s, m.live), c.clone()] if trace else []
        return (h, c), [h.clone(), *shown]

    a_x = linear(inputs.x, inputs.w_ih, inputs.b_ih)
    seen = [a_x, *(m for m in each.values() if m is not None)]
    (h_n, c_n), out = scan(step, (inputs.h_0.clone(), inputs.c_0.clone()), seen)
    return Forward(out[0], h_n, c_n, *out[1:])
