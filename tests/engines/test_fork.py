"""A child of a process whose threads have run goes forward, backward and trains; or is told so."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from processes import one_sentence, python, succeeds
from unrolled import LSTM, Job, LSTMCell, Network, train_many, train_steps

pytestmark = pytest.mark.skipif(
    not hasattr(os, "fork") or sys.platform == "darwin", reason="there is no fork here"
)
SECONDS = 15


def _layer() -> tuple[LSTM, Tensor]:
    torch.manual_seed(0)
    return LSTM(64, 256), torch.randn(20, 32, 64)


def _forward(**more: Any) -> Tensor:
    lstm, x = _layer()
    with torch.no_grad():
        return lstm(x, **more)[0]


def _backward(**more: Any) -> Tensor:
    lstm, x = _layer()
    lstm(x, **more)[0].sum().backward()
    assert lstm.weight_hh_l0.grad is not None
    return lstm.weight_hh_l0.grad


def _cell() -> Tensor:
    torch.manual_seed(0)
    cell = LSTMCell(64, 256)
    cell(torch.randn(32, 64))[0].sum().backward()
    assert cell.weight_hh.grad is not None
    return cell.weight_hh.grad


def _job() -> Job:
    torch.manual_seed(0)
    network = Network(LSTM(2, 32), nn.Linear(32, 1))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    return Job(network, optimizer, "squared_error", (torch.ones(3, 9, 32, 2), torch.ones(3, 9, 32)))


def _trained(**more: Any) -> Tensor:
    return train_steps(*_job()[:4], **more)


def _stepped() -> Tensor:
    lstm, x = _layer()
    return lstm.stepper(32)(x[0]).clone()


WAYS: dict[str, Callable[[], Tensor]] = {
    "forward": _forward,
    "forward with lengths": lambda: _forward(lengths=[20] * 31 + [7]),
    "forward and backward": _backward,
    "backward with lengths": lambda: _backward(lengths=[20] * 31 + [7]),
    "a cell": _cell,
    "train_steps": _trained,
    "train_steps, two threads": lambda: _trained(threads=2),
    "train_steps, plain": lambda: _trained(engine="plain"),
    "train_many": lambda: train_many([_job()], threads=2, progress=False)[0].losses,
    "stepper": _stepped,
}
right: dict[str, Tensor] = {}


def warm() -> None:
    """Let the threads run that the cases' processes are then children of: torch's and ours."""
    torch.set_num_threads(2)
    right.update((name, way()) for name, way in WAYS.items())


def _case(name: str) -> Callable[[], None]:
    def case() -> None:
        said = ""
        try:
            torch.testing.assert_close(WAYS[name](), right[name])
        except (RuntimeError, ValueError) as error:
            said = one_sentence(error)
        assert not said or "fork" in said

    return case


CASES = {name: _case(name) for name in WAYS}


@pytest.mark.parametrize("way", WAYS)
def test_it_ends_in_the_child_with_the_same_result(way: str) -> None:
    succeeds(__file__, "CASES", way, SECONDS)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere OpenMP sees to it itself")
def test_a_child_keeps_its_threads_and_so_does_its_child() -> None:
    ended = python(
        """
import os, signal, sys
import torch
from unrolled import LSTM
torch.set_num_threads(2)
def work():
    lstm = LSTM(64, 256)
    lstm(torch.randn(20, 32, 64))[0].sum().backward()
    return torch.get_num_threads() == 2 and len(os.listdir("/proc/self/task")) > 1
def forked(left):
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        os._exit(not (work() and (left == 1 or forked(left - 1))))
    return os.waitpid(child, 0)[1] == 0
assert work() and forked(2) and work()
"""
    )
    assert ended.rc == 0, f"it hung or crashed: {ended.rc} {ended.err[-500:]}"


def test_where_threads_cannot_be_sent_home_the_child_has_one() -> None:
    ended = python(
        """
import os, signal, sys
import torch
from unrolled import LSTM
from unrolled.engines import forking
forking._send_home = None
torch.set_num_threads(2)
lstm = LSTM(64, 256)
lstm(torch.randn(20, 32, 64))[0].sum().backward()
child = os.fork()
if child == 0:
    signal.alarm(20)
    lstm(torch.randn(20, 32, 64))[0].sum().backward()
    os._exit(torch.get_num_threads() != 1)
sys.exit(1 if os.waitpid(child, 0)[1] or torch.get_num_threads() != 2 else 0)
"""
    )
    assert ended.rc == 0, f"it hung or crashed: {ended.rc} {ended.err[-500:]}"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody says that it was forked")
@pytest.mark.parametrize("ran", [True, False], ids=["threads ran", "none ran"])
def test_after_the_first_import_in_a_child_layers_end(ran: bool) -> None:
    ended = python(
        f"""
import os, signal, sys
import torch
torch.set_num_threads(2)
if {ran}:
    torch.nn.LSTM(64, 256)(torch.randn(20, 32, 64))[0].sum().backward()
child = os.fork()
if child == 0:
    signal.alarm(40)
    from unrolled import LSTM
    assert torch.get_num_threads() == (1 if {ran} else 2)
    LSTM(64, 256)(torch.randn(20, 32, 64))[0].sum().backward()
    grandchild = os.fork()
    if grandchild == 0:
        signal.alarm(20)
        LSTM(64, 256)(torch.randn(20, 32, 64))[0].sum().backward()
        os._exit(0)
    os._exit(1 if os.waitpid(grandchild, 0)[1] else 0)
sys.exit(1 if os.waitpid(child, 0)[1] else 0)
"""
    )
    assert ended.rc == 0, f"it hung or crashed: {ended.rc} {ended.err[-500:]}"


def test_the_first_import_in_a_child_of_threads_ends() -> None:
    ended = python(
        """
import os, signal, sys
import torch
torch.set_num_threads(2)
torch.nn.LSTM(64, 256)(torch.randn(20, 32, 64))[0].sum().backward()
child = os.fork()
if child == 0:
    signal.alarm(40)
    import unrolled
    os._exit(0)
sys.exit(1 if os.waitpid(child, 0)[1] else 0)
"""
    )
    assert ended.rc == 0, f"it hung or crashed: {ended.rc} {ended.err[-500:]}"
