"""A table out of any file that people keep one in: how it was read is found, and said, or asked.

CSV and its like in any dialect and encoding, Excel and Parquet.  What has two readings is refused
with both, and the flag for each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import numpy as np

from unrolled.errors import InvalidValueError
from unrolled.errors.expected import Before, Expected, ending, flagged, one_of
from unrolled.files.columns import AnyColumn, Bools, Floats, Integers
from unrolled.files.delimited import SEPARATORS, read_text_table
from unrolled.files.encodings import decode
from unrolled.files.layout import Top
from unrolled.files.numerals import MISSING, Column, Style, numbers, styles_of
from unrolled.files.sheets import read_parquet, read_sheet, text_of
from unrolled.files.unpacking import Unpacked, unpack

__all__ = ["Reading", "Table", "read_table"]

THOUSANDS = {"space": " ", "none": "none"}


def _one_of(*marks: str) -> Expected:
    words = f"one of {' '.join(marks)} or nothing"
    return Expected(words, lambda value: value in ("", *marks))


def _is_separator(text: str) -> bool:
    return text in ("", "tab", "space") or len(text) == 1


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a file is to be read, where it does not tell: each field is a flag of a recipe."""

    decimal: Annotated[str, _one_of(".", ",")] = ""
    """Of a file: the decimal mark of its numbers, . or , (empty: found from all of them)."""
    thousands: Annotated[str, _one_of(",", ".", "'", "space", "none")] = ""
    """Of a file: what stands between thousands: , . ' space or none (empty: found)."""
    separator: Annotated[
        str, Expected("one mark, tab or space", lambda s: s in ("", "tab", "space") or len(s) == 1)
    ] = ""
    """Of a file: what divides cells: a mark, tab or space (empty: found)."""
    encoding: str = ""
    """Of a file: how its letters are written, such as utf-8, cp1252, gb18030 (empty: found)."""
    skip: Annotated[int | None, Expected("0 or more", lambda n: n is None or n >= 0)] = None
    """Of a file: lines above the row of names (not given: found)."""
    header: Annotated[str, one_of(("", "yes", "no")), Before("")] = ""
    """Of a file: whether a row of names stands above the data; no: the columns are column 1, column
    2, … (empty: found)."""
    sheet: str = ""
    """Of an Excel file: the sheet (empty: the first)."""


@dataclass(frozen=True)
class Table:
    """The columns of a file by name, the number of each row, and how it was read.

    A column is float64, datetime64, or text that becomes numbers when they are asked for.
    """

    file: str
    columns: Mapping[str, AnyColumn]
    rows: Integers
    said: tuple[str, ...]
    reading: Reading = field(default_factory=Reading)
    separator: str = ""
    repeated: frozenset[str] = frozenset()

    @property
    def names(self) -> list[str]:
        """The names of the columns, in the file's order."""
        return list(self.columns)

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.rows)

    def find(self, column: str, besides: Iterable[str] = ()) -> str:
        """The name of a column: as it is given, or that of the only one besides others.

        Raises
        ------
        ValueError
            If there is none of that name, or several, or none was named of several.
        """
        if not column:
            left = [name for name in self.columns if name not in set(besides)]
            if len(left) == 1:
                return left[0]
            raise InvalidValueError(
                f"{self.file} has the columns {', '.join(self.names)}: say which with --column."
            )
        if column in self.repeated:
            raise InvalidValueError(f"{self.file} has several columns {column!r}: rename them.")
        if column not in self.columns:
            raise InvalidValueError(
                f"{self.file} has no column {column!r}: its columns are "
                f"{', '.join(self.names)}{ending(column, self.names)}"
            )
        return column

    def numbers(self, column: str) -> Floats:
        """One column as float64, NaN where a cell is blank."""
        return self.told_numbers(column)[0]

    def told_numbers(self, column: str) -> tuple[Floats, list[str]]:
        """One column as float64, and what was found out about how its numbers are written."""
        name = self.find(column)
        cells = self.columns[name]
        if cells.dtype == np.float64:
            return cells, []
        if cells.dtype.kind == "M":
            raise InvalidValueError(
                f"column {name!r} of {self.file} holds times, not numbers: "
                f"{flagged('--time', name)} takes it as when each row was."
            )
        return numbers(self._column(name))

    def _column(self, name: str) -> Column:
        r = self.reading
        asked = Style(r.decimal, THOUSANDS.get(r.thousands, r.thousands))
        plain = self.separator in (",", " ")
        return Column(
            name,
            self.columns[name],
            lambda place: int(self.rows[place]),
            asked,
            plain,
            lambda: self._styles(name),
        )

    def _styles(self, name: str) -> Iterator[set[Style]]:
        """The styles of other columns; a year and its month, 2020.05, are no number."""
        for other, cells in self.columns.items():
            if other != name and cells.dtype == object and not _holds_times(cells):
                yield styles_of(cells)

    def words(self, column: str) -> list[str]:
        """One column as text."""
        cells = self.columns[self.find(column)]
        if cells.dtype == object:
            return [cell.strip() for cell in cells]
        if cells.dtype == np.float64:
            return ["" if cell != cell else f"{cell:.15g}" for cell in cells.tolist()]
        return [text_of(cell) for cell in cells.tolist()]

    def blank(self, column: str) -> Bools:
        """Flag the rows in which a column holds nothing."""
        return np.array([word.casefold() in MISSING for word in self.words(column)])

    # --- some of its rows ---

    def take(self, chosen: Bools | Integers) -> Table:
        """The same table with some of its rows, in the order given."""
        columns = {name: cells[chosen] for name, cells in self.columns.items()}
        return replace(self, columns=columns, rows=self.rows[chosen])

    def where(self, conditions: Iterable[str]) -> Table:
        """The rows in which each COLUMN=VALUE holds.

        Raises
        ------
        ValueError
            If a condition names no column, or a value that is in none of the rows.
        """
        table = self
        for condition in conditions:
            table = table._where(condition)
        return table

    def _where(self, condition: str) -> Table:
        column, mark, value = condition.partition("=")
        if not mark:
            raise InvalidValueError(
                f"--where {condition} names no value: expected COLUMN=VALUE, such as shop=Bergen."
            )
        words = self.words(column)
        chosen = np.array([word == value for word in words])
        if not chosen.any():
            there = sorted(set(words))
            more = f" and {len(there) - 9} more" if len(there) > 9 else ""
            raise InvalidValueError(
                f"column {column!r} of {self.file} is nowhere {value!r}: it holds "
                f"{', '.join(there[:9])}{more}{ending(value, there)}"
            )
        return self.take(chosen)

    def split(self, column: str) -> dict[str, Table]:
        """A table for each value of a column, in the order in which they first come.

        Raises
        ------
        ValueError
            If a row does not say which it belongs to.
        """
        words = np.array(self.words(column), dtype=object)
        blank = np.flatnonzero(words == "")
        if len(blank):
            raise InvalidValueError(
                f"row {self.rows[blank[0]]} of column {column!r} is blank: expected the name of "
                "the group that the row belongs to."
            )
        import pandas as pd

        codes, names = pd.factorize(words)
        order = np.argsort(codes, kind="stable")
        cuts = np.searchsorted(codes[order], np.arange(1, len(names)))
        parts = np.split(order, cuts)
        return {str(name): self.take(part) for name, part in zip(names, parts, strict=True)}


def _holds_times(cells: AnyColumn) -> bool:
    import re

    first = next((cell for cell in cells if cell.strip().casefold() not in MISSING), "")
    return re.fullmatch(r"\s*(?:1[5-9]|20|21)\d\d[.,]\d*\s*", first) is not None


def read_table(path: str | Path, reading: Reading | None = None) -> Table:
    """Read a table whose columns are asked for by and by.

    Parameters
    ----------
    path
        Text in any of the usual dialects and encodings, Excel or Parquet; packed with gzip, bz2,
        xz or zip, or not.
    reading
        What is known of it; whatever is left empty is found from the file itself.

    Returns
    -------
    Table
        Whose ``said`` has, in a few words each, what was found.

    Raises
    ------
    ValueError
        With one sentence that says what was found, where, what was expected, and how to mend it.
    """
    asked = Reading() if reading is None else reading
    path = Path(path)
    unpacked = unpack(path)
    if unpacked.kind == "text":
        return _of_text(unpacked, path.name, asked)
    if unpacked.kind == "excel":
        top = Top(asked.skip, asked.header)
        names, columns, rows, said = read_sheet(unpacked.data, path.name, asked.sheet, top)
        kind = "Excel"
    else:
        names, columns, rows, said = read_parquet(unpacked.data, path.name)
        kind = "Parquet"
    return _table(path.name, names, columns, rows, [kind, *said], asked, "")


def _of_text(unpacked: Unpacked, file: str, asked: Reading) -> Table:
    text, encoding = decode(unpacked.data, file, asked.encoding)
    top = Top(asked.skip, asked.header)
    names, columns, rows, mark, said = read_text_table(text, file, asked.separator, top)
    how = [SEPARATORS.get(mark, "one column" if len(names) == 1 else repr(mark)), encoding]
    packed = [unpacked.packed] if unpacked.packed else []
    return _table(file, names, columns, rows, [*how, *packed, *said], asked, mark)


def _table(
    file: str,
    names: list[str],
    columns: Iterable[AnyColumn],
    rows: Integers,
    said: list[str],
    asked: Reading,
    mark: str,
) -> Table:
    repeated = frozenset(name for name in names if names.count(name) > 1)
    named = dict(zip(names, columns, strict=True))
    return Table(file, named, rows, tuple(said), asked, mark, repeated)
