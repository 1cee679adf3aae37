"""What a date says that is known ahead: the hour, the weekday, the day of the month and the year.

Each is a cycle, and goes in as sine and cosine: December lies as near to January as to November,
and no step of the cycle is larger than another.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from unrolled.errors import InvalidValueError
from unrolled.files.columns import Floats
from unrolled.files.spacing import LENGTHS, Spacing
from unrolled.recipes._series.seasons import spacing_of_frequency

__all__ = ["calendar_features", "calendar_names"]

Dates = Any  # an array of datetime64
DAY = LENGTHS["day"]
HOUR = LENGTHS["h"]


def calendar_names(frequency: Any) -> tuple[str, ...]:
    """Name the features that dates of a frequency have, in their order.

    Hours and less have the time within the hour (of less than an hour), the hour, the weekday and
    the day of the year; days the weekday, the day of the month and that of the year; weeks the day
    of the year; months and quarters the month; years nothing.

    Parameters
    ----------
    frequency
        A Spacing, or what pandas calls a frequency, such as "h" or "MS".
    """
    cycles = _cycles(spacing_of_frequency(frequency))
    return tuple(f"{cycle}, {wave}" for cycle in cycles for wave in ("sine", "cosine"))


def calendar_features(times: Any, frequency: Any) -> Floats:
    """Sine and cosine of where each date stands in its cycles: [times, features].

    Parameters
    ----------
    times
        datetime64, a DatetimeIndex, or a Series of dates, steps to come included; of a time zone,
        the clock on the wall there counts.
    frequency
        As `calendar_names` takes it: it decides which features there are, and dates do not.

    Raises
    ------
    ValueError
        If the times are no dates, or one is missing.
    """
    dates = _dates(times)
    columns = [CYCLES[cycle](dates) for cycle in _cycles(spacing_of_frequency(frequency))]
    turns = 2 * np.pi * np.array(columns).reshape(len(columns), len(dates))
    waves = np.stack((np.sin(turns), np.cos(turns)), 1)
    return waves.reshape(-1, len(dates)).T


def _dates(times: Any) -> Dates:
    """The dates as NumPy has them, to the microsecond, by the clock on the wall."""
    clock = getattr(times, "dt", times)  # a Series keeps its dates' methods there
    if getattr(clock, "tz", None) is not None:
        times = clock.tz_localize(None)
    dates = np.asarray(times)
    if dates.dtype.kind != "M":
        raise InvalidValueError(
            f"a calendar needs dates, and the times are {dates.dtype}: expected datetime64; for "
            "numbers that are dates, say how they are to be read, or do without the calendar."
        )
    if np.isnat(dates).any():
        place = int(np.flatnonzero(np.isnat(dates))[0])
        raise InvalidValueError(
            f"a calendar needs a date for each step, and step {place} has none."
        )
    return dates.astype("datetime64[us]")


def _cycles(spacing: Spacing) -> list[str]:
    """Which cycles steps of that length move through."""
    count = int(spacing.count)
    if spacing.unit == "number":
        return []
    if spacing.unit == "month":
        return [] if count % 12 == 0 else ["month"]
    if spacing.unit == "business day":
        return ["weekday", "day of the month", "day of the year"]
    return _of_length(count)


def _of_length(length: int) -> list[str]:
    within = ["minute"] if length % HOUR else []
    hour = ["hour"] if length % DAY else []
    weekday = ["weekday"] if length % (7 * DAY) else []
    # Within one day the day of the month hardly moves; a week's first day drifts through it.
    month = ["day of the month"] if not hour and weekday else []
    return [*within, *hour, *weekday, *month, "day of the year"]


# --- where a date stands in a cycle, from 0 to 1 ---


def _within(coarse: str, dates: Dates) -> Floats:
    """Share of the hour, day, month or year that is over."""
    begin = dates.astype(f"datetime64[{coarse}]")
    end = (begin + 1).astype(dates.dtype)
    begin = begin.astype(dates.dtype)
    return np.asarray((dates - begin) / (end - begin), dtype=np.float64)


def _of_week(dates: Dates) -> Floats:
    """Whole days since Monday, of 7: the hour is a cycle of its own."""
    days = dates.astype("datetime64[D]").astype(np.int64)
    return np.asarray((days + 3) % 7 / 7, dtype=np.float64)  # day 0 of 1970 was a Thursday


def _day_within(coarse: str, dates: Dates) -> Floats:
    """Whole days since the month or the year began, of as many as it has."""
    return _within(coarse, dates.astype("datetime64[D]"))


def _month_of_year(dates: Dates) -> Floats:
    months = dates.astype("datetime64[M]").astype(np.int64)
    return np.asarray(months % 12 / 12, dtype=np.float64)


CYCLES: dict[str, Callable[[Dates], Floats]] = {
    "minute": lambda dates: _within("h", dates),
    "hour": lambda dates: _within("D", dates),
    "weekday": _of_week,
    "day of the month": lambda dates: _day_within("M", dates),
    "day of the year": lambda dates: _day_within("Y", dates),
    "month": _month_of_year,
}
