"""Whole training steps: what is declined, and what makes no sense, each in one sentence."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from stepped import OPTIMIZERS, apart, make_task, run
from unrolled import LSTM, Batches, Cell, Declined, Loss, Network, train_steps
from unrolled.steps.support import supports

TASK = make_task(Cell(), Loss(), count=20)


def sgd(network: nn.Module, **more: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(network.parameters(), lr=0.1, **more)


# --- what is declined ---


def lstm(**more: Any) -> Network:
    return Network(LSTM(2, 5, **more), nn.Linear(5, 3))


class Doubled(LSTM):
    """A layer of a class of its own."""


class Halved(nn.Linear):
    """A head of a class of its own."""


def hooked() -> Network:
    network = lstm()
    network.recurrent.register_forward_hook(lambda *_: None)
    return network


def watched() -> Network:
    network = lstm()
    network.recurrent.weight_ih_l0.register_hook(lambda d: d)
    return network


def shared() -> Network:
    network = Network(LSTM(5, 5), nn.Linear(5, 20))
    assert network.head is not None
    network.head.weight = network.recurrent.weight_ih_l0
    return network


def strided() -> Network:
    network = lstm()
    wide = torch.randn(20, 4)
    network.recurrent.weight_ih_l0 = nn.Parameter(wide[:, ::2])
    return network


NETWORKS: dict[str, Callable[[], Network]] = {
    "it has one direction": lambda: Network(LSTM(2, 5, bidirectional=True), nn.Linear(10, 3)),
    "it has no projection": lambda: Network(LSTM(2, 5, proj_size=4), nn.Linear(4, 3)),
    "neither dropout nor zoneout": lambda: lstm(zoneout=0.1),
    "neither dropout nor": lambda: lstm(num_layers=2, dropout=0.5),
    "engine='reference'": lambda: lstm(engine="reference"),
    "not float16": lambda: lstm().half(),
    "not on meta": lambda: lstm().to("meta"),
    "no class made from them": lambda: Network(Doubled(2, 5), nn.Linear(5, 3)),
    "its head is an nn.Linear as it is": lambda: Network(LSTM(2, 5), Halved(5, 3)),
    "hooks on LSTM": hooked,
    "hooks on recurrent.weight_ih_l0": watched,
    "shares its memory with": shared,
    "is no dense parameter": strided,
}


@pytest.mark.parametrize("reason", NETWORKS)
def test_a_network_that_it_cannot_have_is_declined(reason: str) -> None:
    network = NETWORKS[reason]()
    assert reason in str(supports(network, sgd(network), Loss()))


def with_a_hook() -> Callable[[Any], torch.optim.Optimizer]:
    def make(p: Any) -> torch.optim.Optimizer:
        optimizer = torch.optim.SGD(p, lr=0.1)
        optimizer.register_step_pre_hook(lambda *_: None)
        return optimizer

    return make


def in_groups(p: Any) -> torch.optim.Optimizer:
    first, *rest = p
    return torch.optim.SGD([{"params": [first], "lr": 0.2}, {"params": rest}], lr=0.1)


MAKERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "not Adadelta": torch.optim.Adadelta,
    "not NAdam": torch.optim.NAdam,
    "Adam with amsgrad": lambda p: torch.optim.Adam(p, amsgrad=True),
    "SGD with maximize": lambda p: torch.optim.SGD(p, lr=0.1, maximize=True),
    "Adam with differentiable": lambda p: torch.optim.Adam(p, differentiable=True),
    "the optimizer has hooks": with_a_hook(),
    "groups of parameters differ": in_groups,
    "are not the optimizer's": lambda p: torch.optim.SGD(list(p)[1:], lr=0.1),
    "that are not the network's": lambda p: torch.optim.SGD(
        [*p, nn.Parameter(torch.zeros(1))], lr=0.1
    ),
}


@pytest.mark.parametrize("reason", MAKERS)
def test_an_optimiser_that_it_does_not_know_is_declined(reason: str) -> None:
    network = copy.deepcopy(TASK.network)
    optimizer = MAKERS[reason](network.parameters())
    assert reason in str(supports(network, optimizer, Loss()))
    before = copy.deepcopy(network)
    with pytest.raises(Declined, match="engine='native' declined"):
        train_steps(network, optimizer, Loss(), TASK.batches, engine="native")
    assert apart(network, before) == 0
    if reason not in ("Adam with differentiable",):
        train_steps(network, optimizer, Loss(), TASK.batches)  # through autograd
        assert apart(network, before) > 0


@pytest.mark.parametrize(
    ("loss", "reason"),
    [
        (nn.L1Loss(), "no loss like L1Loss"),
        (nn.MSELoss(reduction="none"), "reduction='none'"),
        (nn.CrossEntropyLoss(label_smoothing=0.1), "label_smoothing"),
        (nn.CrossEntropyLoss(weight=torch.ones(3)), "with weight"),
        (nn.BCEWithLogitsLoss(pos_weight=torch.ones(3)), "with pos_weight"),
    ],
)
def test_a_loss_that_it_does_not_have_is_told(loss: nn.Module, reason: str) -> None:
    network = lstm()
    assert reason in str(supports(network, sgd(network), loss))
    with pytest.raises(TypeError, match=r"use unrolled\.Loss"):
        train_steps(network, sgd(network), loss, TASK.batches)


def test_an_optimiser_like_torchs_is_taken_as_it_is() -> None:
    network = lstm()
    one = [{"params": [p]} for p in network.parameters()]
    assert supports(network, torch.optim.SGD(one, lr=0.1), Loss()) is None
    for p in list(network.parameters())[1:3]:
        p.requires_grad_(False)
    assert supports(network, sgd(network), Loss()) is None


def test_what_is_frozen_stays() -> None:
    for name in ("recurrent.weight_ih_l0", "recurrent.weight_hh_l0", "recurrent.bias_hh_l0"):
        task = make_task(Cell(), Loss(), count=20, B=1)
        task.network.get_parameter(name).requires_grad_(False)
        ours, known = (run(task, OPTIMIZERS["SGD"], engine)[1] for engine in ("native", "plain"))
        assert apart(ours, known) < 1e-10
        assert torch.equal(ours.get_parameter(name), task.network.get_parameter(name))


# --- what makes no sense ---

X, Y = torch.zeros(4, 3, 2, 2), torch.zeros(4, 3, 2, 3)


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ((X[0], Y), r"x is \[3, 2, 2\], expected \[N, T, B, 2\]"),
        ((X[..., :1], Y), r"x is \[4, 3, 2, 1\]"),
        ((X.double(), Y), r"x is torch\.float64 .* expected torch\.float32"),
        ((X[:, :0], Y), "at least one step"),
        ((X, Y[..., :2]), r"target is \[4, 3, 2, 2\], expected \[4, 3, 2, 3\]"),
        ((X, Y[:3]), r"target is \[3, 3, 2, 3\]"),
        ((X, Y.long()), r"target is torch\.int64"),
        (Batches(X, Y, lengths=torch.tensor([[1, 2]])), r"lengths is \[1, 2\]"),
        (Batches(X, Y, lengths=torch.full((4, 2), 4)), "whole numbers from 0 to 3"),
        (Batches(X, Y, resets=torch.zeros(4, 3, 2)), r"resets is torch\.float32"),
        (Batches(X, Y, mask=torch.zeros(4, 2, 3).bool()), r"mask is \[4, 2, 3\]"),
    ],
)
def test_batches_that_do_not_fit_are_told(batches: Any, message: str) -> None:
    network = lstm()
    before = copy.deepcopy(network)
    with pytest.raises(ValueError, match=message):
        train_steps(network, sgd(network), Loss(), batches)
    assert apart(network, before) == 0


def test_other_things_that_make_no_sense_are_told() -> None:
    network = lstm()
    optimizer = sgd(network)
    classes = torch.full((4, 3, 2), 3)
    with pytest.raises(ValueError, match="classes from 3 to 3, expected 0 to 2"):
        train_steps(network, optimizer, "cross_entropy", (X, classes))
    with pytest.raises(ValueError, match="clip=-1"):
        train_steps(network, optimizer, Loss(), (X, Y), clip=-1)
    with pytest.raises(ValueError, match="engine='fast' is not known"):
        train_steps(network, optimizer, Loss(), (X, Y), engine="fast")
    with pytest.raises(ValueError, match=r"expected \(h, c\), torch\.float32 \[1, B, 5\]"):
        train_steps(network, optimizer, Loss(), (X, Y), state=torch.zeros(1, 2, 5))
    pair = (torch.zeros(1, 3, 5), torch.zeros(1, 3, 5))
    with pytest.raises(ValueError, match="state has 3 rows, and the batches 2"):
        train_steps(network, optimizer, Loss(), (X, Y), state=pair)
    with pytest.raises(TypeError, match="a block of batches is a Tensor"):
        train_steps(network, optimizer, Loss(), X)
    for make, message in (
        (lambda: Network(nn.LSTM(2, 5)), "recurrent is a LSTM"),
        (lambda: Network(LSTM(2, 5), nn.Linear(4, 1)), "head reads 4 numbers"),
        (lambda: Network(LSTM(2, 5), nn.Conv1d(5, 1, 1)), "head is a Conv1d"),
        (lambda: Network(LSTM(2, 5, batch_first=True)), "expected time first"),
        (lambda: Network(LSTM(2, 5), read="first"), "read='first'"),
        (lambda: Network(LSTM(2, 5), units=6), "units=6"),
        (lambda: Loss("absolute"), "kind='absolute' is not known"),
        (lambda: Loss(factor=float("nan")), "factor=nan"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            make()  # type: ignore[no-untyped-call]


def test_a_recipe_whose_batches_do_not_fit_is_told() -> None:
    from echo import Small
    from unrolled.training.session import Session

    class Wrong(Small):
        def batches(self, step: int, generator: torch.Generator) -> tuple[torch.Tensor, ...]:
            x, target, count = super().batches(step, generator)
            return x, target[:, 1:], count

    with pytest.raises(ValueError, match=r"target is \[4, 6, 2, 1\]"):
        Session(Wrong()).advance_many(3)


@pytest.mark.parametrize("read", ["every", "last"])
def test_what_is_declined_is_trained_all_the_same(read: str) -> None:
    network = Network(LSTM(2, 5, bidirectional=True), nn.Linear(10, 3), read=read)
    before = copy.deepcopy(network)
    target = Y if read == "every" else Y[:, 0]
    block = Batches(torch.randn(4, 3, 2, 2), target, lengths=torch.tensor([[3, 1]] * 4))
    assert len(train_steps(network, sgd(network), Loss(), block)) == 4
    assert all(
        (p != q).any() for p, q in zip(network.parameters(), before.parameters(), strict=True)
    )
