"""Whole training steps: what stops them, where batches come from, and many."""

from __future__ import annotations

import copy
import runpy
import signal
import threading
import time
from collections.abc import Iterator
from itertools import product, repeat
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from stepped import OPTIMIZERS, Task, apart, make_task, run, twin
from unrolled import (
    Batches,
    Cell,
    Job,
    Loss,
    TrainingError,
    train_many,
    train_steps,
)

TASK = make_task(Cell(), Loss(), count=20)


def sgd(network: nn.Module, **more: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(network.parameters(), lr=0.1, **more)


# --- what stops it ---


@pytest.mark.parametrize("make", ["SGD", "Adam"])
@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize("clip", [0.0, 1.0])
def test_a_loss_that_is_not_finite_stops_before_its_update(
    make: str, rows: int, clip: float
) -> None:
    task = make_task(Cell(), Loss(), count=20, B=rows)
    good = Task(task.network, task.loss, Batches(*(t[:7] for t in task.batches[:2])))
    known = run(good, OPTIMIZERS[make], "native", clip=clip)
    task.batches.target[7, 0, 0, 0] = torch.inf
    for engine in ("native", "plain"):
        network, optimizer = twin(task, OPTIMIZERS[make])
        with pytest.raises(TrainingError, match="step 8: the loss is inf") as caught:
            train_steps(network, optimizer, task.loss, task.batches, engine=engine, clip=clip)
        assert caught.value.losses is not None
        assert len(caught.value.losses) == 7
        if engine == "native":
            assert apart(network, known[1]) == 0
            assert apart(optimizer, known[2]) == 0


def test_a_gradient_that_is_not_finite_stops_where_it_is_clipped() -> None:
    task = make_task(Cell(output="identity"), Loss(factor=1e300), count=5, B=1)
    for engine in ("native", "plain"):
        network, optimizer = twin(task, OPTIMIZERS["SGD"])
        with pytest.raises(TrainingError, match="step 1: the gradient's norm is inf"):
            train_steps(network, optimizer, task.loss, task.batches, engine=engine, clip=1.0)
        assert apart(network, task.network) == 0


def test_momentum_that_never_was_leaves_no_state() -> None:
    task = make_task(Cell(), Loss(), count=3, B=1)
    task.batches.target[0] = torch.nan
    network = copy.deepcopy(task.network)
    optimizer = sgd(network, momentum=0.9, dampening=0.5)
    with pytest.raises(TrainingError, match="step 1"):
        train_steps(network, optimizer, task.loss, task.batches, engine="native")
    assert not optimizer.state_dict()["state"]


def test_ctrl_c_is_heard_between_two_calls_of_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unrolled.steps.program._CALL", 1.0)  # a step a call
    task = make_task(Cell(), Loss(), count=1000)
    network, optimizer = twin(task, OPTIMIZERS["SGD"])
    timer = threading.Timer(0.2, signal.raise_signal, (signal.SIGINT,))
    timer.start()
    endless = repeat(task.batches)
    # A shell's background job is started with Ctrl-C ignored, and would never end.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            train_steps(network, optimizer, task.loss, endless, engine="native")
    finally:
        signal.signal(signal.SIGINT, before)
    timer.join()
    assert apart(network, task.network) > 0
    assert all(p.isfinite().all() for p in network.parameters())


# --- where batches come from ---


@pytest.mark.parametrize("engine", ["native", "plain"])
@pytest.mark.parametrize("rows", [1, 5])
def test_blocks_however_cut_give_the_same_bits(engine: str, rows: int) -> None:
    task = make_task(Cell(), Loss(), count=24, B=rows)
    losses, known, optimizer = run(task, OPTIMIZERS["Adam"], engine)
    for size in (1, 5, 24):
        network, mine = twin(task, OPTIMIZERS["Adam"])
        blocks = (Batches(*(t[k : k + size] for t in task.batches[:2])) for k in range(0, 24, size))
        ours = train_steps(network, mine, task.loss, blocks, engine=engine)
        assert torch.equal(ours, losses)
        assert apart(network, known) == 0
        assert apart(mine, optimizer) == 0


def test_batches_of_many_sizes_and_views() -> None:
    task = make_task(Cell(), Loss(), count=1)
    g = torch.Generator().manual_seed(3)
    blocks = []
    for T, B in product((1, 7, 3, 300), (2, 5, 1, 4)):
        x = torch.randn(2, T, B, 2, generator=g, dtype=torch.float64)
        blocks.append((x, torch.randn(2, T, B, 3, generator=g, dtype=torch.float64)))
    one = torch.randn(4, 2, 2, generator=g, dtype=torch.float64)
    blocks.append((one.expand(6, 4, 2, 2), one.sum(-1, keepdim=True).expand(6, 4, 2, 3)))
    found = []
    for engine in ("native", "plain"):
        network, optimizer = twin(task, OPTIMIZERS["SGD"])
        train_steps(network, optimizer, task.loss, iter(blocks), engine=engine)
        found.append(network)
    assert apart(*found) < 1e-10


def test_few_rows_of_which_none_is_live() -> None:
    task = make_task(Cell(), Loss(over="sum"), count=12, B=2)
    lengths = torch.tensor([[4, 2], [0, 0], [0, 3]]).repeat(4, 1)
    task = task._replace(batches=task.batches._replace(lengths=lengths))
    for make in ("SGD", "Adam"):
        ours, known = (run(task, OPTIMIZERS[make], engine)[1] for engine in ("native", "plain"))
        assert apart(ours, known) < 1e-10


def test_the_next_block_is_made_while_this_one_trains() -> None:
    made: list[int] = []
    threads: set[int] = set()

    def blocks() -> Iterator[Batches]:
        try:
            for k in range(4):
                made.append(k)
                threads.add(threading.get_ident())
                yield TASK.batches
        finally:
            made.append(-1)

    network, optimizer = twin(TASK, OPTIMIZERS["SGD"])
    assert len(train_steps(network, optimizer, TASK.loss, blocks())) == 80
    assert made == [0, 1, 2, 3, -1]
    assert threading.get_ident() not in threads
    known, mine = twin(TASK, OPTIMIZERS["SGD"])
    train_steps(known, mine, TASK.loss, [TASK.batches] * 4)
    assert apart(network, known) == 0


def test_what_a_generator_raises_is_raised_and_it_is_closed() -> None:
    closed = []

    def blocks() -> Iterator[Batches]:
        yield TASK.batches
        raise OSError("no more")

    def endless() -> Iterator[Batches]:
        try:
            while True:
                yield TASK.batches._replace(target=TASK.batches.target * torch.nan)
        finally:
            closed.append(True)

    network, optimizer = twin(TASK, OPTIMIZERS["SGD"])
    with pytest.raises(OSError, match="no more"):
        train_steps(network, optimizer, TASK.loss, blocks())
    assert apart(network, run(TASK, OPTIMIZERS["SGD"], "native")[1]) == 0
    with pytest.raises(TrainingError):
        train_steps(network, optimizer, TASK.loss, endless())
    assert closed == [True]


# --- many ---


def jobs(count: int, layer: Cell | str = "tanh") -> Iterator[Job]:
    for seed in range(count):
        task = make_task(layer, Loss(), count=30, seed=seed, B=1 + seed % 4)
        optimizer = OPTIMIZERS["Adam"](task.network.parameters())
        yield Job(task.network, optimizer, task.loss, task.batches)


@pytest.mark.parametrize("layer", [Cell(), "tanh"], ids=["lstm", "elman"])
def test_many_have_the_bits_of_each_alone(layer: Cell | str) -> None:
    many, alone = list(jobs(9, layer)), list(jobs(9, layer))
    found = train_many(iter(many), threads=3)
    for job, single, trained in zip(many, alone, found, strict=True):
        losses = train_steps(*single[:4], threads=1)
        assert torch.equal(trained.losses, losses)
        assert trained.error is None
        assert apart(job.network, single.network) == 0


def test_one_that_is_not_finite_ends_alone() -> None:
    many = list(jobs(5))
    many[2].batches.target[4] = torch.nan
    found = train_many(many, threads=2)
    assert [len(t.losses) for t in found] == [30, 30, 4, 30, 30]
    assert [t.error is None for t in found] == [True, True, False, True, True]
    assert "step 5: the loss is nan" in str(found[2].error)


def test_a_job_that_makes_no_sense_is_named() -> None:
    many = list(jobs(3))
    many[1] = many[1]._replace(batches=(torch.zeros(3), torch.zeros(3)))
    with pytest.raises(ValueError, match=r"job 1: x is \[3\]"):
        train_many(many, stop_at_first=True)
    with pytest.raises(ValueError, match="threads=0"):
        train_many([], threads=0)
    assert train_many([]) == []


def test_threads_of_python_train_side_by_side() -> None:
    """The interpreter is free meanwhile: a long call does not stop the clock's thread."""
    task = make_task(Cell(), Loss(), count=200, T=20, B=8, H=64)
    network, optimizer = twin(task, OPTIMIZERS["SGD"])
    ticks: list[float] = []
    worker = threading.Thread(
        target=train_steps, args=(network, optimizer, task.loss, task.batches)
    )
    worker.start()
    while worker.is_alive():
        ticks.append(time.perf_counter())
        time.sleep(0.001)
    worker.join()
    assert len(ticks) > 3


def test_programs_see_a_new_rate() -> None:
    task = make_task(Cell(), Loss(), count=5)
    found: list[Tensor] = []
    for engine in ("native", "plain"):
        network, optimizer = twin(task, OPTIMIZERS["SGD"])
        for rate in (0.1, 0.01, 0.5):
            optimizer.param_groups[0]["lr"] = rate
            train_steps(network, optimizer, task.loss, task.batches, engine=engine)
        found.append(torch.cat([p.detach().flatten() for p in network.parameters()]))
    assert float((found[0] - found[1]).abs().max()) < 1e-10


def test_some_batches_begin_at_zero_where_a_state_is_carried() -> None:
    loss = Loss("emphasised_squared_error", emphasis=0.9, offset=0.3)
    task = make_task(Cell(), loss, count=6, T=7)
    lengths = torch.randint(1, 8, (6, 3), generator=torch.Generator().manual_seed(0))
    begins = torch.tensor([True, False, False, True, False, True])
    outcomes = []
    for engine, some in (("native", begins), ("plain", begins), ("native", None)):
        batches = task.batches._replace(lengths=lengths, begins=some)
        state = tuple(torch.ones(1, 3, 5, dtype=torch.float64) for _ in range(2))
        given = task._replace(batches=batches)
        losses, network, _ = run(given, OPTIMIZERS["SGD"], engine, state=state)
        outcomes.append((losses, *state, *network.parameters()))
    native, plain, carried = outcomes
    for ours, theirs in zip(native, plain, strict=True):
        assert float((ours - theirs).detach().abs().max()) < 1e-10
    assert not torch.equal(native[0], carried[0])


# --- the examples ---


def example(name: str, capsys: pytest.CaptureFixture[str]) -> str:
    runpy.run_path(str(Path(__file__).parents[2] / "examples" / name))
    return capsys.readouterr().out


def test_the_forecaster_learns_on(capsys: pytest.CaptureFixture[str]) -> None:
    said = example("online_forecaster.py", capsys)
    errors = [float(line.split(" of ")[-2].split()[-1]) for line in said.splitlines()[1:]]
    assert len(errors) == 2
    assert 2 * errors[0] < errors[1]


def test_the_sweep_finds_the_rates_that_diverge(capsys: pytest.CaptureFixture[str]) -> None:
    *_, good, bad = example("sweep.py", capsys).splitlines()
    assert "0 of 10 not finite" in good
    assert "10 of 10 not finite" in bad
