"""What does not fit is told in one sentence that names it; what changes nothing changes no bit."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from processes import one_sentence
from unrolled import LSTM, Elman, Job, LSTMCell, Network, train_many, train_steps

X = torch.zeros(2, 4, 3, 2)
H = torch.zeros(3, 4)


def _network() -> Network:
    return Network(LSTM(2, 4), nn.Linear(4, 1))


def _steps(network: Any = None, **more: Any) -> Any:
    network = _network() if network is None else network
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    return train_steps(network, optimizer, "squared_error", (X, X[..., :1]), **more)


class Own(nn.Module):
    """Somebody's own network, with a state like any other."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(2, 4), nn.Linear(4, 1)

    def forward(self, x: Tensor, state: Any = None) -> Any:
        y, state = self.lstm(x, state)
        return self.head(y), state


BAD: dict[str, tuple[Callable[[], Any], str]] = {
    "cell, three states": (lambda: LSTMCell(2, 4)(X[0, 0], (H, H, H)), "hx"),
    "cell, one state": (lambda: LSTMCell(2, 4)(X[0, 0], (H,)), "hx"),
    "cell, a tensor": (lambda: LSTMCell(2, 4)(X[0, 0], H), "hx"),
    "cell, a number": (lambda: LSTMCell(2, 4)(X[0, 0], 5), "hx"),
    "cell, a list for h": (lambda: LSTMCell(2, 4)(X[0, 0], ([0.0], H)), "h"),
    "cell, no tensor": (lambda: LSTMCell(2, 4)([[1.0, 2.0]]), "input"),
    "cell, another dtype": (lambda: LSTMCell(2, 4)(X[0, 0].double()), "float64"),
    "cell, a state of another dtype": (
        lambda: LSTMCell(2, 4)(X[0, 0], (H.double(), H.double())),
        "float64",
    ),
    "layer, three states": (lambda: LSTM(2, 4)(X[0], (H[None],) * 3), "hx"),
    "layer, a list in the state": (lambda: LSTM(2, 4)(X[0], ([0.0], H[None])), "h_0"),
    "layer, None in the state": (lambda: LSTM(2, 4)(X[0], (None, H[None])), "h_0"),
    "Elman, a pair": (lambda: Elman(2, 4)(X[0], (H[None], H[None])), "hx"),
    "Elman, a number": (lambda: Elman(2, 4)(X[0], 5), "hx"),
    "a module of one's own": (lambda: _steps(Own()), "Own"),
    "a module of one's own, native": (lambda: _steps(Own(), engine="native"), "Own"),
    "an LSTM without Network": (lambda: _steps(LSTM(2, 4)), "LSTM"),
    "no module": (
        lambda: train_steps(
            "net", torch.optim.SGD(_network().parameters()), "squared_error", (X, X)
        ),
        "str",
    ),
    "no optimizer": (lambda: train_steps(_network(), None, "squared_error", (X, X)), "NoneType"),
    "many: a tuple": (
        lambda: train_many([(1, 2)], progress=False),  # type: ignore[list-item]
        "tuple",
    ),
    "many: a module of one's own": (
        lambda: _raised(
            train_many(
                [Job(Own(), torch.optim.SGD(Own().parameters()), "squared_error", (X, X))],
                progress=False,
            )
        ),
        "Own",
    ),
}


def _raised(done: Any) -> None:
    if done[0].error is not None:
        raise done[0].error


@pytest.mark.parametrize("name", BAD)
def test_a_bad_call_is_told_in_one_sentence(name: str) -> None:
    call, named = BAD[name]
    with pytest.raises((TypeError, ValueError, RuntimeError)) as caught:
        call()
    assert named in one_sentence(caught.value)
    assert "zip()" not in str(caught.value)


@pytest.mark.parametrize("threads", [-1, 0, 10**6, 2**40, 1.5, "2", True])
def test_threads_are_checked(threads: Any) -> None:
    with pytest.raises((ValueError, TypeError)) as caught:
        _steps(threads=threads)
    assert repr(threads) in one_sentence(caught.value)
    with pytest.raises((ValueError, TypeError)) as caught:
        train_many([], threads=threads, progress=False)
    assert repr(threads) in one_sentence(caught.value)


# --- what changes nothing ---

NOTHING: dict[str, Callable[[Tensor], dict[str, Any]]] = {
    "full lengths": lambda x: {"lengths": [x.shape[0]] * x.shape[1]},
    "mask, all true": lambda x: {"mask": torch.ones(x.shape[:2], dtype=torch.bool)},
    "no resets": lambda x: {"resets": torch.zeros(x.shape[:2], dtype=torch.bool)},
}


@pytest.mark.parametrize("size", [(7, 3, 5, 19), (40, 9, 3, 33), (1, 1, 1, 1)], ids=str)
@pytest.mark.parametrize("name", NOTHING)
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}], ids=str)
def test_a_mask_that_does_nothing_changes_no_bit(
    options: dict[str, Any], name: str, size: tuple[int, ...], generator: torch.Generator
) -> None:
    steps, rows, width, hidden = size
    lstm = LSTM(width, hidden, **options)
    x = torch.randn(steps, rows, width, generator=generator, requires_grad=True)
    found = []
    for masks in ({}, NOTHING[name](x)):
        y, (h, c) = lstm(x, **masks)
        loss = (y * y).sum() + (h * c).sum()
        found.append([y, h, c, *torch.autograd.grad(loss, [x, *lstm.parameters()])])
    for plain, masked in zip(*found, strict=True):
        assert torch.equal(plain, masked)


# --- what other libraries ask of a layer ---


def test_quantize_dynamic_says_that_it_has_left_the_layer_alone() -> None:
    """`quantize_dynamic` finds modules by their very class, so only a warning could tell."""
    model = nn.Sequential(LSTM(2, 4))
    with pytest.warns(DeprecationWarning, match="quantiz"):
        changed = torch.ao.quantization.quantize_dynamic(model, {LSTM}, dtype=torch.qint8)
    y, _ = changed(X[0])
    torch.testing.assert_close(y, model(X[0])[0])


def test_script_says_in_one_sentence_that_it_cannot() -> None:
    with (
        pytest.warns(DeprecationWarning, match="script"),
        pytest.raises((RuntimeError, TypeError)) as caught,
    ):
        torch.jit.script(LSTM(2, 4))
    said = one_sentence(caught.value)
    assert "torch.jit.trace" in said or "torch.export" in said


@pytest.mark.skipif(importlib.util.find_spec("opacus") is None, reason="opacus is not installed")
def test_opacus_has_a_sampler_for_the_layer() -> None:
    from opacus import GradSampleModule

    assert LSTM in GradSampleModule.GRAD_SAMPLERS
