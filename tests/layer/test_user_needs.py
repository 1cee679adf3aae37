"""What people ask of an LSTM library, one test for each need; an example shows each."""

import math
import runpy
from pathlib import Path

import pytest
import torch
from torch.func import functional_call

from cases import normal
from unrolled import LSTM, LSTMCell

EXAMPLES = Path(__file__).parents[2] / "examples"


def says(capsys: pytest.CaptureFixture[str], example: str) -> str:
    runpy.run_path(str(EXAMPLES / example), run_name="__main__")
    return capsys.readouterr().out


def test_need_1_resets_inside_a_sequence(
    capsys: pytest.CaptureFixture[str], generator: torch.Generator
) -> None:
    """No loop over time, the final state to be trusted, and no gradient across a border."""
    out = says(capsys, "resets_in_a_rollout.py")
    differences = [float(line.split()[-1]) for line in out.splitlines()[1:]]
    assert len(differences) == 2
    assert max(differences) < 1e-6
    x = normal(generator, 6, 2, 3).requires_grad_()
    resets = torch.zeros(6, 2, dtype=torch.bool)
    resets[4, 0] = True
    y, _ = LSTM(3, 4, cell="peephole", dtype=torch.float64)(x, resets=resets)
    (d_x,) = torch.autograd.grad(y[5].sum(), x)
    assert (d_x[:4, 0] == 0).all()
    assert (d_x[:4, 1] != 0).all()


def test_need_2_every_gate_and_cell_state_at_every_step(
    capsys: pytest.CaptureFixture[str], generator: torch.Generator
) -> None:
    """Equal to what one sees stepping through by hand, and a loss on a gate moves it."""
    out = says(capsys, "every_gate.py")
    lines = out.splitlines()
    first, last = float(lines[0].split()[3]), float(lines[-1].split()[-1])
    assert last > first + 0.05
    layer, one = LSTM(3, 4, dtype=torch.float64), LSTMCell(3, 4, dtype=torch.float64)
    one.load_state_dict({n.removesuffix("_l0"): p for n, p in layer.state_dict().items()})
    x, state = normal(generator, 5, 2, 3), None
    trace = layer.trace(x)
    for t in range(5):
        state = one(x[t], state)
        torch.testing.assert_close(trace.h[t], state[0], rtol=0, atol=1e-12)
        torch.testing.assert_close(trace.c[t], state[1], rtol=0, atol=1e-12)
        assert ((trace.f[t] > 0) & (trace.f[t] < 1)).all()


def test_need_4_lengths_without_packed_sequence(
    capsys: pytest.CaptureFixture[str], generator: torch.Generator
) -> None:
    """Any order, zero allowed, lists or tensors; as pad_packed_sequence for the rest."""
    out = says(capsys, "lengths_without_packing.py")
    differences = [float(line.split()[-1]) for line in out.splitlines() if "alone" in line]
    assert len(differences) == 3
    assert max(differences) < 1e-6
    assert "initial one: True" in out
    m, lengths = LSTM(3, 4, bidirectional=True, dtype=torch.float64), [2, 5, 1]
    x = normal(generator, 5, 3, 3)
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, torch.tensor(lengths), enforce_sorted=False)
    theirs = torch.nn.LSTM(3, 4, bidirectional=True, dtype=torch.float64)
    theirs.load_state_dict(m.state_dict())
    y, (h, _) = theirs(packed)
    padded, _ = torch.nn.utils.rnn.pad_packed_sequence(y)
    for given in (lengths, torch.tensor(lengths), torch.tensor(lengths, dtype=torch.int32)):
        found, (h_found, _) = m(x, lengths=given)
        torch.testing.assert_close(found, padded, rtol=0, atol=1e-12)
        torch.testing.assert_close(h_found, h, rtol=0, atol=1e-12)


@pytest.mark.filterwarnings("ignore:.torch.jit.*deprecated:DeprecationWarning")
def test_need_6_vmap_jvp_and_double_backward(
    capsys: pytest.CaptureFixture[str], generator: torch.Generator
) -> None:
    """A Hessian-vector product, forward over reverse and reverse over reverse."""
    out = says(capsys, "derivatives_of_every_kind.py")
    assert "[5, 32, 8]" in out
    m = LSTM(3, 4, dtype=torch.float64)
    x, v = normal(generator, 5, 2, 3), normal(generator, 5, 2, 3)

    def loss(x: torch.Tensor) -> torch.Tensor:
        return functional_call(m, dict(m.named_parameters()), (x,))[0].square().sum()

    _, over_reverse = torch.func.jvp(torch.func.grad(loss), (x,), (v,))
    x.requires_grad_()
    (d_x,) = torch.autograd.grad(loss(x), x, create_graph=True)
    (twice,) = torch.autograd.grad((d_x * v).sum(), x)
    torch.testing.assert_close(over_reverse, twice, rtol=0, atol=1e-12)


def test_need_7_gradients_in_eval(
    capsys: pytest.CaptureFixture[str], generator: torch.Generator
) -> None:
    """The same gradients as in training, without dropout; attribution adds up."""
    out = says(capsys, "attribution_in_eval.py").splitlines()[-1]
    total, change = (float(part.split()[-1]) for part in out.split(","))
    assert total == pytest.approx(change, abs=1e-4)
    m, x = LSTM(3, 4, dtype=torch.float64), normal(generator, 5, 2, 3).requires_grad_()
    found = [torch.autograd.grad(m.train(mode)(x)[0].sum(), x)[0] for mode in (True, False)]
    assert torch.equal(*found)


def test_need_9_streaming_one_step_at_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    """The same numbers as the layer; `make bench` says how long a step takes."""
    out = says(capsys, "streaming.py")
    assert float(out.split()[-1]) < 1e-6


def test_need_10_truncated_backpropagation_with_carried_state(
    capsys: pytest.CaptureFixture[str], generator: torch.Generator
) -> None:
    """The values of a whole run, the gradient of a window whose start is a constant."""
    out = says(capsys, "truncated_backpropagation.py")
    first, last = (float(word.strip(",")) for word in out.split() if word[0].isdigit())
    assert last < first / 100
    m, x = LSTM(3, 4, dtype=torch.float64), normal(generator, 6, 2, 3)
    whole, _ = m(x)
    _, (h, c) = m(x[:4])
    y, _ = m(x[4:], (h.detach(), c.detach()))
    torch.testing.assert_close(y, whole[4:], rtol=0, atol=1e-12)
    truncated = torch.autograd.grad(y.sum(), m.weight_hh_l0)[0]
    step = 1e-6
    with torch.no_grad():
        m.weight_hh_l0[1, 2] += step
        up = m(x[4:], (h, c))[0].sum()
        m.weight_hh_l0[1, 2] -= 2 * step
        down = m(x[4:], (h, c))[0].sum()
    assert float(truncated[1, 2]) == pytest.approx(float(up - down) / (2 * step), abs=1e-8)


def test_need_12_missing_steps_hold_the_state(
    capsys: pytest.CaptureFixture[str], generator: torch.Generator
) -> None:
    """NaN where nothing was measured reaches neither output nor gradient."""
    out = says(capsys, "missing_steps.py")
    assert out.count("True") == 3
    x = normal(generator, 6, 2, 3)
    there = torch.rand(6, 2, generator=generator) < 0.5
    x[~there] = math.nan
    m = LSTM(3, 4, 2, bidirectional=True, cell="coupled", dtype=torch.float64)
    y, _ = m(x.requires_grad_(), mask=there)
    y.sum().backward()
    assert y.isfinite().all()
    assert x.grad is not None
    assert (x.grad[~there] == 0).all()


def test_need_13_initialisation(capsys: pytest.CaptureFixture[str]) -> None:
    """Each step from torch's start to an open forget gate carries the first state further."""
    out = says(capsys, "initialisation.py")
    kept = [float(line.split()[-1]) for line in out.splitlines()]
    assert kept[0] < kept[1] < kept[3] < kept[4]
