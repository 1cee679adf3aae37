"""Sequences out of a long table, a row for each step, and out of NumPy's .npz files."""

from __future__ import annotations

import lzma
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from unrolled.errors import InvalidValueError
from unrolled.errors.expected import ending, flagged
from unrolled.errors.mistakes import one_line
from unrolled.files.arrays import read_array
from unrolled.files.columns import Floats, Integers
from unrolled.files.tables import Reading, Table, read_table
from unrolled.files.timed import row_times
from unrolled.recipes._labels.collection import Collection, channel_names, counted

__all__ = ["Columns", "read_long_table", "read_padded"]

Array = npt.NDArray[Any]
KEYS = ("values", "lengths", "labels", "groups", "channels")
DAMAGED = (
    *(ValueError, EOFError, OSError, KeyError, RuntimeError, NotImplementedError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError),
)


class Columns(NamedTuple):
    """Which column of a long table is what; empty: there is none, or the channels are the rest."""

    sequence: str = ""
    time: str = ""
    label: str = ""
    group: str = ""
    channels: tuple[str, ...] = ()


# --- long tables ---


def read_long_table(
    path: Path, asked: Columns, reading: Reading, *, labelled: bool = True
) -> Collection:
    """Read a table with a row for each step of each sequence.

    Where it need not be labelled, it may lack the columns of labels and groups.

    Raises
    ------
    ValueError
        In one sentence.
    """
    table = read_table(path, reading)
    if not asked.sequence:
        raise InvalidValueError(
            f"{path.name} has the columns {', '.join(table.names)}: say with "
            f"{flagged('--sequence', 'COLUMN')} which tells the sequences apart."
        )
    if not labelled:
        asked = asked._replace(
            label=asked.label if asked.label in table.names else "",
            group=asked.group if asked.group in table.names else "",
        )
    others = {table.find(name) for name in asked[:4] if name}
    channels = asked.channels or tuple(name for name in table.names if name not in others)
    if taken := sorted(others & set(channels)):
        raise InvalidValueError(
            f"column {taken[0]!r} of {path.name} is named as something else, and cannot be one of "
            "the channels too: leave it out of --channels."
        )
    if not channels:
        raise InvalidValueError(f"{path.name} has no column left that could be a channel.")
    values = np.column_stack([_numbers(table, name) for name in channels])
    parts = _rows(table, asked.sequence)
    if asked.time:
        _check_times(table, parts, asked.time)
    said = [*table.said, *_apart(parts)]
    return Collection(
        path.name,
        [values[rows] for rows in parts.values()],
        _each(table, asked.label, parts),
        list(parts),
        tuple(channels),
        _each(table, asked.group, parts, needed=True),
        ", ".join(said),
    )


def _numbers(table: Table, name: str) -> Floats:
    try:
        return table.numbers(name)
    except InvalidValueError as error:
        raise InvalidValueError(
            f"{str(error).rstrip('.')}; a column that is no channel is left out by naming the "
            "others with --channels."
        ) from None


def _rows(table: Table, column: str) -> dict[str, Integers]:
    """The rows of each sequence, in the order in which they first come."""
    found: dict[str, list[int]] = {}
    for row, name in enumerate(table.words(column)):
        if not name:
            raise InvalidValueError(
                f"row {table.rows[row]} of column {column!r} is blank: expected the sequence that "
                "the row belongs to."
            )
        found.setdefault(name, []).append(row)
    return {name: np.array(rows) for name, rows in found.items()}


def _apart(parts: Mapping[str, Integers]) -> list[str]:
    """What is said where rows of a sequence do not lie together: they are taken in their order."""
    apart = [name for name, rows in parts.items() if rows[-1] - rows[0] + 1 > len(rows)]
    if not apart:
        return []
    return [f"rows of {counted(len(apart), 'sequence')}, such as {apart[0]!r}, gathered in order"]


def _check_times(table: Table, parts: Mapping[str, Integers], time: str) -> None:
    """Raise where a row of a sequence is not later than the one before it."""
    name = table.find(time)
    alone = replace(table, columns={name: table.columns[name]})
    for rows in parts.values():
        row_times(alone.take(rows), time)


def _each(
    table: Table, column: str, parts: Mapping[str, Integers], *, needed: bool = False
) -> list[str]:
    """What a column says of each sequence; nothing, if no column is named."""
    if not column:
        return []
    words = table.words(column)
    found = {
        name: _one(table, column, rows, name, [words[row] for row in rows.tolist()])
        for name, rows in parts.items()
    }
    if needed and "" in found.values():
        blank = next(name for name, word in found.items() if not word)
        raise InvalidValueError(
            f"sequence {blank!r} of {table.file} is blank in column {column!r}: expected a name in "
            "each; fill it in, or take the sequence out."
        )
    return list(found.values())


def _one(table: Table, column: str, rows: Integers, name: str, each: list[str]) -> str:
    words = sorted({word for word in each if word})
    if words and "" in each:
        blank = table.rows[rows[each.index("")]]
        raise InvalidValueError(
            f"row {blank} of {table.file}, of sequence {name!r}, is blank in column {column!r}, "
            f"and other rows of it say {words[0]!r}: fill it in."
        )
    if len(words) > 1:
        raise InvalidValueError(
            f"sequence {name!r} of {table.file} has several values in column {column!r}, "
            f"{' and '.join(map(repr, words[:3]))}: expected one for each sequence; recipe events "
            "labels each step."
        )
    return words[0] if words else ""


# --- .npz ---


def read_padded(path: Path) -> Collection:
    """Read a .npz file: values [N, T, C] or [N, T], and maybe lengths, labels, groups, channels.

    Raises
    ------
    ValueError
        In one sentence.
    """
    named = _arrays(path)
    for name in named:
        if name not in KEYS:
            raise InvalidValueError(
                f"{path.name} holds an array {name!r}: expected {', '.join(KEYS)}"
                f"{ending(name, KEYS)}"
            )
    values = _values(named, path.name)
    count, steps, width = values.shape
    lengths = _lengths(named, path.name, count, steps)
    channels = _words(named, "channels", path.name, width) or list(channel_names(width))
    if len(set(channels)) < width:
        twice = next(name for name in channels if channels.count(name) > 1)
        raise InvalidValueError(
            f"channels of {path.name} has {twice!r} more than once: give each a name of its own."
        )
    return Collection(
        path.name,
        [one[:length] for one, length in zip(values, lengths, strict=True)],
        _words(named, "labels", path.name, count),
        [f"sequence {number}" for number in range(count)],
        tuple(channels),
        _words(named, "groups", path.name, count),
        "NumPy",
    )


def _arrays(path: Path) -> dict[str, Array]:
    try:
        with zipfile.ZipFile(path) as archive:
            found = {}
            for member in archive.infolist():
                with archive.open(member) as file:
                    name = member.filename.removesuffix(".npy")
                    found[name] = read_array(file, member.file_size)
            return found
    except DAMAGED as error:
        raise InvalidValueError(
            f"{path.name} is not a NumPy file of plain arrays ({one_line(str(error), 120)}): save "
            "it again with numpy.savez, without objects."
        ) from None


def _values(named: Mapping[str, Array], file: str) -> Floats:
    if "values" not in named:
        raise InvalidValueError(
            f"{file} has no array called values: expected values [N, T, C], and maybe "
            f"{', '.join(KEYS[1:])}."
        )
    values = named["values"]
    if values.dtype.kind not in "biuf":
        raise InvalidValueError(f"values of {file} holds {values.dtype}: expected real numbers.")
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim != 3:
        raise InvalidValueError(
            f"values of {file} has the shape {values.shape}: expected [N, T, C] or [N, T]."
        )
    return values.astype(np.float64)


def _lengths(named: Mapping[str, Array], file: str, count: int, steps: int) -> list[int]:
    if "lengths" not in named:
        return [steps] * count
    lengths = named["lengths"]
    if lengths.dtype.kind not in "iu" or lengths.shape != (count,):
        raise InvalidValueError(
            f"lengths of {file} is {lengths.dtype} of the shape {lengths.shape}: expected {count} "
            "whole numbers, one for each sequence."
        )
    wrong = np.flatnonzero((lengths < 1) | (lengths > steps))
    if len(wrong):
        raise InvalidValueError(
            f"lengths[{wrong[0]}] of {file} is {lengths[wrong[0]]}: expected 1 to {steps}."
        )
    return [int(length) for length in lengths]


def _words(named: Mapping[str, Array], name: str, file: str, count: int) -> list[str]:
    if name not in named:
        return []
    words = named[name]
    if words.dtype.kind not in "biuU" or words.shape != (count,):
        raise InvalidValueError(
            f"{name} of {file} is {words.dtype} of the shape {words.shape}: expected {count} words "
            "or whole numbers."
        )
    return [str(word).strip() for word in words.tolist()]
