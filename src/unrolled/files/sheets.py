"""Tables that are no text: Excel's sheets, and Parquet; their numbers and dates are what they are.

A column of numbers is float64, one of times datetime64, and any other is text.
"""

from __future__ import annotations

import datetime
import io
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from unrolled.errors import InvalidValueError
from unrolled.errors.expected import ending
from unrolled.files.columns import AnyColumn, Integers
from unrolled.files.layout import Top, find_table, rows_below

__all__ = ["TypedTable", "read_parquet", "read_sheet", "text_of"]

LOOKED_AT = 200


class TypedTable(NamedTuple):
    """A table's columns, and the number of each row."""

    names: list[str]
    columns: list[AnyColumn]
    rows: Integers
    said: list[str]


def read_parquet(data: bytes, file: str) -> TypedTable:
    """Read a Parquet file; an index that pandas kept in it is a column as the others."""
    import pandas as pd

    try:
        frame = pd.read_parquet(io.BytesIO(data))
    except ImportError:
        raise InvalidValueError(
            f"{file} is a Parquet file, for which pyarrow is needed: pip install pyarrow brings it."
        ) from None
    except (OSError, ValueError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InvalidValueError(f"{file} is a damaged Parquet file ({first}).") from None
    if not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index()
    if frame.empty:
        raise InvalidValueError(f"{file} has no row: expected rows of numbers.")
    columns = [_typed(frame.iloc[:, n]) for n in range(frame.shape[1])]
    return TypedTable([str(n) for n in frame.columns], columns, np.arange(2, len(frame) + 2), [])


def _typed(column: Any) -> AnyColumn:
    """A column of a frame as float64, datetime64 (UTC where it has a zone) or text."""
    import pandas as pd

    kind = column.dtype
    if isinstance(kind, pd.DatetimeTZDtype):
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
        return np.asarray(column.to_numpy(), dtype="datetime64[us]")
    if pd.api.types.is_datetime64_any_dtype(kind):
        return np.asarray(column.to_numpy(), dtype="datetime64[us]")
    if pd.api.types.is_numeric_dtype(kind):
        return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))
    return of_objects(list(column))


def read_sheet(data: bytes, file: str, sheet: str = "", top: Top | None = None) -> TypedTable:
    """Read a sheet of an Excel file, the first unless one is named."""
    import pandas as pd

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of styles that openpyxl does not know
            book = pd.ExcelFile(io.BytesIO(data), engine="openpyxl")
            name = _sheet_named(sheet, book.sheet_names, file)
            frame = book.parse(name, header=None, dtype=object, na_filter=False)
    except ImportError:
        raise InvalidValueError(
            f"{file} is an Excel file, for which openpyxl is needed: pip install openpyxl brings "
            "it; or save the sheet as CSV."
        ) from None
    except InvalidValueError:
        raise
    except Exception as error:  # openpyxl raises whatever a damaged file leads it to
        raise InvalidValueError(
            f"{file} is a damaged Excel file ({type(error).__name__})."
        ) from None
    more = len(book.sheet_names) > 1
    said = [f"sheet {name!r} of {len(book.sheet_names)}"] if more else []
    return _table_of(frame, f"sheet {name!r} of {file}", said, Top() if top is None else top)


def _sheet_named(asked: str, names: Sequence[Any], file: str) -> str:
    known = [str(name) for name in names]
    if asked and asked not in known:
        raise InvalidValueError(
            f"{file} has no sheet {asked!r}: its sheets are {', '.join(known)}"
            f"{ending(asked, known)}"
        )
    return asked or known[0]


def _table_of(frame: Any, file: str, said: list[str], top: Top) -> TypedTable:
    cells = frame.iloc[top.skip or 0 :].to_numpy(dtype=object)
    rows = np.arange(1, len(frame) + 1)[top.skip or 0 :]
    filled = np.array([[text_of(cell).strip() != "" for cell in row] for row in cells])
    if not filled.any():
        raise InvalidValueError(f"{file} is empty: expected a row of column names, then numbers.")
    cells, rows = cells[filled.any(1)][:, filled.any(0)], rows[filled.any(1)]
    begin = [[text_of(cell) for cell in row] for row in cells[:LOOKED_AT]]
    layout = find_table(begin, cells.shape[1], file, top)
    body = cells[layout.begin :]
    last = [[text_of(cell) for cell in row] for row in body[-LOOKED_AT:]]
    below = rows_below(last, layout.readable)
    if below == len(body):
        raise InvalidValueError(f"{file} has no row below its header: expected rows of numbers.")
    if below:
        note = next(filter(None, (cell.strip() for cell in last[-below])))
        said = [*said, f"{below} below the data left out, {note[:40]!r}"]
    kept = slice(layout.begin, len(cells) - below)
    columns = [of_objects(list(cells[kept, n])) for n in range(cells.shape[1])]
    names = [name or f"column {n + 1}" for n, name in enumerate(layout.names)]
    return TypedTable(names, columns, rows[kept], [*said, *layout.said])


# --- cells that are objects ---


def of_objects(cells: list[Any]) -> AnyColumn:
    """Numbers as float64 and times as datetime64, where there is nothing else; or all as text."""
    there = [cell for cell in cells if text_of(cell).strip()]
    if there and all(type(cell) in (int, float) or isinstance(cell, np.number) for cell in there):
        return np.array([float(cell) if text_of(cell) else np.nan for cell in cells])
    if there and all(isinstance(cell, datetime.date) for cell in there):
        times = [cell if text_of(cell).strip() else "NaT" for cell in cells]
        return np.array(times, dtype="datetime64[us]")
    return np.array([text_of(cell) for cell in cells], dtype=object)


def text_of(cell: Any) -> str:
    """A cell as text that says what it is: 20.038 is 20.0380, which has no second reading."""
    if cell is None or cell != cell:  # NaN and NaT differ from themselves
        return ""
    if isinstance(cell, float):
        text = f"{cell:.0f}" if cell.is_integer() and abs(cell) < 1e15 else repr(cell)
        return text + "0" if len(text.partition(".")[2]) == 3 else text
    if isinstance(cell, datetime.datetime):
        return cell.isoformat(sep=" ")
    return str(cell)
