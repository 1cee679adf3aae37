"""One gate to the kernel: what has no readable memory is declined or refused, and never read.

Each case runs in a process of its own, for what is tried here used to end it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch.testing._internal.two_tensor import TwoTensor

from processes import one_sentence, succeeds
from unrolled import LSTM, Elman, Job, LSTMCell, Network, train_many, train_steps

Case = Callable[[], None]


def warm() -> None:
    """Import what meta tensors and DTensor would, before the cases fork."""
    import torch._dynamo
    import torch.distributed.tensor  # noqa: F401


def _run(module: nn.Module, x: Any, hx: Any = None) -> Tensor:
    if isinstance(module, LSTMCell):
        return module(x[0], hx)[0]
    return module(x, hx)[0]


def _trace(module: nn.Module, x: Any, hx: Any = None) -> Tensor:
    return module.trace(x, hx).f


def _step(module: nn.Module, x: Any, hx: Any = None) -> Tensor:
    stepper = module.stepper(x.shape[1])
    return stepper(x[0]).clone()


MAKE: dict[str, tuple[Callable[[], nn.Module], Callable[..., Tensor]]] = {
    "LSTM": (lambda: LSTM(3, 5), _run),
    "two layers": (lambda: LSTM(3, 5, 2), _run),
    "LSTMCell": (lambda: LSTMCell(3, 5), _run),
    "Elman": (lambda: Elman(3, 5), _run),
    "trace": (lambda: LSTM(3, 5), _trace),
    "stepper": (lambda: LSTM(3, 5), _step),
}


def _two(t: Tensor) -> Tensor:
    return TwoTensor(t.detach(), t.detach().clone())


def _dtensor(t: Tensor) -> Tensor:
    import torch.distributed as dist
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Replicate, distribute_tensor
    from torch.testing._internal.distributed.fake_pg import FakeStore

    if not dist.is_initialized():
        dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=1)
    return distribute_tensor(t.detach(), init_device_mesh("cpu", (1,)), [Replicate()])


def _fake(t: Tensor) -> Tensor:
    return FakeTensorMode(allow_non_fake_inputs=True).from_tensor(t.detach())


def _meta(t: Tensor) -> Tensor:
    return t.detach().to("meta")


def _freed(t: Tensor) -> Tensor:
    t = t.detach().clone()
    t.untyped_storage().resize_(0)
    return t


def _shrunk(t: Tensor) -> Tensor:
    t = t.detach().clone()
    t.untyped_storage().resize_(4)
    return t


HOLLOW = {
    "TwoTensor": _two,
    "DTensor": _dtensor,
    "fake": _fake,
    "meta": _meta,
    "freed": _freed,
    "shrunk": _shrunk,
}


def _plain(t: Tensor) -> Tensor:
    """The numbers of a result, wherever they lie."""
    if isinstance(t, TwoTensor):
        return t.a
    return t.full_tensor() if hasattr(t, "full_tensor") else t


def right_or_refused(does: Callable[[], Tensor], right: Tensor | None) -> None:
    """``does`` gives what is right, or says in one sentence why not; without memory, the latter."""
    try:
        found = does()
    except (RuntimeError, ValueError, TypeError) as error:
        one_sentence(error)
        return
    if found.device.type == "meta" or type(found).__name__ == "FakeTensor":
        return  # it claims no numbers
    assert right is not None, f"it was computed all the same: {_plain(found)}"
    torch.testing.assert_close(_plain(found), right)


def has_numbers(kind: str) -> bool:
    return kind in ("TwoTensor", "DTensor")


def _as_input(make: str, kind: str, trained: bool) -> Case:
    def case() -> None:
        module, run = MAKE[make][0](), MAKE[make][1]
        x = torch.randn(4, 2, 3)
        right = run(module, x).detach()
        with torch.set_grad_enabled(trained):
            given = HOLLOW[kind](x)
            right_or_refused(
                lambda: run(module, given).detach(), right if has_numbers(kind) else None
            )

    return case


def _as_weight(make: str, kind: str, called: bool) -> Case:
    def case() -> None:
        module, run = MAKE[make][0](), MAKE[make][1]
        x = torch.randn(4, 2, 3)
        right = run(module, x).detach()
        if not called:
            module = copy.deepcopy(module)
        name = next(n for n, _ in module.named_parameters() if n.startswith("weight_hh"))
        weight = getattr(module, name)
        if kind in ("freed", "shrunk"):
            weight.data.untyped_storage().resize_(0 if kind == "freed" else 4)
        else:
            setattr(module, name, nn.Parameter(HOLLOW[kind](weight)))
        right_or_refused(lambda: run(module, x).detach(), right if has_numbers(kind) else None)

    return case


def _as_state(which: int, kind: str) -> Case:
    def case() -> None:
        lstm, x = LSTM(3, 5), torch.randn(4, 2, 3)
        hx = [torch.randn(1, 2, 5), torch.randn(1, 2, 5)]
        right = lstm(x, tuple(hx))[0].detach()
        hx[which] = HOLLOW[kind](hx[which])
        right_or_refused(
            lambda: lstm(x, tuple(hx))[0].detach(), right if has_numbers(kind) else None
        )

    return case


def _between(what: str, size: int, **masks: Any) -> Case:
    """Memory that is given back, or made smaller, between the forward and the backward pass."""

    def case() -> None:
        lstm, x = LSTM(3, 5), torch.randn(4, 2, 3, requires_grad=True)
        h, c = torch.randn(1, 2, 5), torch.randn(1, 2, 5)
        y, _ = lstm(x, (h, c), **masks)
        lost = {"x": x, "h_0": h, "weight": lstm.weight_hh_l0, "y": y}[what]
        lost.data.untyped_storage().resize_(size)

        def backward() -> Tensor:
            y.backward(torch.ones(4, 2, 5))
            return lstm.weight_ih_l0.grad

        right_or_refused(backward, None)

    return case


def _zeros(shape: tuple[int, ...]) -> Tensor:
    return torch._efficientzerotensor(shape)


def _zero_input() -> None:
    lstm = LSTM(3, 5)
    found = lstm(_zeros((4, 2, 3)))[0]
    torch.testing.assert_close(found, lstm(torch.zeros(4, 2, 3))[0])


def _zero_gradient() -> None:
    lstm = LSTM(3, 5)
    y, (h, _) = lstm(torch.randn(4, 2, 3))
    (h.sum() + (y * 0).sum()).backward(retain_graph=True)
    right = lstm.weight_hh_l0.grad.clone()
    lstm.zero_grad()
    torch.autograd.backward([h, y], [torch.ones_like(h), _zeros((4, 2, 5))])
    torch.testing.assert_close(lstm.weight_hh_l0.grad, right)


def _trained(kind: str, where: str, many: bool) -> Case:
    """Whole steps on a batch, a target, a state or an optimiser's state without memory."""

    def losses(change: Callable[[Tensor], Tensor] | None) -> Tensor:
        torch.manual_seed(0)
        network = Network(LSTM(2, 4), nn.Linear(4, 1))
        optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
        x, target = torch.zeros(3, 4, 2, 2), torch.zeros(3, 4, 2, 1)
        state = [torch.zeros(1, 2, 4), torch.zeros(1, 2, 4)]
        given: Any = (x, target, state)
        if change is not None and where == "weight":
            network.recurrent.weight_hh_l0.data = change(network.recurrent.weight_hh_l0)
        elif change is not None and where == "optimizer":
            train_steps(network, optimizer, "squared_error", (x, target))
            slot = optimizer.state[network.recurrent.weight_hh_l0]
            slot["exp_avg"] = change(slot["exp_avg"])
        elif change is not None and where == "state":
            state[0] = change(state[0])
        elif change is not None:
            given = (change(x), target, state) if where == "x" else (x, change(target), state)
        x, target, state = given
        if many:
            job = Job(network, optimizer, "squared_error", (x, target), 0.0, tuple(state))
            done = train_many([job], threads=1, progress=False)[0]
            if done.error is not None:
                raise done.error
            return done.losses
        return train_steps(
            network, optimizer, "squared_error", (x, target), state=tuple(state), threads=1
        )

    change = _hollow_or_zero(kind)
    dense = {"zero": torch.zeros_like, "TwoTensor": torch.clone}.get(kind)

    def case() -> None:
        right = None if dense is None else losses(lambda t: dense(t.detach()))
        right_or_refused(lambda: losses(change), right)

    return case


def _hollow_or_zero(kind: str) -> Callable[[Tensor], Tensor]:
    return (lambda t: _zeros(tuple(t.shape))) if kind == "zero" else HOLLOW[kind]


CASES: dict[str, Case] = {
    **{f"{m} reads {k}": _as_input(m, k, True) for m in MAKE for k in HOLLOW},
    **{f"LSTM reads {k}, no_grad": _as_input("LSTM", k, False) for k in HOLLOW},
    **{f"{m} holds {k}": _as_weight(m, k, True) for m in MAKE for k in HOLLOW},
    **{f"LSTM, copied, holds {k}": _as_weight("LSTM", k, False) for k in HOLLOW},
    **{f"{'hc'[n]}_0 is {k}": _as_state(n, k) for n in (0, 1) for k in HOLLOW},
    **{
        f"{w} lost before backward ({s}, {how})": _between(w, s, **masks)
        for w in ("x", "h_0", "weight", "y")
        for s in (0, 4)
        for how, masks in (("plain", {}), ("lengths", {"lengths": [4, 2]}))
    },
    "zero tensor as input": _zero_input,
    "zero tensor as gradient": _zero_gradient,
    **{
        f"train_{'many' if many else 'steps'}, {where} is {kind}": _trained(kind, where, many)
        for many in (False, True)
        for where in ("x", "target", "state", "weight", "optimizer")
        for kind in ("zero", *HOLLOW)
        if kind != "DTensor" and not (where == "weight" and kind in ("zero", "meta", "fake"))
    },
}


@pytest.mark.parametrize("name", CASES)
def test_what_has_no_memory_is_not_read(name: str) -> None:
    succeeds(__file__, "CASES", name)
