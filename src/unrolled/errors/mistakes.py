"""A mistake in somebody's own file: where it lies, and what was raised, in one line."""

from __future__ import annotations

import functools
import linecache
import os
import re
import sysconfig
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from unrolled.errors import UnrolledError

__all__ = ["Place", "chain", "mistake", "one_line", "place_of", "said"]

MOST = 240  # letters of a message that is not ours

_PACKAGE = Path(__file__).resolve().parents[1]
_STANDARD = Path(sysconfig.get_paths()["stdlib"]).resolve()
_INSTALLED = {"site-packages", "dist-packages"}


class Place(NamedTuple):
    """A line of a file."""

    file: str
    line: int

    def __str__(self) -> str:
        near = os.path.relpath(self.file)
        return f"{self.file if near.startswith(os.pardir) else near}, line {self.line}"


def place_of(error: BaseException) -> Place | None:
    """The last line of somebody's own file that an error came through; None: it came through none.

    Own is what belongs neither to this package, nor to Python, nor to another package that is
    installed.
    """
    found = None
    for one in chain(error):
        for frame, line in traceback.walk_tb(one.__traceback__):
            if _is_own(frame.f_code.co_filename):
                found = Place(frame.f_code.co_filename, line)
        if isinstance(one, SyntaxError) and one.filename and _is_own(one.filename):
            found = Place(one.filename, one.lineno or 1)
    return found


def mistake(error: BaseException, place: Place) -> str:
    """A mistake in one line: the file, its line, and what was raised there."""
    if isinstance(error, SystemExit):
        return f"{place}: this leaves the program (sys.exit), which no file that is read may do."
    if isinstance(error, UnrolledError):
        message = one_line(said(error))
        told = _meant(error) or os.path.basename(place.file) in message
        return message if told else f"{place}: {message}"
    message = one_line(said(error), MOST)
    if _meant(error):
        return message
    return f"{place}: {type(error).__name__}: {message or 'no message'}"


def said(error: BaseException) -> str:
    """An error's own words; none where it cannot say them."""
    try:
        return str(error.msg if isinstance(error, SyntaxError) else error)
    except Exception:
        return ""


def one_line(text: str, most: int | None = None) -> str:
    r"""A text in one line, and if it has to be shorter, cut between two words.

    What would steer a terminal is written as ``\x1b``; torch's own stack is left out.
    """
    folded = re.sub(r"\s*\n\s*", " ", text.partition("\nException raised from ")[0].strip())
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in folded)
    if most is None or len(shown) <= most:
        return shown
    begin = shown[: most - 2]
    return f"{begin[: begin.rfind(' ')] if ' ' in begin else begin} …"


def chain(error: BaseException) -> Iterator[BaseException]:
    """An error and what it was raised from, and so on."""
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__


@functools.cache
def _is_own(file: str) -> bool:
    path = Path(file).resolve()
    installed = _INSTALLED & set(path.parts)
    ours = path.is_relative_to(_PACKAGE) or path.is_relative_to(_STANDARD)
    return path.is_file() and not (installed or ours)


def _meant(error: BaseException) -> bool:
    """Whether a recipe refuses its fields or its words, as `check` and `attempt` may."""
    frames = list(traceback.walk_tb(error.__traceback__))
    if not frames or not isinstance(error, ValueError):
        return False
    last, line = frames[-1]
    asked = {f.f_code.co_name for f, _ in frames if _is_own(f.f_code.co_filename)}
    file = last.f_code.co_filename
    raised = re.search(r"\braise\b", linecache.getline(file, line)) is not None
    return bool(asked & {"check", "attempt"}) and raised and _is_own(file)
