"""A text as rows of cells: what divides them, and whether quotes are marks or characters.

Both are found only where the file leaves no doubt; otherwise it is asked.
"""

from __future__ import annotations

import csv
from collections import Counter
from typing import NamedTuple

from unrolled.errors import InvalidValueError
from unrolled.files.delimited import NAMED, SEPARATORS

__all__ = ["Cells", "Row", "cut"]

MARKS = ("\t", ",", ";", "|")
LOOKED_AT = 500  # lines from which the mark is told
MOSTLY = 0.95  # the share of lines of the same width where a mark other than a tab divides them

Row = tuple[int, list[str]]  # the line on which it begins, and its cells


class Cells(NamedTuple):
    """The rows of a text, and how they were cut."""

    rows: list[Row]
    mark: str
    said: list[str]


def cut(text: str, file: str, separator: str, quotes: str) -> Cells:
    """Cut a text.

    Parameters
    ----------
    text
        The whole of it.
    file
        Its name, for sentences.
    separator
        What divides cells; empty: to be found.
    quotes
        "yes": a cell in double quotes is what stands between them, and may hold marks and line
        ends (RFC 4180); "no": a quote is a character as any other; empty: to be found.
    """
    lines = _lines(text)
    mark = NAMED.get(separator, separator) or _mark(lines, file)
    asked = quotes or _quotes(text, lines, mark, file)
    rows = _quoted(lines, mark, file) if asked == "yes" else _plain(lines, mark)
    marked = [] if not separator and mark == "\t" else [f"divided by {SEPARATORS.get(mark, mark)}"]
    told = {"yes": ["quotes are marks"], "no": ["quotes are characters"]}
    return Cells(rows, mark, marked + (told[asked] if '"' in text and asked in told else []))


def _lines(text: str) -> list[str]:
    lines = text.replace("\r\n", "\n").split("\n")
    if len(lines) == 1:
        lines = lines[0].split("\r")  # line ends of old Macs
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


# --- the mark ---


def _mark(lines: list[str], file: str) -> str:
    """A tab where lines have one; else the only other mark that leaves rows of one width."""
    first = [line for line in lines[:LOOKED_AT] if line.strip()]
    if any("\t" in line for line in first):
        return "\t"
    found = [mark for mark in MARKS[1:] if _divides(first, mark)]
    if len(found) > 1:
        names = " or ".join(f"--separator '{mark}'" for mark in found)
        raise InvalidValueError(
            f"{file} may be divided by {' or by '.join(SEPARATORS[m] for m in found)}: say which "
            f"with {names}."
        )
    return found[0] if found else "\t"


def _divides(lines: list[str], mark: str) -> bool:
    try:
        reader = csv.reader((f"{line}\n" for line in lines), delimiter=mark)
        widths = Counter(map(len, reader))
    except csv.Error:
        return False
    width, count = widths.most_common(1)[0] if widths else (1, 0)
    return width > 1 and count >= MOSTLY * widths.total()


# --- quotes ---


def _quotes(text: str, lines: list[str], mark: str, file: str) -> str:
    """Whether quotes are marks: "yes", "no", or "" where there are none at a cell's begin."""
    if '"' not in text:
        return ""
    plain = [cell.strip(" ") for _, cells in _plain(lines, mark) for cell in cells]
    begun = [cell for cell in plain if cell.startswith('"')]
    if not begun:
        return "no"
    try:
        widths = _widths(_quoted(lines, mark, file))
    except InvalidValueError:
        return "no"  # read as marks they do not close
    if (len(widths) == 1) != (len(_widths(_plain(lines, mark))) == 1):
        return "yes" if len(widths) == 1 else "no"  # only one reading has rows of one width
    if mark != "\t" or _are_marks(begun, plain, lines, mark):
        return "yes"
    at = next(n for n, line in enumerate(lines, 1) if begun[0] in line)
    raise InvalidValueError(
        f"line {at} of {file} has a cell in double quotes, {lines[at - 1].strip()[:40]!r}: say "
        "with --quotes yes that they are marks around it, or with --quotes no that they are "
        "characters of it."
    )


def _widths(rows: list[Row]) -> set[int]:
    return {len(cells) for _, cells in rows if any(cells)}


def _are_marks(begun: list[str], plain: list[str], lines: list[str], mark: str) -> bool:
    """Whether quotes stand around all cells, or all of a column, or are doubled inside."""
    if len(begun) == len(plain) or any('""' in cell[1:-1] for cell in begun):
        return True
    rows = [line.split(mark) for line in lines if line.strip()]
    columns = list(zip(*rows[1:], strict=False)) if len(rows) > 2 else []
    return any(all(cell.strip().startswith('"') for cell in column) for column in columns)


# --- rows ---


def _plain(lines: list[str], mark: str) -> list[Row]:
    return [
        (number, [cell.strip() for cell in line.split(mark)])
        for number, line in enumerate(lines, start=1)
    ]


def _quoted(lines: list[str], mark: str, file: str) -> list[Row]:
    rows: list[Row] = []
    begin = 1
    try:
        reader = csv.reader(
            (f"{line}\n" for line in lines), delimiter=mark, strict=True, skipinitialspace=True
        )
        for cells in reader:
            rows.append((begin, [cell.strip() for cell in cells]))
            begin = reader.line_num + 1
    except csv.Error as error:
        raise InvalidValueError(
            f"{file} is damaged: the row that begins on line {begin} has quotes that do not close "
            f"as CSV has them ({error}); mend it, or say with --quotes no that quotes are "
            "characters."
        ) from None
    return rows
