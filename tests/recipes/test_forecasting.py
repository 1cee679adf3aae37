"""Windows, the split in time, and the classical forecasts, each against a slower way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unrolled.recipes._series import forecasting
from unrolled.recipes._series.forecasting import (
    Autoregression,
    persistence,
    rmse,
    split,
    targets,
    windows,
)


@given(window=st.integers(1, 6), horizon=st.integers(1, 6), extra=st.integers(0, 9), data=st.data())
def test_nothing_learned_from_lies_in_the_test_part(
    window: int, horizon: int, extra: int, data: st.DataObject
) -> None:
    rows = window + horizon + 1 + extra
    tested = horizon + data.draw(st.integers(0, 9))
    cut = split(np.arange(float(rows + tested)), window, horizon, tested)
    assert cut.border == rows
    learned = cut.training_origins
    # The values are their own places, so that a window says where it was cut.
    assert windows(cut.values, learned, window).min() == 0
    assert targets(cut.values, learned, horizon).max() == cut.border - 1
    ahead = targets(cut.values, cut.test_origins, horizon)
    assert (ahead.min(), ahead.max()) == (cut.border, rows + tested - 1)
    assert windows(cut.values, cut.test_origins, window).min() >= 0
    both = windows(cut.values, learned, window)[-1], targets(cut.values, learned, 1)[0]
    np.testing.assert_array_equal(both[0] + 1, both[1])


@pytest.mark.parametrize(("rows", "tested"), [(20, 4), (17, 5), (16, 5)])
def test_a_short_series_is_refused(rows: int, tested: int) -> None:
    with pytest.raises(ValueError, match="a window of 6 and a horizon of 5 need at least 12 to"):
        split(np.arange(float(rows)), 6, 5, tested if rows != 17 else 6)


def test_a_constant_training_part_is_refused() -> None:
    values = np.concatenate((np.full(20, 3.0), np.arange(5.0)))
    with pytest.raises(ValueError, match="first 20 rows, the training part, are all 3: a constant"):
        split(values, 2, 1, 5)


def test_persistence_repeats_the_last_value() -> None:
    values = np.array([1.0, 4.0, 9.0])
    assert persistence(values, np.array([0, 2]), 2).tolist() == [[1, 9], [1, 9]]
    assert rmse(np.array([1.0, 2.0]), np.array([1.0, 4.0])) == pytest.approx(2**0.5)


def noisy(seed: int = 0) -> np.ndarray:
    drawn = np.random.default_rng(seed).standard_normal(400)
    values = np.zeros(400)
    for t in range(2, 400):
        values[t] = 3 + 1.4 * values[t - 1] - 0.7 * values[t - 2] + drawn[t]
    return values


def test_the_autoregression_is_least_squares_on_the_training_part() -> None:
    values = noisy()
    fitted = Autoregression.fit(values[:300], 10)
    order = fitted.order
    assert order >= 2
    lagged = np.stack([values[order - k : 300 - k] for k in range(1, order + 1)], 1)
    design = np.column_stack((np.ones(len(lagged)), lagged))
    solved = np.linalg.lstsq(design, values[order:300], rcond=None)[0]
    np.testing.assert_allclose((fitted.constant, *fitted.coefficients), solved, rtol=1e-8)


def test_the_autoregression_forecasts_as_statsmodels_does() -> None:
    from statsmodels.tsa.ar_model import AutoReg

    values, horizon = noisy(), 7
    fitted = Autoregression.fit(values[:300], 10)
    ours = fitted.forecast(values, np.array([299, 310, 392]), horizon)
    model = AutoReg(values[:300], fitted.order).fit()
    for column, origin in zip(ours.T, (299, 310, 392), strict=True):
        known = model.apply(values[: origin + 1])
        theirs = known.predict(origin + 1, origin + horizon)
        np.testing.assert_allclose(column, theirs, rtol=1e-8)


def test_the_autoregression_of_a_cosine_is_exact_and_of_noise_is_nothing() -> None:
    cosine = np.cos(0.01 * np.arange(3000))
    fitted = Autoregression.fit(cosine[:2000], 10)
    ahead = fitted.forecast(cosine, np.array([2500]), 5)[:, 0]
    np.testing.assert_allclose(ahead, cosine[2501:2506], atol=1e-9)
    noise = np.random.default_rng(3).standard_normal(500)
    assert Autoregression.fit(noise, 0).forecast(noise, np.array([9]), 2) == pytest.approx(
        noise.mean()
    )


def test_public_names_exist() -> None:
    assert all(hasattr(forecasting, name) for name in forecasting.__all__)
