"""What says when rows were: a column that looks like a clock, and how many steps make a second."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from unrolled.errors import InvalidValueError
from unrolled.errors.expected import flagged
from unrolled.files.columns import AnyColumn, Floats
from unrolled.files.timed import says_when
from unrolled.files.timeline import Timeline

__all__ = ["check_no_clock", "rate_of", "timeline_at"]

FEWEST = 20  # rows: of fewer, a measured channel may rise throughout by chance
TIMES, DAYTIME = "holds times", "holds times of day"
NEARLY_ALL = 0.99  # of the steps: a counter may begin anew, a clock be set


class Columns(Protocol):
    """A table or arrays, as far as they are asked here."""

    @property
    def file(self) -> str:
        """The name of its file."""

    @property
    def columns(self) -> Mapping[str, AnyColumn]:
        """The columns as they lie in the file."""

    def numbers(self, column: str, /) -> Floats:
        """A column as numbers."""


def check_no_clock(source: Columns, column: str, others: Sequence[str]) -> None:
    """Refuse to take as a channel what says when a row was.

    Raises
    ------
    ValueError
        If the column holds times, or numbers that run one way, and nobody named it.
    """
    what = _why_a_clock(source, column)
    if what:
        rest = " ".join(map(shlex.quote, others)) or "NAME …"
        named = f"{flagged('--time', column)} takes it as when each row was, "
        raise InvalidValueError(
            f"column {column!r} of {source.file} {what}, as a clock or a counter does: "
            f"{'' if what == DAYTIME else named}--channels {rest} leaves it out"
            f"{'.' if what in (DAYTIME, TIMES) else ', and with its own name added takes it in.'}"
        )


def _why_a_clock(source: Columns, column: str) -> str:
    """Say what makes a column look like a clock, or "" where nothing does."""
    cells = source.columns[column]
    if len(cells) < FEWEST:
        return ""
    if cells.dtype.kind == "M":
        return TIMES
    if cells.dtype.kind in "OU":
        words = [str(cell).strip() for cell in cells[:FEWEST]]
        if all(re.fullmatch(r"\d\d?:\d\d(:\d\d([.,]\d+)?)?", word) for word in words):
            return DAYTIME
        if says_when(column, words):
            return TIMES
    try:
        values = source.numbers(column)
    except InvalidValueError:  # which is told where the column is read
        return ""
    return _runs_one_way(np.diff(values))


def _runs_one_way(steps: Floats) -> str:
    for way, forward in (("rises", steps), ("falls", -steps)):
        strictly = (forward > 0).mean() >= NEARLY_ALL
        in_jumps = (forward >= 0).all() and (forward > 0).sum() >= FEWEST
        if strictly or in_jumps:
            return f"{way} from row to row"
    return ""


def timeline_at(count: int, rate: float) -> Timeline:
    """The seconds of so many steps, from 0 on."""
    seconds: Floats = np.arange(count) / rate
    return Timeline([f"{second:.10g}" for second in seconds], seconds, "second")


def rate_of(times: Timeline, asked: float, file: str) -> float | None:
    """Steps a second, by the dates of a timeline or as it was asked; None where nobody knows.

    Raises
    ------
    ValueError
        If it was asked for where dates say it.
    """
    if times.places.dtype.kind != "M" or len(times.places) < 2:
        return asked or None
    if asked:
        raise InvalidValueError(
            f"--rate {asked:g} says what the times of {file} say too: leave it out."
        )
    seconds = np.diff(times.places) / np.timedelta64(1, "s")
    return float(1 / np.median(seconds))
