"""A column of numbers out of a CSV file: read as it stands, or refused with one sentence."""

from __future__ import annotations

import csv
import difflib
import io
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from unrolled.errors import InvalidValueError
from unrolled.files.text import read_text

__all__ = ["Floats", "Table", "read_labels", "read_numbers", "read_table"]

Floats = npt.NDArray[np.float64]

DELIMITERS = (",", ";", "\t")


@dataclass(frozen=True)
class Table:
    """A CSV file as it stands: the names of its columns, and each row with its number."""

    file: str
    names: list[str]
    rows: list[tuple[int, list[str]]]
    first_row: int = 2  # as a spreadsheet counts: the header is row 1

    def numbers(self, column: str) -> Floats:
        """One column as float64; see `read_numbers`."""
        place = _find(column, self.names, self.file)
        name = self.names[place]
        return np.array([_number(cells[place], row, name) for row, cells in self.rows])

    def words(self, column: str) -> list[str]:
        """One column as text."""
        place = _find(column, self.names, self.file)
        return [cells[place].strip() for _, cells in self.rows]


def read_numbers(path: str | Path, column: str = "") -> Floats:
    """Read one column of a CSV file as float64.

    Parameters
    ----------
    path
        UTF-8 text whose first row names the columns.  The cells are divided by commas or, where
        the first row has none, by semicolons or tabs.
    column
        Which one; may be left empty where the file has a single column.

    Returns
    -------
    numpy.ndarray
        One number for each row below the first, in the file's order.

    Raises
    ------
    ValueError
        With one sentence that says what was found, where, what was expected, and how to mend it.
        Nothing is skipped, filled in or repaired.
    """
    return read_table(path).numbers(column)


def read_labels(path: str | Path, column: str) -> list[str]:
    """Read one column of a CSV file as text, with the same demands on the file."""
    return read_table(path).words(column)


def read_table(path: str | Path) -> Table:
    """Read a CSV file whose columns are asked for by and by, with the same demands on it."""
    return Table(Path(path).name, *_read_table(Path(path)))


def _read_table(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Give the names of the columns, and each row with its number; the header is row 1."""
    text = io.StringIO(read_text(path), newline=None).read()  # every line ends with \n
    first = text.partition("\n")[0]
    delimiter = next((mark for mark in DELIMITERS if mark in first), ",")
    try:
        table = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise InvalidValueError(
            f"{path.name} is not a CSV file ({error}): save it as CSV."
        ) from None
    while table and not any(cell.strip() for cell in table[-1]):
        table.pop()  # empty lines at the end hold no data; in the middle they would hide a gap
    if not table:
        raise InvalidValueError(
            f"{path.name} is empty: expected a row of column names, then numbers."
        )
    header = [cell.strip() for cell in table[0]]
    if all(_is_number(cell) for cell in header):
        raise InvalidValueError(
            f"{path.name} has no header, its first row is {', '.join(header)}: "
            "add a first row with the names of the columns."
        )
    rows = list(enumerate(table[1:], start=2))
    if not rows:
        raise InvalidValueError(
            f"{path.name} has no row below its header: expected rows of numbers."
        )
    for row, cells in rows:
        if not cells:
            raise InvalidValueError(f"row {row} of {path.name} is blank: fill it in or delete it.")
        if len(cells) != len(header):
            raise InvalidValueError(
                f"row {row} of {path.name} has {_count(len(cells), 'cell')}, but the header has "
                f"{len(header)}: put a number that holds a {delimiter!r} in quotes, or write it "
                "without."
            )
    return header, rows


def _find(column: str, header: list[str], file: str) -> int:
    """Say where the named column stands in the header."""
    names = ", ".join(header)
    if not column:
        if len(header) == 1:
            return 0
        raise InvalidValueError(f"{file} has the columns {names}: say which with --column.")
    if header.count(column) > 1:
        raise InvalidValueError(
            f"{file} has {header.count(column)} columns {column!r}: rename them."
        )
    if column not in header:
        folded = {name.casefold(): name for name in header}
        near = difflib.get_close_matches(column.casefold(), folded, n=1)
        hint = f" Did you mean {folded[near[0]]!r}?" if near else ""
        raise InvalidValueError(f"{file} has no column {column!r}: its columns are {names}.{hint}")
    return header.index(column)


def _number(cell: str, row: int, column: str) -> float:
    text = cell.strip()
    where = f"row {row} of column {column!r}"
    if not text:
        raise InvalidValueError(f"{where} is blank: fill it in, or delete the row.")
    if not _is_number(text):
        comma = text.count(",") == 1 and _is_number(text.replace(",", "."))
        raise InvalidValueError(
            f"{where} is {text!r}, not a number: "
            + (f"write it as {text.replace(',', '.')}." if comma else "mend it or delete the row.")
        )
    value = float(text)
    if not math.isfinite(value):
        raise InvalidValueError(
            f"{where} is {text}, not a finite number: fill it in or delete the row."
        )
    return value


def _is_number(text: str) -> bool:
    """Say whether the text is a number; Python's own 1_000 is no number in a table."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
