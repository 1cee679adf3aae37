"""The op: one layer, one direction, all steps; autograd around whichever engine runs.

Four ways lead through here, all to the same engines:

- eager with gradients: a `torch.autograd.Function` (`_Recurrence`);
- eager without: the engine alone;
- ``torch.compile`` and ``torch.export``: the op ``unrolled::recurrence`` with a fake kernel;
- ``torch.func`` transforms, forward-mode AD and double backward: the reference in plain torch.

A fifth leads out of Python: what is recorded for others, who know no op of ours, is `written`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from unrolled.engines import (
    Backward,
    Choice,
    Forward,
    Gradients,
    Inputs,
    Request,
    choose,
    engine_named,
    recorded_backward,
)
from unrolled.engines import reference as _reference
from unrolled.engines.masks import NO_MASKS, StateMasks, blank
from unrolled.engines.memory import check, reason
from unrolled.engines.watching import (
    apply_of,
    autocast_dtype,
    batched,
    compiling,
    recorded,
    sees_operations,
    traced,
    transformed,
)
from unrolled.equations import Cell
from unrolled.layer.flops import make_known
from unrolled.layer.written import onnx_form, written_out

__all__ = ["choice_for", "differentiable_backward", "recurrence", "request_for"]

_MASKS = 6  # tensors in StateMasks
_INPUTS = 9  # tensors in Inputs


def choice_for(
    cell: Cell, inputs: Inputs, masks: StateMasks, engine: str = "auto", trace: bool = False
) -> Choice:
    """Which engine `recurrence` will run for these arguments, and why not the others."""
    if recorded():
        return choose(engine, request_for(cell, inputs, masks, trace))
    names = () if masks is NO_MASKS else masks.names()
    x = inputs.x
    foreign = _foreign(inputs, masks)
    asked = (
        cell,
        names,
        autocast_dtype(x) or x.dtype,
        x.device.type,
        inputs.w_hr is not None,
        trace,
        foreign,
    )
    known = _choices.get((engine, asked))
    if known is None:
        known = _choices[engine, asked] = choose(engine, request_for(cell, inputs, masks, trace))
    return known


# To choose takes longer than a small layer; the same question has the same answer.
_choices: dict[tuple[Any, ...], Choice] = {}


def request_for(cell: Cell, inputs: Inputs, masks: StateMasks, trace: bool = False) -> Request:
    """What these arguments ask of an engine."""
    return Request(
        cell=cell,
        masks=masks.names(),
        dtype=autocast_dtype(inputs.x) or inputs.x.dtype,
        device=inputs.x.device.type,
        projected=inputs.w_hr is not None,
        trace=trace,
        compiled=recorded() and _will_be_trained(inputs),
        foreign=None if recorded() else _foreign(inputs, masks),
    )


def _foreign(inputs: Inputs, masks: StateMasks) -> str | None:
    """Why one of the tensors cannot be read by its address, whatever becomes of its values."""
    for name, t in zip((*Inputs._fields, *masks.fields), (*inputs, *masks.tensors()), strict=True):
        if t is not None and sees_operations(t):
            return reason(name, t)
    return None


def recurrence(
    cell: Cell,
    inputs: Inputs,
    masks: StateMasks,
    *,
    engine: str = "auto",
    trace: bool = False,
    portable: bool = False,
) -> Forward:
    """Run one layer in one direction over all steps.

    Parameters
    ----------
    cell : Cell
    inputs : Inputs
        All of one floating dtype and on one device.  Differentiable in every one of them.
    masks : StateMasks
        Constants: no gradient reaches them.  Outside ``inside``, y is 0; with ``trace`` it holds,
        for it is the trace's h.
    engine : str
        ``"auto"`` or an engine's name.
    trace : bool
        Whether ``gates`` and ``c`` are wanted; they are differentiable outputs like the others.
    portable : bool
        Whether what is recorded is to hold torch's own operations and no op of ours.

    Returns
    -------
    Forward
        ``gates`` and ``c`` are None unless ``trace``.

    Raises
    ------
    unrolled.engines.Declined
        If the engine was named and does not support the request.
    """
    low = autocast_dtype(inputs.x)
    if low is not None:
        # As for torch.nn.LSTM: the whole layer runs in autocast's dtype, its weights cast to it.
        inputs = Inputs(*(None if t is None else t.to(low) for t in inputs))  # type: ignore[arg-type]
        masks = masks.to(low)
        with torch.autocast(inputs.x.device.type, enabled=False):
            return recurrence(cell, inputs, masks, engine=engine, trace=trace, portable=portable)
    eager = not recorded() and not transformed(inputs)
    if eager:
        for name, t in zip(Inputs._fields, inputs, strict=True):
            if t is not None:
                check(name, t)
    chosen = choice_for(cell, inputs, masks, engine, trace).engine
    if masks.live is None:
        return _run(cell, inputs, masks, chosen, trace, portable)
    inside = masks.inside
    if trace or not eager or not engine_named(chosen).skips:
        masks = replace(masks, inside=None)
    if not eager or not engine_named(chosen).skips:
        inputs = inputs._replace(x=blank(inputs.x, masks.live))
    out = _run(cell, inputs, masks, chosen, trace, portable)
    return out if trace or masks.inside is not None else out._replace(y=blank(out.y, inside))


def _run(
    cell: Cell, inputs: Inputs, masks: StateMasks, chosen: str, trace: bool, portable: bool
) -> Forward:
    """What was chosen, the way that is open."""
    if recorded():
        if portable:
            return written_out(cell, inputs, masks, trace)
        if torch.onnx.is_in_onnx_export():
            return onnx_form(cell, inputs, masks, trace)
        return _compiled(cell, inputs, masks, chosen, trace)
    if transformed(inputs):
        return _reference.forward(cell, inputs, masks, trace=trace)[0]
    if torch.is_grad_enabled() and _require_grad(inputs):
        out = Forward(*_apply(cell, masks, chosen, trace, *inputs))
    else:
        out, _ = engine_named(chosen).forward(cell, inputs, masks, save=False, trace=trace)
    return out if trace else out._replace(gates=None, c=None)


def _will_be_trained(inputs: Inputs) -> bool:
    """Whether a recording is to have a backward pass.

    torch.jit.trace checks itself under ``no_grad``, and wants to see the same operations.
    """
    wanted = torch.is_grad_enabled() or traced()
    return wanted and _require_grad(inputs)


def _require_grad(inputs: Inputs) -> bool:
    return any(t is not None and t.requires_grad for t in inputs)


def differentiable_backward(
    cell: Cell,
    inputs: Inputs,
    masks: StateMasks,
    d: Gradients,
    needs: tuple[bool, ...],
) -> list[Tensor | None]:
    """The gradient as a function that can itself be differentiated: the reference, recorded."""
    if masks.live is not None:  # what stands in a step that is not live may be NaN
        inputs = inputs._replace(x=blank(inputs.x, masks.live))
    out, _ = _reference.forward(cell, inputs, masks, trace=True)
    out = out._replace(y=blank(out.y, masks.inside))
    return recorded_backward(inputs, out, d, needs, differentiable=True)


class _Recurrence(torch.autograd.Function):
    """An engine's forward and backward for autograd."""

    @staticmethod
    def forward(
        ctx: Any, cell: Cell, masks: StateMasks, engine: str, trace: bool, *tensors: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        inputs = Inputs(*tensors)  # type: ignore[arg-type]
        out, saved = engine_named(engine).forward(cell, inputs, masks, save=True, trace=trace)
        ctx.cell, ctx.engine, ctx.to_start = cell, engine, masks.to_start
        ctx.saved = saved
        # An engine that keeps a record of its own reads no output: it stays the caller's to change.
        kept = out if saved is None else [None] * len(out)
        ctx.save_for_backward(*tensors, *masks.tensors(), *kept, masks.inside)
        ctx.set_materialize_grads(False)
        return tuple(out)

    @staticmethod
    def backward(ctx: Any, *d: Tensor | None) -> tuple[Tensor | None, ...]:
        *kept, inside = ctx.saved_tensors
        inputs = Inputs(*kept[:_INPUTS])
        masks = StateMasks(*(*kept[_INPUTS : _INPUTS + _MASKS], ctx.to_start, inside))
        needs = tuple(ctx.needs_input_grad[4:])
        if torch.is_grad_enabled() or batched(d) or _seen(d):
            with torch.enable_grad():
                grads = differentiable_backward(ctx.cell, inputs, masks, Gradients(*d), needs)
        else:
            out = Forward(*kept[_INPUTS + _MASKS :])
            back = Backward(ctx.cell, inputs, masks, out, ctx.saved, Gradients(*d), needs)
            grads = engine_named(ctx.engine).backward(back)
        grads = [g if need else None for g, need in zip(grads, needs, strict=True)]
        return (None, None, None, None, *grads)


def _seen(d: tuple[Tensor | None, ...]) -> bool:
    """Whether a gradient wants to see operations: then they are the reference's."""
    return any(g is not None and sees_operations(g) for g in d)


_apply = apply_of(_Recurrence)  # `_run` has asked for transforms

# The op for torch.compile and torch.export.  Its arguments are tensors, strings and booleans; an
# output that is absent is an empty tensor, and only tensors travel from forward to backward.

_TENSORS = (
    "Tensor x, Tensor h_0, Tensor c_0, Tensor w_ih, Tensor w_hh, Tensor? b_ih, Tensor? b_hh, "
    "Tensor? p, Tensor? w_hr, Tensor? carry, Tensor? live, Tensor? recur, Tensor? update, "
    "Tensor? keep_h, Tensor? keep_c"
)
_OPTIONS = "bool to_start, str forget, bool peephole, str output, str engine"


def _dense(t: Tensor | None, like: Tensor) -> Tensor:
    return like.new_empty(0) if t is None else t.contiguous()


@torch.library.custom_op(
    "unrolled::recurrence",
    mutates_args=(),
    schema=f"({_TENSORS}, {_OPTIONS}, bool save) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
)
def _op(*args: Any) -> tuple[Tensor, ...]:
    inputs, masks, cell, engine, (save,) = _unpacked(args)
    with torch.no_grad():
        out, _ = engine_named(engine).forward(cell, inputs, masks, save=save, trace=save)
    return tuple(_dense(t, inputs.x) for t in out)


@_op.register_fake
def _(*args: Any) -> tuple[Tensor, ...]:
    inputs, _, _, _, (save,) = _unpacked(args)
    x, h_0, c_0 = inputs.x, inputs.h_0, inputs.c_0
    steps, rows, hidden = x.shape[0], x.shape[1], c_0.shape[-1]
    return (
        x.new_empty(steps, rows, h_0.shape[-1]),
        torch.empty_like(h_0, memory_format=torch.contiguous_format),
        torch.empty_like(c_0, memory_format=torch.contiguous_format),
        x.new_empty(steps, rows, 4, hidden) if save else x.new_empty(0),
        x.new_empty(steps, rows, hidden) if save else x.new_empty(0),
    )


@torch.library.custom_op(
    "unrolled::recurrence_backward",
    mutates_args=(),
    schema=(
        f"({_TENSORS}, {_OPTIONS}, Tensor y, Tensor h_n, Tensor c_n, Tensor gates, Tensor c, "
        "Tensor? d_y, Tensor? d_h_n, Tensor? d_c_n, Tensor? d_gates, Tensor? d_c) -> Tensor[]"
    ),
)
def _op_backward(*args: Any) -> list[Tensor]:
    inputs, masks, cell, engine, rest = _unpacked(args)
    out, d = Forward(*rest[:5]), Gradients(*rest[5:])
    needs = tuple(t is not None for t in inputs)
    with torch.no_grad():
        back = Backward(cell, inputs, masks, out, None, d, needs)
        grads = engine_named(engine).backward(back)
    return [
        _dense(g if g is not None or t is None else torch.zeros_like(t), inputs.x)
        for g, t in zip(grads, inputs, strict=True)
    ]


@_op_backward.register_fake
def _(*args: Any) -> list[Tensor]:
    inputs = _unpacked(args)[0]
    return [
        inputs.x.new_empty(0)
        if t is None
        else torch.empty_like(t, memory_format=torch.contiguous_format)
        for t in inputs
    ]


def _unpacked(
    args: tuple[Any, ...],
) -> tuple[Inputs, StateMasks, Cell, str, tuple[Any, ...]]:
    n = _INPUTS + _MASKS
    to_start, forget, peephole, output, engine = args[n : n + 5]
    masks = StateMasks(*(*args[_INPUTS:n], to_start))
    return Inputs(*args[:_INPUTS]), masks, Cell(forget, peephole, output), engine, args[n + 5 :]


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    n = _INPUTS + _MASKS
    ctx.options = inputs[n : n + 5]
    ctx.save_for_backward(*inputs[:n], *output)
    ctx.set_materialize_grads(False)


def _op_autograd(ctx: Any, *d: Tensor | None) -> tuple[Tensor | None, ...]:
    n = _INPUTS + _MASKS
    kept = ctx.saved_tensors
    grads = torch.ops.unrolled.recurrence_backward(*kept[:n], *ctx.options, *kept[n:], *d)
    needs = ctx.needs_input_grad[:_INPUTS]
    wanted = [g if need else None for g, need in zip(grads, needs, strict=True)]
    return (*wanted, *(None,) * (_MASKS + 6))


_op.register_autograd(_op_autograd, setup_context=_setup)


def _compiled(cell: Cell, inputs: Inputs, masks: StateMasks, engine: str, trace: bool) -> Forward:
    if not compiling():
        make_known()
    save = trace or (_will_be_trained(inputs) and engine_named(engine).keeps_gates)
    out = torch.ops.unrolled.recurrence(
        *inputs,
        *masks.tensors(),
        masks.to_start,
        cell.forget,
        cell.peephole,
        cell.output,
        engine,
        save,
    )
    y, h_n, c_n, gates, c = out
    return Forward(y, h_n, c_n, gates, c) if trace else Forward(y, h_n, c_n)
