"""Whole steps and many models on people's own generators, threads and mistakes."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from processes import environment, one_sentence, python
from unrolled import LSTM, Batches, Job, Network, train_many, train_steps
from unrolled.steps.ahead import each_ahead


def _network(seed: int = 0) -> tuple[Network, torch.optim.Optimizer]:
    torch.manual_seed(seed)
    network = Network(LSTM(2, 4), nn.Linear(4, 1))
    return network, torch.optim.SGD(network.parameters(), lr=0.1)


def _fresh(count: int) -> Iterator[tuple[Tensor, Tensor]]:
    g = torch.Generator().manual_seed(1)
    for _ in range(count):
        x = torch.randn(3, 5, 2, 2, generator=g)
        yield x, x[..., :1].clone()


def _refilled(count: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The same numbers in one buffer, filled anew for each block."""
    x, y = torch.empty(3, 5, 2, 2), torch.empty(3, 5, 2, 1)
    for given, target in _fresh(count):
        x.copy_(given)
        y.copy_(target)
        yield x, y


def _zeroed(count: int) -> Iterator[tuple[Tensor, Tensor]]:
    """As `_refilled`, and wiped as soon as it is asked for the next."""
    for x, y in _refilled(count):
        yield x, y
        x.zero_()
        time.sleep(0.001)
        y.zero_()


@pytest.mark.parametrize("engine", ["native", "plain"])
@pytest.mark.parametrize("blocks", [_refilled, _zeroed])
def test_a_buffer_that_is_refilled_trains_on_what_it_gave(blocks: Any, engine: str) -> None:
    found = train_steps(*_network(), "squared_error", blocks(6), engine=engine)
    right = train_steps(*_network(), "squared_error", list(_fresh(6)), engine=engine)
    assert torch.equal(found, right)


def test_many_models_own_what_their_generators_gave() -> None:
    jobs = [Job(*_network(k), "squared_error", _refilled(6)) for k in range(3)]
    found = train_many(jobs, threads=2, progress=False)
    for k, trained in enumerate(found):
        right = train_steps(*_network(k), "squared_error", list(_fresh(6)), threads=1)
        assert torch.equal(trained.losses, right)


def test_one_block_is_not_copied() -> None:
    """A block that is given whole is read where it lies: it may be as large as the memory."""
    ended = python(
        """
import resource, torch
from torch import nn
from unrolled import LSTM, Network, train_steps
torch.set_num_threads(1)
n = Network(LSTM(2, 4), nn.Linear(4, 1)); o = torch.optim.SGD(n.parameters(), lr=0.1)
x, y = torch.ones(100, 1000, 128, 2), torch.ones(100, 1000, 128)
train_steps(n, o, "squared_error", (x[:1], y[:1]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
train_steps(n, o, "squared_error", (x[:4], y[:4]))
assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000
"""
    )
    assert ended.rc == 0, ended.err


SLEEPS = """
import sys, time, torch
from torch import nn
from unrolled import LSTM, Network, Job, train_many, train_steps
torch.set_num_threads(1)
def blocks():
    x = torch.ones(3, 5, 2, 2)
    yield x, x[..., :1]
    print("asleep", flush=True)
    {wait}
    yield x, x[..., :1]
n = Network(LSTM(2, 4), nn.Linear(4, 1)); o = torch.optim.SGD(n.parameters(), lr=0.1)
try:
    {train}
except KeyboardInterrupt:
    print("stopped", flush=True)
    sys.exit(0)
sys.exit(1)
"""
TRAIN = {
    "train_steps": 'train_steps(n, o, "squared_error", blocks())',
    "train_many": 'train_many([Job(n, o, "squared_error", blocks())], threads=2, progress=False)',
}


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT is POSIX")
@pytest.mark.parametrize(
    "wait", ["time.sleep(60)", "__import__('threading').Event().wait(60)"], ids=["sleeps", "blocks"]
)
@pytest.mark.parametrize("way", TRAIN)
def test_a_generator_that_waits_does_not_hold_ctrl_c(way: str, wait: str) -> None:
    code = SLEEPS.format(wait=wait, train=TRAIN[way])
    command = [sys.executable, "-c", code]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "asleep\n"
        time.sleep(0.3)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        try:
            said = process.stdout.readline()
            seconds = time.monotonic() - began  # what Python itself needs to end is not counted
            process.wait(20)
        finally:
            process.kill()
        assert said == "stopped\n"
        assert process.returncode == 0
        assert seconds < 1.5  # a second, and a loaded machine's half


# --- many ---


def _jobs(bad: int | None) -> Iterator[Job]:
    for k in range(4):
        network, optimizer = _network(k)
        x = torch.ones(3, 5, 2, 7 if k == bad else 2)
        yield Job(network, optimizer, "squared_error", (x, x[..., :1]))


def test_what_was_finished_is_given_back_and_the_error_has_its_number() -> None:
    found = train_many(_jobs(bad=1), threads=1, progress=False)
    assert len(found) == 4
    assert [trained.error is None for trained in found] == [True, False, True, True]
    assert isinstance(found[1].error, ValueError)
    said = one_sentence(found[1].error)
    assert "job 1" in said
    assert "expected [N, T, B, 2]" in said
    for k in (0, 2, 3):
        x = torch.ones(3, 5, 2, 2)
        right = train_steps(*_network(k), "squared_error", (x, x[..., :1]), threads=1)
        assert torch.equal(found[k].losses, right)


def test_it_stops_at_the_first_where_that_is_asked_for() -> None:
    with pytest.raises(ValueError, match="job 1") as caught:
        train_many(_jobs(bad=1), threads=1, progress=False, stop_at_first=True)
    one_sentence(caught.value)


def test_a_loss_that_is_not_finite_has_its_number_too() -> None:
    network, optimizer = _network()
    x = torch.full((3, 5, 2, 2), torch.nan)
    jobs = [*_jobs(None), Job(network, optimizer, "squared_error", (x, x[..., :1]))]
    found = train_many(jobs, threads=2, progress=False)
    assert "job 4" in one_sentence(str(found[4].error))
    assert all(trained.error is None for trained in found[:4])


def test_what_the_generator_of_jobs_raises_does_not_take_the_finished_away() -> None:
    def jobs() -> Iterator[Job]:
        yield from list(_jobs(None))[:2]
        raise OSError("the disk is gone")

    found = train_many(jobs(), threads=1, progress=False)
    assert [trained.error is None for trained in found[:2]] == [True, True]
    assert isinstance(found[-1].error, OSError)


def test_what_a_generator_of_jobs_gives_that_is_none_takes_nothing_away() -> None:
    def jobs() -> Iterator[Any]:
        first, second = list(_jobs(None))[:2]
        yield first
        yield (1, 2)
        yield first._replace(optimizer=second.optimizer)
        yield second._replace(network="net")
        yield Job(*_network(3), "squared_error", second.batches)

    found = train_many(jobs(), threads=2, progress=False)
    assert [trained.error is None for trained in found] == [True, False, False, False, True]
    for k, kind, named in (
        (1, TypeError, "tuple"),
        (2, ValueError, "jobs 0"),
        (3, TypeError, "str"),
    ):
        assert isinstance(found[k].error, kind)
        assert named in one_sentence(found[k].error)
        assert f"job {k}" in str(found[k].error)


def test_a_list_with_what_is_no_job_is_refused_before_anything_is_trained() -> None:
    job = next(_jobs(None))
    before = job.network.recurrent.weight_hh_l0.clone()
    with pytest.raises(TypeError, match="job 1 is a tuple"):
        train_many([job, (1, 2)], progress=False)  # type: ignore[list-item]
    with pytest.raises(ValueError, match="engine='fast'"):
        train_many([job], engine="fast", progress=False)
    assert torch.equal(job.network.recurrent.weight_hh_l0, before)


def test_progress_says_how_many_failed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    train_many(_jobs(bad=1), threads=1)
    assert capsys.readouterr().err.endswith("1 of 4 models failed\n")


@pytest.mark.parametrize("wide", ["expanded", "overlapping"])
def test_a_copy_takes_no_more_memory_than_what_was_given(wide: str) -> None:
    """A view may show the same numbers a million times."""
    few = torch.randn(1, 5, 2, 2) if wide == "expanded" else torch.randn(400)

    def view(t: Tensor) -> Tensor:
        return (
            t.expand(60, 5, 2, 2) if wide == "expanded" else t.as_strided((60, 5, 2, 2), (4,) * 4)
        )

    given = Batches(view(few), view(few)[..., :1])
    owned = each_ahead(iter([given]), lambda: False)
    with owned as blocks:
        (mine,) = blocks
    for ours, theirs in zip(mine[:2], given[:2], strict=True):
        assert torch.equal(ours, theirs)
        assert ours.data_ptr() != theirs.data_ptr()
        assert ours.untyped_storage().nbytes() <= few.untyped_storage().nbytes()


def test_what_the_end_of_a_generator_raises_is_raised() -> None:
    def blocks() -> Iterator[tuple[Tensor, Tensor]]:
        try:
            yield torch.ones(3, 5, 2, 2), torch.ones(3, 5, 2, 9)
            yield torch.ones(3, 5, 2, 2), torch.ones(3, 5, 2, 1)
            yield torch.ones(3, 5, 2, 2), torch.ones(3, 5, 2, 1)
        finally:
            raise OSError("the file is gone")

    with pytest.raises(OSError, match="the file is gone") as caught:
        train_steps(*_network(), "squared_error", blocks())
    assert "target is" in str(caught.value.__context__)


def test_no_thread_is_left_behind() -> None:
    before = threading.active_count()
    with pytest.raises(ValueError, match="x is"):
        train_steps(*_network(), "squared_error", iter([(torch.ones(1, 1, 1, 9), torch.ones(1))]))
    assert threading.active_count() == before
