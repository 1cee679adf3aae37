"""The columns of a NumPy file, .npy or .npz: never a pickle."""

from __future__ import annotations

import lzma
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unrolled.errors import InvalidValueError
from unrolled.errors.mistakes import one_line
from unrolled.files.arrays import read_array
from unrolled.files.columns import Floats, Integers

__all__ = ["Arrays", "read_arrays"]

Array = npt.NDArray[Any]

_DAMAGED = (  # what a damaged file, or an archive of another kind, raises
    *(ValueError, EOFError, OSError, KeyError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError),
)


@dataclass(frozen=True)
class Arrays:
    """Columns by name, all of one length."""

    columns: dict[str, Array]
    file: str = ""

    @property
    def names(self) -> Sequence[str]:
        """The columns, in the file's order."""
        return list(self.columns)

    @property
    def rows(self) -> Integers:
        """The number of each row, as NumPy counts."""
        return np.arange(len(next(iter(self.columns.values()), ())))

    def numbers(self, name: str) -> Floats:
        """A column as float64, all of it finite.

        Raises
        ------
        ValueError
            Naming the column, and the first row that is not a finite number, counted from 0.
        """
        column = self.columns[name]
        if column.dtype.kind not in "biuf":
            raise InvalidValueError(
                f"column {name!r} holds {column.dtype}, not real numbers: leave it out by naming "
                "the others with --channels."
            )
        values = column.astype(np.float64)
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            raise InvalidValueError(
                f"row {bad[0]} (from 0) of column {name!r} is {values[bad[0]]}, not a finite "
                "number: fill it in or take the row out."
            )
        return values

    def words(self, name: str) -> list[str]:
        """A column as words; numbers must be finite."""
        column = self.columns[name]
        if column.dtype.kind == "U":
            return [str(word).strip() for word in column]
        if column.dtype.kind == "M":
            return [str(word) for word in np.datetime_as_string(column)]
        return [f"{value:.10g}" for value in self.numbers(name)]


def read_arrays(path: Path) -> Arrays:
    """Read the columns of a .npy or .npz file.

    The columns of one [T, C] array are named 0, 1, …; those of a structured array have its names.
    In a .npz file, an array [T] is a column of its name, and [T, C] is columns NAME.0, NAME.1, ….

    Raises
    ------
    ValueError
        In one sentence.
    """
    if path.stat().st_size == 0:
        raise InvalidValueError(
            f"{path.name} is empty (0 bytes): expected an array, saved by NumPy."
        )
    try:
        if path.suffix.lower() == ".npy":
            with open(path, "rb") as file:
                named = {"": read_array(file, path.stat().st_size)}
        else:
            named = _read_archive(path)
    except _DAMAGED as error:
        raise InvalidValueError(
            f"{path.name} is not a NumPy file of plain numbers ({one_line(str(error), 120)}): "
            "save it again with numpy.save or numpy.savez, without objects."
        ) from None
    columns: dict[str, Array] = {}
    for name, array in named.items():
        columns |= _columns(name, array, path.name)
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} has {length:,}" for name, length in lengths.items())
        raise InvalidValueError(f"the arrays in {path.name} are not of one length: {told} rows.")
    return Arrays(columns, path.name)


def _read_archive(path: Path) -> dict[str, Array]:
    found = {}
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            with archive.open(member) as file:
                array = read_array(file, member.file_size)
                found[member.filename.removesuffix(".npy")] = array
    return found


def _columns(name: str, array: Array, file: str) -> dict[str, Array]:
    """Take one array apart into columns."""
    of = f" {name!r}" if name else ""
    if array.dtype.names and array.ndim == 1:
        return {field: array[field] for field in array.dtype.names}
    if array.ndim == 1:
        return {name or "0": array}
    if array.ndim == 2:
        front = f"{name}." if name else ""
        return {f"{front}{place}": array[:, place] for place in range(array.shape[1])}
    raise InvalidValueError(
        f"array{of} in {file} is of shape {array.shape}: expected [steps] or [steps, channels]."
    )
