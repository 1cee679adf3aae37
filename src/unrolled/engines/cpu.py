"""The native engine: every cell and every mask in C++, float32 and float64, on the CPU.

The only file that imports the extension.  Here tensors are checked and made contiguous, outputs are
allocated, and addresses are handed over; what is computed is in ``src/native``.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from unrolled.engines.masks import StateMasks
from unrolled.engines.protocol import Forward, Gradients, Inputs, Request
from unrolled.equations import Cell

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

__all__ = [
    "Steps",
    "backward",
    "built",
    "calls",
    "cell_numbers",
    "dense",
    "forward",
    "kept_weights",
    "level",
    "peak",
    "skips",
    "supports",
    "trainer",
]

skips = True

_FORGET = ("learned", "one", "coupled")


def built() -> bool:
    """Whether the extension is there."""
    return _missing is None


def level() -> str | None:
    """The level of instruction sets in use; None without the extension."""
    return None if _missing else _native.level()


def peak() -> float | None:
    """Multiplications and additions of float32 a second, of one core and in registers alone.

    Measured now, the best of 20 tries of a millisecond; None without the extension.
    """
    if _missing:
        return None
    best = 0.0
    for _ in range(20):
        began = time.perf_counter()
        operations = _native.busy_f32(300_000)
        best = max(best, operations / (time.perf_counter() - began))
    return best


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


def calls(dtype: torch.dtype) -> tuple[Callable[..., None], Callable[..., None]]:
    """The kernel's forward and backward pass: numbers in the order of ``arguments.hpp``."""
    if dtype == torch.float32:
        return _native.forward_f32, _native.backward_f32
    return _native.forward_f64, _native.backward_f64


def cell_numbers(cell: Cell) -> tuple[int, int, int]:
    """A cell as the kernel is told of it."""
    return _FORGET.index(cell.forget), int(cell.peephole), int(cell.output == "identity")


def kept_weights() -> Any:
    """Where the kernel keeps packed weights from call to call, for whoever calls again."""
    return _native.Weights()


def _address(t: Tensor | None) -> int:
    return 0 if t is None else t.data_ptr()


def dense(t: Tensor | None) -> Tensor | None:
    """The same values at an address, in order."""
    if t is None:
        return None
    t = t.resolve_neg().contiguous()
    # Autograd has zeros that have no memory.
    return torch.zeros_like(t) if t.numel() and not t.data_ptr() else t


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
        add = self._stack.add_f32 if call.dtype == torch.float32 else self._stack.add_f64
        add(*call.shape, *call.inputs, *out)
        self._kept.append((call, y))


class _Call:
    """The arguments of one call as the extension takes them, kept alive while it runs."""

    def __init__(self, cell: Cell, inputs: Inputs, masks: StateMasks) -> None:
        hidden = inputs.w_hh.shape[1]
        carry, live, recur, update, *keep = masks.tensors()
        same = all(t is None or t.stride()[:2] == (0, 0) for t in keep)  # zoneout's expected value
        if same:
            keep = [None if t is None else t[0, 0] for t in keep]
        given = (*_checked(cell, inputs), carry, live, masks.inside, recur, update, *keep)
        self.kept = [dense(t) for t in given]
        self.inputs = [0 if t is None else t.data_ptr() for t in self.kept]
        self.inputs += [int(masks.to_start), 0 if same else hidden]
        self.shape = [*inputs.x.shape, hidden, *cell_numbers(cell), torch.get_num_threads()]
        self.dtype = inputs.x.dtype

    def forward(self, out: list[int]) -> None:
        calls(self.dtype)[0](None, *self.shape, *self.inputs, *out)

    def backward(self, given: list[int]) -> None:
        calls(self.dtype)[1](*self.shape, *self.inputs, *given)


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
        _Call(cell, inputs, masks).forward([_address(t) for t in out])
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
    d_b_ih, d_b_hh = (
        empty(w_hh.shape[0], dtype=x.dtype, device=x.device) if need else None
        for need in needs[5:7]
    )
    d_p = None if inputs.p is None else empty(inputs.p.shape, dtype=x.dtype, device=x.device)
    if x.shape[1]:
        kept = [dense(t) for t in (*out, *d)]
        written = [d_x, d_h_0, d_c_0, d_w_ih, d_w_hh, d_b_ih, d_b_hh, d_p]
        _Call(cell, inputs, masks).backward([_address(t) for t in (*kept, *written)])
    return [d_x, d_h_0, d_c_0, d_w_ih, d_w_hh, d_b_ih, d_b_hh, d_p, None]


def trainer(dtype: torch.dtype, threads: int) -> Any:
    """What makes whole training steps; see ``trainer.hpp``."""
    kind = _native.Trainer_f32 if dtype == torch.float32 else _native.Trainer_f64
    return kind(threads)
