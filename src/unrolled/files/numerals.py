"""Cells of text as numbers: which mark is the decimal one is found from all of them, or asked.

A column is held against every way of writing numbers, a `Style`.  Where one way reads every cell it
is taken; where two do and give other numbers, as they do of ``20,038``, the column is refused with
both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from unrolled.errors import InvalidValueError
from unrolled.files.columns import Bools, Cells, Floats, Integers

__all__ = ["CURRENCIES", "MISSING", "Column", "Style", "numbers", "styles_of"]

WORDS = "na n/a #n/a #n/a! <na> nan null (null) none nil missing - -- --- – — . .. ... ? *"
MISSING = frozenset(["", *WORDS.split()])
"""What people write where there is no number, in small letters."""

CURRENCIES = (
    r"(?:US\$|R\$|C\$|A\$|[$€£¥₹₽₩₺₴₫₪฿¢]|USD|EUR|GBP|CHF|JPY|CNY|SEK|NOK|DKK|PLN|CZK|Kč|zł|kr\.?)"
)
SAMPLE = 1000  # cells from which it is told whether a column is plainly numbers
SPACES = {ord(space): " " for space in "\u00a0\u202f\u2009\u2007"}
SIGNS = {ord("−"): "-", ord("’"): "'", ord("´"): "'"}


class Style(NamedTuple):
    """A way of writing numbers: the decimal mark, and what stands between thousands, or ""."""

    decimal: str
    thousands: str

    @property
    def words(self) -> str:
        """As the line says it that says how a file was read."""
        between = {" ": "a space", "'": "an apostrophe", ".": "a dot", ",": "a comma"}.get(
            self.thousands
        )
        decimal = "decimal comma" if self.decimal == "," else "decimal point"
        return f"{decimal}, {between} between thousands" if between else decimal

    @property
    def pattern(self) -> str:
        """A regular expression of one number, without its sign."""
        groups = ""
        if self.thousands:
            mark = re.escape(self.thousands)
            groups = rf"|[1-9]\d{{0,2}}(?:{mark}\d{{2,3}})*{mark}\d{{3}}"
        decimal = re.escape(self.decimal)
        return rf"(?=[^\n]*\d)[+-]?(?:\d+{groups})?(?:{decimal}\d*)?(?:[eE][+-]?\d+)?"

    def first_other(self, text: str) -> re.Match[str] | None:
        """The first line that is no number in this style."""
        return re.compile(rf"^(?!{self.pattern}$).*$", re.MULTILINE | re.ASCII).search(text)


POINT = Style(".", "")
STYLES = tuple(Style(d, t) for d in ".," for t in ("", ",", ".", " ", "'") if d != t)


class Column(NamedTuple):
    """A column of text, and what may be told about it.

    ``row`` gives the number of a cell's row; ``plain`` says that no comma is a decimal mark, since
    commas divide the cells; ``others`` gives the styles that other columns of the file are in.
    """

    name: str
    cells: Cells
    row: Callable[[int], int]
    asked: Style = Style("", "")  # "" where nothing was asked
    plain: bool = False
    others: Callable[[], Iterable[set[Style]]] = tuple

    def where(self, place: int) -> str:
        """Name a cell's place as a sentence begins."""
        return f"row {self.row(place)} of column {self.name!r}"


def numbers(column: Column) -> tuple[Floats, list[str]]:
    """Read a column as float64, NaN where a cell is blank or a word for missing.

    Returns
    -------
    values, said
        The numbers, and what was found out on the way, in a few words each.

    Raises
    ------
    ValueError
        If a cell is no number, or all of them can be read in two ways: in one sentence.
    """
    plainly = column.cells
    if np.isnan(_plain(plainly[:SAMPLE])).all():
        plainly = np.full(len(plainly), "", dtype=object)  # another style: it costs to try each
    values = _plain(plainly)
    there = np.flatnonzero(~missing(column.cells, np.isnan(values)))
    if column.plain and not np.isnan(values[there]).any() and not any(column.asked):
        # Where commas divide cells, 20.038 is no 20038: who groups by dots divides by semicolons.
        text = "\n".join(column.cells[there])
        grouped = "." in text and Style(",", ".").first_other(text) is None
        return _finite(column, values), [POINT.words] if grouped else []
    text, units = _bare(column, there)
    style = _style(column, there, text) or POINT
    if units or style != POINT or np.isnan(values[there]).any():
        values[:] = np.nan
        values[there] = _converted(text, style)
    return _finite(column, values), [*([] if style == POINT else [style.words]), *units]


def _plain(cells: Cells) -> Floats:
    """Numbers as computers write them; NaN for every other cell."""
    import pandas as pd

    read = pd.to_numeric(pd.Series(cells, dtype=object), errors="coerce")
    return np.asarray(read, dtype=np.float64).copy()


def _finite(column: Column, values: Floats) -> Floats:
    infinite = np.flatnonzero(np.isinf(values))
    if len(infinite):
        cell = column.cells[infinite[0]]
        raise InvalidValueError(
            f"{column.where(infinite[0])} is {cell}, not a finite number: mend the cell, or leave "
            "it blank, which counts as missing."
        )
    return values


def missing(cells: Cells, doubtful: Bools) -> Bools:
    """Flag the cells that hold no value; only the doubtful ones are looked at."""
    flags = np.zeros(len(cells), dtype=bool)
    places = np.flatnonzero(doubtful)
    flags[places] = [
        not cell[-1:].isdigit() and cell.strip().casefold() in MISSING for cell in cells[places]
    ]
    return flags


def styles_of(cells: Cells) -> set[Style]:
    """The styles in which all cells of a column are numbers, where its marks tell them apart."""
    kept = [cell for cell in cells if cell.strip().casefold() not in MISSING]
    if not kept or not any(character.isdigit() for character in kept[0]):
        return set()
    text = _without_signs("\n".join(kept).translate(SPACES | SIGNS))
    fits = _fitting(text, Style("", ""))
    return {style for style in fits if style.decimal in text or style.thousands in (".", ",")}


# --- what stands around a number ---


def _bare(column: Column, there: Integers) -> tuple[str, list[str]]:
    """Give the cells one below the other without currency and per cent, and say what these were."""
    cells = column.cells[there]
    text = "\n".join(cells)
    if text.count("\n") >= len(cells) > 0:
        text = "\n".join(cell.replace("\n", "?") for cell in cells)
    if not text.isascii():
        text = text.translate(SPACES | SIGNS)
    if not re.search(r"[^\d.,'\n+-]", text) and "-\n" not in f"{text}\n":
        return text, []
    units: list[str] = []
    for pattern, what in ((CURRENCIES, "currency"), ("%", "per cent")):
        found = re.findall(pattern, text)
        if not found:
            continue
        kinds = sorted(set(found), key=found.index)
        if len(kinds) > 1 and kinds[0] not in kinds[1]:
            raise _mixed(column, there, kinds[0], kinds[1])
        if what == "per cent" and len(found) != len(cells):
            raise _mixed(column, there, "%", "")
        units.append(kinds[0] if what == "currency" else what)
    return _without_signs(text), units


def _without_signs(text: str) -> str:
    changes = (
        (r"[^\d.,' \n()+eE-]", rf"^([-+(]*) *(?:{CURRENCIES}) *", r"\1"),
        (r"[^\d.,' \n()+eE-]", rf" *(?:{CURRENCIES}|%)([-)]?) *$", r"\1"),
        (r"\(", r"^ *\( *([^()\n]*?) *\) *$", r"-\1"),  # as accountants write what is owed
        (r"-\s*$", r"^ *([\d.,' ]+)- *$", r"-\1"),
        (" ", r"^ +| +$|(?<=[-+]) +", ""),
    )
    for needed, pattern, to in changes:
        if re.search(needed, text, re.MULTILINE):
            text = re.sub(pattern, to, text, flags=re.MULTILINE)
    return text


def _mixed(column: Column, there: Integers, one: str, other: str) -> Exception:
    cells = column.cells[there]
    first = next(n for n, cell in enumerate(cells) if one in cell)
    second = next(
        n for n, cell in enumerate(cells) if (other in cell if other else one not in cell)
    )
    a, b = int(there[first]), int(there[second])
    return InvalidValueError(
        f"{column.where(a)} is {column.cells[a]!r} but row {column.row(b)} is "
        f"{column.cells[b]!r}: expected one unit in a column; write all cells in the same."
    )


# --- the style ---


def _fitting(text: str, asked: Style) -> list[Style]:
    """The styles in which every line is a number, those alone that make a difference."""
    kept: dict[tuple[bool, str], Style] = {}
    for style in STYLES:
        used = style.decimal in text
        if not _allowed(style, asked) or (style.thousands and style.thousands not in text):
            continue
        if style.first_other(text) is None:
            kept.setdefault((used, style.thousands), style)
    fits = list(kept.values())
    if len(fits) > 1 and re.search(r"^[+-]?\d{5}", text, re.MULTILINE):
        # Who divides thousands divides those of 12345 too.
        fits = [style for style in fits if not style.thousands] or fits
    return fits


def _allowed(style: Style, asked: Style) -> bool:
    """Whether a style is what was asked; between thousands there may always be nothing."""
    if asked.decimal not in ("", style.decimal) or style.decimal == asked.thousands:
        return False
    return asked.thousands == "" or style.thousands in ("", asked.thousands)


def _style(column: Column, there: Integers, text: str) -> Style | None:
    """The one style of a column; None where there is no number at all."""
    if not text:
        return None
    fits = _fitting(text, column.asked)
    if column.plain and "," not in text:
        fits = [style for style in fits if style.decimal == "."] or fits
    if not fits:
        raise _unreadable(column, there, text)
    if len(fits) > 1:
        fits = _agreeing(fits, column.others())
    if len(fits) > 1:
        raise _ambiguous(column, there, text, fits)
    return fits[0]


def _agreeing(fits: list[Style], others: Iterable[set[Style]]) -> list[Style]:
    """Those whose decimal mark another column of the file has, where one tells."""
    for styles in others:
        if len(styles) == 1:
            (other,) = styles
            return [style for style in fits if style.decimal == other.decimal] or fits
    return fits


def _converted(text: str, style: Style) -> Floats:
    import pandas as pd

    if style.thousands:
        text = text.replace(style.thousands, "")
    if style.decimal == ",":
        text = text.replace(",", ".")
    cells = pd.Series(text.split("\n") if text else [], dtype=object)
    return np.asarray(pd.to_numeric(cells), dtype=np.float64)


def _unreadable(column: Column, there: Integers, text: str) -> Exception:
    """Name the first cell that is no number in the style of most others."""
    tried = [s for s in STYLES if not column.asked.decimal or s.decimal == column.asked.decimal]
    wrong = [re.findall(rf"^(?!{s.pattern}$).*$", text, re.MULTILINE | re.ASCII) for s in tried]
    place = min(range(len(tried)), key=lambda n: len(wrong[n]))
    first = tried[place].first_other(text)
    assert first is not None, "a style that fits was not taken"
    at = int(there[text.count("\n", 0, first.start())])
    used = tried[place] != Style(".", "") and len(wrong[place]) < len(there)
    how = f" with a {tried[place].words}, as others of the column are" if used else ""
    return InvalidValueError(
        f"{column.where(at)} is {column.cells[at].strip()!r}, not a number{how}: mend the cell, or "
        "leave it blank, which counts as missing."
    )


def _ambiguous(column: Column, there: Integers, text: str, fits: list[Style]) -> Exception:
    lines = text.split("\n")
    at = next(
        n for n, line in enumerate(lines) if len({_converted(line, s)[0] for s in fits[:2]}) > 1
    )
    whole = next((s for s in fits if s.thousands), fits[0])
    other = next(s for s in fits if s is not whole)
    cell = column.cells[there[at]].strip()
    one, two = (f"{_converted(lines[at], style)[0]:.15g}" for style in (whole, other))
    mark = {" ": "space", "'": '"\'"'}.get(whole.thousands, whole.thousands)
    return InvalidValueError(
        f"{column.where(int(there[at]))} is {cell!r}, and every number in the column can be read "
        f"in two ways: --thousands {mark} reads it as {one}, --decimal {other.decimal} as {two}."
    )
