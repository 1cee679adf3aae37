"""Whole training steps: what is changed between two calls, and what a call leaves behind."""

from __future__ import annotations

import copy
import dataclasses
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from echo import Small, finish, weights
from stepped import Task, apart, make_task, run, twin
from stopped import Killed
from unrolled import Batches, Cell, Job, Loss, TrainingError, train_many, train_steps
from unrolled.steps.batches import places
from unrolled.steps.program import Program
from unrolled.training import checkpoint, train
from unrolled.training.session import Session

TASK = make_task(Cell(), Loss(), count=20)
ENGINES = ("native", "plain")
Make = Callable[[Any], torch.optim.Optimizer]


def adam(p: Any) -> torch.optim.Optimizer:
    return torch.optim.Adam(p, lr=0.01)


def dampened(p: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(p, lr=0.05, momentum=0.9, dampening=0.3)


def centered(p: Any) -> torch.optim.Optimizer:
    return torch.optim.RMSprop(p, lr=0.001, centered=True, momentum=0.5)


MAKERS = {
    "Adam": adam,
    "SGD dampened": dampened,
    "RMSprop": centered,
    "Adagrad": torch.optim.Adagrad,
}


def part(first: int, last: int) -> Batches:
    return Batches(*(t[first:last] for t in TASK.batches[:2]))


def both(make: Make, use: Callable[[Any, Any, str], None]) -> None:
    """Use a twin with each engine; the ends must be those of autograd."""
    ends = []
    for engine in ENGINES:
        ends.append(twin(TASK, make))
        use(*ends[-1], engine)
    (network, optimizer), (known, theirs) = ends
    kept = [[sorted(s) for s in o.state_dict()["state"].values()] for o in (optimizer, theirs)]
    assert kept[0] == kept[1]
    assert apart(network, known) < 1e-9
    assert apart(optimizer, theirs) < 1e-9


# --- what is saved ---


def test_killed_while_weights_are_written_adam_goes_on_with_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Small(optimizer="Adam", learning_rate=0.01, steps=20, report_every=20)
    assert Session(recipe).why_plain == ""
    finish(recipe, out=tmp_path / "straight", save_every=0)
    real, count = checkpoint.write_weights, 0

    def deadly(*given: Any) -> None:
        nonlocal count
        real(*given)
        count += 1
        if count == 3:
            raise Killed

    monkeypatch.setattr(checkpoint, "write_weights", deadly)
    with pytest.raises(Killed):
        finish(recipe, out=tmp_path / "killed", save_every=0)
    monkeypatch.undo()
    finish(recipe, out=tmp_path / "killed", save_every=0, resume=True)
    assert weights(tmp_path / "killed") == weights(tmp_path / "straight")


def test_a_snapshot_stays_what_it_was() -> None:
    session = Session(Small(optimizer="Adam", learning_rate=0.01))
    session.advance_many(4)
    before = session.snapshot()
    kept = copy.deepcopy(before["optimizer"])
    session.advance_many(4)
    for k, state in kept["state"].items():
        for name, t in state.items():
            assert torch.equal(before["optimizer"]["state"][k][name], t)


# --- what is changed meanwhile ---


def test_weights_that_lie_elsewhere_are_found_again() -> None:
    recipe = dataclasses.replace(Small(), steps=20, report_every=20)
    ends = []
    for plain in (False, True):
        for step in train(recipe, plain=plain):
            step.model.double().float()
        ends.append(copy.deepcopy(step.model))
    assert apart(*ends) < 1e-6


def test_another_dtype_is_refused_in_one_sentence() -> None:
    network, optimizer = twin(TASK, adam)
    program = Program(network, optimizer, Loss(), 0.0, None, 1)
    losses = torch.empty(5, dtype=torch.float64)
    assert program.run(places(part(0, 5), False), losses, 0, 5) == 5
    network.float()
    with pytest.raises(RuntimeError, match="another shape or dtype"):
        program.run(places(part(5, 10), False), losses, 0, 5)


def test_weights_replaced_by_the_batches_own_generator() -> None:
    """It runs one block ahead: before the first step that is well, in a step it is an error."""
    network, optimizer = twin(TASK, adam)

    def once() -> Iterator[Batches]:
        for p in network.parameters():
            p.data = p.data.clone()
        yield TASK.batches

    losses = train_steps(network, optimizer, "squared_error", once(), engine="native")
    assert torch.equal(losses, run(TASK, adam, "native")[0])

    x = torch.zeros(3000, 4, 3, 2, dtype=torch.float64)
    y = torch.zeros(3000, 4, 3, 3, dtype=torch.float64)

    def always() -> Iterator[Batches]:
        for _ in range(20):
            for p in network.parameters():
                p.data = p.data.clone()
            yield Batches(x, y)

    with pytest.raises(RuntimeError, match="changed while steps were being made"):
        train_steps(network, optimizer, "squared_error", always(), engine="native")


def in_two_halves(between: Callable[[Any, Any], None]) -> Callable[[Any, Any, str], None]:
    """One and the same `Program`, or one call of autograd after another."""

    def use(network: Any, optimizer: Any, engine: str) -> None:
        losses = torch.empty(20, dtype=torch.float64)
        program = Program(network, optimizer, Loss(), 0.0, None, 1)
        for k in (0, 10):
            block = part(k, k + 10)
            if engine == "native":
                assert program.run(places(block, False), losses, 0, 10) == 10
            else:
                train_steps(network, optimizer, Loss(), block, engine=engine)
            if not k:
                between(network, optimizer)

    return use


def reload(network: Any, optimizer: torch.optim.Optimizer) -> None:
    saved = copy.deepcopy(optimizer.state_dict())
    for state in saved["state"].values():
        for name in state:
            state[name] *= 2
    saved["param_groups"][0]["lr"] *= 3
    optimizer.load_state_dict(saved)


def slower(network: Any, optimizer: torch.optim.Optimizer) -> None:
    optimizer.param_groups[0]["lr"] *= 0.1


def slower_and_flatter(network: Any, optimizer: torch.optim.Optimizer) -> None:
    group = optimizer.param_groups[0]
    group["lr"] *= 0.5
    group["weight_decay"] = 0.3


def slower_and_frozen(network: Any, optimizer: torch.optim.Optimizer) -> None:
    slower(network, optimizer)
    frozen(network, optimizer)


def frozen(network: Any, optimizer: torch.optim.Optimizer) -> None:
    network.head.weight.requires_grad_(False)


def cleared(network: Any, optimizer: torch.optim.Optimizer) -> None:
    optimizer.state.clear()


@pytest.mark.parametrize("make", ["Adam", "SGD dampened", "RMSprop"])
@pytest.mark.parametrize(
    "between", [reload, slower, slower_and_flatter, slower_and_frozen, frozen, cleared]
)
def test_what_is_changed_between_two_blocks_is_honoured(make: str, between: Any) -> None:
    both(MAKERS[make], in_two_halves(between))


def test_what_cannot_be_done_any_more_is_refused_in_one_sentence() -> None:
    network, optimizer = twin(TASK, adam)
    program = Program(network, optimizer, Loss(), 0.0, None, 1)
    losses = torch.empty(5, dtype=torch.float64)
    program.run(places(part(0, 5), False), losses, 0, 5)
    optimizer.param_groups[0]["maximize"] = True
    with pytest.raises(RuntimeError, match="no Adam with maximize"):
        program.run(places(part(5, 10), False), losses, 0, 5)


def test_another_rate_is_all_that_is_told_where_it_is_all_that_changed() -> None:
    network, optimizer = twin(TASK, adam)
    program = Program(network, optimizer, Loss(), 0.0, None, 1)
    losses = torch.empty(1, dtype=torch.float64)
    program.run(places(part(0, 1), False), losses, 0, 1)
    trainers = []
    for k, change in enumerate((lambda *_: None, slower, slower, slower_and_flatter), 1):
        change(network, optimizer)
        program.run(places(part(k, k + 1), False), losses, 0, 1)
        trainers.append(program._trainer)
    assert trainers[0] is trainers[1] is trainers[2] is not trainers[3]


def test_two_rates_are_refused_also_where_they_are_all_that_changed() -> None:
    network, _ = twin(TASK, adam)
    optimizer = torch.optim.Adam([{"params": [p]} for p in network.parameters()], lr=0.01)
    program = Program(network, optimizer, Loss(), 0.0, None, 1)
    losses = torch.empty(5, dtype=torch.float64)
    program.run(places(part(0, 5), False), losses, 0, 5)
    for number in (-1, 0):
        optimizer.param_groups[number]["lr"] = 0.001
        with pytest.raises(RuntimeError, match="groups of parameters differ"):
            program.run(places(part(5, 10), False), losses, 0, 5)
        optimizer.param_groups[number]["lr"] = 0.01


def test_adam_with_decoupled_decay_is_adamw() -> None:
    def make(p: Any) -> torch.optim.Optimizer:
        return torch.optim.Adam(p, lr=0.01, weight_decay=0.3, decoupled_weight_decay=True)

    def use(network: Any, optimizer: Any, engine: str) -> None:
        train_steps(network, optimizer, Loss(), TASK.batches, engine=engine)

    both(make, use)


# --- what a call leaves behind ---


def rejected(network: Any, optimizer: Any, engine: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        train_steps(network, optimizer, Loss(), (torch.zeros(3), torch.zeros(3)), engine=engine)


def raising(network: Any, optimizer: Any, engine: str) -> None:
    def blocks() -> Iterator[Batches]:
        raise OSError("gone")
        yield TASK.batches

    with pytest.raises(OSError, match="gone"):
        train_steps(network, optimizer, Loss(), blocks(), engine=engine)


def none(network: Any, optimizer: Any, engine: str) -> None:
    assert len(train_steps(network, optimizer, Loss(), iter(()), engine=engine)) == 0


def empty_first(network: Any, optimizer: Any, engine: str) -> None:
    blocks = iter((part(0, 0), part(0, 4), part(0, 0)))
    assert len(train_steps(network, optimizer, Loss(), blocks, engine=engine)) == 4


def not_finite(network: Any, optimizer: Any, engine: str) -> None:
    bad = Task(network, Loss(), Batches(TASK.batches.x, TASK.batches.target * torch.inf))
    with pytest.raises(TrainingError, match="step 1"):
        train_steps(network, optimizer, Loss(), bad.batches, engine=engine)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("first", [rejected, raising, none, empty_first, not_finite])
def test_a_call_leaves_the_state_that_autograd_leaves(make: str, first: Any) -> None:
    both(MAKERS[make], first)

    def and_on(network: Any, optimizer: Any, engine: str) -> None:
        first(network, optimizer, engine)
        train_steps(network, optimizer, Loss(), part(0, 3), engine=engine)
        train_steps(network, optimizer, Loss(), part(3, 5), engine="plain")

    both(MAKERS[make], and_on)


def test_a_graph_from_before_the_steps_is_stale() -> None:
    for engine in ENGINES:
        network, optimizer = twin(TASK, adam)
        train_steps(network, optimizer, Loss(), part(0, 2), engine=engine)
        said, _ = network(TASK.batches.x[0])
        moment = optimizer.state[network.head.weight]["exp_avg"]  # type: ignore[union-attr]
        state = (torch.zeros(1, 3, 5, dtype=torch.float64),) * 2
        state = (state[0].clone(), state[1].clone())
        versions = [t._version for t in (moment, *state)]
        train_steps(network, optimizer, Loss(), part(2, 4), engine=engine, state=state)
        assert all(t._version > v for t, v in zip((moment, *state), versions, strict=True))
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            said.sum().backward()


def test_a_scheduler_sees_that_steps_were_made() -> None:
    for engine in ENGINES:
        network, optimizer = twin(TASK, adam)
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
        train_steps(network, optimizer, Loss(), part(0, 2), engine=engine)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            scheduler.step()


# --- what is given ---


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ["lengths", "resets", "mask"])
def test_an_elman_takes_no_masks(name: str, engine: str) -> None:
    task = make_task("tanh", Loss(), count=2)
    shape = (2, 3) if name == "lengths" else (2, 4, 3)
    mask = torch.ones(shape, dtype=torch.int64 if name == "lengths" else torch.bool)
    network, optimizer = twin(task, adam)
    block = task.batches._replace(**{name: mask})
    with pytest.raises(ValueError, match=f"{name} was given, and an Elman takes none"):
        train_steps(network, optimizer, Loss(), block, engine=engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_loss_beyond_the_range_of_float_is_not_finite(engine: str) -> None:
    task = make_task(Cell(), Loss(over="sum"), count=2, dtype=torch.float32)
    network, optimizer = twin(task, adam)
    target = torch.zeros_like(task.batches.target)
    target[0].view(-1)[[0, 32]] = 1.8e19  # each one's square is a float, and their sum is not
    block = task.batches._replace(target=target)
    with pytest.raises(TrainingError, match="step 1: the loss is inf"):
        train_steps(network, optimizer, task.loss, block, engine=engine)


def test_a_state_with_the_negative_bit_is_what_it_says() -> None:
    ends: list[tuple[Tensor, ...]] = []
    for engine in ENGINES:
        network, optimizer = twin(TASK, adam)
        h, c = torch.full((2, 1, 3, 5), 0.5, dtype=torch.float64)
        state = (torch._neg_view(h), torch._neg_view(c))
        losses = train_steps(network, optimizer, Loss(), part(0, 3), engine=engine, state=state)
        ends.append((losses, -h, -c))
    network, optimizer = twin(TASK, adam)
    h, c = torch.full((2, 1, 3, 5), -0.5, dtype=torch.float64)
    losses = train_steps(network, optimizer, Loss(), part(0, 3), engine="plain", state=(h, c))
    for end in ends:
        for ours, theirs in zip(end, (losses, h, c), strict=True):
            torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("state", [[torch.zeros(1, 3, 5)] * 2, (), (torch.zeros(1, 3, 5),)])
def test_a_state_of_another_kind_is_refused(state: Any, engine: str) -> None:
    network, optimizer = twin(TASK, adam)
    with pytest.raises(TypeError, match=r"state is .*, expected a tuple of tensors, \(h, c\)"):
        train_steps(network, optimizer, Loss(), TASK.batches, engine=engine, state=state)


def test_jobs_that_share_a_network_or_an_optimizer_are_refused() -> None:
    network, optimizer = twin(TASK, adam)
    job = Job(network, optimizer, Loss(), TASK.batches)
    with pytest.raises(ValueError, match="jobs 0 and 1 share their network"):
        train_many([job, job._replace(optimizer=adam(network.parameters()))])
    with pytest.raises(ValueError, match="jobs 0 and 1 share their optimizer"):
        train_many([job, job._replace(network=copy.deepcopy(network))])


def test_an_exception_of_a_job_is_itself() -> None:
    class Odd(ValueError):
        def __init__(self, number: int, what: str) -> None:
            super().__init__(number, what)

    def blocks() -> Iterator[Batches]:
        raise Odd(7, "odd")
        yield TASK.batches

    network, optimizer = twin(TASK, adam)
    (trained,) = train_many([Job(network, optimizer, Loss(), blocks())])
    assert isinstance(trained.error, Odd)
    with pytest.raises(Odd) as caught:
        train_many([Job(network, optimizer, Loss(), blocks())], stop_at_first=True)
    assert caught.value.args == (7, "odd")
    assert caught.value.__notes__ == ["job 0"]
