"""The short way through a plain call, in as few operations of Python as it takes.

Around a small layer, checks, views and the choice of an engine cost ten times what the arithmetic
does.  A plain call (a tensor [T, B, I] on the CPU, no masks, no noise, nothing looking on) needs
few of them, and what stays the same from call to call is found out once and kept as a `Plan`.  What
is not plain is told None and goes the long way.  Both end in the same kernel, with the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from unrolled.engines import Forward, Gradients, Inputs, cpu
from unrolled.engines.masks import NO_MASKS
from unrolled.engines.memory import dense
from unrolled.engines.watching import (
    apply_of,
    batched,
    parameters_of,
    watched,
    watched_above,
)
from unrolled.errors import InvalidStateError
from unrolled.layer.plan import Layer, Plan, Planned
from unrolled.layer.recurrence import differentiable_backward

__all__ = ["run"]

State = tuple[Tensor, Tensor]

# Bound once: an attribute of a module costs as much as the question.
_default_dtype = torch.get_default_dtype
_records = torch.is_grad_enabled
_strided = torch.strided


def _plain(t: Any, dtype: torch.dtype) -> bool:
    """Whether the kernel can read a tensor where it lies."""
    return (
        t.__class__ is Tensor
        and t.dtype is dtype
        and t.is_cpu
        and t.layout is _strided
        and t.is_contiguous()
        and not t.is_neg()
    )


def _whole(t: Tensor) -> bool:
    """Whether a plain tensor has its memory: as `holds_all`, in as few questions as it takes."""
    if not t.data_ptr():
        return False
    more = t.untyped_storage().nbytes() - t.nbytes
    return more >= t.storage_offset() * t.itemsize


def run(
    module: Planned, x: Any, hx: State | None, seen: list[Forward] | None = None
) -> tuple[Tensor, State] | None:
    """Run all layers over a sequence; None where the call is not plain and goes the long way.

    Parameters
    ----------
    module : Planned
    x : Tensor, [T, B, I]
        [B, T, I] with ``batch_first``.
    hx : (Tensor, Tensor), each [L, B, H]
        Without L where the plan's ``lead`` is empty.
    seen : list, optional
        Given what each layer did, with all gates; [T, B, ...].

    Returns
    -------
    (Tensor, (Tensor, Tensor)) or None
        The output laid out as x is, and the state as hx.
    """
    if x.__class__ is not Tensor or watched():
        return None
    plan = module._plan or module.make_plan()
    if plan.dtype is None:
        return None
    dtype = plan.dtype
    if plan.batch_first and x.dim() == 3:
        x = x.transpose(0, 1)
    (width, hidden), layers = plan.sizes, plan.layers
    shape = x.shape
    if len(shape) != 3 or shape[2] != width or not (_plain(x, dtype) and _whole(x)):
        return None
    if hx is not None and not _plain_state(hx, dtype, plan, (shape[1], hidden)):
        return None
    parameters = parameters_of(module)
    for layer in layers:
        if not layer.unchanged(parameters):
            # They were moved or replaced; the next call makes a plan with them.
            module.forget_plan()
            return None
    if len(layers) == 1:
        h, c = (None, None) if hx is None else hx
        y, h_n, c_n = _one(layers[0], x, h, c, seen)
    else:
        y, h_n, c_n = _several(layers, x, hx, seen)
    return (y.transpose(0, 1) if plan.batch_first else y), (h_n, c_n)


def _plain_state(hx: State, dtype: torch.dtype, plan: Plan, size: tuple[int, int]) -> bool:
    if hx.__class__ is not tuple or len(hx) != 2:
        return False
    shape = (len(plan.layers), *size) if plan.lead else size
    h, c = hx
    if not (_plain(h, dtype) and _plain(c, dtype) and h.shape == shape and c.shape == shape):
        return False
    return _whole(h) and _whole(c)


def _several(
    layers: list[Layer], x: Tensor, hx: State | None, seen: list[Forward] | None
) -> tuple[Tensor, Tensor, Tensor]:
    ends = []
    for k, layer in enumerate(layers):
        h, c = (None, None) if hx is None else (s[k : k + 1] for s in hx)
        x, h_n, c_n = _one(layer, x, h, c, seen)
        ends.append((h_n, c_n))
    h_n, c_n = (torch.cat(states) for states in zip(*ends, strict=True))
    return x, h_n, c_n


def _one(
    layer: Layer, x: Tensor, h_0: Tensor | None, c_0: Tensor | None, seen: list[Forward] | None
) -> tuple[Tensor, Tensor, Tensor]:
    """One layer: y [T, B, H], and h_n and c_n shaped like h_0 and c_0."""
    if _records():
        weights = layer.weights
        for t in (x, h_0, c_0, *weights):
            if t is not None and t.requires_grad:
                out = _apply(layer, seen is not None, x, h_0, c_0, *weights)
                if seen is not None:
                    seen.append(Forward(*out))
                return out[:3]  # type: ignore[no-any-return]
    out = _forward(layer, x, h_0, c_0, seen is not None)
    if seen is not None:
        seen.append(Forward(*out))
    return out[:3]  # type: ignore[return-value]


def _forward(
    layer: Layer, x: Tensor, h_0: Tensor | None, c_0: Tensor | None, keep: bool
) -> tuple[Tensor, ...]:
    """Y, h_n and c_n; with ``keep`` the gates and c of every step, too."""
    steps, rows, _ = x.shape
    hidden, lead = layer.sizes[1], layer.lead
    # A third of the time of x.new_empty, unless what it makes was changed.
    usual = layer.dtype is _default_dtype() and not watched_above()
    empty: Any = torch.empty if usual else x.new_empty
    y, h_n, c_n = empty(steps, rows, hidden), empty(*lead, rows, hidden), empty(*lead, rows, hidden)
    if not keep:
        layer.forward(steps, rows, x, h_0, c_0, y, h_n, c_n, None, None)
        return y, h_n, c_n
    gates, c = empty(steps, rows, 4, hidden), empty(steps, rows, hidden)
    layer.forward(steps, rows, x, h_0, c_0, y, h_n, c_n, gates, c)
    return y, h_n, c_n, gates, c


class _Direct(torch.autograd.Function):
    """`_forward` for autograd: as `recurrence._Recurrence`, for the plain case alone."""

    @staticmethod
    def forward(
        ctx: Any,
        layer: Layer,
        trace: bool,
        x: Tensor,
        h_0: Tensor | None,
        c_0: Tensor | None,
        *weights: Tensor,
    ) -> tuple[Tensor, ...]:
        out = y, _, _, gates, c = _forward(layer, x, h_0, c_0, True)
        ctx.layer = layer
        ctx.known = _memory((x, y, gates, c, h_0, c_0))
        ctx.save_for_backward(x, y, gates, c, h_0, c_0, *weights)
        ctx.set_materialize_grads(False)
        return out if trace else out[:3]

    @staticmethod
    def backward(ctx: Any, *d: Tensor | None) -> tuple[Tensor | None, ...]:
        layer = ctx.layer
        needs = ctx.needs_input_grad[2:]
        x, _, _, _, h_0, c_0, *weights = tensors = ctx.saved_tensors
        if _records() or _operations_wanted(d):
            with torch.enable_grad():
                return None, None, *_differentiable(layer, (x, h_0, c_0, *weights), d, needs)
        own, calls = _memory(tensors[:6]), layer.calls
        if own != ctx.known or _memory(weights) != layer.present:
            x, _, _, _, _, _, *weights = tensors = _restored(layer, tensors)
            own = _memory(tensors[:6])
            calls = layer.calls_with(layer.spread([cpu.address(w) for w in weights]))
        upstream = [0, 0, 0, 0, 0]
        kept: list[Tensor] = []
        for k, g in enumerate(d):
            if g is not None:
                ready = _plain(g, layer.dtype) and _whole(g)
                # It lives until the kernel has read it.
                kept.append(g if ready else dense("a gradient", g))
                upstream[k] = kept[-1].data_ptr()
        steps, rows, _ = x.shape
        d_x = torch.empty_like(x) if needs[0] else None
        d_h_0 = d_c_0 = None
        if needs[1] or needs[2]:
            d_h_0, d_c_0 = (x.new_empty(*layer.lead, rows, layer.sizes[1]) for _ in range(2))
        d_weights = [torch.empty_like(w) for w in weights]
        at_x, at_y, at_gates, at_c, at_h_0, at_c_0 = own[:6]
        calls.backward(
            steps,
            rows,
            (at_x, at_h_0, at_c_0),
            (at_y, 0, 0, at_gates, at_c),
            upstream,
            (
                0 if d_x is None else d_x.data_ptr(),
                0 if d_h_0 is None else d_h_0.data_ptr(),
                0 if d_c_0 is None else d_c_0.data_ptr(),
                *layer.spread([g.data_ptr() for g in d_weights]),
            ),
        )
        return None, None, d_x, d_h_0, d_c_0, *d_weights


_KEPT = ("the input", "the output", "the gates", "c", "h_0", "c_0")


def _operations_wanted(d: Sequence[Tensor | None]) -> bool:
    """Whether a gradient is of a class that may want to see operations, or is many at once."""
    for g in d:
        if g is not None and g.__class__ is not Tensor:
            return True
    return batched(d)


_apply = apply_of(_Direct)  # `watched` has asked for transforms


def _memory(tensors: Sequence[Tensor | None]) -> list[int]:
    """Where tensors lie, and then how large they are; 0 for None."""
    at = [0 if t is None else t.data_ptr() for t in tensors]
    return at + [0 if t is None else t.numel() for t in tensors]


def _restored(layer: Layer, tensors: Sequence[Tensor | None]) -> list[Tensor | None]:
    """What autograd kept, dense again after a hook packed it; RuntimeError if it cannot be."""
    x = tensors[0]
    assert x is not None
    (steps, rows, width), hidden = x.shape, layer.sizes[1]
    state = (*layer.lead, rows, hidden)
    shapes = [
        (steps, rows, width),
        (steps, rows, hidden),
        (steps, rows, 4, hidden),
        (steps, rows, hidden),
        state,
        state,
        *(shape for _, _, _, shape in layer.held),
    ]
    for t, shape in zip(tensors, shapes, strict=True):
        if t is not None and (t.shape != shape or t.dtype is not layer.dtype or not t.is_cpu):
            raise InvalidStateError(
                f"a tensor kept for the backward pass came back as {t.dtype} {list(t.shape)} on "
                f"{t.device}, expected {layer.dtype} {list(shape)} on the CPU."
            )
    names = (*_KEPT, *(name for name, _, _, _ in layer.held))
    pairs = zip(names, tensors, strict=True)
    return [None if t is None else dense(name, t) for name, t in pairs]


def _differentiable(
    layer: Layer,
    tensors: tuple[Tensor | None, ...],
    d: tuple[Tensor | None, ...],
    needs: tuple[bool, ...],
) -> list[Tensor | None]:
    """The gradient as a function that can be differentiated again: the reference's."""
    x, h_0, c_0, *weights = tensors
    assert x is not None
    state = (x.shape[1], layer.sizes[1])
    h, c = (x.new_zeros(state) if s is None else s.reshape(state) for s in (h_0, c_0))
    w_ih, w_hh, b_ih, b_hh, p = layer.spread(weights, None)
    inputs = Inputs(x, h, c, w_ih, w_hh, b_ih, b_hh, p, None)
    d_y, d_h_n, d_c_n = (d[0], *(None if g is None else g.reshape(state) for g in d[1:3]))
    wanted = (*needs[:3], *layer.spread(needs[3:], False), False)
    d_all = Gradients(d_y, d_h_n, d_c_n, *(d[3:] or (None, None)))
    found = differentiable_backward(layer.cell, inputs, NO_MASKS, d_all, wanted)
    states = [
        g if g is None or s is None else g.reshape(s.shape)
        for g, s in zip(found[1:3], (h_0, c_0), strict=True)
    ]
    there = (g for g, at in zip(found[3:8], layer.addresses, strict=True) if at)
    return [found[0], *states, *there]
