"""Scores, each against the definition written out; what nobody knows counts nowhere."""

from __future__ import annotations

import numpy as np
import pytest

from unrolled.recipes._series import scores
from unrolled.recipes._series.scores import (
    coverage,
    mae,
    mase,
    mean_width,
    pinball,
    ranking,
    rmse,
    seasonal_error,
    winner,
)

NAN = float("nan")
TRUTH = np.array([[1.0, 2.0, NAN], [4.0, NAN, NAN], [NAN, NAN, NAN]])
FORECASTS = np.array([[2.0, 4.0, 9.0], [1.0, 9.0, NAN], [9.0, 9.0, 9.0]])


def test_each_known_truth_counts_the_same() -> None:
    absolute, squared = mae(FORECASTS, TRUTH), rmse(FORECASTS, TRUTH)
    assert absolute.overall == 2.0  # (1 + 2 + 3) / 3, and not the mean of the steps' means
    np.testing.assert_array_equal(absolute.by_step, [1.5, 3.0, NAN])
    assert squared.overall == pytest.approx((14 / 3) ** 0.5)
    np.testing.assert_allclose(squared.by_step, [2.5**0.5, 3.0, NAN])


def test_a_forecast_that_is_missing_is_not_left_out_of_the_score() -> None:
    with pytest.raises(ValueError, match="1 of 3 forecasts are no number where the truth is known"):
        mae(np.where(FORECASTS == 2, NAN, FORECASTS), TRUTH)
    with pytest.raises(ValueError, match="1 of 3 forecasts are no number"):
        mae(np.where(FORECASTS == 2, np.inf, FORECASTS), TRUTH)


def test_mase_of_the_seasonal_naive_forecast_of_the_training_part_is_1() -> None:
    draw = np.random.default_rng(0)
    training = draw.standard_normal(200)
    training[[7, 50]] = NAN
    for period in (1, 7):
        scale = seasonal_error(training, period)
        apart = [
            abs(training[t] - training[t - period])
            for t in range(period, 200)
            if not np.isnan(training[t] - training[t - period])
        ]
        assert scale == pytest.approx(sum(apart) / len(apart))
        known = ~np.isnan(training[:-period])
        ours = mase(training[:-period][known][None], training[period:][known][None], scale)
        assert ours.overall == pytest.approx(1.0)
    assert seasonal_error(training, None) == seasonal_error(training, 1)


def test_mase_with_nothing_to_scale_by_is_no_number() -> None:
    assert seasonal_error(np.tile([1.0, 5.0], 10), 2) == 0
    assert np.isnan(mase(FORECASTS, TRUTH, 0.0).overall)
    assert np.isnan(mase(FORECASTS, TRUTH, 0.0).by_step).all()
    assert np.isnan(seasonal_error(np.arange(5.0), 7))


def test_pinball_is_paid_by_the_definition_and_least_by_the_true_quantile() -> None:
    truth = np.array([[0.0, 10.0]])
    quantiles = np.array([[[1.0, 2.0], [7.0, 12.0]]])
    levels = (0.1, 0.9)
    # 0 lies 1 below the .1 quantile and 2 below the .9; 10 lies 3 above .1 and 2 below .9.
    wanted = np.array([(0.9 * 1 + 0.1 * 2) / 2, (0.1 * 3 + 0.1 * 2) / 2])
    assert pinball(quantiles, truth, levels).overall == pytest.approx(wanted.mean())
    drawn = np.random.default_rng(0).standard_normal((1, 20_000))
    losses = [
        pinball(np.full((1, 20_000, 1), at), drawn, (0.8,)).overall for at in (0.4, 0.8416, 1.3)
    ]
    assert min(losses) == losses[1]
    assert pinball(FORECASTS[..., None], TRUTH, (0.5,)).overall == mae(FORECASTS, TRUTH).overall / 2


def test_an_interval_covers_its_ends_and_is_as_wide_as_it_is() -> None:
    lower, upper = np.full((3, 3), 1.0), np.array([[2.0, 1.5, 9.0]] * 3)
    covered, width = coverage(lower, upper, TRUTH), mean_width(lower, upper, TRUTH)
    assert covered.overall == pytest.approx(1 / 3)
    np.testing.assert_array_equal(covered.by_step, [0.5, 0.0, NAN])
    assert width.overall == pytest.approx((1 + 0.5 + 1) / 3)
    np.testing.assert_array_equal(width.by_step, [0.75, 1.0, NAN])


def test_who_wins_is_said_in_one_line() -> None:
    three = {"persistence": 1.5, "LSTM": 0.7, "AR(9)": 0.8}
    assert ranking(three) == [("LSTM",), ("AR(9)",), ("persistence",)]
    assert winner(three, "MASE") == "LSTM is best by MASE, 0.7; AR(9) has 0.8"
    tied = {"LSTM": 0.70001, "AR(9)": 0.70003, "naive": 0.9, "persistence": 0.9, "none": NAN}
    assert ranking(tied) == [("LSTM", "AR(9)"), ("naive", "persistence"), ("none",)]
    assert winner(tied, "MAE") == (
        "LSTM and AR(9) are equally good by MAE, 0.7; naive and persistence have 0.9"
    )
    assert winner({"LSTM": 0.0}, "MAE") == "LSTM is best by MAE, 0"
    assert winner({"LSTM": NAN}, "MASE") == "nobody is best by MASE: there is no score"


def test_public_names_exist() -> None:
    assert all(hasattr(scores, name) for name in scores.__all__)
