"""Conformal intervals: what they promise holds in many draws, and on what they learnt from."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled.recipes._series.calibration import Calibration, interval_of, levels_of
from unrolled.recipes._series.scores import coverage

NAN = float("nan")
LEVELS = levels_of((0.8, 0.95))


def drawn(seed: int, horizon: int, origins: int, width: float) -> tuple[np.ndarray, np.ndarray]:
    """Quantiles about places that move, as wide as ``width`` has it; and the truth about them."""
    draw = np.random.default_rng(seed)
    middle = draw.standard_normal((horizon, origins)) * 5
    spread = draw.uniform(0.5, 2, (horizon, origins))
    ends = np.array([-1.96, -1.28, 0, 1.28, 1.96]) * width
    noise = draw.standard_t(4, (horizon, origins))
    return middle[..., None] + spread[..., None] * ends, middle + spread * noise


def test_the_levels_of_intervals() -> None:
    assert LEVELS == (0.025, 0.1, 0.5, 0.9, 0.975)
    assert levels_of(()) == (0.5,)
    assert levels_of((0.8,)) == (0.1, 0.5, 0.9)
    lower, upper = interval_of(np.arange(5.0).reshape(1, 1, 5), LEVELS, 0.8)
    assert (lower.item(), upper.item()) == (1, 3)
    with pytest.raises(ValueError, match=r"share=0.7 makes no sense: expected that of an interval"):
        interval_of(np.zeros((1, 1, 5)), LEVELS, 0.7)
    with pytest.raises(ValueError, match="expected shares in 0 to 1"):
        levels_of((80.0,))


@pytest.mark.parametrize("count", [19, 20, 39, 60])
@pytest.mark.parametrize("width", [0.3, 1.0, 3.0])
def test_exchangeable_values_are_covered_as_promised(count: int, width: float) -> None:
    """Over 4,000 draws of both parts ⌈(n + 1)·p⌉ / (n + 1) are covered, as the proof has it.

    Without the + 1 it would be a step of 1 / (n + 1) less, which is far beyond the error.
    """
    draws = 4000
    quantiles, truth = drawn(count, 1, draws * (count + 1), width)
    quantiles, truth = quantiles.reshape(draws, count + 1, 5), truth.reshape(draws, count + 1)
    hits = dict.fromkeys((0.8, 0.95), 0)
    for ours, real in zip(quantiles, truth, strict=True):
        fitted = Calibration.fit(ours[None, :-1], real[None, :-1], LEVELS)
        ahead = fitted.apply(ours[None, -1:])
        for share in hits:
            lower, upper = interval_of(ahead, LEVELS, share)
            hits[share] += bool(lower <= real[-1] <= upper)
    for share, hit in hits.items():
        exact = np.ceil(round((count + 1) * share, 9)) / (count + 1)
        error = 4 * (exact * (1 - exact) / draws) ** 0.5
        assert exact - error < hit / draws, share
        # Nested intervals may cover more, where an inner one was widened beyond the outer.
        assert hit / draws < exact + error + 0.02, share


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    horizon=st.integers(1, 4),
    origins=st.integers(1, 60),
    width=st.floats(-2, 4),
    missing=st.floats(0, 0.9),
)
def test_on_what_it_learnt_from_it_covers_as_much_as_asked_and_never_crosses(
    seed: int, horizon: int, origins: int, width: float, missing: float
) -> None:
    quantiles, truth = drawn(seed, horizon, origins, width)
    truth[np.random.default_rng(seed).random(truth.shape) < missing] = NAN
    fitted = Calibration.fit(quantiles, truth, LEVELS)
    corrected = fitted.apply(quantiles)
    assert (np.diff(corrected, axis=-1) >= 0).all()
    if np.isnan(truth).all():
        return
    for share in (0.8, 0.95):
        score = coverage(*interval_of(corrected, LEVELS, share), truth)
        assert score.overall >= share - 1e-9
        known = (~np.isnan(truth)).sum(1)
        enough = np.ceil((known + 1) * share - 1e-9) <= known
        assert (score.by_step[enough] >= share - 1e-9).all()
        assert enough.all() == (f"the {100 * share:g} % interval" not in " ".join(fitted.notes))


def test_intervals_that_were_too_wide_are_narrowed_and_the_median_stays() -> None:
    quantiles, truth = drawn(0, 2, 500, 5.0)
    fitted = Calibration.fit(quantiles, truth, LEVELS)
    assert (fitted.corrections < 0).all()
    corrected = fitted.apply(quantiles)
    assert (np.ptp(corrected, axis=-1) < np.ptp(quantiles, axis=-1)).mean() > 0.9
    np.testing.assert_array_equal(corrected[..., 2], quantiles[..., 2])


def test_each_step_ahead_is_corrected_by_its_own_errors() -> None:
    truth = np.stack((np.arange(1.0, 100), 10 * np.arange(1.0, 100)))
    fitted = Calibration.fit(np.zeros((2, 99, 3)), truth, (0.1, 0.5, 0.9))
    assert fitted.corrections.tolist() == [[80.0], [800.0]]  # the 80th of 99: (99 + 1) · 0.8
    assert fitted.notes == ()


def test_few_values_are_pooled_and_too_few_are_said() -> None:
    truth = np.full((2, 30), NAN)
    truth[0, :18] = np.arange(18.0)
    truth[1] = np.arange(100.0, 130)
    zeros = np.zeros((2, 30, 5))
    fitted = Calibration.fit(zeros, truth, LEVELS)
    # All 48: the ⌈49 · 0.95⌉ = 47th.  Step 2 alone, 30 values: the ⌈31 · 0.95⌉ = 30th.
    assert fitted.corrections.tolist() == [[128.0, 15.0], [129.0, 124.0]]
    assert fitted.notes == (
        "the 95 % interval is corrected by all steps together for 1 of 2 steps ahead: fewer than "
        "19 validation values are known there",
    )
    few = Calibration.fit(zeros[:1, :3], truth[:1, :3], LEVELS)
    assert few.corrections.tolist() == [[2.0, 2.0]]
    assert few.notes[0].startswith("the 95 % interval is corrected by the largest of 3 errors for")
    none = Calibration.fit(zeros, np.full((2, 30), NAN), LEVELS)
    assert none.corrections.tolist() == [[0, 0], [0, 0]]
    assert none.notes[0].startswith("the 95 % interval is as it was learnt: the validation part")


@pytest.mark.parametrize("levels", [(0.9, 0.5, 0.1), (0.1, 0.5, 0.8), (0.0, 0.5, 1.0), ()])
def test_levels_without_their_counterparts_are_refused(levels: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="expected rising quantile levels between 0 and 1, each"):
        Calibration.fit(np.zeros((1, 5, len(levels))), np.zeros((1, 5)), levels)


def test_shapes_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected \(2, 5, 3\)"):
        Calibration.fit(np.zeros((2, 4, 3)), np.zeros((2, 5)), (0.1, 0.5, 0.9))


def test_errors_that_overlap_count_as_fewer() -> None:
    """Of 40 errors up to 4 steps ahead 16 are new: the ⌈40 · 17/16 · 0.8⌉-th smallest."""
    random = np.random.default_rng(0)
    truth = random.normal(size=(4, 40))
    quantiles = np.tile([-0.1, 0.0, 0.1], (4, 40, 1))
    fitted = Calibration.fit(quantiles, truth, (0.1, 0.5, 0.9), overlapping=True)
    beyond = np.sort(np.abs(truth), axis=1) - 0.1
    assert fitted.corrections[:, 0] == pytest.approx(beyond[:, 34 - 1])
    plain = Calibration.fit(quantiles, truth, (0.1, 0.5, 0.9))
    assert plain.corrections[3, 0] == pytest.approx(beyond[3, 33 - 1])
