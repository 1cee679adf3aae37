"""How far apart the rows of a series are: hours, business days, months; and the grid of all steps.

A `Spacing` tells at which step of its grid a time lies, and when a step is: what is missing is a
step without a row, and what comes after the last row has a date.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from unrolled.errors import InvalidValueError
from unrolled.files.columns import Floats, Integers

__all__ = ["Spacing", "parse_spacing", "spacing_of"]

SPARSEST = 20  # steps of the grid for each row of the file, at the most

SECOND = 10**6
LENGTHS = {
    "us": 1,
    "ms": 1000,
    "s": SECOND,
    "min": 60 * SECOND,
    "h": 3600 * SECOND,
    "day": 86400 * SECOND,
    "week": 7 * 86400 * SECOND,
}
NAMES = {1: "monthly", 3: "quarterly", 12: "yearly"}
USUAL = {LENGTHS["h"]: "hourly", LENGTHS["day"]: "daily", LENGTHS["week"]: "weekly"}
UNITS = {
    **{unit: (1, unit) for unit in LENGTHS},
    **{"sec": (1, "s"), "t": (1, "min"), "m": (1, "min"), "hour": (1, "h"), "d": (1, "day")},
    **{"w": (1, "week"), "b": (1, "business day"), "bd": (1, "business day")},
    **{"month": (1, "month"), "ms_": (1, "month"), "me": (1, "month"), "quarter": (3, "month")},
    **{"q": (3, "month"), "qs": (3, "month"), "qe": (3, "month"), "year": (12, "month")},
    **{"y": (12, "month"), "ys": (12, "month"), "ye": (12, "month"), "a": (12, "month")},
}


@dataclass(frozen=True)
class Spacing:
    """So many of a unit from one step to the next.

    The unit is us, month, business day or number; a month's step lies on the day ``anchor`` of the
    month, or on its last where it has none.
    """

    count: float
    unit: str
    anchor: int = 1

    @property
    def name(self) -> str:
        """As a sentence says it: hourly, business days, every 30 s."""
        count = int(self.count)
        if self.unit == "number":
            return f"every {self.count:.10g}"
        if self.unit == "us" and count > LENGTHS["ms"] and self.count % LENGTHS["ms"]:
            return f"every {self.count / LENGTHS['ms']:.6g} ms"
        if self.unit == "business day":
            return "business days" if count == 1 else f"every {count} business days"
        if self.unit == "month":
            name = NAMES.get(count, f"every {count} months")
            return f"{name}, at its end" if self.anchor == 31 else name
        if count in USUAL:
            return USUAL[count]
        unit = next(u for u in reversed(LENGTHS) if count % LENGTHS[u] == 0)
        many = count // LENGTHS[unit]
        return f"every {many} {unit}" + ("s" if unit in ("day", "week") and many > 1 else "")

    def steps(self, times: Any, start: Any) -> Floats:
        """At which step of the grid that begins at ``start`` each time lies; parts of a step too.

        Months and business days have no parts: what lies off the grid is half a step beyond it.
        """
        if self.unit in ("number", "us"):
            since = times - start
            exact = (since.astype(np.int64) if self.unit == "us" else since) / self.count
            return np.asarray(exact, dtype=np.float64)
        steps: Any
        days, begin = times.astype("datetime64[D]"), start.astype("datetime64[D]")
        if self.unit == "business day":
            steps = np.busday_count(begin, days) / self.count
        else:
            steps = (_months(times) - _months(start)) / self.count
        whole = np.floor(steps)
        off = self.at(whole.astype(np.int64), start) != times
        return np.asarray(np.where(off, whole + 0.5, whole))

    def at(self, steps: Integers, start: Any) -> Any:
        """When the steps of the grid that begins at ``start`` are."""
        if self.unit == "number":
            return start + steps * self.count
        if self.unit == "us":
            whole = self.count == int(self.count)
            since = steps * int(self.count) if whole else np.round(steps * self.count)
            return start + since.astype(np.int64).astype("timedelta64[us]")
        day = start.astype("datetime64[D]")
        clock = start - day
        if self.unit == "business day":
            days = np.busday_offset(day, steps * int(self.count), roll="forward")
        else:
            months = day.astype("datetime64[M]") + steps * int(self.count)
            within = np.minimum(self.anchor, _lengths(months)) - 1
            days = months.astype("datetime64[D]") + within.astype("timedelta64[D]")
        return days.astype("datetime64[us]") + clock


def _months(times: Any) -> Any:
    return times.astype("datetime64[M]").astype(np.int64)


def _lengths(months: Any) -> Integers:
    """How many days months have."""
    days = (months + 1).astype("datetime64[D]") - months.astype("datetime64[D]")
    return np.asarray(days.astype(np.int64))


# --- found ---


def spacing_of(times: Any) -> Spacing | None:
    """The spacing of times that run forward, some of which may be missing; None where it has none.

    Two or more times are needed.
    """
    if times.dtype.kind != "M":
        return _of_numbers(times)
    clock = times - times.astype("datetime64[D]")
    if (clock == clock[0]).all():
        return _of_months(times) or _of_days(times.astype("datetime64[D]"))
    since = (times - times[0]).astype(np.int64)
    found = _of_mode(np.diff(since), len(times))
    rounded = 0.0 if found else _of_rounded(since, _decimals(since / SECOND) * SECOND, SECOND)
    return found or (rounded and Spacing(rounded, "us")) or _of_lengths(np.diff(since), len(times))


def _of_numbers(times: Floats) -> Spacing | None:
    apart = np.diff(times)
    ratio = apart / apart.min()
    whole = np.round(ratio)
    uneven = (np.abs(ratio - whole) > 1e-3 * whole).any()
    if uneven and (rounded := _of_rounded(times, _decimals(times), 1.0)):
        return Spacing(rounded, "number")
    if uneven or whole.sum() > SPARSEST * len(times):
        return None
    return Spacing(float((times[-1] - times[0]) / whole.sum()), "number")


def _of_months(times: Any) -> Spacing | None:
    """Once a month or more seldom, on one day of the month or always on its last."""
    months = times.astype("datetime64[M]")
    apart = np.diff(months).astype(np.int64)
    if apart.min() < 1:
        return None
    days = (times.astype("datetime64[D]") - months.astype("datetime64[D]")).astype(np.int64) + 1
    lengths = _lengths(months)
    ends = bool((days == lengths).all())
    anchor = 31 if ends else int(days.max())
    if not ends and (days != np.minimum(anchor, lengths)).any():
        return None
    return Spacing(int(np.gcd.reduce(apart)), "month", anchor)


def _of_days(days: Any) -> Spacing | None:
    apart = np.diff(days).astype(np.int64)
    monday_is_0 = (days.astype(np.int64) + 3) % 7
    weekends = bool((monday_is_0 >= 5).any())
    if not weekends and apart.sum() >= 7 and _mode(apart) == 1:
        return Spacing(1, "business day")
    return _of_lengths(apart * LENGTHS["day"], len(days))


def _of_lengths(apart: Integers, rows: int) -> Spacing | None:
    """The most frequent step, if every other is a multiple of it; or else what divides them all."""
    return _of_mode(apart, rows) or _of_length(int(np.gcd.reduce(apart)), apart, rows)


def _of_mode(apart: Integers, rows: int) -> Spacing | None:
    return _of_length(_mode(apart), apart, rows)


def _of_length(length: int, apart: Integers, rows: int) -> Spacing | None:
    if (apart % length == 0).all() and apart.sum() // length <= SPARSEST * rows:
        return Spacing(length, "us")
    return None


def _of_rounded(times: Any, last_digit: float, second: float) -> float:
    """The step of times that were rounded to so much, as 15.625 ms become 15 and 16; 0: of none.

    So many to the second are preferred to the mean step, which rounding makes a bit longer or not.
    """
    apart = np.diff(times)
    usual = float(np.median(apart))
    if not 0 < last_digit <= usual / 3:
        return 0
    usual = float(apart[np.round(apart / usual) == 1].mean())  # the next gap may be long
    counts = np.round(apart / usual)
    places = np.concatenate(([0], np.cumsum(counts)))
    mean = float(times[-1] - times[0]) / places[-1]
    for step in (second / round(second / mean) if mean < second else mean, mean):
        off = np.abs(times - times[0] - places * step).max()
        if counts.min() > 0 and off <= last_digit * 1.001:
            return float(step)
    return 0


def _decimals(times: Floats) -> float:
    """What the last digit of numbers that have decimals counts; 0 where they are whole."""
    for digits in range(1, 7):
        scaled = times * 10**digits
        if (np.abs(scaled - np.round(scaled)) < 1e-6 * np.maximum(1, np.abs(scaled) * 1e-6)).all():
            whole = (times == np.round(times)).all()
            return 0.0 if whole else 10.0**-digits
    return 0.0


def _mode(values: Integers) -> int:
    different, counts = np.unique(values, return_counts=True)
    return int(different[counts.argmax()])


# --- asked ---


def parse_spacing(text: str, times: Any) -> Spacing:
    """Read what --every says, such as 1h, 30s, 1D, B, W, MS or quarter; of numbers, a number.

    Raises
    ------
    ValueError
        If it is none of these, or does not go with the times.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)?\s*([A-Za-z ]*?)s?\s*", text)
    dates = times.dtype.kind == "M"
    if found and not dates and found[1] and not found[2] and float(found[1]) > 0:
        return Spacing(float(found[1]), "number")
    unit = _unit(text, found[2] if found else "")
    count = float(found[1] or 1) if found else 0
    if not dates or unit is None or count <= 0:
        such = "1h, 30s, 15min, 1D, B (business days), W, MS (months), ME or Y"
        raise InvalidValueError(
            f"--every {text} makes no sense here: expected "
            + (f"such as {such}." if dates else "a number, as the times are, such as 1.")
        )
    many, name = unit
    if name in LENGTHS:
        return Spacing(max(round(count * LENGTHS[name]), 1), "us")
    if count != int(count):
        raise InvalidValueError(f"--every {text} makes no sense: expected a whole number of them.")
    anchor = 31 if text.strip().upper().endswith("E") and "month" in name else _anchor(times)
    return Spacing(int(count) * many, name, anchor)


def _unit(text: str, letters: str) -> tuple[int, str] | None:
    if re.search(r"\d?MS$", text.strip()):  # months in capitals, as pandas has it
        return UNITS["month"]
    if re.search(r"(?:^|\d)\s*M$", text.strip()):
        return UNITS["month"]
    word = text.strip().lstrip("0123456789. ").casefold()
    return UNITS.get(word) or UNITS.get(word.removesuffix("s")) or UNITS.get(letters.casefold())


def _anchor(times: Any) -> int:
    """The day of the month of the first time."""
    first = times[:1]
    day = first.astype("datetime64[D]") - first.astype("datetime64[M]").astype("datetime64[D]")
    return int(day.astype(np.int64)[0]) + 1
