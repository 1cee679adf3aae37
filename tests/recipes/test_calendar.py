"""What dates say that is known ahead: each cycle once round, and every kind of date alike."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from unrolled.files.spacing import Spacing
from unrolled.recipes._series.calendar import calendar_features, calendar_names


def angles(times: object, frequency: object) -> dict[str, np.ndarray]:
    """Where dates stand in each cycle, from 0 to 1, out of sine and cosine."""
    names, features = calendar_names(frequency), calendar_features(times, frequency)
    assert features.shape == (len(times), len(names))  # type: ignore[arg-type]
    np.testing.assert_allclose(features[:, ::2] ** 2 + features[:, 1::2] ** 2, 1)
    turns = np.arctan2(features[:, ::2], features[:, 1::2]) / (2 * np.pi) % 1
    return {name.partition(",")[0]: turns[:, n] for n, name in enumerate(names[::2])}


@pytest.mark.parametrize(
    ("frequency", "cycles"),
    [
        ("15min", ["minute", "hour", "weekday", "day of the year"]),
        ("h", ["hour", "weekday", "day of the year"]),
        ("D", ["weekday", "day of the month", "day of the year"]),
        ("B", ["weekday", "day of the month", "day of the year"]),
        ("W", ["day of the year"]),
        *[("MS", ["month"]), ("QS", ["month"]), ("YS", [])],
        (Spacing(1, "number"), []),
        (Spacing(6 * 3600 * 10**6, "us"), ["hour", "weekday", "day of the year"]),
    ],
)
def test_the_frequency_decides_which_there_are(frequency: object, cycles: list[str]) -> None:
    names = [f"{cycle}, {wave}" for cycle in cycles for wave in ("sine", "cosine")]
    assert list(calendar_names(frequency)) == names
    features = calendar_features(np.array(["2024-02-29T13:30"], "datetime64[m]"), frequency)
    assert features.shape == (1, len(names))


def test_each_stands_where_the_calendar_says() -> None:
    times = pd.DatetimeIndex(["2024-01-01 06:30", "2023-03-19 18:45", "2024-12-31 00:00"])
    found = angles(times, "15min")
    np.testing.assert_allclose(found["minute"], [0.5, 0.75, 0], atol=1e-12)
    np.testing.assert_allclose(found["hour"], [6.5 / 24, 18.75 / 24, 0], atol=1e-12)
    np.testing.assert_allclose(found["weekday"], times.day_of_week / 7, atol=1e-12)
    year = (times.day_of_year - 1) / np.array([366, 365, 366])
    np.testing.assert_allclose(found["day of the year"], year, atol=1e-12)
    days = angles(times, "D")
    within = (times.day - 1) / times.days_in_month
    np.testing.assert_allclose(days["day of the month"], within, atol=1e-12)
    np.testing.assert_allclose(angles(times, "MS")["month"], (times.month - 1) / 12, atol=1e-12)


def test_dates_of_every_kind_and_of_long_ago_are_read_alike() -> None:
    index = pd.date_range("1699-11-30 22:00", periods=50, freq="7h")
    wanted = calendar_features(index, "h")
    for times in (
        index.to_numpy(),
        index.to_numpy().astype("datetime64[m]"),
        pd.Series(index),
        index.tz_localize("Asia/Tokyo"),
        pd.Series(index.tz_localize("Asia/Tokyo")),
    ):
        np.testing.assert_array_equal(calendar_features(times, "h"), wanted)


def test_december_is_as_near_to_january_as_to_november() -> None:
    months = calendar_features(np.arange("2020-01", "2022-01", dtype="datetime64[M]"), "MS")
    apart = np.linalg.norm(np.diff(months, axis=0), axis=1)
    np.testing.assert_allclose(apart, apart[0])
    np.testing.assert_allclose(months[:12], months[12:], atol=1e-12)


def test_what_is_no_date_is_refused() -> None:
    with pytest.raises(ValueError, match="a calendar needs dates, and the times are float64"):
        calendar_features(np.arange(3.0), "D")
    with pytest.raises(ValueError, match="needs a date for each step, and step 1 has none"):
        calendar_features(np.array(["2020-01-01", "NaT"], "datetime64[D]"), "D")
