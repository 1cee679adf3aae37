"""Whole training steps in C++ against autograd and `torch.optim`: the same numbers."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cases import CELLS, name_of, native_level
from stepped import LOSSES, OPTIMIZERS, VARIANTS, Task, apart, make_task, run, twin
from unrolled import Batches, Cell, Loss, Network, _native, train_steps

LEVELS = _native.levels()
ACTIVATIONS = ("tanh", "sigmoid", "relu")
FAR = 1e-10


def held(task: Task, make: Callable[[Any], torch.optim.Optimizer], **more: Any) -> None:
    """Losses, parameters and the optimiser's state after every batch of the task."""
    ours, network, optimizer = run(task, make, "native", **more)
    theirs, known, known_optimizer = run(task, make, "plain", **more)
    assert float((ours - theirs).abs().max()) < FAR
    assert apart(network, known) < FAR
    assert apart(optimizer, known_optimizer) < FAR
    assert apart(network, task.network) > 1e-3


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("layer", [*CELLS, *ACTIVATIONS], ids=name_of)
def test_a_hundred_steps_of_every_loss_optimiser_and_cell(
    layer: Cell | str, optimizer: str, loss: str
) -> None:
    held(make_task(layer, LOSSES[loss]), OPTIMIZERS[optimizer])


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("optimizer", VARIANTS)
def test_every_option_of_an_optimiser_at_every_level(level: str, optimizer: str, loss: str) -> None:
    with native_level(level):
        held(make_task(Cell(), LOSSES[loss], count=30, O=19, H=17), VARIANTS[optimizer])


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("layer", [Cell(), *ACTIVATIONS], ids=name_of)
@pytest.mark.parametrize(
    ("T", "B", "I", "H", "O"), [(1, 1, 1, 1, 1), (9, 17, 5, 33, 7), (6, 2, 19, 40, 3)]
)
def test_sizes_at_every_level(
    level: str, layer: Cell | str, T: int, B: int, I: int, H: int, O: int
) -> None:
    with native_level(level):
        task = make_task(layer, Loss(), count=20, T=T, B=B, I=I, H=H, O=O)
        held(task, OPTIMIZERS["SGD"])
        last = make_task(layer, Loss(), count=20, T=T, B=B, I=I, H=H, O=O, read="last")
        held(last, OPTIMIZERS["Adam"])


@pytest.mark.parametrize("layers", [2, 3])
@pytest.mark.parametrize("read", ["every", "last"])
@pytest.mark.parametrize("bias", [True, False])
def test_layers_heads_and_biases(layers: int, read: str, bias: bool) -> None:
    for cell in (Cell(), Cell("coupled", peephole=True)):
        for head in (True, False):
            task = make_task(
                cell, Loss(), count=40, layers=layers, read=read, bias=bias, head=head, I=7
            )
            held(task, OPTIMIZERS["SGD"])


@pytest.mark.parametrize("layer", [Cell(output="identity"), "sigmoid"], ids=name_of)
@pytest.mark.parametrize("read", ["every", "last"])
@pytest.mark.parametrize("units", [1, 3])
def test_the_first_units_of_h_speak(layer: Cell | str, read: str, units: int) -> None:
    task = make_task(layer, Loss(over="sum"), head=False, read=read)
    network = Network(task.network.recurrent, read=read, units=units)
    batches = task.batches._replace(target=task.batches.target[..., :units])
    held(Task(network, task.loss, batches), OPTIMIZERS["SGD"])
    if units == 1:  # a target without O
        batches = batches._replace(target=batches.target[..., 0])
        held(Task(network, task.loss, batches), OPTIMIZERS["SGD"])


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("over", ["mean", "sum", "rows"])
@pytest.mark.parametrize("masks", ["lengths", "resets", "mask", "lengths resets mask"])
def test_masks_of_rows(masks: str, over: str, loss: str) -> None:
    g = torch.Generator().manual_seed(1)
    for cell, read, layers in ((Cell(), "every", 2), (Cell("one"), "last", 1)):
        kind = replace(LOSSES[loss], over=over, factor=0.7)
        task = make_task(cell, kind, count=40, T=6, B=4, read=read, layers=layers)
        count, T, B, _ = task.batches.x.shape
        lengths = torch.randint(1, T + 1, (count, B), generator=g)
        lengths[3] = torch.tensor([0, 6, 2, 0])
        given: dict[str, Tensor] = {}
        if "lengths" in masks:
            given["lengths"] = lengths
        for name in ("resets", "mask"):
            if name in masks:
                given[name] = torch.rand(count, T, B, generator=g) < 0.6
        batches = task.batches._replace(**given)
        if "lengths" in given:  # what lies beyond is not read
            beyond = torch.arange(T)[None, :, None] >= lengths[:, None]
            batches = batches._replace(x=batches.x.masked_fill(beyond[..., None], torch.nan))
        held(Task(task.network, kind, batches), OPTIMIZERS["Adam"])


@pytest.mark.parametrize("clip", [1e-3, 0.05, 1e3])
@pytest.mark.parametrize("layer", [Cell(), "tanh"], ids=name_of)
def test_clipping_is_torchs(layer: Cell | str, clip: float) -> None:
    task = make_task(layer, Loss())
    held_at = {1e-3: 1e-6, 0.05: 1e-3, 1e3: 1e-3}[clip]  # how far it gets
    ours, network, _ = run(task, OPTIMIZERS["SGD"], "native", clip=clip)
    theirs, known, _ = run(task, OPTIMIZERS["SGD"], "plain", clip=clip)
    assert apart(network, known) < FAR
    assert apart(network, task.network) > held_at
    assert float((ours - theirs).abs().max()) < FAR


# An Elman network has one layer.
@pytest.mark.parametrize(
    ("layers", "layer"),
    [(1, Cell()), (1, "tanh"), (2, Cell())],
    ids=["1-learned-tanh", "1-tanh", "2-learned-tanh"],
)
def test_the_state_goes_from_step_to_step(layer: Cell | str, layers: int) -> None:
    task = make_task(layer, Loss(), layers=layers)
    shape = (layers, 3, 5)
    states: list[Any] = []
    for engine in ("native", "plain"):
        h, c = (torch.full(shape, 0.1, dtype=torch.float64) for _ in range(2))
        state = h if isinstance(layer, str) else (h, c)
        _, network, _ = run(task, OPTIMIZERS["SGD"], engine, state=state)
        states.append((network, torch.stack((h, c))))
    (ours, left), (known, known_left) = states
    assert apart(ours, known) < FAR
    assert float((left - known_left).abs().max()) < FAR
    assert apart(ours, run(task, OPTIMIZERS["SGD"], "native")[1]) > 1e-6


def test_torchs_losses_are_those_of_the_same_name() -> None:
    for theirs, loss in (
        (nn.MSELoss(), Loss()),
        (nn.MSELoss(reduction="sum"), Loss(over="sum")),
        (nn.BCEWithLogitsLoss(), Loss("binary_cross_entropy")),
        (nn.CrossEntropyLoss(ignore_index=1), Loss("cross_entropy", ignore_index=1)),
    ):
        task = make_task(Cell(), loss, count=10)
        batches = task.batches
        network, optimizer = twin(task, OPTIMIZERS["SGD"])
        losses = []
        for k in range(10):
            said, target = network(batches.x[k])[0], batches.target[k]
            value = theirs(
                *((said.flatten(0, 1), target.flatten()) if target.dim() == 2 else (said, target))
            )
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            losses.append(value.detach())
        again, mine = twin(task, OPTIMIZERS["SGD"])
        ours = train_steps(again, mine, theirs, batches, engine="native")
        assert float((torch.stack(losses) - ours).abs().max()) < FAR
        assert apart(again, network) < FAR


def rounding(found: Network, exact: Network) -> float:
    pairs = zip(found.parameters(), exact.parameters(), strict=True)
    return sum(float((p.double() - q).detach().square().sum()) for p, q in pairs)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("layer", [*CELLS, *ACTIVATIONS], ids=name_of)
def test_float32_is_as_exact_as_the_plain_path(layer: Cell | str, loss: str) -> None:
    """The root of the squared errors of all parameters over four draws, after 30 steps."""
    ours = theirs = 0.0
    for seed in range(4):
        task = make_task(layer, LOSSES[loss], count=30, seed=seed, dtype=torch.float32, H=17)
        doubled = Task(
            copy.deepcopy(task.network).double(),
            task.loss,
            Batches(
                *(
                    t.double() if t is not None and t.is_floating_point() else t
                    for t in task.batches
                )
            ),
        )
        exact = run(doubled, OPTIMIZERS["SGD"], "native")[1]
        ours += rounding(run(task, OPTIMIZERS["SGD"], "native")[1], exact)
        theirs += rounding(run(task, OPTIMIZERS["SGD"], "plain")[1], exact)
    assert ours**0.5 <= 2 * theirs**0.5


@pytest.mark.parametrize("optimizer", [*OPTIMIZERS, *VARIANTS])
def test_the_paths_may_change_at_any_step(optimizer: str) -> None:
    make = (OPTIMIZERS | VARIANTS)[optimizer]
    task = make_task(Cell(), Loss(), count=60)
    known = run(task, make, "plain")[1]
    network, mine = twin(task, make)
    cuts = [0, 1, 2, 9, 30, 31, 60]
    engines = ["native", "plain", "native", "plain", "native", "plain"]
    for first, last, engine in zip(cuts, cuts[1:], engines, strict=False):
        some = Batches(*(None if t is None else t[first:last] for t in task.batches))
        train_steps(network, mine, task.loss, some, engine=engine)
    assert apart(network, known) < FAR
    # What is saved goes on too.
    again = copy.deepcopy(network)
    other = make(again.parameters())
    other.load_state_dict(copy.deepcopy(mine.state_dict()))
    for net, o, engine in ((network, mine, "plain"), (again, other, "native")):
        train_steps(net, o, task.loss, task.batches, engine=engine)
    assert apart(network, again) < FAR
    assert apart(mine, other) < FAR
