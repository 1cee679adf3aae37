"""Where in a file the table is: titles and comments above it, its names, its units, notes below.

It works on records, lists of cells, from the begin and the end of a file, whatever kind it is of.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from unrolled.errors import InvalidValueError
from unrolled.files.numerals import CURRENCIES, MISSING

__all__ = [
    "COMMENTS",
    "Layout",
    "Record",
    "Top",
    "find_table",
    "is_comment",
    "is_value",
    "is_word",
    "rows_below",
]

COMMENTS = ("#", "%", "//")
RULE = re.compile(r"\s*([-=*_~+])\1{3}[-=*_~+|\s]*")

MONTHS = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
DAYS = r"(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?"
VALUE = re.compile(
    rf"[(+−-]?\s*{CURRENCIES}?\s*[+−-]?[.,]?\d[\d.,'’\s]*(?:e[+-]?\d+)?\s*(?:%|{CURRENCIES})?\s*[-)]?"
    rf"|(?:{DAYS},?\s*)?(?:{MONTHS}[\s,.-]*\d|\d+[\s.-]*{MONTHS})[\s,.:\d-]*(?:[ap]m)?"
    r"|\d[\d\s./:T年月日时分秒-]*(?:[ap]m)?\s*(?:Z|UTC|GMT)?(?:[+-]\d\d:?\d\d)?(?:\[[\w/]+\])?"
    r"|\d{4}[-\s/]?[QMW]\d{1,2}(?:-\d)?|[QW]\d{1,2}[-\s/]\d{4}",
    re.IGNORECASE,
)
UNIT = re.compile(
    r"[\[(<].*[\])>]|[°%‰€$£¥ΩµμÅ-].{0,5}|(?:[yYmMdDhHsS]{1,4}[-/.: ]?){1,6}|\w{0,3}/\w{1,4}[²³23]?"
    r"|(?:[munkMGTcdh]?(?:W|Wh|Wp|VA|var|m|g|s|l|L|V|A|Hz|Pa|J|K|N|B|b|bar|mol|eV|C|F))[²³23]?"
    r"(?:[/·*. ]\w{1,5}[²³⁻¹0-9-]*)*"
    r"|t|kt|Mt|ha|ft|in|mi|mph|km/h|kn|kt|psi|ppm|ppb|deg|degC|degF|min|hr|hours?|days?|sec|years?"
    r"|months?|date|time|datetime|number|no\.?|n|units?|pcs|pieces|count|index|percent|text|string"
    r"|[A-Z]{3}|(?:thousands?|millions?|1000|mln|mio|tsd)\.?(?: .{1,12})?"
)
SUMS = re.compile(
    r"(?:grand |sub)?totals?|sum|summe|gesamt|insgesamt|mean|average|avg\.?|mittelwert|median"
    r"|min(?:imum)?|max(?:imum)?|count|std\.?|合计|总计|合計",
    re.IGNORECASE,
)

Record = Sequence[str]


class Top(NamedTuple):
    """What was said of a file's first lines: how many to leave out, whether names follow them."""

    skip: int | None = None
    header: str = ""  # yes, no, or "": to be found


class Layout(NamedTuple):
    """What the first records are: names, units where there are some, and where data begin."""

    names: list[str]
    units: list[str]
    begin: int  # how many records lie above the data
    readable: list[bool]  # whether a column holds numbers or times
    said: list[str]


def is_comment(line: str) -> bool:
    """Whether a line above a table is a comment, or a rule such as ==== between its parts."""
    return line.lstrip().startswith(COMMENTS) or RULE.fullmatch(line) is not None


def is_value(cell: str) -> bool:
    """Whether a cell looks like a number or a time."""
    return VALUE.fullmatch(cell.strip()) is not None


def is_word(cell: str) -> bool:
    """Whether a cell holds something that is neither, and not just a word for missing."""
    return cell.strip().casefold() not in MISSING and not is_value(cell)


def find_table(records: Sequence[Record], width: int, file: str, top: Top) -> Layout:
    """Find names and units above the data.

    Parameters
    ----------
    records
        The first of the file, without comments; those of another width are titles, or damage.
    width
        How many cells a row has.
    file
        Its name, for the sentence.
    top
        What was said: where lines are skipped, the next record holds the names, unless none does.
    """
    records = _evened(records, width)
    skipped = top.skip is not None
    begin = _first(records, width, skipped)
    rows = [record for record in records[begin:] if len(record) == width]
    below = rows[1:] if len(rows) < 9 else rows[4:]
    readable = [_mostly_values([row[n] for row in below]) for n in range(width)]
    if top.header == "no":
        said = [*_said(records, begin, []), "no names above the data"]
        return Layout([""] * width, [], begin, readable, said)
    skipped = skipped or top.header == "yes"
    heads = _word_rows(records[begin:], readable, width)
    if skipped or not any(readable):
        heads = max(heads, 1) if skipped else 1  # of words alone, no row can be told from the names
    if not heads:
        raise _no_header(records, begin, width, file)
    if heads > 2 or (heads == 2 and not skipped and not _are_units(records[begin + 1])):
        raise _many_heads(records, begin, heads, file)
    names = [cell.strip() for cell in records[begin]]
    units = [cell.strip() for cell in records[begin + 1]] if heads == 2 else []
    end = begin + heads
    while end < len(records) and not records[end]:  # a rule, a comment or nothing below the names
        end += 1
    return Layout(names, units, end, readable, _said(records, begin, units))


def _evened(records: Sequence[Record], width: int) -> list[Record]:
    """Records without, or with, the blank cells that marks at the ends of some lines make."""
    rows = [record for record in records if len(record) == width]
    least = width
    while least > 1 and not any(row[least - 1].strip() for row in rows):
        least -= 1
    evened: list[Record] = []
    for record in records:
        if len(record) > width and not any(cell.strip() for cell in record[width:]):
            evened.append(record[:width])
        elif least <= len(record) < width:
            evened.append([*record, *[""] * (width - len(record))])
        else:
            evened.append(record)
    return evened


def _said(records: Sequence[Record], begin: int, units: list[str]) -> list[str]:
    above = [", ".join(filter(None, map(str.strip, r))) for r in records[:begin] if any(r)]
    said = [f"above the names {_short(above)}"] if above else []
    return said + ([f"units {', '.join(filter(None, units))}"] if units else [])


def _short(lines: list[str]) -> str:
    more = f" and {len(lines) - 1} more" if len(lines) > 1 else ""
    return f"{lines[0][:40]!r}{more}"


def _first(records: Sequence[Record], width: int, skipped: bool) -> int:
    """The first record that is as wide as the table, and not one cell with nothing beside it."""
    for n, record in enumerate(records):
        if len(record) == width and (skipped or not _is_title(record)):
            return n
    return 0


def _is_title(record: Record) -> bool:
    return len(record) > 1 and bool(record[0].strip()) and not any(c.strip() for c in record[1:])


def _mostly_values(cells: list[str]) -> bool:
    there = [cell for cell in cells if cell.strip().casefold() not in MISSING]
    return bool(there) and sum(map(is_value, there)) >= len(there) / 2


def _word_rows(records: Sequence[Record], readable: list[bool], width: int) -> int:
    """How many records at the begin hold words where numbers or times lie below."""
    for count, record in enumerate(records):
        if len(record) != width:
            return count
        cells = [cell for cell, reads in zip(record, readable, strict=True) if reads]
        words = any(map(is_word, cells))
        if not words or (count and any(map(is_value, cells))):
            return count
    return len(records)


def _are_units(record: Record) -> bool:
    there = [cell.strip() for cell in record if cell.strip()]
    return bool(there) and all(UNIT.fullmatch(cell) for cell in there)


def _no_header(records: Sequence[Record], begin: int, width: int, file: str) -> Exception:
    above = records[begin - 1] if begin else ()
    if any(map(is_word, above)):
        return InvalidValueError(
            f"row {begin + 1} of {file} has {_count(width, 'cell')}, but the header above it has "
            f"{len(above)}: where a number holds the mark that divides the cells, put it in quotes "
            "or save the file with semicolons or tabs between cells; where a column lacks a name, "
            "as R writes it, say --header no, and the columns are column 1, column 2, …; where "
            "that row is no header, say with --skip how many lines lie above the table's."
        )
    cells = [cell.strip() for cell in records[begin]] if records else []
    times = [cell for cell in cells if re.fullmatch(r"(?:1[5-9]|20|21)\d\d(?:\D.*)?", cell)]
    if len(set(times)) >= 4 and len(times) >= len(cells) / 2:
        return InvalidValueError(
            f"{file} has times side by side ({', '.join(times[:3])}, …), so each of its rows is a "
            "series: turn it, so that times run down a column, or take each time as a column of "
            "numbers with --header yes."
        )
    return InvalidValueError(
        f"{file} has no header that differs from its numbers, its first row is "
        f"{', '.join(cells)[:60]}: where that row is data, say --header no, and the columns are "
        "column 1, column 2, …; where it holds the names, say --header yes."
    )


def _many_heads(records: Sequence[Record], begin: int, heads: int, file: str) -> Exception:
    named = [f"--skip {begin + n} takes {_cells(records[begin + n])}" for n in range(heads)]
    return InvalidValueError(
        f"{file} has {heads} rows of words above its numbers, and each may hold the names of the "
        f"columns: {', '.join(named[:3])}."
    )


def _cells(record: Record) -> str:
    return repr(", ".join(record)[:40])


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


# --- below the data ---


def rows_below(records: Sequence[Record], readable: list[bool]) -> int:
    """How many of the last records are notes, sums and sources, not data."""
    kept = 0
    for count, record in enumerate(reversed(records), 1):
        if _is_below(record, readable):
            kept = count
        elif any(cell.strip() for cell in record):
            break
    return kept


def _is_below(record: Record, readable: list[bool]) -> bool:
    there = [cell.strip() for cell in record if cell.strip()]
    if not there:
        return False
    if len(record) != len(readable):
        return is_word(there[0])
    cells = [cell for cell, reads in zip(record, readable, strict=True) if reads]
    if readable[0] and SUMS.fullmatch(record[0].strip().rstrip(":")):
        return True
    return bool(cells) and not any(map(is_value, cells)) and any(map(is_word, cells))
