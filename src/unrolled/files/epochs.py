"""Times that are written as one number: years, 20011229, seconds since 1970, decimal years."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from unrolled.files.columns import Cells, Floats, Integers

__all__ = ["in_a_century", "of_numbers"]

Read = tuple[Any, str, list[str]]  # values, style, said
YEARS = (1500, 2200)  # what four digits are taken for a year
COMPACT = {6: "%Y%m", 8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
UNITS = {10: ("s", 10**6), 13: ("ms", 10**3), 16: ("us", 1)}  # digits: name, microseconds in one


def of_numbers(words: Cells, numbers: Floats) -> Read:
    """Tell what numbers mean as times; those that mean nothing else just count."""
    longest = max(map(len, words))
    if all(word.isdigit() for word in words):
        same = all(len(word) == longest for word in words)
        if same and longest in COMPACT:
            compact = _compact(words, COMPACT[longest])
            if compact is not None:
                return compact, "month" if longest == 6 else "date", []
            if longest == 6 and (compact := _compact(words, "%y%m%d")) is not None:
                return in_a_century(compact), "date", []
        if same and longest == 4 and YEARS[0] <= numbers.min() <= numbers.max() <= YEARS[1]:
            return _years(numbers.astype(np.int64)), "year", []
        if longest in UNITS:
            return _epoch(words, *UNITS[longest])
    elif re.fullmatch(r"\d{10}\.\d*", words[0]):
        micro = np.round(numbers * 1e6).astype(np.int64)
        return micro.astype("datetime64[us]"), "epoch s", ["seconds since 1970"]
    elif YEARS[0] <= numbers.min() <= numbers.max() <= YEARS[1] and len(words) > 2:
        return _with_decimals(words, numbers)
    return numbers.astype(np.float64), "number", []


def _compact(words: Cells, form: str) -> Any:
    import pandas as pd

    read = pd.to_datetime(pd.Series(words, dtype=object), format=form, errors="coerce")
    if read.isna().any():
        return None
    years = read.dt.year
    return read.to_numpy().astype("datetime64[us]") if years.between(*YEARS).all() else None


def in_a_century(times: Any) -> Any:
    """Times of years with two digits, of which 58 is 2058 to a computer: 1958 where 01 follows it.

    Times that run one way are left as they are.
    """
    steps = np.diff(times).astype(np.int64)
    if len(times) < 3 or (steps >= 0).all() or (steps <= 0).all():
        return times
    first = times[0] if times[0] > times[-1] else times[-1]
    before = times >= first.astype("datetime64[Y]")
    months = times.astype("datetime64[M]")
    earlier = (months - 1200).astype("datetime64[us]") + (times - months)
    changed = np.where(before, earlier, times)
    steps = np.diff(changed).astype(np.int64)
    return changed if (steps > 0).all() or (steps < 0).all() else times


def _years(years: Integers) -> Any:
    return (years - 1970).astype("datetime64[Y]").astype("datetime64[us]")


def _epoch(words: Cells, unit: str, micro: int) -> Read:
    counts = np.array([int(word) for word in words], dtype=np.int64)
    long = {"s": "seconds", "ms": "milliseconds", "us": "microseconds"}[unit]
    return (counts * micro).astype("datetime64[us]"), f"epoch {unit}", [f"{long} since 1970"]


def _with_decimals(words: Cells, numbers: Floats) -> Read:
    """1958.2027 is a day of March 1958, and 2020.05 May 2020 where there is no 2020.13."""
    if all(re.fullmatch(r"\d{4}\.(?:0[1-9]|1[0-2])", word) for word in words):
        months = _compact(np.array([w.replace(".", "") for w in words], dtype=object), "%Y%m")
        return months, "month", ["year.month"]
    step = float(np.median(np.abs(np.diff(numbers))))
    if step >= 0.9 or step == 0:
        return numbers.astype(np.float64), "number", []
    said = ["years with decimals"]
    if abs(step * 12 - round(step * 12)) < 0.1 and step * 12 > 0.5:
        month = np.floor(numbers * 12 + 0.02).astype(np.int64) - 1970 * 12
        return month.astype("datetime64[M]").astype("datetime64[us]"), "month", said
    year = np.floor(numbers).astype(np.int64)
    begin, end = _years(year), _years(year + 1)
    exact = (numbers - year) * (end - begin).astype(np.float64)
    if step > 0.9 / 366:  # a day's begin, or its noon
        micro = np.floor(exact / 86400e6 + 0.25) * 86400e6
    else:
        micro = np.round(exact / 60e6) * 60e6
    return begin + micro.astype(np.int64).astype("timedelta64[us]"), "date", said
