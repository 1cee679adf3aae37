"""The native engine: every cell and every mask in C++, float32 and float64, on the CPU.

The only file that imports the extension.  Here tensors are checked and made contiguous, outputs are
allocated, and addresses are handed over; what is computed is in ``src/native``.
"""

from __future__ import annotations

import os
import warnings
from typing import Any

import torch
from torch import Tensor

from unrolled.engines import Forward, Gradients, Inputs, Request
from unrolled.equations import Cell
from unrolled.masks import StateMasks

try:
    import unrolled._native as _native
except ImportError as error:
    _missing: str | None = f"the extension is not built ({error})"
    warnings.warn(
        f"unrolled runs without its native engine: {_missing}; "
        "torch's own and the reference do its work, more slowly.",
        RuntimeWarning,
        stacklevel=2,
    )
else:
    _missing = None
    _wanted = os.environ.get("UNROLLED_LEVEL")
    if _wanted:
        if _wanted not in _native.levels():
            raise ImportError(
                f"UNROLLED_LEVEL={_wanted} is not a level of this machine: "
                f"use one of {', '.join(_native.levels())}, or unset it."
            )
        _native.use_level(_wanted)

__all__ = ["Steps", "backward", "forward", "level", "supports"]

_FORGET = ("learned", "one", "coupled")


def level() -> str | None:
    """The level of instruction sets in use; None without the extension."""
    return None if _missing else _native.level()


def supports(request: Request) -> str | None:
    """All cells and masks, but neither a projection nor half precision."""
    if _missing:
        return _missing
    if request.device != "cpu":
        return f"it runs on the CPU, not on {request.device}"
    if request.dtype not in (torch.float32, torch.float64):
        return f"it has float32 and float64, not {str(request.dtype).removeprefix('torch.')}"
    if request.projected:
        return "it has no projection"
    return None


def _address(t: Tensor | None) -> int:
    return 0 if t is None else t.data_ptr()


def _dense(t: Tensor | None) -> Tensor | None:
    return None if t is None else t.resolve_neg().contiguous()


def _checked(cell: Cell, inputs: Inputs) -> tuple[Tensor | None, ...]:
    """What the extension will read by its address; RuntimeError if it is not all there."""
    x, w_hh = inputs.x, inputs.w_hh
    (_, rows, width), hidden = x.shape, w_hh.shape[1]
    gates, state = len(cell.gates) * hidden, (rows, hidden)
    shapes = (
        x.shape,
        state,
        state,
        (gates, width),
        (gates, hidden),
        (gates,),
        (gates,),
        (len(cell.peepholes), hidden),
    )
    for name, t, shape in zip(Inputs._fields, inputs, shapes, strict=False):
        if t is None:
            continue
        if t.shape != shape:
            raise RuntimeError(f"{name} has shape {list(t.shape)}, expected {list(shape)}.")
        if t.dtype != x.dtype or t.device != x.device:
            raise RuntimeError(
                f"{name} is {t.dtype} on {t.device}, expected {x.dtype} on {x.device} like x."
            )
    return inputs[:8]


class Steps:
    """Layers stepped in place: every tensor is fixed, and nothing is allocated at a step."""

    def __init__(self) -> None:
        self._stack = _native.Stack()
        self._kept: list[object] = []
        self.step = self._stack.step

    def add(self, cell: Cell, inputs: Inputs, masks: StateMasks, y: Tensor) -> None:
        """Put a layer on top.

        Parameters
        ----------
        inputs : Inputs
            x [1, B, I] is read at every step; h_0 and c_0 are read and then replaced.  The weights
            are copied now.
        y : Tensor, [1, B, H]
            Where h is written.

        Raises
        ------
        ValueError
            If a tensor is not contiguous: it could not be the one that is read or written.
        """
        fixed = (inputs.x, inputs.h_0, inputs.c_0, y)
        if not all(t.is_contiguous() for t in fixed):
            raise ValueError("a stepper's tensors must be contiguous.")
        call = _Call(cell, inputs, masks)
        out = [_address(t) for t in (y, inputs.h_0, inputs.c_0, None, None)]
        getattr(self._stack, f"add_{call.kind}")(call.shape, call.inputs, out)
        self._kept.append((call, y))


class _Call:
    """The arguments of one call as the extension takes them, kept alive while it runs."""

    def __init__(self, cell: Cell, inputs: Inputs, masks: StateMasks) -> None:
        self.kept = [_dense(t) for t in (*_checked(cell, inputs), *masks.tensors())]
        self.inputs = [0 if t is None else t.data_ptr() for t in self.kept]
        self.inputs.append(int(masks.to_start))
        steps, rows, width = inputs.x.shape
        self.shape = [
            steps,
            rows,
            width,
            inputs.w_hh.shape[1],
            _FORGET.index(cell.forget),
            int(cell.peephole),
            int(cell.output == "identity"),
            torch.get_num_threads(),
        ]
        self.kind = "f32" if inputs.x.dtype == torch.float32 else "f64"

    def run(self, what: str, *addresses: list[int]) -> None:
        getattr(_native, f"{what}_{self.kind}")(self.shape, self.inputs, *addresses)


def forward(
    cell: Cell, inputs: Inputs, masks: StateMasks, *, save: bool = False, trace: bool = False
) -> tuple[Forward, None]:
    """All steps in one call; see `unrolled.engines.Engine`."""
    x, hidden = inputs.x, inputs.w_hh.shape[1]
    steps, rows = x.shape[:2]
    y = x.new_empty(steps, rows, hidden)
    h_n, c_n = x.new_empty(rows, hidden), x.new_empty(rows, hidden)
    gates = c = None
    if save or trace:
        gates = x.new_empty(steps, rows, 4, hidden)
        c = x.new_empty(steps, rows, hidden)
    out = Forward(y, h_n, c_n, gates, c)
    if rows:
        _Call(cell, inputs, masks).run("forward", [_address(t) for t in out])
    return out, None


def backward(
    cell: Cell,
    inputs: Inputs,
    masks: StateMasks,
    out: Forward,
    saved: Any,
    d: Gradients,
    needs: tuple[bool, ...],
) -> list[Tensor | None]:
    """All gradients in one call, that of x only if wanted; see `unrolled.engines.Engine`."""
    x, h_0, c_0, w_ih, w_hh, *_ = inputs
    empty = torch.empty if x.shape[1] else torch.zeros
    d_x = empty(x.shape, dtype=x.dtype, device=x.device) if needs[0] else None
    d_h_0, d_c_0, d_w_ih, d_w_hh = (
        empty(t.shape, dtype=x.dtype, device=x.device) for t in (h_0, c_0, w_ih, w_hh)
    )
    d_b = empty(w_hh.shape[0], dtype=x.dtype, device=x.device)
    d_p = None if inputs.p is None else empty(inputs.p.shape, dtype=x.dtype, device=x.device)
    if x.shape[1]:
        upstream, given = [_dense(t) for t in d], [_dense(t) for t in out]
        written = [d_x, d_h_0, d_c_0, d_w_ih, d_w_hh, d_b, d_p]
        _Call(cell, inputs, masks).run(
            "backward",
            [_address(t) for t in given],
            [_address(t) for t in (*upstream, *written)],
        )
    return [d_x, d_h_0, d_c_0, d_w_ih, d_w_hh, d_b, d_b.clone() if needs[6] else None, d_p, None]
