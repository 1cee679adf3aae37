"""Where a library that hands addresses to C++ goes wrong: found by a hostile reader, kept right."""

import copy
from typing import Any

import pytest
import torch
from torch._subclasses import FakeTensorMode
from torch.func import functional_call
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import Parameter

from cases import normal
from unrolled import LSTM, Elman


def broken(name: str, value: torch.Tensor) -> LSTM:
    lstm = LSTM(3, 5)
    setattr(lstm, name, Parameter(value))
    return lstm


@pytest.mark.parametrize(
    ("lstm", "says"),
    [
        (broken("weight_hh_l0", torch.zeros(20, 5, dtype=torch.float64)), "w_hh is torch.float64"),
        (broken("bias_ih_l0", torch.zeros(20, dtype=torch.bfloat16)), "b_ih is torch.bfloat16"),
        (
            broken("weight_ih_l0", torch.zeros(20, 2)),
            r"w_ih has shape \[20, 2\], expected \[20, 3\]",
        ),
        (broken("bias_hh_l0", torch.zeros(1)), r"b_hh has shape \[1\], expected \[20\]"),
        (LSTM(3, 5, device="meta"), "on meta, expected torch.float32 on cpu"),
    ],
)
def test_memory_that_is_not_there_is_not_read(lstm: LSTM, says: str) -> None:
    with pytest.raises(RuntimeError, match=says):
        lstm(torch.zeros(4, 2, 3))


def test_a_state_or_weight_elsewhere_is_refused() -> None:
    lstm, x = LSTM(3, 5), torch.zeros(4, 2, 3)
    elsewhere = torch.zeros(1, 2, 5, device="meta")
    with pytest.raises(RuntimeError, match=r"h_0 is torch\.float32 on meta"):
        lstm(x, (elsewhere, elsewhere))
    with pytest.raises(RuntimeError, match="b_ih has shape"):
        functional_call(lstm, {"bias_ih_l0": torch.zeros(1)}, x)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("cell", ["vanilla", "peephole"])
def test_what_records_records_what_is_computed(cell: str, generator: torch.Generator) -> None:
    lstm = LSTM(3, 5, cell=cell, dtype=torch.float64)
    x, other = normal(generator, 4, 2, 3), normal(generator, 4, 2, 3)
    with torch.no_grad():
        traced = torch.jit.trace(lstm, x)
        assert torch.equal(traced(other)[0], lstm(other)[0])
        graph = make_fx(lambda x: lstm(x)[0])(x)
        assert torch.equal(graph(other), lstm(other)[0])
    traced = torch.jit.trace(lstm, x)
    exact = torch.autograd.grad(lstm(other)[0].sum(), lstm.weight_hh_l0)[0]
    found = torch.autograd.grad(traced(other)[0].sum(), lstm.weight_hh_l0)[0]
    torch.testing.assert_close(found, exact, rtol=0, atol=1e-12)
    with FakeTensorMode():
        assert LSTM(3, 5, cell=cell)(torch.empty(4, 2, 3))[0].shape == (4, 2, 5)


@pytest.mark.parametrize("engine", ["cpu", "aten", "reference"])
def test_many_gradients_at_once(engine: str, generator: torch.Generator) -> None:
    lstm = LSTM(3, 5, dtype=torch.float64, engine=engine)
    x = normal(generator, 4, 2, 3).requires_grad_()
    y, _ = lstm(x)
    many = normal(generator, 6, *y.shape)
    (together,) = torch.autograd.grad(y, x, many, is_grads_batched=True, retain_graph=True)
    each = [torch.autograd.grad(y, x, d, retain_graph=True)[0] for d in many]
    torch.testing.assert_close(together, torch.stack(each), rtol=0, atol=1e-12)


def test_saved_tensors_may_come_back_strided(generator: torch.Generator) -> None:
    lstm = LSTM(3, 5, dtype=torch.float64)
    x = normal(generator, 40, 2, 3)

    def strided(t: torch.Tensor) -> torch.Tensor:
        wide = torch.full((*t.shape, 2), torch.nan, dtype=t.dtype)
        wide[..., 0] = t
        return wide[..., 0]

    exact = torch.autograd.grad(lstm(x)[0].sum(), list(lstm.parameters()))
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t, strided):
        found = torch.autograd.grad(lstm(x)[0].sum(), list(lstm.parameters()))
    assert all(torch.equal(a, b) for a, b in zip(found, exact, strict=True))


@pytest.mark.parametrize("training", [True, False])
def test_autocast_with_noise(training: bool) -> None:
    lstm = LSTM(3, 5, zoneout=0.1, recurrent_dropout=0.1, update_dropout=0.1).train(training)
    with torch.autocast("cpu", torch.bfloat16):
        y, _ = lstm(torch.ones(4, 2, 3), lengths=[4, 1])
        assert lstm.engine_for(torch.ones(4, 2, 3)).engine != "cpu"
    assert y.dtype == torch.bfloat16
    assert y.isfinite().all()
    with torch.autocast("cpu", torch.bfloat16), pytest.raises(ValueError, match="the weights are"):
        LSTM(3, 5)(torch.ones(4, 2, 3, dtype=torch.int64))


def test_to_ask_for_the_engine_draws_nothing() -> None:
    lstm, before = LSTM(3, 5, zoneout=0.3), torch.get_rng_state()
    lstm.engine_for(torch.ones(4, 2, 3))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("engine", ["cpu", "reference"])
def test_nan_in_the_state_of_an_empty_row(engine: str, generator: torch.Generator) -> None:
    lstm = LSTM(3, 5, 2, engine=engine, dtype=torch.float64)
    hx = [torch.zeros(2, 2, 5, dtype=torch.float64) for _ in range(2)]
    for state in hx:
        state[:, 1] = torch.nan
    y, _ = lstm(normal(generator, 4, 2, 3), tuple(hx), lengths=[4, 0])
    y.sum().backward()
    assert all(p.grad.isfinite().all() for p in lstm.parameters())  # type: ignore[union-attr]


def test_no_row_is_live_at_all(generator: torch.Generator) -> None:
    lstm = LSTM(3, 5, engine="cpu", dtype=torch.float64)
    x = normal(generator, 4, 2, 3).requires_grad_()
    _, (h, c) = lstm(x, lengths=[0, 0])
    (h.sum() + c.sum()).backward()
    for t in (x, *lstm.parameters()):
        assert t.grad is not None
        assert (t.grad == 0).all()


def test_a_negated_view_keeps_its_sign(generator: torch.Generator) -> None:
    lstm, x = LSTM(3, 5, dtype=torch.float64), normal(generator, 4, 2, 3)
    assert torch.equal(lstm(torch._neg_view(x))[0], lstm(-x)[0])


def test_all_weights_are_torchs_with_tied_and_parametrised_weights() -> None:
    theirs: Any = torch.nn.LSTM(5, 5, 2)
    ours: Any = LSTM(5, 5, 2)
    for m in (theirs, ours):
        m.weight_hh_l1 = m.weight_hh_l0
    assert [len(w) for w in ours.all_weights] == [len(w) for w in theirs.all_weights]
    torch.nn.utils.parametrizations.weight_norm(ours, "weight_ih_l0")
    assert len(ours.all_weights[0]) == 4
    assert copy.deepcopy(ours)(torch.zeros(2, 1, 5))[0].shape == (2, 1, 5)


def test_numbers_of_numpy_and_an_empty_list_of_lengths() -> None:
    import numpy as np

    lstm = LSTM(3, 5, np.int64(2), dropout=np.float32(0.5))  # type: ignore[arg-type]
    assert lstm(torch.zeros(4, 0, 3), lengths=[])[0].shape == (4, 0, 5)


def test_elman_refuses_a_packed_sequence() -> None:
    packed = torch.nn.utils.rnn.pack_sequence([torch.zeros(3, 2)])
    with pytest.raises(TypeError, match="Elman got a PackedSequence"):
        Elman(2, 4)(packed)  # type: ignore[arg-type]
