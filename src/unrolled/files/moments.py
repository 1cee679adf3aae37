"""When things were, out of text: dates in any usual order, quarters, weeks, years, epochs.

Each `Reader` knows one way of writing times and reads a whole column or nothing.  Dates whose day
and month may be told apart in two ways are decided by the column as a whole, or refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from unrolled.errors import InvalidValueError
from unrolled.files.columns import Bools, Cells
from unrolled.files.epochs import in_a_century, of_numbers
from unrolled.files.numerals import MISSING

__all__ = ["Moments", "moments"]

Times = npt.NDArray[np.datetime64]
NEVER = np.datetime64("NaT", "us")

CLOCKS = ("", " %H:%M:%S", " %H:%M", " %I:%M %p", " %I:%M:%S %p", " %H:%M:%S.%f", " %H")
ZONE = re.compile(r"\d(?::?\d\d)[^\S\n]?(?:Z|[+-]\d\d:?(?:\d\d)?)$", re.MULTILINE)
MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"


class Moments(NamedTuple):
    """The times of a column, how it writes them, and what was found out.

    ``values`` is datetime64[us], or float64 where the column just counts; ``style`` is how times
    are written: number, epoch with its unit, year, quarter, month, week or date.
    """

    values: Any
    style: str
    said: list[str]


class Column(NamedTuple):
    """A column of text that says when each row was."""

    name: str
    words: Cells
    row: Callable[[int], int]
    day_first: str = ""  # yes, no, or "": to be found


def moments(column: Column) -> Moments:
    """Read a column of times.

    Raises
    ------
    ValueError
        If a cell is blank or cannot be read, or day and month may be either: in one sentence.
    """
    import pandas as pd

    words = np.array([word.strip() for word in column.words], dtype=object)
    for place, word in enumerate(words):
        if word.casefold() in MISSING:
            raise InvalidValueError(
                f"row {column.row(place)} of column {column.name!r} is blank: expected when the "
                "row was; complete it, or leave out --time to take the rows as they lie."
            )
    numbers = pd.to_numeric(pd.Series(words, dtype=object), errors="coerce").to_numpy()
    if not np.isnan(numbers[:1]).any():
        _check_all_read(column, np.isnan(numbers))
        return Moments(*of_numbers(words, numbers))
    for shape, style, read in READERS:
        if re.match(shape, words[0], re.IGNORECASE):
            values, said = read(words, column)
            if np.isnat(values[0]):
                continue
            _check_all_read(column, np.isnat(values))
            if not re.search(r"\d{4}", words[0]):
                values = in_a_century(values)
            return Moments(values, style, said)
    raise InvalidValueError(
        f"row {column.row(0)} of column {column.name!r} is {words[0]!r}, not a time that is read: "
        "expected such as 2020-04-29, 29.04.2020 13:30, 29-Apr-20, 2020Q1, 2020-W05, 2020-05 or "
        "2020; or leave out --time to take the rows as they lie."
    )


def _check_all_read(column: Column, unread: Bools) -> None:
    places = np.flatnonzero(unread)
    if not len(places):
        return
    place = int(places[0])
    raise InvalidValueError(
        f"row {column.row(place)} of column {column.name!r} is {column.words[place].strip()!r}, "
        f"not a time as {column.words[0].strip()!r} in row {column.row(0)} is: mend it."
    )


# --- reading by formats ---


def _changed(words: Cells, *changes: tuple[str, str]) -> Cells:
    """Replace patterns in all words at once."""
    text = "\n".join(words)
    for pattern, to in changes:
        text = re.sub(pattern, to, text, flags=re.IGNORECASE | re.MULTILINE)
    return np.array(text.split("\n"), dtype=object)


def _by_formats(words: Cells, formats: Iterable[str]) -> Times:
    """Read what one of the formats reads; what none does is never."""
    values = np.full(len(words), NEVER)
    left = np.arange(len(words))
    for form in formats:
        values[left] = _read(words[left], form)
        left = left[np.isnat(values[left])]
        if not len(left):
            break
    return values


def _read(words: Cells, form: str) -> Times:
    import pandas as pd

    series = pd.Series(words, dtype=object)
    read = pd.to_datetime(series, format=form, errors="coerce", utc=True)
    values = np.array(read.dt.tz_localize(None).to_numpy(), dtype="datetime64[us]")
    if re.search(r"^\D*$", "\n".join(words), re.MULTILINE):  # pandas reads "today" as a time
        values[[not any(map(str.isdigit, word)) for word in words]] = NEVER
    return values


def _with_clocks(words: Cells, *dates: str) -> Times:
    """Dates with or without a time of day; what reads the first word is tried first."""
    formats = [date + clock for date in dates for clock in CLOCKS]
    formats.sort(key=lambda form: bool(np.isnat(_read(words[:1], form))[0]))
    return _by_formats(words, formats)


CLOCKED = (
    (r"(?<=\d)T(?=\d)", " "),
    (r"(?<=\d) ?([ap])\.?m\.?$", r" \1m"),
    (r" {2,}", " "),
)


# --- the ways of writing times ---


def _year_first(words: Cells, column: Column) -> tuple[Times, list[str]]:
    """2020-04-29, 2020/4/29, 2020.04.29 or 2020年4月29日, with or without a time and a zone."""
    words = _changed(
        words,
        (r"^(\d{4})[-/.年] ?(\d{1,2})[-/.月] ?(\d{1,2})日?", r"\1-\2-\3"),
        (r" ?(?:UTC|GMT)$", "Z"),
        (r"\[[\w/]+\]$", ""),
    )
    if re.search(r"[ap]\.?m\.?$", words[0], re.IGNORECASE):
        return _with_clocks(_changed(words, *CLOCKED), "%Y-%m-%d"), []
    zoned = len(ZONE.findall("\n".join(words)))
    if not zoned:
        return _read(words, "ISO8601"), []
    if zoned < len(words):
        return np.where([bool(ZONE.search(w)) for w in words], _read(words, "ISO8601"), NEVER), []
    return _zoned(words)


def _zoned(words: Cells) -> tuple[Times, list[str]]:
    """Times with a zone: by their own clock where it is one and the same, or counts days."""
    zones = _changed(words, (r"^.*?(Z|[+-]\d\d:?(?:\d\d)?)$", r"\1"))
    local = _read(_changed(words, (r"[^\S\n]?(?:Z|[+-]\d\d:?(?:\d\d)?)$", "")), "ISO8601")
    same = bool((zones == zones[0]).all())
    if same:
        return local, [] if zones[0] == "Z" else [f"times at {zones[0]}"]
    if (local == local.astype("datetime64[D]")).all():
        return local, ["days of local time"]
    return _read(words, "ISO8601"), ["times turned into UTC, since their zones differ"]


def _named_month(words: Cells, column: Column) -> tuple[Times, list[str]]:
    """29-Apr-20, Jan 1 2000, April 29, 2020 1:30 PM, Wed, 29 Apr 2020, 2020-Apr-29."""
    words = _changed(
        words,
        (r"^(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,?\s+", ""),
        (rf"({MONTH})[a-z]*\.?", r"\1"),
        (r",|(?<=\d)(?:st|nd|rd|th)\b|(?<=^\d)\.|(?<=^\d\d)\.", ""),
        (rf"(?:(?<=\d)-|(?<=\d)/)(?={MONTH})|(?<=[a-z])[-/]", " "),
        (rf"({MONTH} ?\d{{1,2}})[-/](?=\d)", r"\1 "),
        (r"(\d\d:\d\d:\d\d) (\d{4})$", r"\2 \1"),
        *CLOCKED,
    )
    forms = ("%d %b %Y", "%d %b %y", "%b %d %Y", "%b %d %y", "%Y %b %d", "%d%b%Y", "%d%b%y")
    return _with_clocks(words, *forms), []


def _quarter(words: Cells, column: Column) -> tuple[Times, list[str]]:
    """2020Q1, 2020-Q1, 2020 Q1, Q1 2020 or Q1/2020, as the month in which it begins."""
    words = _changed(
        words,
        (r"^(\d{4})[-\s/]?Q([1-4])$", r"\1 \2"),
        (r"^Q([1-4])[-\s/]?(\d{4})$", r"\2 \1"),
        *((rf"^(\d{{4}}) {n}$", rf"\1-{3 * n - 2:02}") for n in range(1, 5)),
    )
    return _by_formats(words, ["%Y-%m"]), []


def _week(words: Cells, column: Column) -> tuple[Times, list[str]]:
    """2020-W05, 2020W05 or W05 2020, as its Monday; 2020-W05-3 is its Wednesday."""
    words = _changed(
        words,
        (r"^W(\d{1,2})[-\s/](\d{4})$", r"\2-W\1"),
        (r"^(\d{4})[-\s]?W(\d)$", r"\1-W0\2"),
        (r"^(\d{4})[-\s]?W(\d\d)$", r"\1-W\2-1"),
    )
    return _by_formats(words, ["%G-W%V-%u"]), []


def _month(words: Cells, column: Column) -> tuple[Times, list[str]]:
    """2020-05, 2020/5, 2020M05, 2020-M05, 05/2020, May 2020, May-20, 2020 May."""
    words = _changed(
        words,
        (r"^(\d{4})[-\s]?M?[-/:]?(\d{1,2})$|^(\d{4})年(\d{1,2})月$", r"\1\3-\2\4"),
        (r"^(\d{1,2})[-/.](\d{4})$", r"\2-\1"),
        (rf"^({MONTH})[a-z]*\.?[-\s/,']+", r"\1 "),
        (rf"^(\d{{4}})[-\s/]?({MONTH})[a-z]*$", r"\2 \1"),
    )
    return _by_formats(words, ["%Y-%m", "%b %Y", "%b %y"]), []


def _either_first(words: Cells, column: Column) -> tuple[Times, list[str]]:
    """29.04.2020, 04/29/2020, 29-4-20, with or without a time: day and month in either order."""
    words = _changed(words, (r"^(\d{1,2})[-/.] ?(\d{1,2})[-/.] ?(?=\d)", r"\1/\2/"), *CLOCKED)
    year = "%Y" if re.match(r"\d+/\d+/\d{4}", words[0]) else "%y"
    orders = {"day": f"%d/%m/{year}", "month": f"%m/%d/{year}"}
    if column.day_first:
        first = "day" if column.day_first == "yes" else "month"
        return _with_clocks(words, orders[first]), []
    if all(re.match(r"\d\d-\d\d-\d\d(?!\d)", word.strip()) for word in column.words):
        orders["year"] = "%y/%m/%d"
    return _decided({first: _with_clocks(words, order) for first, order in orders.items()}, column)


def _decided(readings: dict[str, Times], column: Column) -> tuple[Times, list[str]]:
    """The one order that reads all rows, or of several, that which makes the rows even."""
    whole = {first: values for first, values in readings.items() if not np.isnat(values).any()}
    if not whole:
        return min(readings.values(), key=lambda values: np.isnat(values).sum()), []
    by_day = next(iter(whole.values()))
    if all(np.array_equal(by_day, values) for values in whole.values()):
        if len(whole) > 1:
            return by_day, []  # as 01/01/2020: no row in which it matters
        (first,) = whole
        other = next(values for values in readings.values() if np.isnat(values).any())
        word = column.words[np.flatnonzero(np.isnat(other))[0]].strip()
        return by_day, [f"{first} first, as {word} shows"]
    even = [first for first, values in whole.items() if _is_even(values)]
    if len(even) == 1:
        return whole[even[0]], [f"{even[0]} first, since so the rows are even"]
    raise _undecided(whole, column)


def _undecided(readings: dict[str, Times], column: Column) -> Exception:
    (one, by_one), (two, by_two), *_ = readings.items()
    place = int(np.flatnonzero(by_one != by_two)[0])
    flags = {
        "day": "--day-first yes",
        "month": "--day-first no",
        "year": "reading the year first",
    }
    said = [
        f"{flags[first]} gives {values[place].astype('datetime64[D]')}"
        for first, values in ((one, by_one), (two, by_two))
    ]
    return InvalidValueError(
        f"row {column.row(place)} of column {column.name!r} is {column.words[place].strip()!r}, "
        f"and every row can be read in two ways: {', '.join(said)}"
        + ("; write years with four digits." if "year" in (one, two) else ".")
    )


def _is_even(values: Times) -> bool:
    """Whether times go on by as many days, or months, from row to row, forwards or backwards."""
    steps = np.diff(values)
    if len(steps) < 2 or (steps == np.timedelta64(0)).any():
        return False
    days = values.astype("datetime64[D]")
    months = values.astype("datetime64[M]")
    within = days - months
    return bool(
        (steps == steps[0]).all()
        or ((within == within[0]).all() and len(set(np.diff(months).tolist())) == 1)
    )


def _quarter_of_digit(words: Cells, column: Column) -> tuple[Times, list[str]]:
    """1950:1 or 1950-1 is a quarter where no number is above 4, and each year between has four."""
    found = [re.fullmatch(r"(\d{4})[-:/\s]([1-4])", word) for word in words]
    years = [match[1] for match in found if match]
    inner = {year for year in years if year not in (years[0], years[-1])}
    if len(years) < len(words) or not inner or any(years.count(year) != 4 for year in inner):
        return np.full(len(words), NEVER), []
    quarters = np.array([f"{match[1]}Q{match[2]}" for match in found if match], dtype=object)
    return _quarter(quarters, column)[0], ["quarters, since no number is above 4"]


Reader = tuple[str, str, Callable[[Cells, Column], tuple[Times, list[str]]]]

READERS: tuple[Reader, ...] = (
    (r"\d{4}[-\s/]?Q\d|Q\d[-\s/]?\d{4}$", "quarter", _quarter),
    (r"\d{4}[-:/\s]\d$", "quarter", _quarter_of_digit),
    (r"\d{4}[-\s]?W\d|W\d{1,2}[-\s/]\d{4}$", "week", _week),
    (r"\d{4}[-/.年] ?\d{1,2}[-/.月] ?\d", "date", _year_first),
    (r"\d{1,2}[-/.] ?\d{1,2}[-/.] ?\d", "date", _either_first),
    (
        rf"\d{{4}}[-\s]?M?[-/:]?\d{{1,2}}$|\d{{4}}年\d{{1,2}}月$|\d{{1,2}}[-/.]\d{{4}}$"
        rf"|{MONTH}[a-z]*\.?[-\s/,']+(?:\d{{4}}|\d\d)$|\d{{4}}[-\s/]?{MONTH}[a-z]*$",
        "month",
        _month,
    ),
    (rf".*{MONTH}", "date", _named_month),
)
