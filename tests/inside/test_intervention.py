"""Holding units and the gradient of every state, against loops of their own."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor, nn

from cases import normal
from unrolled import LSTM, Elman
from unrolled.equations import CELLS
from unrolled.inside import intervention
from unrolled.layer import stepped


class Two(nn.Module):
    """Two LSTMs one on the other, and a number for each step."""

    def __init__(self, **options: object) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.below = LSTM(3, 4, dtype=torch.float64, **options)  # type: ignore[arg-type]
        self.above = LSTM(4, 5, dtype=torch.float64)
        self.readout = nn.Linear(5, 1, dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.readout(self.above(self.below(x)[0])[0])[..., 0]
        return y


def by_hand(
    lstm: LSTM, x: Tensor, hold: dict[int, tuple[float, float]]
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """A vanilla layer, written out; h of every step, and each h and c as a tensor of its own."""
    h = c = x.new_zeros(x.shape[1], lstm.hidden_size)
    hs, cs = [], []
    for x_t in x:
        a = x_t @ lstm.weight_ih_l0.T + lstm.bias_ih_l0 + h @ lstm.weight_hh_l0.T + lstm.bias_hh_l0
        i, f, g, o = a.chunk(4, -1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        if hold:
            h, c = h.clone(), c.clone()
        for unit, (h_held, c_held) in hold.items():
            h[:, unit], c[:, unit] = h_held, c_held
        hs.append(h)
        cs.append(c)
    return torch.stack(hs), hs, cs


# --- holding ---


def test_a_held_unit_is_what_it_is_held_at_and_the_rest_runs_on(
    generator: torch.Generator,
) -> None:
    model, x = Two(), normal(generator, 6, 2, 3)
    below, _, _ = by_hand(model.below, x, {2: (0.3, -0.7), 0: (-0.1, 0.2)})
    expected = model.readout(model.above(below)[0])[..., 0]
    h, c = torch.tensor([[0.3, -0.1], [-0.7, 0.2]], dtype=torch.float64)
    with intervention.held(model, "below.l0", [2, 0], h, c):
        found, trace = model(x), model.below.trace(x)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    assert (trace.h[..., 2] == h[0]).all()
    assert (trace.c[..., 0] == c[1]).all()
    assert (found - model(x)).abs().max() > 1e-3


def test_silence_is_zero_and_no_unit_is_no_change(generator: torch.Generator) -> None:
    model, x = Two(), normal(generator, 6, 2, 3)
    with intervention.held(model, "above.l0", [1]):
        trace = model.above.trace(model.below(x)[0])
    assert not trace.h[..., 1].any()
    assert not trace.c[..., 1].any()
    assert trace.h[..., 0].all()
    with intervention.held(model, "above.l0", []):
        torch.testing.assert_close(model(x), Two()(x), rtol=0, atol=1e-12)


def test_after_the_block_the_model_is_as_it_was(generator: torch.Generator) -> None:
    model, x = Two(), normal(generator, 6, 2, 3)
    model.above.engine = "aten"
    before, keys = model(x), set(model.below.__dict__)
    with pytest.raises(ZeroDivisionError), intervention.held(model, "below.l0", [1]):
        raise ZeroDivisionError
    assert torch.equal(model(x), before)
    assert set(model.below.__dict__) == keys
    assert (model.below.engine, model.above.engine) == ("auto", "aten")


def test_blocks_may_lie_in_each_other(generator: torch.Generator) -> None:
    model, x = Two(), normal(generator, 6, 2, 3)
    with intervention.held(model, "below.l0", [0, 3]):
        both = model(x)
    with intervention.held(model, "below.l0", [0]):
        one = model(x)
        with intervention.held(model, "below.l0", [3]):
            assert torch.equal(model(x), both)
        assert torch.equal(model(x), one)
    assert not torch.equal(one, both)


def test_layers_and_directions_are_told_apart(generator: torch.Generator) -> None:
    x = normal(generator, 5, 2, 3)
    lstm = LSTM(3, 4, 2, bidirectional=True, dtype=torch.float64)
    assert intervention.layer_names(lstm) == ["l0", "l0_reverse", "l1", "l1_reverse"]
    before = lstm.trace(x)
    with intervention.held(lstm, "l1_reverse", [2], 0.5):
        after = lstm.trace(x)
        again = lstm.trace(x)  # a second call begins with the first layer again
    assert (after["l1_reverse"].h[..., 2] == 0.5).all()
    assert torch.equal(again.output, after.output)
    for key in ("l0", "l0_reverse", "l1"):
        torch.testing.assert_close(after[key].h, before[key].h, rtol=0, atol=1e-12)
    assert (after["l1_reverse"].h - before["l1_reverse"].h).abs()[..., 0].max() > 1e-6


def test_after_a_call_that_was_cut_short_the_layers_are_still_told_apart(
    generator: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    lstm, x = LSTM(3, 4, 2, dtype=torch.float64), normal(generator, 6, 2, 3)
    everything = range(4)
    with intervention.held(lstm, "l0", everything):
        expected = lstm(x)[0]
        with monkeypatch.context() as patch:
            patch.setattr(stepped.reference, "forward", lambda *_, **__: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                lstm(x)
        assert torch.equal(lstm(x)[0], expected)


def test_padding_and_missing_steps_stay_what_they_are(generator: torch.Generator) -> None:
    """The same of a batch with lengths as of its rows alone."""
    x = normal(generator, 6, 2, 3)
    lstm = LSTM(3, 4, dtype=torch.float64)
    with intervention.held(lstm, "l0", [1], 0.2, 0.4):
        y, (h, c) = lstm(x, lengths=[6, 3])
        alone, (h_1, c_1) = lstm(x[:3, 1:])
    torch.testing.assert_close(y[:3, 1:], alone, rtol=0, atol=1e-12)
    assert not y[3:, 1].any()
    torch.testing.assert_close((h[:, 1:], c[:, 1:]), (h_1, c_1), rtol=0, atol=1e-12)


def test_what_is_not_there_is_said_in_a_sentence() -> None:
    model = Two()
    with (
        pytest.raises(
            intervention.UnitError, match=r"no layer 'l0': its layers are below\.l0, above\.l0\."
        ),
        intervention.held(model, "l0", [0]),
    ):
        pass
    with (
        pytest.raises(intervention.UnitError, match=r"below\.l0 has no unit 4: expected 0 to 3"),
        intervention.held(model, "below.l0", [4]),
    ):
        pass
    with (
        pytest.raises(intervention.UnitError, match=r"none: it holds no unrolled\.LSTM"),
        intervention.held(model.readout, "l0", [0]),
    ):
        pass
    with (
        pytest.raises(intervention.UnitError, match="l0 has a projection"),
        intervention.held(LSTM(3, 4, proj_size=2), "l0", [0]),
    ):
        pass


# --- gradient flow ---


def test_the_flow_is_the_gradient_of_every_state(generator: torch.Generator) -> None:
    model, x = Two(), normal(generator, 6, 2, 3)
    weights = normal(generator, 6, 2)
    y, hs, cs = by_hand(model.below, x, {})
    y, hs_2, cs_2 = by_hand(model.above, y, {})
    loss = (model.readout(y)[..., 0] * weights).sum()
    found = intervention.flow(model, lambda: (model(x) * weights).sum())
    assert list(found) == ["below.l0", "above.l0"]
    for states, d in zip(
        (hs, cs, hs_2, cs_2), (*found["below.l0"], *found["above.l0"]), strict=True
    ):
        expected = torch.stack(torch.autograd.grad(loss, states, retain_graph=True))
        torch.testing.assert_close(d, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_the_flow_is_how_the_loss_answers_to_a_nudge(cell: str, generator: torch.Generator) -> None:
    """∂loss/∂c_t holds what goes through h_t: a nudged state goes on from its own h."""
    model, x = Two(cell=cell), normal(generator, 5, 1, 3)
    found = intervention.flow(model, lambda: model(x)[-1].sum())["below.l0"]
    trace = model.below.trace(x)
    c = trace.c[2].clone().requires_grad_()
    phi = torch.tanh(c) if model.below.cell.output == "tanh" else c
    o = trace.o[2]
    if model.below.cell.peephole:  # E5: o sees c
        o = torch.sigmoid(torch.logit(o) + model.below.weight_ph_l0[-1] * (c - trace.c[2]))
    y, _ = model.below(x[3:], ((o * phi)[None], c[None]))
    above, state = model.above(trace.h[:2])
    above, _ = model.above(torch.cat(((o * phi)[None], y)), state)
    (expected,) = torch.autograd.grad(model.readout(above[-1]).sum(), c)
    assert found.c is not None
    torch.testing.assert_close(found.c[2], expected, rtol=0, atol=1e-10)


def test_the_flow_of_a_padded_row_is_that_of_the_row_alone(generator: torch.Generator) -> None:
    x = normal(generator, 6, 2, 3)
    lstm = LSTM(3, 4, bidirectional=True, dtype=torch.float64)

    def end(x: Tensor, lengths: list[int] | None) -> Tensor:
        _, (h, c) = lstm(x, lengths=lengths)
        return (h + 2 * c)[:, -1].sum()

    padded = intervention.flow(lstm, lambda: end(x, [6, 3]))
    alone = intervention.flow(lstm, lambda: end(x[:3, 1:], None))
    for name in ("l0", "l0_reverse"):
        for d, expected in zip(padded[name], alone[name], strict=True):
            assert d is not None
            torch.testing.assert_close(d[:3, 1:], expected, rtol=0, atol=1e-12)
            assert not d[:, 0].any()
    # Behind its end the state stands still, and what it is there is what the loss reads.
    last = padded["l0"].c
    assert last is not None
    torch.testing.assert_close(last[5, 1], torch.full((4,), 2.0, dtype=torch.float64))


@pytest.mark.parametrize("batch_first", [True, False])
def test_the_flow_through_an_elman_network(batch_first: bool, generator: torch.Generator) -> None:
    x = normal(generator, 5, 2, 3)
    net = Elman(3, 4, batch_first=batch_first, dtype=torch.float64)
    given = x.transpose(0, 1) if batch_first else x
    found = intervention.flow(net, lambda: net(given)[1].sum())["l0"]
    d = torch.ones(2, 4, dtype=torch.float64)
    y = net(given)[0].transpose(0, 1) if batch_first else net(given)[0]
    for t in reversed(range(5)):
        torch.testing.assert_close(found.h[t], d, rtol=0, atol=1e-12)
        d = (d * (1 - y[t] ** 2)) @ net.weight_hh_l0
    assert found.c is None
    assert found.norms()[1] == []


def test_a_held_unit_carries_no_gradient(generator: torch.Generator) -> None:
    model, x = Two(), normal(generator, 5, 2, 3)
    with intervention.held(model, "below.l0", [1], 0.3, 0.1):
        found = intervention.flow(model, lambda: model(x).sum())["below.l0"]
    assert found.c is not None
    assert not found.h[..., 1].any()
    assert not found.c[..., 1].any()
    assert found.h[..., 0].all()


def test_norms_are_the_mean_over_rows(generator: torch.Generator) -> None:
    model, x = Two(), normal(generator, 5, 3, 3)
    found = intervention.flow(model, lambda: model(x).sum())["below.l0"]
    assert found.c is not None
    for d, norms in zip((found.h, found.c), found.norms(), strict=True):
        rows = d.detach().numpy().__pow__(2).sum(-1) ** 0.5
        assert norms == pytest.approx(rows.mean(1).tolist())


def test_only_layers_that_ran_have_a_flow(generator: torch.Generator) -> None:
    model, x = Two(), normal(generator, 5, 2, 3)
    assert list(intervention.flow(model, lambda: model.below(x)[0].sum())) == ["below.l0"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert intervention.flow(model.readout, lambda: model.readout.weight.sum()) == {}


def test_frozen_weights_change_nothing_and_stay_frozen(generator: torch.Generator) -> None:
    model, x = Two(), normal(generator, 5, 2, 3)
    expected = intervention.flow(model, lambda: model(x).sum())
    model.requires_grad_(False)
    found = intervention.flow(model, lambda: model(x).sum())
    for name, d in expected.items():
        assert torch.equal(d.h, found[name].h)
    assert not any(weight.requires_grad for weight in model.parameters())


# --- what went on ---


def test_what_is_seen_is_the_trace(generator: torch.Generator) -> None:
    x = normal(generator, 5, 2, 3)
    lstm = LSTM(3, 4, 2, bidirectional=True, cell="peephole", dtype=torch.float64)
    trace = lstm.trace(x)
    found = intervention.watch(lstm, lambda: lstm(x))
    assert list(found) == list(trace)
    for key, gates in trace.directions.items():
        assert found[key].live is None
        for name, values in gates._asdict().items():
            torch.testing.assert_close(found[key].values[name], values, rtol=0, atol=1e-12)


def test_what_is_seen_of_a_padded_batch_says_where_there_was_a_step(
    generator: torch.Generator,
) -> None:
    x = normal(generator, 5, 2, 3)
    lstm = LSTM(3, 4, bidirectional=True, dtype=torch.float64)
    found = intervention.watch(lstm, lambda: lstm(x, lengths=[5, 2]))
    alone = intervention.watch(lstm, lambda: lstm(x[:2, 1:]))
    for key, seen in found.items():
        assert seen.live is not None
        assert seen.live.tolist() == [[True, t < 2] for t in range(5)]
        for name, values in alone[key].values.items():
            torch.testing.assert_close(seen.values[name][:2, 1:], values, rtol=0, atol=1e-12)


def test_an_elman_network_shows_its_h(generator: torch.Generator) -> None:
    net, x = Elman(3, 4, dtype=torch.float64), normal(generator, 5, 2, 3)
    seen = intervention.watch(net, lambda: net(x))["l0"]
    assert list(seen.values) == ["h"]
    torch.testing.assert_close(seen.values["h"], net(x)[0].detach(), rtol=0, atol=0)


def test_a_held_unit_is_seen_held(generator: torch.Generator) -> None:
    model, x = Two(), normal(generator, 5, 2, 3)
    with intervention.held(model, "above.l0", [3], 0.25, -1.0):
        seen = intervention.watch(model, lambda: model(x))["above.l0"]
    assert (seen.values["h"][..., 3] == 0.25).all()
    assert (seen.values["c"][..., 3] == -1.0).all()
