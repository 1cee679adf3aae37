"""Rows in order of time: turned round or sorted where that is said, or refused with a reason."""

from __future__ import annotations

from typing import Any

import numpy as np

from unrolled.errors import InvalidValueError
from unrolled.errors.expected import flagged
from unrolled.files.columns import Integers
from unrolled.files.moments import Moments
from unrolled.files.parts import PARTS_OF_TIMES, divided_time
from unrolled.files.tables import Table
from unrolled.files.timeline import Clock

__all__ = ["disorder", "in_order", "usual_step", "words_of"]

LIKELY_GROUPS = 1000  # different words in a column that may name groups, at the most


def in_order(
    table: Table, name: str, read: Moments, *, sort: bool, several: bool
) -> tuple[Integers, list[str]]:
    """The rows in order of time, and what was done to bring them there.

    Parameters
    ----------
    table, name, read
        The rows, and the column that says when each was.
    sort
        Whether to sort rows that are in no order.
    several
        Whether several rows may be at the same time.
    """
    rows, times = np.arange(len(table)), read.values
    if len(rows) < 2:
        return rows, []
    forward = times[1:] > times[:-1]
    if forward.all():
        return rows, []
    if (times[1:] < times[:-1]).all() or ((several or sort) and (times[1:] <= times[:-1]).all()):
        return rows[::-1], ["newest first: turned round"]
    back = int(np.flatnonzero(~forward)[0]) + 1
    if len(np.unique(times)) < len(times) and _likely_group(table, name, read):
        raise disorder(table, name, read, back)  # no mean over shops, and no sorting of them
    if sort:
        return np.argsort(times, kind="stable"), ["sorted by time"]
    if several and (times[1:] >= times[:-1]).all():
        return rows, []
    raise disorder(table, name, read, back)


def disorder(table: Table, name: str, read: Moments, at: int) -> Exception:
    """Say what the order is like: several series in one file, the same time twice, or none."""
    words = words_of(read)
    backwards = read.values[1] < read.values[0]
    if backwards:
        steps = read.values[1:] < read.values[:-1]
        at = int(np.flatnonzero(~steps)[0]) + 1
    where = f"row {table.rows[at]} of {table.file}: {name} is {words(at)} after {words(at - 1)}"
    divided = divided_time(table, name)
    if divided:
        return InvalidValueError(
            f"{where}, since {name} says only a part of when it was: take all of it with "
            f"{flagged('--time', divided)}."
        )
    group = _likely_group(table, name, read)
    if group:
        values = list(dict.fromkeys(table.words(group)))
        several = f"there are {len(values)} series, one for each {group}"
        return InvalidValueError(
            f"{where}, since {several}: take one with "
            f"{flagged('--where', f'{group}={values[0]}')}, or all with "
            f"{flagged('--group', group)}."
        )
    if read.values[at] == read.values[at - 1]:
        return InvalidValueError(
            f"rows {table.rows[at - 1]} and {table.rows[at]} of {table.file} are both at {name} "
            f"{words(at)}: keep one of them, or average with --every {usual_step(read.values)}."
        )
    return InvalidValueError(
        f"{where}, so the rows are in no order of time: put them in order with --sort, or leave "
        "out --time to take the rows as they lie."
    )


def words_of(read: Moments) -> Any:
    return lambda at: Clock(read.values[at], None, read.style, "").label(read.values[[at]])[0]


def _likely_group(table: Table, time: str, read: Moments) -> str:
    """A column of words within each of which time runs in one direction."""
    different = len(np.unique(read.values)) / len(table)
    for name, cells in table.columns.items():
        if (
            name in (time, *table.repeated)
            or name.casefold() in PARTS_OF_TIMES
            or cells.dtype.kind == "M"
        ):
            continue
        words, codes = np.unique(np.array(table.words(name)), return_inverse=True)
        if not 2 <= len(words) <= min(LIKELY_GROUPS, len(table) // 2):
            continue
        in_blocks = np.count_nonzero(np.diff(codes)) == len(words) - 1
        side_by_side = different <= (0.6 if _is_number(words[-1]) else 0.9)
        if (in_blocks or side_by_side) and _runs_within(codes, read.values):
            return name
    return ""


def _runs_within(codes: Integers, times: Any) -> bool:
    """Whether time runs in one direction within each group."""
    order = np.argsort(codes, kind="stable")
    within = np.diff(codes[order]) == 0
    steps = np.diff(times[order])[within]
    nothing = steps.dtype.type(0)
    return bool((steps > nothing).all() or (steps < nothing).all())


def _is_number(word: str) -> bool:
    try:
        float(word.replace(",", "."))
    except ValueError:
        return False
    return True


def usual_step(times: Any) -> str:
    """What may be said with --every: about as long as from one time to the next."""
    apart = np.abs(np.diff(np.unique(times)))
    if not len(apart):
        return "1D"
    usual = np.median(apart.astype(np.float64))
    if times.dtype.kind != "M":
        return f"{usual:.6g}"
    lengths = {
        "YS": 360 * 86400,
        "QS": 85 * 86400,
        "MS": 28 * 86400,
        "W": 7 * 86400,
        "1D": 86400,
        "1h": 3600,
        "1min": 60,
    }
    return next((word for word, length in lengths.items() if usual >= length * 1e6), "1s")
