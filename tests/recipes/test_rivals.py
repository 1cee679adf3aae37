"""Forecasters without a network: none peeks, gaps are held, and a million rows take seconds."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled.recipes._series import rivals
from unrolled.recipes._series.autoregression import Autoregression
from unrolled.recipes._series.rivals import Persistence, Rival, SeasonalNaive, fit_rivals
from unrolled.recipes._series.smoothing import ExponentialSmoothing

NAN = float("nan")


def noisy(seed: int = 0, rows: int = 400) -> np.ndarray:
    drawn = np.random.default_rng(seed).standard_normal(rows)
    values = np.zeros(rows)
    for t in range(2, rows):
        values[t] = 3 + 1.4 * values[t - 1] - 0.7 * values[t - 2] + drawn[t]
    return values


def seasonal(rows: int = 160, period: int = 12, seed: int = 1) -> np.ndarray:
    draw = np.random.default_rng(seed)
    places = np.arange(rows)
    wave = 3 * np.sin(2 * np.pi * places / period) + 0.1 * places
    return 50 + wave + draw.standard_normal(rows).cumsum() * 0.3 + draw.standard_normal(rows)


def holey(values: np.ndarray, share: float = 0.1, seed: int = 2) -> np.ndarray:
    holes = np.random.default_rng(seed).random(len(values)) < share
    return np.where(holes, NAN, values)


# --- none knows what comes after its origin ---


@pytest.mark.parametrize("gaps", [0.0, 0.2])
def test_no_rival_looks_beyond_its_origin(gaps: float) -> None:
    values = holey(seasonal(), gaps)
    origins = np.array([100, 117, 133])
    changed = values.copy()
    for rival in fit_rivals(values[:100], period=12, window=14).fitted:
        whole = rival.forecast(values, origins, 15)
        assert whole.shape == (15, 3)
        assert np.isfinite(whole).all(), rival.name
        for column, origin in enumerate(origins):
            changed[:] = values
            changed[origin + 1 :] = 1e9
            again = rival.forecast(changed, origins, 15)[:, column]
            np.testing.assert_array_equal(again, whole[:, column], err_msg=rival.name)
            cut = rival.forecast(values[: origin + 1], origins[column : column + 1], 15)[:, 0]
            np.testing.assert_allclose(cut, whole[:, column], rtol=1e-12, err_msg=rival.name)


def test_each_rival_but_persistence_uses_what_it_knows() -> None:
    values = seasonal()
    for rival in fit_rivals(values[:100], period=12, window=14).fitted:
        changed = values.copy()
        changed[110] += 100
        moved = rival.forecast(changed, np.array([110]), 12) - rival.forecast(
            values, np.array([110]), 12
        )
        assert np.abs(moved).max() > 1, rival.name


# --- the naive ones ---


def test_persistence_repeats_the_last_known_value() -> None:
    values = np.array([NAN, 1.0, NAN, 9.0])
    ahead = Persistence.fit(values).forecast(values, np.array([0, 1, 2, 3]), 2)
    np.testing.assert_array_equal(ahead, [[NAN, 1, 1, 9]] * 2)


@given(
    values=st.lists(st.sampled_from([NAN, *map(float, range(9))]), min_size=3, max_size=30),
    period=st.integers(1, 9),
    horizon=st.integers(1, 12),
)
def test_seasonal_naive_goes_back_season_by_season(
    values: list[float], period: int, horizon: int
) -> None:
    series = np.array(values)
    origins = np.arange(len(series))
    got = SeasonalNaive(period).forecast(series, origins, horizon)
    for origin in origins:
        known = series[: origin + 1]
        for step in range(1, horizon + 1):
            same = known[(origin + step) % period :: period]
            pool = same[~np.isnan(same)] if (~np.isnan(same)).any() else known[~np.isnan(known)]
            wanted = pool[-1] if len(pool) else NAN
            np.testing.assert_equal(got[step - 1, origin], wanted)


@pytest.mark.parametrize("period", [0, 101])
def test_a_season_that_the_training_part_does_not_hold_is_refused(period: int) -> None:
    with pytest.raises(ValueError, match=f"a season of {period} steps makes no sense: expected 1"):
        SeasonalNaive.fit(np.zeros(100), period)


# --- the autoregression ---


def test_the_autoregression_is_what_statsmodels_fits_and_selects() -> None:
    from statsmodels.tsa.ar_model import AutoReg, ar_select_order

    for seed in range(5):
        training = noisy(seed)[:300]
        fitted = Autoregression.fit(training, 10)
        lags = ar_select_order(training, 10, ic="aic").ar_lags
        assert fitted.order == max(lags)
        theirs = AutoReg(training, fitted.order).fit().params
        np.testing.assert_allclose((fitted.constant, *fitted.coefficients), theirs, rtol=1e-8)


def test_the_autoregression_forecasts_as_statsmodels_does() -> None:
    from statsmodels.tsa.ar_model import AutoReg

    values, horizon = noisy(), 7
    fitted = Autoregression.fit(values[:300], 10)
    ours = fitted.forecast(values, np.array([299, 310, 392]), horizon)
    model = AutoReg(values[:300], fitted.order).fit()
    for column, origin in zip(ours.T, (299, 310, 392), strict=True):
        theirs = model.apply(values[: origin + 1]).predict(origin + 1, origin + horizon)
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


def test_with_gaps_the_autoregression_is_fitted_on_the_rows_that_are_whole() -> None:
    values = holey(noisy(rows=2000), 0.1)
    fitted = Autoregression.fit(values, 10)
    order = fitted.order
    lagged = np.lib.stride_tricks.sliding_window_view(values, order + 1)
    whole = lagged[~np.isnan(lagged).any(1)]
    design = np.column_stack((np.ones(len(whole)), whole[:, -2::-1]))
    solved = np.linalg.lstsq(design, whole[:, -1], rcond=None)[0]
    np.testing.assert_allclose((fitted.constant, *fitted.coefficients), solved, rtol=1e-8)
    assert fitted.coefficients[:2] == pytest.approx((1.4, -0.7), abs=0.1)


def test_a_gap_is_what_the_autoregression_would_have_forecast() -> None:
    values = noisy()
    fitted = Autoregression.fit(values[:300], 10)
    holed = values.copy()
    holed[[350, 351, 353]] = NAN
    ahead = fitted.forecast(holed, np.array([351]), 3)[:, 0]
    np.testing.assert_allclose(ahead, fitted.forecast(values, np.array([349]), 5)[2:, 0])


def test_few_values_leave_a_low_order() -> None:
    fitted = Autoregression.fit(noisy(rows=12), 30)
    assert fitted.order <= 3
    assert np.isfinite(fitted.forecast(noisy(), np.array([0]), 3)).all()


# --- exponential smoothing ---


def shapes(values: np.ndarray) -> list[ExponentialSmoothing]:
    plain = ExponentialSmoothing(0.4, 0.0, 0.0, 1.0, 50.0, 0.0, ())
    season = tuple(3 * np.sin(2 * np.pi * np.arange(12) / 12))
    return [
        plain,
        replace(plain, beta=0.3, trend=0.1),
        replace(plain, beta=0.3, trend=0.1, phi=0.9),
        replace(plain, gamma=0.2, seasons=season),
        replace(plain, gamma=0.2, seasons=season, beta=0.3, trend=0.1, phi=0.9),
        ExponentialSmoothing.fit(values[:100], 12),
    ]


@pytest.mark.parametrize("which", range(6))
def test_smoothing_forecasts_as_statsmodels_state_space_form_does(which: int) -> None:
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel

    values = seasonal()
    ours = shapes(values)[which]
    got = ours.forecast(values, np.array([99, 110, 140]), 15)
    model: dict[str, object] = {"initial_level": ours.level}
    parameters = [ours.alpha]
    if ours.trend:
        model |= {"trend": "add", "damped_trend": ours.phi != 1, "initial_trend": ours.trend}
        parameters.append(ours.alpha * ours.beta)
    if ours.seasons:
        model |= {"seasonal": "add", "seasonal_periods": 12, "initial_seasonal": ours.seasons}
        parameters.append(ours.gamma)
    parameters += [ours.phi] * (ours.phi != 1)
    for column, origin in zip(got.T, (99, 110, 140), strict=True):
        theirs = ETSModel(values[: origin + 1], initialization_method="known", **model)
        wanted = theirs.smooth(np.array(parameters)).forecast(15)
        np.testing.assert_allclose(column, wanted, rtol=1e-10)


def test_what_smoothing_fits_is_what_statsmodels_fits() -> None:
    """One step ahead through the training part, its forecasts are statsmodels' fitted values."""
    from statsmodels.tsa.holtwinters import ExponentialSmoothing as HoltWinters

    values = seasonal(seed=4)
    ours = ExponentialSmoothing.fit(values, 12)
    assert ours.gamma or ours.alpha
    trend = {"trend": "add", "damped_trend": ours.phi != 1} if ours.trend else {}
    theirs = HoltWinters(
        values, seasonal="add", seasonal_periods=12, initialization_method="heuristic", **trend
    ).fit()
    got = ours.forecast(values, np.arange(len(values) - 1), 1)[0]
    np.testing.assert_allclose(got, theirs.fittedvalues[1:], rtol=1e-10)


def test_where_a_value_is_missing_smoothing_goes_on_as_it_forecast() -> None:
    values = seasonal()
    for smoothing in shapes(values):
        before = smoothing.forecast(values, np.array([120]), 8)[:, 0]
        holed = np.where(np.isin(np.arange(len(values)), (121, 122, 123)), NAN, values)
        after = smoothing.forecast(holed, np.array([123]), 5)[:, 0]
        np.testing.assert_allclose(after, before[3:], rtol=1e-12)


def test_smoothing_has_a_season_only_where_two_are_there() -> None:
    values = seasonal(23)
    assert ExponentialSmoothing.fit(values, 12).seasons == ()
    assert len(ExponentialSmoothing.fit(seasonal(24), 12).seasons) == 12
    assert ExponentialSmoothing.fit(seasonal(), None).seasons == ()


def test_gaps_and_cuts_are_said() -> None:
    values = seasonal(4000)
    values[[3000, 3500]] = NAN
    fitted = ExponentialSmoothing.fit(values, 12)
    assert (fitted.start, len(fitted.seasons)) == (1000, 12)
    assert fitted.note == "fitted on the last 3,000 of 4,000 rows, 2 gaps filled in to fit"
    with pytest.raises(ValueError, match="was fitted from row 1000 on and cannot forecast from ro"):
        fitted.forecast(values, np.array([999]), 3)


# --- all of them, in time ---


def test_who_cannot_be_fitted_is_left_out_and_why_is_said() -> None:
    found = fit_rivals(np.array([1.0, 2.0, NAN, 4.0, 5.0]), period=7, window=3)
    assert [rival.name for rival in found.fitted] == ["persistence", "AR(0)"]
    naive, smoothing = found.left_out
    assert naive.startswith("seasonal naive (7) is left out: a season of 7 steps makes no sense")
    assert smoothing.startswith("exponential smoothing is left out: exponential smoothing needs 8")


def test_of_nothing_only_the_naive_forecast_nothing() -> None:
    found = fit_rivals(np.full(30, NAN), period=7, window=3)
    assert [rival.name for rival in found.fitted] == ["persistence", "seasonal naive (7)"]
    assert "the autoregression has no value among the last 30 rows" in found.left_out[0]
    assert "smoothing needs 8 values to be fitted on, and 0 of its rows" in found.left_out[1]


def test_what_is_constant_is_forecast_as_it_is() -> None:
    for rival in fit_rivals(np.full(60, 7.0), period=12, window=5).fitted:
        ahead = rival.forecast(np.full(60, 7.0), np.array([59]), 4)
        np.testing.assert_allclose(ahead, 7.0, rtol=1e-6, err_msg=rival.name)


def test_no_rival_is_begun_when_the_time_is_over() -> None:
    found = fit_rivals(seasonal(), period=12, window=3, limit=0.0)
    assert [rival.name for rival in found.fitted] == ["persistence"]
    assert "exponential smoothing is left out: the 0 seconds for rivals were over after 0.0" in (
        found.notes
    )


@pytest.mark.parametrize(("rows", "window", "period"), [(30_000, 336, 48), (1_000_000, 5000, 24)])
def test_many_rows_take_seconds(rows: int, window: int, period: int) -> None:
    """Without the bounds, the orders up to 336 alone took three minutes of 30,000 rows."""
    import statsmodels.tsa.holtwinters  # noqa: F401  # its import is no fit

    values = np.tile(seasonal(1000, period), rows // 1000)
    border, horizon = int(0.9 * rows), 12
    began = time.process_time()
    found = fit_rivals(values[:border], period=period, window=window, limit=60)
    origins = np.arange(border - 1, rows - horizon)
    for rival in found.fitted:
        assert np.isfinite(rival.forecast(values, origins, horizon)).all()
    assert time.process_time() - began < 15  # 2 here; a loaded machine is slower
    assert len(found.fitted) == 4
    assert any("fitted on the last " in note for note in found.notes)
    if window > 400:
        assert any("looks back 400 steps at the most, not 5,000" in note for note in found.notes)


@settings(max_examples=25, deadline=None)
@given(share=st.floats(0, 0.6), period=st.sampled_from([None, 2, 7, 12]), seed=st.integers(0, 99))
def test_whatever_is_missing_there_is_a_forecast(
    share: float, period: int | None, seed: int
) -> None:
    values = holey(seasonal(120), share, seed)
    values[0] = 50.0
    quick: list[Rival] = [Persistence.fit(values), Autoregression.fit(values[:80], 12)]
    if period:
        quick.append(SeasonalNaive.fit(values[:80], period))
    for rival in quick:
        assert np.isfinite(rival.forecast(values, np.arange(70, 120), 9)).all(), rival.name


def test_public_names_exist() -> None:
    assert all(hasattr(rivals, name) for name in rivals.__all__)
