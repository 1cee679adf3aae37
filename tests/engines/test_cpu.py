"""The native engine: its activations, its threads, and whose results depend on what."""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor

from cases import CELLS, make_inputs, make_masks, name_of, native_level
from fresh import FreshPython
from unrolled import LSTM, Cell, _native
from unrolled.engines import Backward, Gradients, Inputs, cpu
from unrolled.engines.masks import StateMasks

LEVELS = _native.levels()


def activation(name: str, x: Tensor) -> Tensor:
    y = torch.empty_like(x)
    kind = "f32" if x.dtype == torch.float32 else "f64"
    getattr(_native, f"{name}_{kind}")(x.data_ptr(), y.data_ptr(), x.numel())
    return y


def in_ulp(found: Tensor, exact: Tensor) -> Tensor:
    """The error in float32's units of the last place, of the exact value's own binade."""
    exponent = exact.abs().log2().floor()
    return (found.double() - exact).abs() / torch.exp2((exponent - 23).clamp(min=-149))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", ["sigmoid", "tanh"])
def test_activations_within_4_ulp(level: str, name: str) -> None:
    """Every 4093rd float32, from NaN by the subnormals to infinity; and closely where they bend.

    `benchmarks/activations.py` takes all of them.
    """
    bits = torch.arange(-(2**31), 2**31, 4093, dtype=torch.int64)
    x = torch.cat([bits.to(torch.int32).view(torch.float32), torch.linspace(-110, 110, 1 << 20)])
    with native_level(level):
        y = activation(name, x)
    assert torch.equal(y.isnan(), x.isnan())
    number = ~x.isnan()
    exact = getattr(torch, name)(x[number].double())
    assert float(in_ulp(y[number], exact).max()) <= 4


@pytest.mark.parametrize("level", LEVELS)
def test_activations_in_double(level: str) -> None:
    """Against torch's, whose own error is a few ulp."""
    x = torch.linspace(-40, 40, 100001, dtype=torch.float64)
    with native_level(level):
        for name in ("sigmoid", "tanh"):
            exact = getattr(torch, name)(x)
            torch.testing.assert_close(activation(name, x), exact, rtol=2e-15, atol=0)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_activations_of_what_is_not_a_number(level: str, dtype: torch.dtype) -> None:
    x = torch.tensor([torch.nan, torch.inf, -torch.inf, 0.0, -0.0], dtype=dtype)
    with native_level(level):
        s, t = activation("sigmoid", x), activation("tanh", x)
    assert s[0].isnan()
    assert t[0].isnan()
    assert s[1:].tolist() == pytest.approx([1, 0, 0.5, 0.5], abs=1e-40)
    assert t[1:].tolist() == [1, -1, 0, 0]


def forward_and_backward(
    cell: Cell, inputs: Inputs, masks: StateMasks, threads: int
) -> tuple[list[Tensor], list[Tensor]]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.no_grad():
            out, _ = cpu.forward(cell, inputs, masks, save=True)
            d = Gradients(torch.ones_like(out.y), out.h_n, out.c_n, None, None)
            needs = tuple(t is not None for t in inputs)
            grads = cpu.backward(Backward(cell, inputs, masks, out, None, d, needs))
    finally:
        torch.set_num_threads(before)
    return [t for t in out if t is not None], [g for g in grads if g is not None]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("mask", ["none", "all"])
@pytest.mark.parametrize("cell", [Cell(), Cell("coupled", peephole=True)], ids=name_of)
def test_threads_change_no_bit_of_an_output(level: str, mask: str, cell: Cell) -> None:
    """Large enough that the work is really split; the gradients are the same from run to run."""
    T, B, I, H = 60, 37, 9, 65
    inputs = make_inputs(cell, T, B, I, H, dtype=torch.float32)
    masks = make_masks(mask, T, B, H, dtype=torch.float32)
    with native_level(level):
        one, _ = forward_and_backward(cell, inputs, masks, 1)
        three, grads = forward_and_backward(cell, inputs, masks, 3)
        _, again = forward_and_backward(cell, inputs, masks, 3)
    assert all(torch.equal(a, b) for a, b in zip(one, three, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(grads, again, strict=True))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("H", [1, 16, 40, 100])
def test_a_rows_result_does_not_depend_on_the_others(level: str, H: int) -> None:
    """Bit for bit: alone, among 2, 3, 7 or 20, and whatever the others are."""
    inputs = make_inputs(Cell(), 9, 20, 6, H, dtype=torch.float32)
    with torch.no_grad(), native_level(level):
        whole = cpu.forward(Cell(), inputs, StateMasks(), save=True)[0]
        for first, last in ((0, 1), (4, 6), (5, 8), (3, 10), (0, 20)):
            rows = slice(first, last)
            part = inputs._replace(x=inputs.x[:, rows], h_0=inputs.h_0[rows], c_0=inputs.c_0[rows])
            alone = cpu.forward(Cell(), part, StateMasks(), save=True)[0]
            for a, b in zip(whole, alone, strict=True):
                assert a is not None
                assert b is not None
                kept = a[rows] if a.dim() == 2 else a[:, rows]
                assert torch.equal(kept, b)


@pytest.mark.parametrize("level", LEVELS)
def test_from_eight_threads_of_python_at_once(level: str) -> None:
    torch.manual_seed(0)
    lstm = LSTM(5, 33, 2, cell="peephole", bidirectional=True, engine="cpu")
    inputs = [torch.randn(40, 8, 5) for _ in range(8)]

    def work(x: Tensor) -> list[Tensor]:
        found = []
        for _ in range(5):
            y, (h, c) = lstm(x)
            loss = y.square().mean() + h.sum() + c.sum()
            found = [y.detach(), *torch.autograd.grad(loss, list(lstm.parameters()))]
        return found

    with native_level(level), ThreadPoolExecutor(8) as pool:
        alone = [work(x) for x in inputs]
        together = list(pool.map(work, inputs))
    for a, b in zip(alone, together, strict=True):
        assert all(torch.equal(p, q) for p, q in zip(a, b, strict=True))


@pytest.mark.parametrize("cell", CELLS, ids=name_of)
def test_nan_in_the_input_is_nan_in_the_output(cell: Cell) -> None:
    """Nothing is repaired in silence: the row with the NaN shows it, the others do not."""
    lstm, x = LSTM(3, 17, cell=cell, engine="cpu"), torch.zeros(4, 3, 3)
    x[1, 1, 0] = torch.nan
    y, _ = lstm(x)
    assert y[1:, 1].isnan().all()
    assert y[0].isfinite().all()
    assert y[:, [0, 2]].isfinite().all()


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    "size", [(1, 1, 64, 512), (1, 7, 5, 33), (9, 2, 20, 40), (6, 30, 3, 17)], ids=str
)
def test_a_state_left_out_is_a_state_of_zeros(size: tuple[int, ...], level: str) -> None:
    T, B, I, H = size
    lstm, x = LSTM(I, H, engine="cpu"), torch.randn(T, B, I)
    zero = torch.zeros(1, B, H)
    with native_level(level):
        left_out, given = lstm(x), lstm(x, (zero, zero))
        assert torch.equal(left_out[0], given[0])
        assert torch.equal(left_out[1][1], given[1][1])
        d = [
            torch.autograd.grad(y.square().sum(), list(lstm.parameters()))
            for y, _ in (left_out, given)
        ]
    for ours, theirs in zip(*d, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_inputs_that_are_not_contiguous() -> None:
    lstm = LSTM(6, 9, engine="cpu", dtype=torch.float64)
    x = torch.randn(5, 4, 12, dtype=torch.float64)[..., ::2].requires_grad_()
    plain = x.detach().contiguous().requires_grad_()
    y, y_plain = lstm(x)[0], lstm(plain)[0]
    assert torch.equal(y, y_plain)
    d = torch.randn(4, 5, 9, dtype=torch.float64).transpose(0, 1)
    (d_x,) = torch.autograd.grad(y, x, d)
    (d_plain,) = torch.autograd.grad(y_plain, plain, d.contiguous())
    assert torch.equal(d_x, d_plain)


@pytest.mark.parametrize("level", LEVELS)
def test_the_level_can_be_set_from_outside(level: str, fresh_python: FreshPython) -> None:
    code = "from unrolled.engines import cpu; print(cpu.level())"
    assert fresh_python(code, UNROLLED_LEVEL=level).stdout.strip() == level


def test_a_level_that_is_not_there_is_refused(fresh_python: FreshPython) -> None:
    done = fresh_python("from unrolled.engines import cpu", UNROLLED_LEVEL="v5")
    assert done.returncode != 0
    assert "UNROLLED_LEVEL=v5 is not a level of this machine: use one of" in done.stderr


def test_without_the_extension_the_package_works_and_says_so_once(
    fresh_python: FreshPython,
) -> None:
    code = """
import sys
sys.modules["unrolled._native"] = None
import torch, unrolled
for _ in range(3):
    y, _ = unrolled.LSTM(2, 3)(torch.zeros(4, 1, 2))
print(unrolled.LSTM(2, 3).engine_for(torch.zeros(4, 1, 2)))
for lstm in (unrolled.LSTM(2, 3, 2), unrolled.LSTM(2, 3, 2, cell="peephole", zoneout=0.1).eval()):
    stepper, x = lstm.stepper(), torch.randn(5, 1, 2)
    y = torch.stack([stepper(step).clone() for step in x])
    assert torch.allclose(y, lstm(x)[0], atol=1e-6)
    assert torch.allclose(stepper.c, lstm(x)[1][1], atol=1e-6)
"""
    done = fresh_python(code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("aten; cpu declined: the extension is not built")
    assert done.stderr.count("runs without its native engine") == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_has_threads_of_its_own(fresh_python: FreshPython) -> None:
    """OpenMP believes in threads that a child does not have, and would wait for them for ever."""
    code = """
import os, signal, torch, unrolled
torch.set_num_threads(2)
lstm, x = unrolled.LSTM(64, 64), torch.randn(50, 64, 64)
with torch.inference_mode():
    y = lstm(x)[0]
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        os._exit(lstm(x)[0].numpy().tobytes() != y.numpy().tobytes())
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = fresh_python(code)
    assert done.stdout.strip() == "0", done.stderr


def test_what_it_declines() -> None:
    lstm: Any = LSTM(2, 4, proj_size=2)
    x = torch.zeros(3, 1, 2)
    assert "it has no projection" in str(lstm.engine_for(x))
    assert "not float16" in str(LSTM(2, 4).half().engine_for(x.half()))
    meta = LSTM(2, 4, device="meta")
    assert "it runs on the CPU, not on meta" in str(meta.engine_for(x.to("meta")))
