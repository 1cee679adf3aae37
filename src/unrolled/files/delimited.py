"""A table out of text: which mark divides its cells, where it begins and ends; its cells as text.

The first and the last lines tell how the file is laid out; what lies between is divided by pandas'
parser in C, and every row is held to the width that was found.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from unrolled.errors import InvalidValueError
from unrolled.files.columns import Cells, Integers
from unrolled.files.layout import (
    Layout,
    Top,
    find_table,
    is_comment,
    is_value,
    is_word,
    rows_below,
)

__all__ = ["SEPARATORS", "TextTable", "read_text_table"]

SEPARATORS = {"\t": "tabs", ";": "semicolons", "|": "bars", ",": "commas", " ": "spaces"}
NAMED = {"tab": "\t", "space": " ", "\\t": "\t"}
ALONE = "\x1f"  # divides nothing: a table of one column
LOOKED_AT = 200  # lines from each end of a file


class TextTable(NamedTuple):
    """The cells of a table as text, column by column, and the number of each row."""

    names: list[str]
    columns: list[Cells]
    rows: Integers
    separator: str
    said: list[str]


def read_text_table(text: str, file: str, separator: str = "", top: Top | None = None) -> TextTable:
    """Divide text into a table.

    Parameters
    ----------
    text
        The whole file.
    file
        Its name, for sentences.
    separator
        What divides cells, where it was said; "tab" and "space" are words for two that are hard to
        type.
    top
        What was said of its first lines.
    """
    top = Top() if top is None else top
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    first, above = 0, top.skip or 0
    for _ in range(above):
        first = text.find("\n", first) + 1 or len(text)
    lines = _lines(text[first:], LOOKED_AT)
    if not any(line.strip() for line in lines):
        raise InvalidValueError(f"{file} is empty: expected a row of column names, then numbers.")
    last = _last_lines(text, first, len(lines))
    mark = NAMED.get(separator, separator) or _separator(lines, last)
    records, ends, comments = _records(lines, mark)
    width = _width([*records, *_divided(last, mark)])
    layout = _layout(records, comments, mark, width, file, top)
    begin = ends[layout.begin - 1] if layout.begin else len(comments)
    body, below = _without_notes(_after(text[first:], begin), mark, layout.readable)
    if not body.strip():
        raise _no_rows(file)
    cells = _parsed(body, mark, width, file, above + begin)
    return _table(cells, layout, above + begin + 1, mark, below)


def _lines(text: str, count: int) -> list[str]:
    lines = text[: 1 << 20].split("\n")[: count + 1]
    return lines[:count]


def _last_lines(text: str, first: int, already: int) -> list[str]:
    """The last lines of a file, without those that were among the first."""
    lines = text[first:].rstrip("\n").rsplit("\n", LOOKED_AT)
    return lines[1:] if len(lines) > LOOKED_AT else lines[already:]


# --- the separator ---


def _separator(first: list[str], last: list[str]) -> str:
    """The mark that divides most lines into the same number of cells; ALONE where none does."""
    scores: dict[str, float] = {}
    for mark in SEPARATORS:
        records, _, _ = _records(first, mark)
        if _is_alone(records):
            continue
        everywhere = [r for r in [*records, *_divided(last, mark)] if any(r)]
        counts = Counter(len(r) for r in everywhere if len(r) > 1)
        if counts and (mark != " " or max(scores.values(), default=0.0) < 0.5):
            width = max(counts, key=lambda width: counts[width])
            share = counts[width] / len(everywhere)
            # A mark that divides words or numbers in two leaves cells that say nothing.
            scores[mark] = share * (1 + _said([r for r in everywhere if len(r) == width]))
    if not scores or max(scores.values()) < 0.5:
        return ALONE
    return max(scores, key=lambda mark: scores[mark])  # of several, the first in SEPARATORS


def _said(records: list[list[str]]) -> float:
    """The share of cells that hold a number, a time or a word for missing."""
    cells = [cell for record in records for cell in record]
    return 1 - sum(map(is_word, cells)) / len(cells)


def _is_alone(records: list[list[str]]) -> bool:
    """Whether a mark is seen in numbers only, and not in the name above them."""
    for above, record in pairwise(records):
        if len(record) > 1 or is_value(record[0] if record else ""):
            return len(above) == 1 and is_value(record[0])
    return True


def _divided(lines: Iterable[str], mark: str) -> list[list[str]]:
    marked = (f"{line.strip(' ') if mark == ' ' else line}\n" for line in lines)
    try:
        return list(csv.reader(marked, delimiter=mark, skipinitialspace=True))
    except csv.Error:
        return []


def _records(lines: list[str], mark: str) -> tuple[list[list[str]], list[int], list[str]]:
    """Divide the first lines; the number of lines up to each record's end; the comments above."""
    comments = 0
    while comments < len(lines) and (
        is_comment(lines[comments]) or not lines[comments].strip(f"{mark} \t")
    ):
        comments += 1
    if comments == len(lines):
        comments = 0
    reader = csv.reader(
        (f"{line.strip(' ') if mark == ' ' else line}\n" for line in lines[comments:]),
        delimiter=mark,
        skipinitialspace=True,
    )
    records: list[list[str]] = []
    ends: list[int] = []
    try:
        for record in reader:
            # An empty row of a spreadsheet is saved as nothing but marks.
            blank = not any(cell.strip() for cell in record)
            if len(records) < 20 and (blank or is_comment(record[0])):
                record = []
            records.append(record)
            ends.append(comments + reader.line_num)
    except csv.Error:
        pass
    return records, ends, lines[:comments]


def _width(records: list[list[str]]) -> int:
    counts = Counter(len(record) for record in records if any(record))
    return max(counts, key=lambda width: counts[width]) if counts else 1


# --- what is above and below ---


def _layout(
    records: list[list[str]],
    comments: list[str],
    mark: str,
    width: int,
    file: str,
    top: Top,
) -> Layout:
    """Find the names; where none stand above the numbers, in the last comment."""
    try:
        return find_table(records, width, file, top)
    except InvalidValueError:
        named = _divided([re.sub(r"^\s*(?:#+|%+|//)\s*", "", c) for c in comments[-1:]], mark)
        if not named or len(named[0]) != width or any(map(is_value, named[0])):
            raise
        layout = find_table([named[0], *records], width, file, Top(0))
        return layout._replace(begin=layout.begin - 1, said=["names from the comment"])


def _after(text: str, lines: int) -> str:
    first = 0
    for _ in range(lines):
        first = text.find("\n", first) + 1 or len(text)
    return text[first:].rstrip("\n")


def _without_notes(body: str, mark: str, readable: list[bool]) -> tuple[str, list[str]]:
    """Cut off the last lines that are no data, and give them too."""
    last = body.rsplit("\n", LOOKED_AT)[-LOOKED_AT:]
    if any(line.count('"') % 2 for line in last):
        return body, []  # a cell of several lines: where it begins cannot be told from the end
    records = [record or [""] for record in _divided(last, mark)]
    count = rows_below(records, readable) if len(records) == len(last) else 0
    for _ in range(count):
        body = body[: max(body.rfind("\n"), 0)]
    return body.rstrip("\n"), last[len(last) - count :]


# --- the cells ---


def _parsed(body: str, mark: str, width: int, file: str, above: int) -> list[Cells]:
    """Divide the rows; a row that is not as wide as the others is refused."""
    import pandas as pd

    try:
        frame = pd.read_csv(
            io.StringIO(body),
            header=None,
            dtype=object,
            na_filter=False,
            skip_blank_lines=False,
            skipinitialspace=True,
            sep=r"\s+" if mark == " " else mark,
        )
    except pd.errors.EmptyDataError:
        raise _no_rows(file) from None
    except pd.errors.ParserError as error:
        raise _cut_amiss(str(error), mark, file, above) from None
    if frame.shape[1] != width:
        raise _wide(above + 1, frame.shape[1], width, mark, file)
    _check_whole(body, mark, width, file, above)
    return [frame[n].to_numpy(dtype=object) for n in range(width)]


def _check_whole(body: str, mark: str, width: int, file: str, above: int) -> None:
    """Refuse a row that is cut short, which the parser fills up with blanks."""
    if width == 1 or mark == " ":
        return
    bare = re.sub(r'"[^"]*"', "", body) if '"' in body else body
    if bare.count(mark) == (width - 1) * (bare.count("\n") + 1):
        return
    for n, line in enumerate(bare.split("\n")):
        if line.strip() and line.count(mark) != width - 1:
            raise _wide(above + 1 + n, line.count(mark) + 1, width, mark, file)


def _no_rows(file: str) -> Exception:
    return InvalidValueError(f"{file} has no row below its header: expected rows of numbers.")


def _cut_amiss(message: str, mark: str, file: str, above: int) -> Exception:
    found = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", message)
    if found:
        width, line, seen = map(int, found.groups())
        return _wide(above + line, seen, width, mark, file)
    opened = re.search(r"EOF inside string starting at row (\d+)", message)
    at = f"row {above + int(opened[1]) + 1} opens" if opened else "a cell opens"
    return InvalidValueError(f"{file} is cut short or damaged: {at} a quote that no other closes.")


def _wide(row: int, seen: int, width: int, mark: str, file: str) -> Exception:
    cells = f"{seen} cell" + ("" if seen == 1 else "s")
    if seen < width:
        end = "it is cut short; complete it, with nothing between two marks where a cell is blank."
    else:
        end = (
            f"put a cell that holds a {mark!r} in quotes, or save with another separator; where "
            "that row is no header, say with --skip how many lines lie above the table's."
        )
    return InvalidValueError(f"row {row} of {file} has {cells}, but the header has {width}: {end}")


def _table(
    cells: list[Cells], layout: Layout, first_row: int, mark: str, below: list[str]
) -> TextTable:
    rows = np.arange(first_row, first_row + len(cells[0]))
    blank = np.asarray(cells[0] == "", dtype=bool)  # the parser leaves no spaces before a cell
    said = [*layout.said]
    if len(cells) > 1:
        for column in cells[1:]:
            at = np.flatnonzero(blank)
            blank[at] = column[at] == ""
        if blank.any():
            said.append(f"{blank.sum():,} blank rows left out, the first row {rows[blank][0]}")
            rows, cells = rows[~blank], [column[~blank] for column in cells]
    if below:
        said.append(f"{len(below)} below the data left out, {below[0].strip()[:40]!r}")
    names, cells = _named(layout.names, cells)
    return TextTable(names, cells, rows, mark, said)


def _named(names: list[str], cells: list[Cells]) -> tuple[list[str], list[Cells]]:
    """Leave out columns without a name and without a value, as marks at the end of lines make."""
    kept = [n for n, name in enumerate(names) if name or any(cell.strip() for cell in cells[n])]
    return [names[n] or f"column {n + 1}" for n in kept], [cells[n] for n in kept]
