"""How long a season is, by the frequency and by the series itself."""

from __future__ import annotations

import numpy as np
import pytest

from unrolled.files.spacing import Spacing
from unrolled.recipes._series.seasons import period_found, period_of, season_of


@pytest.mark.parametrize(
    ("frequency", "period"),
    [
        *[("h", 24), ("30min", 48), ("4h", 6), ("min", 1440), ("s", 3600), ("10s", 360)],
        *[("D", 7), ("B", 5), ("W", 52), ("W-SUN", 52), ("2W", 26), ("MS", 12), ("ME", 12)],
        *[("QS-OCT", 4), ("QE", 4), ("2MS", 6), ("YS", None), ("YE-JUN", None), ("7min", None)],
        *[(None, None), (Spacing(1, "number"), None), (Spacing(3600 * 10**6, "us"), 24)],
        *[(Spacing(1, "business day"), 5), (Spacing(1, "month", 31), 12)],
    ],
)
def test_the_frequency_says_how_long_a_season_is(frequency: object, period: int | None) -> None:
    assert period_of(frequency) == period


@pytest.mark.parametrize("frequency", ["often", "SMS", object()])
def test_a_frequency_that_says_nothing_is_refused(frequency: object) -> None:
    with pytest.raises(ValueError, match="makes no sense: expected one that pandas knows, such"):
        period_of(frequency)


@pytest.mark.parametrize("period", [4, 12, 50])
@pytest.mark.parametrize("trend", [0.0, 0.3])
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_a_season_is_found_beneath_noise_trend_and_gaps(
    period: int, trend: float, missing: float
) -> None:
    draw = np.random.default_rng(period)
    places = np.arange(600.0)
    values = 2 * np.sin(2 * np.pi * places / period) + trend * places + draw.standard_normal(600)
    values[draw.random(600) < missing] = np.nan
    found = period_found(values)
    assert found is not None
    assert abs(found - period) <= period // 10 * bool(missing) + period // 25


def test_a_season_on_a_slow_wander_is_found() -> None:
    draw = np.random.default_rng(0)
    wander = draw.standard_normal(30_000).cumsum() * 0.1
    assert period_found(wander + 3 * np.sin(2 * np.pi * np.arange(30_000) / 24)) == 24


def test_sunspots_have_eleven_years() -> None:
    from statsmodels.datasets import sunspots

    values = sunspots.load_pandas().data["SUNACTIVITY"].to_numpy(dtype=np.float64)
    assert period_found(values[:-60]) == 11
    assert season_of("YS", values[:-60]) == 11
    assert season_of("MS", values[:-60]) == 12


def test_noise_has_no_season_nor_has_what_is_constant_or_short() -> None:
    draw = np.random.default_rng(1)
    assert sum(period_found(draw.standard_normal(300)) is not None for _ in range(50)) <= 1
    assert period_found(np.ones(100)) is None
    assert period_found(np.arange(11.0)) is None
    assert period_found(np.arange(100.0)) is None
