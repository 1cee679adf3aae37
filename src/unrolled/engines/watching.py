"""Who looks on while a layer runs: a compiler, a tracer, a transform, autocast, a hook.

A kernel reads memory by its address; what looks on sees operations on tensors and wants to see them
all.  This is the one file that asks torch about it, and the one that knows names which torch keeps
private.  Each name is looked up once, here.  Where a release of torch has lost one, the short way
(`unrolled.layer.direct`) is closed and the question is put in a slower way; where there is none,
the answer is the one with which the reference runs, in plain torch, which is always right.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor, nn

__all__ = [
    "PRIVATE",
    "apply_of",
    "autocast_dtype",
    "batched",
    "compiling",
    "dispatch_modes",
    "hooked",
    "is_zero",
    "mark_stepped",
    "optimizer_hooked",
    "parameters_of",
    "process_reason",
    "recorded",
    "recording",
    "records_again",
    "scan",
    "sees_operations",
    "short_way_open",
    "tensor_hooked",
    "traced",
    "transformed",
    "values_hidden",
    "watched",
    "watched_above",
]

PRIVATE = (
    "_C._are_functorch_transforms_active",
    "_C._len_torch_dispatch_stack",
    "_C._len_torch_function_stack",
    "_C._get_tracing_state",
    "_C._is_any_autocast_enabled",
    "autograd.forward_ad._current_level",
    "_C._ForceDispatchKeyGuard",
    "_C._dispatch_tls_local_include_set",
    "_C._dispatch_tls_local_exclude_set",
)
"""The names below `torch` that are not public, as far as they are functions and numbers."""


def _found(name: str) -> Any:
    try:
        return attrgetter(name)(torch)
    except AttributeError:
        return None


# Bound once: an attribute of a module costs as much as the question.
compiling: Callable[[], bool] = torch.compiler.is_compiling
_functorch, _modes, _functions, _tracing, _any_autocast, _level, *_keys = map(_found, PRIVATE)
_forward_ad = torch.autograd.forward_ad

if _modes is None:
    # The same question, one floor up in torch, and the only other way to put it.
    _mode: Callable[[], Any] | None = _found("utils._python_dispatch._get_current_dispatch_mode")
    _modes_known = _mode is not None
else:
    _mode, _modes_known = None, True

_stack: Callable[[], Sequence[object]] | None = _found(
    "utils._python_dispatch._get_current_dispatch_mode_stack"
)

short_way_open = None not in (_functorch, _modes, _functions, _tracing, _any_autocast, _level)
"""Whether `watched` can tell: only then may a call go the short way."""


def watched() -> bool:
    """Whether anything looks on that has to see operations on tensors."""
    return not short_way_open or (
        compiling()
        or _functorch()
        or _modes() > 0
        or _any_autocast()
        or _tracing() is not None
        or _forward_ad._current_level >= 0
    )


watched_above: Callable[[], int] = _functions or (lambda: 1)
"""How many function modes change what `torch.empty` makes, as a default device does."""


def traced() -> bool:
    """Whether torch.jit.trace records what is done."""
    if _tracing is not None:
        return _tracing() is not None
    return bool(torch.jit.is_tracing())  # type: ignore[attr-defined,no-untyped-call]


def recorded() -> bool:
    """Whether torch.compile, torch.export, torch.jit.trace or make_fx records what is done.

    What records sees operations and no addresses, and fake tensors have no memory, so the engines
    run inside the op ``unrolled::recurrence``.
    """
    if compiling() or traced():
        return True
    if _modes is not None:
        return bool(_modes() > 0)
    return _mode is not None and _mode() is not None


def dispatch_modes() -> Sequence[object]:
    """The modes that see every operation, from the outermost in; none where torch does not say."""
    return () if _stack is None else _stack()


def values_hidden() -> bool:
    """Whether a compiler or a transform looks on, which knows operations and no values."""
    return recorded() or not _modes_known or _functorch is None or bool(_functorch())


def transformed(tensors: Sequence[Tensor | None]) -> bool:
    """Whether vmap, jvp or grad of torch.func, or forward-mode AD, has these in hand."""
    if not _modes_known:
        return True
    there = [t for t in tensors if t is not None]
    if _functorch is None and any(map(_without_memory, there)):
        return True
    if _functorch is not None and _functorch():
        return True
    if _level is not None and _forward_ad._current_level < 0:
        return False
    return any(map(_dual, there))


def batched(d: Sequence[Tensor | None]) -> bool:
    """Whether many gradients come at once: vmap, or ``is_grads_batched=True``."""
    if _functorch is not None and _functorch():
        return True
    return any(g is not None and _without_memory(g) for g in d)


def _without_memory(t: Tensor) -> bool:
    """Whether a tensor is a wrapper that a transform has put around another.

    Neither kind of vmap has a public question for it; none of their tensors has an address.
    """
    try:
        t.data_ptr()
    except RuntimeError:
        return True
    return False


def _dual(t: Tensor) -> bool:
    try:
        return _forward_ad.unpack_dual(t).tangent is not None  # type: ignore[no-untyped-call]
    except (AttributeError, NameError):  # torch itself has lost the level: there are no duals
        return False


def sees_operations(t: Tensor) -> bool:
    """Whether a tensor is of a class that is told of each operation, as a DTensor or a fake one."""
    return type(t).__torch_dispatch__ is not Tensor.__torch_dispatch__


is_zero: Callable[[Tensor], bool] = getattr(Tensor, "_is_zerotensor", lambda _: False)
"""Whether a tensor is autograd's zero, which has a shape and no memory."""


def apply_of(function: type[torch.autograd.Function]) -> Callable[..., Any]:
    """``function.apply`` without its question for transforms: for those who have asked it.

    It takes a third of the time, and is the same where torch has another hierarchy of classes.
    """
    above: Any = super(torch.autograd.Function, function)
    found: Callable[..., Any] = getattr(above, "apply", function.apply)
    return found


records_again = None not in _keys and hasattr(torch._C, "DispatchKeySet")
"""Whether `recording` can do what it says."""


@contextlib.contextmanager
def recording() -> Iterator[None]:
    """Let autograd record, also inside an op of `torch.library`, where it is kept from looking."""
    force, included, excluded = _keys
    autograd = torch._C.DispatchKeySet(torch._C.DispatchKey.AutogradCPU)  # of every device
    with force(included(), excluded() - autograd), torch.enable_grad():
        yield


scan: Callable[..., Any] | None = _found("_higher_order_ops.scan")
"""torch's loop over the first dimension, as one operation of a graph; None where there is none.

``scan(step, state, xs)`` gives the last state and all outputs; it has no public name yet.
"""


def autocast_dtype(x: Tensor) -> torch.dtype | None:
    """The dtype that autocast wants where x is; None where it is off or leaves x alone."""
    device = x.device.type
    if x.dtype == torch.float64:
        return None
    if device not in ("cpu", "cuda") and not torch.amp.is_autocast_available(device):
        return None  # there, the question below is an error
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None


parameters_of: Callable[[nn.Module], dict[str, Any]] = attrgetter("_parameters")
"""A module's own parameters by name, in the dictionary in which `torch.nn.Module` keeps them."""

if not hasattr(nn.Module(), "_parameters"):

    def parameters_of(module: nn.Module) -> dict[str, Any]:
        return dict(module.named_parameters(recurse=False))


# --- hooks: they are called by torch's own steps, and by no kernel ---

_MODULE_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_TENSOR_HOOKS = ("_backward_hooks", "_post_accumulate_grad_hooks")
_OPTIMIZER_HOOKS = ("_optimizer_step_pre_hooks", "_optimizer_step_post_hooks")


def hooked(module: nn.Module) -> bool:
    """Whether somebody is called when a module runs."""
    return _any(module, _MODULE_HOOKS)


def tensor_hooked(parameter: Tensor) -> bool:
    """Whether somebody is called when a parameter gets its gradient."""
    return _any(parameter, _TENSOR_HOOKS)


def optimizer_hooked(optimizer: torch.optim.Optimizer) -> bool:
    """Whether somebody is called when an optimiser takes a step."""
    return _any(optimizer, _OPTIMIZER_HOOKS)


def process_reason() -> str | None:
    """What holds for the whole process and would change a training step, or None."""
    if not torch.is_grad_enabled():
        return "gradients are switched off (no_grad or inference_mode)"
    if torch.is_autocast_enabled("cpu"):
        return "autocast is on"
    if any(_any(module, names) for module, names in _GLOBAL_HOOKS.items()):
        return "there are hooks on every module or every optimizer"
    # A default device is a function mode too, and changes no operation on tensors that are there.
    functions = 0 if _functions is None else _functions()
    if functions > (torch.get_default_device().type != "cpu") or recorded():
        return "a mode sees operations"
    return None


# By the modules that hold them, found by the classes that are public.
_GLOBAL_HOOKS = {
    sys.modules[nn.Module.__module__]: (
        "_global_forward_hooks",
        "_global_forward_pre_hooks",
        "_global_backward_hooks",
        "_global_backward_pre_hooks",
    ),
    sys.modules[torch.optim.Optimizer.__module__]: (
        "_global_optimizer_pre_hooks",
        "_global_optimizer_post_hooks",
    ),
}


def _any(owner: object, names: Sequence[str]) -> bool:
    return any(getattr(owner, name, None) for name in names)


def mark_stepped(optimizer: torch.optim.Optimizer) -> None:
    """Say that the optimiser has taken a step: learning-rate schedules warn where it has not."""
    optimizer._opt_called = True  # type: ignore[attr-defined]
