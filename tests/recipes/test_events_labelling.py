"""The made-up signal, the network that labels it, its linear rival, and their scores."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from unrolled.layer.lstm import LSTM
from unrolled.recipes._events import labeller, linear
from unrolled.recipes._events.bursts import bursts
from unrolled.recipes._events.labeller import Labeller, probabilities, scores
from unrolled.recipes._events.linear import LinearLabeller
from unrolled.recipes._events.parts import DividedSignal
from unrolled.recipes._events.pictures import busiest


def parts_of(count: int = 600, seed: int = 0) -> DividedSignal:
    values, events = bursts(count, np.random.default_rng(seed))
    return DividedSignal(values * 7 + 100, events[:, None], ("event",), count * 3 // 4)


def model_of(parts: DividedSignal, both: bool = False) -> Labeller:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Labeller(LSTM(parts.values.shape[1], 4, bidirectional=both), parts).eval()


# --- the made-up signal ---


def test_the_made_up_signal_is_drawn_from_its_generator() -> None:
    one, other, third = (bursts(500, np.random.default_rng(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one[0], other[0])
    np.testing.assert_array_equal(one[1], other[1])
    assert not np.array_equal(one[0], third[0])


def test_an_event_is_a_burst_that_the_right_cue_came_before() -> None:
    """In the steps before an event A and B are louder than elsewhere; C and F are not."""
    values, events = bursts(60_000, np.random.default_rng(0))
    assert 0.1 < events.mean() < 0.2
    power = np.square(values - values.mean(0))
    before = np.zeros(len(events), dtype=bool)
    for begin in np.flatnonzero(np.diff(events.astype(int)) == 1) + 1:
        before[max(begin - 20, 0) : begin] = True
    ratio = power[before].mean(0) / power[~before & ~events].mean(0)
    assert (ratio[[0, 1]] > 1.15).all()
    assert (ratio[[2, 5]] < 1.0).all()
    during = power[events].mean(0) / power[~events].mean(0)
    assert (during[[3, 4]] > 1.3).all()


# --- the network ---


def test_scaling_and_rarity_are_of_the_training_part() -> None:
    parts = parts_of()
    model = model_of(parts)
    known = torch.from_numpy(parts.values[: parts.border])[:, None]
    seen = model.scaled(known)
    torch.testing.assert_close(seen.mean((0, 1)), torch.zeros(6), atol=1e-5, rtol=0)
    torch.testing.assert_close(seen.std((0, 1), correction=0), torch.ones(6))
    share = parts.flags[: parts.border].mean()
    assert model.rarity.item() == pytest.approx((1 - share) / share)
    assert model.probability(torch.zeros(1)).item() == pytest.approx(share)


def test_both_kinds_of_step_weigh_the_same_in_the_loss() -> None:
    parts = parts_of()
    model = model_of(parts)
    flags = torch.from_numpy(parts.flags[: parts.border]).float()
    logits = torch.zeros_like(flags, requires_grad=True)
    model.loss(logits, flags).backward()
    gradient = logits.grad
    assert gradient is not None
    assert gradient[flags == 1].sum().item() == pytest.approx(-gradient[flags == 0].sum().item())


@pytest.mark.parametrize("both", [False, True])
def test_a_signal_is_labelled_as_in_one_pass(both: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = parts_of()
    model = model_of(parts, both)
    with torch.no_grad():
        logits, _ = model(torch.from_numpy(parts.values)[:, None])
        whole = model.probability(logits)[:, 0].numpy()
    monkeypatch.setattr(labeller, "STRETCH", 7)
    np.testing.assert_allclose(probabilities(model, parts.values), whole, rtol=1e-5)
    assert probabilities(model, parts.values[:0]).shape == (0, 1)


@pytest.mark.parametrize("both", [False, True])
def test_without_both_directions_nothing_is_known_of_what_comes(both: bool) -> None:
    parts = parts_of()
    changed = parts.values.copy()
    changed[300:] += 30
    model = model_of(parts, both)
    rival = LinearLabeller.fit(parts, 16, both_directions=both, seed=0)
    for said in (lambda values: probabilities(model, values), rival.decide):
        before, after = said(parts.values), said(changed)
        assert np.array_equal(before[:300], after[:300]) is not both
        assert not np.array_equal(before[300:], after[300:])


# --- the linear rival ---


def test_the_linear_labeller_finds_a_delayed_sign() -> None:
    """The event is where x was above 0 six steps ago: a window of 16 finds it, of 4 not."""
    values = np.random.default_rng(0).standard_normal((2000, 2))
    flags = np.roll(values[:, :1] > 0, 6, axis=0)
    parts = DividedSignal(values, flags, ("e",), 1500)
    rival = LinearLabeller.fit(parts, 64, both_directions=False, seed=0)
    assert rival.window == 16
    assert scores(parts.heldout, rival.decide(values)[1500:])["roc_auc"] > 0.99
    short = LinearLabeller.fit(parts, 4, both_directions=False, seed=0)
    assert short.window in (1, 4)
    assert scores(parts.heldout, short.decide(values)[1500:])["roc_auc"] < 0.6


def test_of_a_long_signal_rows_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).standard_normal((2000, 2))
    parts = DividedSignal(values, values[:, :1] > 0, ("e",), 1500)
    whole = LinearLabeller.fit(parts, 4, both_directions=False, seed=0)
    monkeypatch.setattr(linear, "MOST_NUMBERS", 2400)
    one, other = (LinearLabeller.fit(parts, 4, both_directions=False, seed=0) for _ in range(2))
    np.testing.assert_array_equal(one.decide(values), other.decide(values))
    assert not np.array_equal(one.decide(values), whole.decide(values))
    assert scores(parts.heldout, one.decide(values)[1500:])["roc_auc"] > 0.95


# --- scores ---


def test_scores_are_those_of_the_textbook() -> None:
    flags = np.array([[0, 0, 1, 1]], dtype=bool).T
    said = np.array([[0.1, 0.4, 0.35, 0.8]]).T
    # 3 of 4 pairs in order; precision 1 at recall ½, 2⁄3 at recall 1
    figures = scores(flags, said)
    assert figures["roc_auc"] == pytest.approx(0.75)
    assert figures["average_precision"] == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_several_events_are_averaged_and_one_without_a_score_is_left_out() -> None:
    flags = np.array([[0, 0, 1, 1], [1, 0, 1, 0], [0, 0, 0, 0]], dtype=bool).T
    said = np.array([[0.1, 0.4, 0.35, 0.8], [0.1, 0.2, 0.3, 0.4], [0.1] * 4]).T
    figures = scores(flags, said, ("a", "b", "c"))
    assert figures["roc_auc of b"] == pytest.approx(0.25)
    assert figures["roc_auc"] == pytest.approx((0.75 + 0.25) / 2)
    assert math.isnan(figures["roc_auc of c"])


def test_the_busiest_stretch_has_most_beginnings() -> None:
    flags = np.zeros((100, 1), dtype=bool)
    flags[[10, 40, 44, 48]] = True
    assert busiest(flags, 10) == slice(39, 49)
    assert busiest(flags, 500) == slice(0, 100)
