"""The short way through a plain call: the same bits as the long way, and only for plain calls."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune

from cases import CELLS, normal
from unrolled import LSTM, LSTMCell
from unrolled.engines import cpu
from unrolled.layer import direct

pytestmark = pytest.mark.skipif(cpu.level() is None, reason="the native engine is not built")
State = tuple[Tensor, Tensor]


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which way each call went."""
    taken: list[str] = []
    run = direct.run

    def watched(*args: Any) -> Any:
        found = run(*args)
        taken.append("long" if found is None else "short")
        return found

    monkeypatch.setattr(direct, "run", watched)
    return taken


@pytest.fixture
def long(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], Any]:
    """Do something with the short way closed."""

    def does(what: Callable[[], Any]) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(direct, "run", lambda *_: None)
            return what()

    return does


def everything(module: nn.Module, x: Tensor, hx: State | None) -> list[Tensor]:
    """The output, the state, and every gradient."""
    inputs = [x, *(hx or ()), *module.parameters()]
    y, (h, c) = module(x, hx)
    loss = (y * torch.linspace(0, 1, y.numel(), dtype=y.dtype).view_as(y)).sum()
    return [y, h, c, *torch.autograd.grad(loss + h.sum() + (c * c).sum(), inputs)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f32", "f64"])
@pytest.mark.parametrize("cell", CELLS, ids=str)
@pytest.mark.parametrize(
    "options",
    [{}, {"bias": False}, {"num_layers": 3}, {"batch_first": True}],
    ids=["plain", "no bias", "layers", "batch first"],
)
def test_both_ways_have_the_same_bits(
    options: dict[str, Any],
    cell: Any,
    dtype: torch.dtype,
    ways: list[str],
    long: Any,
    generator: torch.Generator,
) -> None:
    lstm = LSTM(3, 17, cell=cell, dtype=dtype, **options)
    layers = options.get("num_layers", 1)
    for (steps, rows), with_state in (((5, 4), True), ((5, 4), False), ((1, 1), True)):
        x = normal(generator, steps, rows, 3).to(dtype)
        x = (x.transpose(0, 1) if lstm.batch_first else x).requires_grad_()
        hx = None
        if with_state:
            h, c = (normal(generator, layers, rows, 17).to(dtype) for _ in range(2))
            hx = (h.requires_grad_(), c.requires_grad_())
        ways.clear()
        short = everything(lstm, x, hx)
        assert ways == ["short"]
        for a, b in zip(short, long(lambda x=x, hx=hx: everything(lstm, x, hx)), strict=True):
            assert torch.equal(a, b)
        with torch.no_grad():
            for a, b in zip(short, _flat(lstm(x, hx)), strict=False):
                assert torch.equal(a, b)


def _flat(out: tuple[Tensor, State]) -> list[Tensor]:
    return [out[0], *out[1]]


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "batch_first": True}], ids=str)
def test_a_trace_goes_the_short_way_too(
    options: dict[str, Any], ways: list[str], long: Any, generator: torch.Generator
) -> None:
    lstm = LSTM(3, 17, dtype=torch.float64, **options)
    x = normal(generator, 4, 5, 3)
    x = (x.transpose(0, 1) if lstm.batch_first else x).requires_grad_()

    def all_of_it() -> list[Tensor]:
        trace = lstm.trace(x)
        shown = _shown(trace)
        loss = sum((t * (t + k)).sum() for k, t in enumerate(shown))
        grads = torch.autograd.grad(loss, [x, *lstm.parameters()])
        return [trace.output, *trace.state, *shown, *grads]

    short = all_of_it()
    assert ways == ["short"]
    for a, b in zip(short, long(all_of_it), strict=True):
        assert torch.equal(a, b)
    with torch.no_grad():
        for gates, again in zip(short[3:], _shown(lstm.trace(x)), strict=False):
            assert torch.equal(gates, again)


def _shown(trace: Any) -> list[Tensor]:
    return [t for gates in trace.directions.values() for t in gates]


def test_a_cell_goes_the_short_way_too(
    ways: list[str], long: Any, generator: torch.Generator
) -> None:
    cell = LSTMCell(3, 17, cell="peephole", dtype=torch.float64)
    x = normal(generator, 4, 3).requires_grad_()
    hx = (normal(generator, 4, 17).requires_grad_(), normal(generator, 4, 17).requires_grad_())

    def all_of_it() -> list[Tensor]:
        h, c = cell(x, hx)
        return [h, c, *torch.autograd.grad((h * c).sum(), [x, *hx, *cell.parameters()])]

    short = all_of_it()
    assert ways == ["short"]
    for a, b in zip(short, long(all_of_it), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "change",
    [
        lambda w: w.data.mul_(2),
        lambda w: w.data.copy_(torch.zeros_like(w)),
        lambda w: setattr(w, "data", w.data + 1),
        lambda w: w.detach().numpy().__setitem__(0, 3.0),
    ],
    ids=["in place", "copied", "replaced", "by NumPy"],
)
@pytest.mark.parametrize("name", ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"])
def test_a_weight_that_changed_is_seen(
    name: str, change: Callable[[Tensor], Any], long: Any, generator: torch.Generator
) -> None:
    # Packed weights are kept from call to call, and none of these tells a version counter.
    lstm, x = LSTM(3, 17, dtype=torch.float64), normal(generator, 5, 1, 3)
    with torch.no_grad():
        before = lstm(x)[0]
        for _ in range(3):
            change(getattr(lstm, name))
            now = lstm(x)[0]
            assert torch.equal(now, long(lambda: lstm(x)[0]))
    assert not torch.equal(now, before)


def test_other_rows_and_levels_are_packed_anew(generator: torch.Generator) -> None:
    lstm, x = LSTM(3, 40), normal(generator, 5, 9, 3).float()
    with torch.no_grad():
        whole = lstm(x)[0]
        for rows in (1, 2, 3, 4, 9, 1):
            assert torch.equal(lstm(x[:, :rows].contiguous())[0], whole[:, :rows])
        for level in (*cpu._native.levels(), cpu.level()):
            cpu._native.use_level(level)
            torch.testing.assert_close(lstm(x)[0], whole)
        assert torch.equal(lstm(x)[0], whole)


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        (lambda m: m, "short"),
        (lambda m: setattr(m, "engine", "reference") or m, "long"),
        (lambda m: setattr(m, "noise", LSTM(1, 1, zoneout=0.1).noise) or m, "long"),
        (lambda m: copy.deepcopy(m), "short"),
        (lambda m: pickle.loads(pickle.dumps(m)), "short"),
        (lambda m: m.double().float(), "short"),
        (lambda m: nn.utils.parametrizations.weight_norm(m, "weight_hh_l0"), "long"),
        (lambda m: prune.l1_unstructured(m, "weight_hh_l0", 0.5), "long"),
    ],
    ids=["as it is", "engine", "noise", "copied", "pickled", "moved", "weight norm", "pruned"],
)
def test_what_was_set_is_heeded(
    what: Callable[[LSTM], LSTM], expected: str, ways: list[str], generator: torch.Generator
) -> None:
    lstm, x = LSTM(3, 5), normal(generator, 4, 2, 3).float()
    with torch.no_grad():
        lstm(x)
        changed = what(lstm)
        ways.clear()
        for _ in range(3):
            changed(x)
    assert ways[-1] == expected


def test_weights_lent_for_a_call_are_given_back(
    ways: list[str], generator: torch.Generator
) -> None:
    lstm, x = LSTM(3, 5, dtype=torch.float64), normal(generator, 4, 2, 3)
    with torch.no_grad():
        own = lstm(x)[0]
        lent = {name: w + 1 for name, w in lstm.state_dict().items()}
        other = torch.func.functional_call(lstm, lent, (x,))[0]
        assert not torch.equal(own, other)
        for _ in range(2):
            assert torch.equal(lstm(x)[0], own)
    assert ways[-1] == "short"


def test_a_single_step_of_a_wide_layer_is_the_first_of_two(generator: torch.Generator) -> None:
    # Its weights are packed panel by panel, as they are read.
    lstm, x = LSTM(30, 200), normal(generator, 2, 9, 30).float()
    with torch.no_grad():
        two = lstm(x)[0]
        for rows in (1, 2, 3, 9):
            assert torch.equal(lstm(x[:1, :rows])[0], two[:1, :rows])


def odd_inputs(g: torch.Generator) -> dict[str, Callable[[], Tensor]]:
    x = normal(g, 4, 2, 3)
    return {
        "strided": lambda: normal(g, 2, 4, 3).transpose(0, 1),
        "expanded": lambda: normal(g, 1, 2, 3).expand(4, 2, 3),
        "a view of a complex number": lambda: torch.complex(x, x).conj().imag,
        "zero that has no memory": lambda: torch._efficientzerotensor(4, 2, 3, dtype=x.dtype),
        "one sequence": lambda: x[:, 0],
        "a parameter": lambda: nn.Parameter(x),
    }


@pytest.mark.parametrize("kind", list(odd_inputs(torch.Generator())))
def test_odd_tensors_go_the_long_way(
    kind: str, long: Any, ways: list[str], generator: torch.Generator
) -> None:
    lstm, x = LSTM(3, 5, dtype=torch.float64), odd_inputs(generator)[kind]()
    y = lstm(x)[0]
    assert ways == ["long"]
    torch.testing.assert_close(y, lstm(x.clone().contiguous())[0], rtol=0, atol=1e-15)


def test_a_state_that_does_not_fit_is_refused_as_ever(generator: torch.Generator) -> None:
    lstm, x = LSTM(3, 5), normal(generator, 4, 2, 3).float()
    with pytest.raises(RuntimeError, match=r"h_0 is \[1, 3, 5\], expected \[1, 2, 5\]"):
        lstm(x, (torch.zeros(1, 3, 5), torch.zeros(1, 3, 5)))
    with pytest.raises(ValueError, match=r"torch.float64"):
        lstm(x.double())


def test_second_derivatives(generator: torch.Generator) -> None:
    lstm = LSTM(2, 3, dtype=torch.float64, num_layers=2)
    x = normal(generator, 3, 2, 2).requires_grad_()
    hx = tuple(normal(generator, 2, 2, 3).requires_grad_() for _ in range(2))
    assert torch.autograd.gradgradcheck(lambda x, h, c: lstm(x, (h, c))[0], (x, *hx))


def test_a_hook_that_packs_what_is_saved(generator: torch.Generator) -> None:
    lstm, x = LSTM(3, 5, dtype=torch.float64), normal(generator, 4, 2, 3).requires_grad_()
    (plain,) = torch.autograd.grad(lstm(x)[0].sum(), x)
    with torch.autograd.graph.saved_tensors_hooks(
        lambda t: t.clone().mT if t.dim() > 1 else t, lambda t: t.mT if t.dim() > 1 else t
    ):
        y = lstm(x)[0]
    (packed,) = torch.autograd.grad(y.sum(), x, retain_graph=True)
    assert torch.equal(plain, packed)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t[:1], lambda t: t):
        y = lstm(x)[0]
    with pytest.raises(RuntimeError, match="kept for the backward pass came back as"):
        y.sum().backward()
