"""A time that is written in several columns, such as year and quarter, or date and hour."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from unrolled.errors import InvalidValueError
from unrolled.files.moments import Column, moments
from unrolled.files.tables import Table

__all__ = ["AND", "PARTS_OF_TIMES", "divided_time", "with_time"]

AND = "+"  # between the names of columns that say when together
PARTS = {
    "year": ("year", "yr", "yyyy"),
    "quarter": ("quarter", "qtr"),
    "month": ("month", "mon", "mo", "mm"),
    "week": ("week",),
    "day": ("day", "dd"),
    "weekday": ("weekday",),
    "hour": ("hour", "hr", "hh"),
    "minute": ("minute",),
    "second": ("second",),
}
ROLES = {name: role for role, names in PARTS.items() for name in names}
FINER = (*ROLES, "period", "time")  # names of columns that say where in a year or a day a row is
PARTS_OF_TIMES = frozenset(ROLES)
BETWEEN = {"quarter": "Q", "month": "-", "day": "-", "hour": " ", "minute": ":", "second": ":"}


def with_time(table: Table, time: str) -> Table:
    """The table with a column of the times that columns joined by + say together.

    Raises
    ------
    ValueError
        If one of them is no column.
    """
    if AND not in time or time in table.columns:
        return table
    names = [table.find(name) for name in time.split(AND)]
    words = _joined(names, [_whole(table.words(name)) for name in names])
    columns = {**table.columns, time: np.array(words, dtype=object)}
    return replace(table, columns=columns)


def divided_time(table: Table, time: str) -> str:
    """Name the columns that say when together, where ``time`` alone is the same in many rows."""
    finer = [name for name in table.columns if name not in (time, *table.repeated)]
    finer = [name for name in finer if name.casefold() in FINER]
    for count in range(1, len(finer) + 1):
        joined = AND.join((time, *finer[:count]))
        try:
            found = with_time(table, joined)
            words = np.array(found.words(joined), dtype=object)
            times = moments(Column(joined, words, int)).values
        except InvalidValueError:
            continue
        if (times[1:] > times[:-1]).all():
            return joined
    return ""


def _whole(words: list[str]) -> list[str]:
    """Whole numbers without the decimals that a spreadsheet gives them: 1959.0 is a year."""
    return [re.sub(r"^(\d+)\.0*$", r"\1", word) for word in words]


def _joined(names: Sequence[str], parts: Sequence[list[str]]) -> list[str]:
    roles = [ROLES.get(name.casefold(), "") for name in names]
    roles = [_role(role, words) for role, words in zip(roles, parts, strict=True)]
    rows = zip(*parts, strict=True)
    if roles[0] != "year" or not all(_is_number(words) for words in parts):
        return [" ".join(_padded(row, roles)) for row in rows]
    marks = ["", *(BETWEEN.get(role, " ") for role in roles[1:])]
    return [
        "".join(mark + part for mark, part in zip(marks, _padded(row, roles), strict=True))
        for row in map(_bare, rows)
    ]


def _role(role: str, words: list[str]) -> str:
    """What a column is, by its name or by its words: Q01 is a quarter, M01 a month."""
    for mark, meant in (("Q", "quarter"), ("M", "month")):
        if all(re.fullmatch(rf"{mark}\d{{1,2}}", word, re.IGNORECASE) for word in words):
            return meant
    return role


def _is_number(words: list[str]) -> bool:
    return all(re.fullmatch(r"[QqMm]?\d+", word) for word in words)


def _bare(row: Sequence[str]) -> list[str]:
    return [part.lstrip("QqMm") for part in row]


def _padded(row: Sequence[str], roles: Sequence[str]) -> list[str]:
    """Parts with two digits each, but of a quarter with one."""
    return [
        part.lstrip("0") if role == "quarter" else part.zfill(2) if part.isdigit() else part
        for part, role in zip(row, roles, strict=True)
    ]
