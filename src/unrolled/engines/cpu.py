"""The native engine: every cell and every mask in C++, float32 and float64, on the CPU.

The only file that imports the extension.  Here tensors are checked and made contiguous, outputs are
allocated, and addresses are handed over in the order of `unrolled.engines.calls`; what is computed
is in ``src/native``.  Where the extension is not there, or takes something else than is handed
over, the engine declines.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from unrolled.engines.calls import Calls, Layer, Trainer, mismatch
from unrolled.engines.masks import StateMasks
from unrolled.engines.memory import dense
from unrolled.engines.protocol import Backward, Forward, Inputs, Request
from unrolled.equations import Cell
from unrolled.errors import InvalidStateError, InvalidValueError

try:
    import unrolled._native as _native
except ImportError as error:
    _missing: str | None = f"the extension is not built ({error})"
else:
    _missing = None

__all__ = [
    "Steps",
    "address",
    "backward",
    "built",
    "calls",
    "forward",
    "keeps_gates",
    "layer",
    "level",
    "number",
    "peak",
    "skips",
    "supports",
    "trainer",
]

skips = True
keeps_gates = True


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
    """Why the extension cannot do it, or None: all but a projection and half precision."""
    if _missing:
        return _missing
    if request.device != "cpu":
        return f"it runs on the CPU, not on {request.device}"
    if request.foreign is not None:
        return request.foreign
    if request.dtype not in (torch.float32, torch.float64):
        return f"it has float32 and float64, not {str(request.dtype).removeprefix('torch.')}"
    if request.projected:
        return "it has no projection"
    return None


def number(kind: str, word: str) -> int:
    """The extension's number for a word, such as ``"coupled"`` of the kind ``"Forget"``."""
    return _numbers[kind][word]


def layer(cell: Cell, width: int, hidden: int, weights: Sequence[int]) -> Layer:
    """A layer as the extension is told of it; ``weights``: where w_ih to p lie, 0 for None."""
    identity = cell.output == "identity"
    return Layer(width, hidden, number("Forget", cell.forget), cell.peephole, identity, *weights)


def calls(told: Layer, dtype: torch.dtype) -> Calls:
    """A layer's calls for whoever calls again: its packed weights are kept from call to call."""
    run, back = _passes(dtype)
    return Calls(told, partial(run, _native.Weights()), back)


def _passes(dtype: torch.dtype) -> tuple[Callable[..., None], Callable[..., None]]:
    if dtype == torch.float32:
        return _native.forward_f32, _native.backward_f32
    return _native.forward_f64, _native.backward_f64


def address(t: Tensor | None) -> int:
    """Where a tensor lies; 0 for None."""
    return 0 if t is None else t.data_ptr()


def _dense(names: Sequence[str], tensors: Sequence[Tensor | None]) -> list[Tensor | None]:
    """Tensors as the extension reads them; the first that it cannot read is refused."""
    pairs = zip(names, tensors, strict=False)
    return [None if t is None else dense(name, t) for name, t in pairs]


_UPSTREAM = tuple(f"the gradient of {name}" for name in Forward._fields)


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
            raise InvalidStateError(f"{name} has shape {list(t.shape)}, expected {list(shape)}.")
        if t.dtype != x.dtype or t.device != x.device:
            raise InvalidStateError(
                f"{name} is {t.dtype} on {t.device}, expected {x.dtype} on {x.device} like x."
            )
    return inputs[:8]


class Steps:
    """Layers stepped in place: every tensor is fixed, and nothing is allocated at a step."""

    def __init__(self) -> None:
        self._stack = _native.Stack()
        # With the stack itself, which a bound `step` keeps alive when nothing else is left.
        self._stack.kept = []
        self.step = self._stack.step
        self.refuse = self._stack.refuse

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
            raise InvalidValueError("a stepper's tensors must be contiguous.")
        add = self._stack.add_f32 if y.dtype == torch.float32 else self._stack.add_f64
        call = _Call(cell, inputs, masks, (add, add))
        call.forward(y, inputs.h_0, inputs.c_0, None, None)
        self._stack.kept.append((call.kept, y))


_MASKS = (
    "carry",
    "live",
    "inside",
    "recur",
    "update",
    "keep_h",
    "keep_c",
    "to_start",
    "keep_step",
)


class _Call:
    """One call with all that it reads, checked, dense, and alive while it runs."""

    def __init__(
        self,
        cell: Cell,
        inputs: Inputs,
        masks: StateMasks,
        passes: tuple[Callable[..., None], Callable[..., None]],
    ) -> None:
        steps, rows, width = inputs.x.shape
        hidden = inputs.w_hh.shape[1]
        self.size = steps, rows
        self.kept = _dense(Inputs._fields, _checked(cell, inputs))
        told = layer(cell, width, hidden, list(map(address, self.kept[3:])))
        self._calls = Calls(told, *passes, self._masks(masks, hidden))

    def _masks(self, masks: StateMasks, hidden: int) -> list[int]:
        """The addresses and numbers of ``_MASKS``; none where no mask does anything."""
        if not masks.names() and masks.inside is None:
            return []
        given: dict[str, Any] = {name: getattr(masks, name) for name in _MASKS[:-1]}
        keep = [t for t in (masks.keep_h, masks.keep_c) if t is not None]
        same = all(t.stride()[:2] == (0, 0) for t in keep)  # zoneout's expected value
        for name in ("keep_h", "keep_c"):
            if same and given[name] is not None:
                given[name] = given[name][0, 0]
        tensors = _dense(_MASKS[:-2], [given[name] for name in _MASKS[:-2]])
        self.kept += tensors
        return [*map(address, tensors), int(masks.to_start), 0 if same else hidden]

    def forward(self, *out: Tensor | None) -> None:
        read: Any = (*self.kept[:3], *out)
        self._calls.forward(*self.size, *read)

    def backward(self, *lists: Sequence[Tensor | None]) -> None:
        out, d_out, d_in = (list(map(address, tensors)) for tensors in lists)
        self._calls.backward(*self.size, list(map(address, self.kept[:3])), out, d_out, d_in)


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
        passes = _passes(x.dtype)
        _Call(cell, inputs, masks, (partial(passes[0], None), passes[1])).forward(*out)
    return out, None


def backward(back: Backward) -> list[Tensor | None]:
    """All gradients in one call, that of x only if wanted; see `unrolled.engines.Engine`."""
    cell, inputs, masks, out, _, d, needs = back
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
        written = [d_x, d_h_0, d_c_0, d_w_ih, d_w_hh, d_b_ih, d_b_hh, d_p]
        call = _Call(cell, inputs, masks, _passes(x.dtype))
        kept = _dense(Forward._fields, out), _dense(_UPSTREAM, d)
        call.backward(*kept, written)
    return [d_x, d_h_0, d_c_0, d_w_ih, d_w_hh, d_b_ih, d_b_hh, d_p, None]


def trainer(dtype: torch.dtype, threads: int) -> Trainer:
    """What makes whole training steps of a network, which it is then told of."""
    kind = _native.Trainer_f32 if dtype == torch.float32 else _native.Trainer_f64
    return Trainer(kind(threads))


def _look() -> str | None:
    """Why the extension cannot be used; its level is chosen here if it can."""
    if _missing is not None:
        return _missing
    other = mismatch(_native, _MASKS)
    if other is not None:
        return f"the extension is not that of this package: {other}"
    wanted = os.environ.get("UNROLLED_LEVEL")
    if wanted and wanted not in _native.levels():
        raise ImportError(
            f"UNROLLED_LEVEL={wanted} is not a level of this machine: "
            f"use one of {', '.join(_native.levels())}, or unset it."
        )
    if wanted:
        _native.use_level(wanted)
    return None


_missing = _look()
_numbers: dict[str, dict[str, int]] = {} if _missing else _native.members()
if _missing:
    warnings.warn(
        f"unrolled runs without its native engine: {_missing}; "
        "torch's own and the reference do its work, more slowly.",
        RuntimeWarning,
        stacklevel=2,
    )
