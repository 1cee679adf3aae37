"""What holds for the whole process changes no result by accident: way × context, as a table.

A way gives the same numbers in each context, or the context is one that training has to heed: then
`train_steps` goes the plain way, and the native engine, named, declines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from processes import one_sentence, succeeds
from unrolled import LSTM, Declined, Elman, Job, LSTMCell, Network, train_many, train_steps

F32: dict[str, Any] = {"device": "cpu", "dtype": torch.float32}
Run = Callable[[], list[Any]]
T, B, I, H = 4, 2, 3, 5

# --- ways: made outside the context, run inside it ---


def _call(make: Callable[[], nn.Module], trace: bool = False, **masks: Any) -> Callable[[], Run]:
    def made() -> Run:
        torch.manual_seed(0)
        module, x = make(), torch.randn(T, B, I, **F32)

        def run() -> list[Any]:
            given = x[0] if isinstance(module, LSTMCell) else x
            more = {k: v() if callable(v) else v for k, v in masks.items()}
            if trace:
                found = module.trace(given, **more)
                out = [*found["l0"], *found.state]
            else:
                y, state = module(given, **more)
                out = [y, *(state if isinstance(state, tuple) else (state,))]
            if not out[0].requires_grad:
                return out
            loss = sum((t.float() ** 2).sum() for t in out)
            return [*out, *torch.autograd.grad(loss, list(module.parameters()))]

        return run

    return made


def _stepped() -> Run:
    torch.manual_seed(0)
    lstm, x = LSTM(I, H, 2, zoneout=0.1, **F32), torch.randn(T, B, I, **F32)

    def run() -> list[Any]:
        stepper = lstm.stepper(B)
        return [stepper(step).clone() for step in x]

    return run


def _asked() -> Run:
    lstm, x = LSTM(I, H, zoneout=0.1, **F32), torch.randn(T, B, I, **F32)
    return lambda: [lstm.engine_for(x, lengths=[4, 2]).engine]


def _flags() -> Tensor:
    return torch.tensor([[0, 1], [1, 0], [0, 0], [0, 1]], device="cpu").bool()


CALLS: dict[str, Callable[[], Run]] = {
    "LSTM": _call(lambda: LSTM(I, H, **F32)),
    "two layers": _call(lambda: LSTM(I, H, 2, bidirectional=True, **F32)),
    "lengths": _call(lambda: LSTM(I, H, **F32), lengths=[4, 2]),
    "resets": _call(lambda: LSTM(I, H, **F32), resets=_flags),
    "mask": _call(lambda: LSTM(I, H, **F32), mask=_flags),
    "zoneout": _call(
        lambda: LSTM(I, H, zoneout=(0.3, 0.1), recurrent_dropout=0.2, **F32),
        generator=lambda: torch.Generator("cpu").manual_seed(5),
    ),
    "zoneout in eval": _call(lambda: LSTM(I, H, zoneout=0.3, **F32).eval()),
    "trace": _call(lambda: LSTM(I, H, **F32), trace=True),
    "LSTMCell": _call(lambda: LSTMCell(I, H, **F32)),
    "Elman": _call(lambda: Elman(I, H, **F32)),
    "stepper": _stepped,
    "engine_for": _asked,
}


def _trained(many: bool, engine: str) -> Run:
    torch.manual_seed(0)
    network = Network(LSTM(I, H, **F32), nn.Linear(H, 1, **F32))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    x = torch.randn(3, T, B, I, **F32)
    job = Job(network, optimizer, "squared_error", (x, x[..., :1].clone()))

    def run() -> list[Any]:
        if many:
            done = train_many([job], threads=1, engine=engine, progress=False)[0]
            if done.error is not None:
                raise done.error
            return [done.losses, *network.parameters()]
        return [train_steps(*job[:4], engine=engine), *network.parameters()]

    return run


# --- contexts: each gives a list that is longer by one whenever it saw something ---


@contextmanager
def _set(put: Callable[[Any], None], value: Any, before: Any) -> Iterator[list[int]]:
    put(value)
    try:
        yield []
    finally:
        put(before)


@contextmanager
def _under(context: AbstractContextManager[Any]) -> Iterator[list[int]]:
    with context:
        yield []


@contextmanager
def _hook(register: Callable[[Callable[..., None]], Any]) -> Iterator[list[int]]:
    seen: list[int] = []
    handle = register(lambda *_: seen.append(1))
    try:
        yield seen
    finally:
        handle.remove()


@contextmanager
def _mode(kind: type, method: str) -> Iterator[list[int]]:
    seen: list[int] = []

    def through(self: Any, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        seen.append(1)
        return func(*args, **(kwargs or {}))

    with type("Through", (kind,), {method: through})():
        yield seen


CONTEXTS: dict[str, Callable[[], AbstractContextManager[list[int]]]] = {
    "default device meta": lambda: _set(torch.set_default_device, "meta", None),
    "default float64": lambda: _set(torch.set_default_dtype, torch.float64, torch.float32),
    "default bfloat16": lambda: _set(torch.set_default_dtype, torch.bfloat16, torch.float32),
    "deterministic": lambda: _set(torch.use_deterministic_algorithms, True, False),
    "anomaly mode": lambda: _under(torch.autograd.set_detect_anomaly(True)),
    "two threads": lambda: _set(torch.set_num_threads, 2, 1),
    "autocast": lambda: _under(torch.autocast("cpu", dtype=torch.bfloat16)),
    "no_grad": lambda: _under(torch.no_grad()),
    "inference_mode": lambda: _under(torch.inference_mode()),
    "module hook": lambda: _hook(nn.modules.module.register_module_forward_hook),
    "backward hook": lambda: _hook(nn.modules.module.register_module_full_backward_hook),
    "optimizer hook": lambda: _hook(register_optimizer_step_post_hook),
    "function mode": lambda: _mode(TorchFunctionMode, "__torch_function__"),
    "dispatch mode": lambda: _mode(TorchDispatchMode, "__torch_dispatch__"),
}
HEEDED = [*CONTEXTS][6:]  # those that a training has to heed


def warm() -> None:
    """Import what meta tensors would, before the cases fork."""
    import torch._dynamo  # noqa: F401


def _same(found: list[Any], right: list[Any], rough: bool) -> None:
    for mine, exact in zip(found, right, strict=False):  # no gradients where none were wanted
        if not isinstance(exact, Tensor):
            assert rough or mine == exact
            continue
        assert mine.device.type == "cpu"
        assert rough or mine.dtype == exact.dtype
        close = {"rtol": 0.1, "atol": 0.05} if rough else {"rtol": 1e-4, "atol": 1e-6}
        torch.testing.assert_close(mine.detach().float(), exact.detach().float(), **close)


def _right(way: str, context: str) -> Callable[[], None]:
    def case() -> None:
        right, run = CALLS[way]()(), CALLS[way]()
        with CONTEXTS[context]():
            try:
                found = run()
            except Declined as error:
                one_sentence(error)
                return
        _same(found, right, context == "autocast")
        if context in ("no_grad", "inference_mode") and isinstance(found[0], Tensor):
            assert not found[0].requires_grad

    return case


def _ended(run: Run, context: str) -> tuple[list[Any] | BaseException, int]:
    with CONTEXTS[context]() as seen:
        try:
            return run(), len(seen)
        except (RuntimeError, ValueError, TypeError) as error:
            return error, len(seen)


def _as_plain(many: bool, context: str) -> Callable[[], None]:
    """Training with "auto" is what it is with "plain": its result, and what was seen of it."""

    def case() -> None:
        plain, theirs = _ended(_trained(many, "plain"), context)
        found, seen = _ended(_trained(many, "auto"), context)
        if isinstance(plain, BaseException):
            assert isinstance(found, BaseException), "it trained where torch cannot"
            one_sentence(found)
            return
        assert not isinstance(found, BaseException), found
        _same(found, plain, False)
        if context in HEEDED:
            assert bool(seen) == bool(theirs), f"{theirs} calls on the plain way, {seen} on auto"

    return case


def _native(many: bool, context: str) -> Callable[[], None]:
    def case() -> None:
        right = _trained(many, "plain")()
        run = _trained(many, "native")
        found, _ = _ended(run, context)
        if context in HEEDED and not (many and "hook" not in context):
            assert isinstance(found, Declined), "the native engine did not decline"
            one_sentence(found)
        elif not isinstance(found, BaseException):
            _same(found, right, False)
        else:
            raise found

    return case


CASES: dict[str, Callable[[], None]] = {
    **{f"{way}, {context}": _right(way, context) for way in CALLS for context in CONTEXTS},
    **{
        f"train_{'many' if many else 'steps'}, {name}, {context}": case(many, context)
        for many in (False, True)
        for name, case in (("auto", _as_plain), ("native", _native))
        for context in CONTEXTS
    },
}


@pytest.mark.parametrize("name", CASES)
def test_a_context_changes_no_result_by_accident(name: str) -> None:
    succeeds(__file__, "CASES", name)
