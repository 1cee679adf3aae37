"""Sequences out of a .ts file, the format of the UCR/UEA archive of time series.

A header of lines that begin with @, then after @data a case in each line: its channels, with a
colon between, each of values with commas between, and at its end the label.  ? is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from unrolled.errors import InvalidValueError
from unrolled.errors.expected import ending
from unrolled.files.columns import Floats
from unrolled.recipes._labels.collection import Collection, channel_names

__all__ = ["read_archive_file"]

MISSING = {"?": "nan", "": "nan"}
YES_OR_NO = ("true", "false")


class _Header(NamedTuple):
    """What the lines before the data say; None: nothing."""

    dimensions: int | None
    length: int | None
    classes: tuple[str, ...]
    labelled: bool


def read_archive_file(path: Path) -> Collection:
    """Read the cases of a .ts file; lengths may differ from case to case.

    Raises
    ------
    ValueError
        In one sentence, with the line's number.
    """
    lines = _text(path).splitlines()
    said, begin = _header_lines(lines, path.name)
    header = _header(said, path.name)
    cases: list[Floats] = []
    labels, names = [], []
    for number, line in enumerate(lines[begin:], begin + 1):
        if line.strip() and not line.startswith("#"):
            values, label = _case(line.strip(), header, f"line {number} of {path.name}")
            if cases and values.shape[1] != cases[0].shape[1]:
                raise InvalidValueError(
                    f"line {number} of {path.name} has {values.shape[1]} channels, the lines "
                    f"before it {cases[0].shape[1]}: every case needs the same."
                )
            cases.append(values)
            labels.append(label)
            names.append(f"case {len(cases)}")
    if not cases:
        raise InvalidValueError(f"{path.name} has no case after @data: is it cut short?")
    channels = channel_names(cases[0].shape[1])
    return Collection(
        path.name, cases, labels if header.labelled else (), names, channels, said=".ts"
    )


def _text(path: Path) -> str:
    data = path.read_bytes()
    if not data.strip():
        raise InvalidValueError(f"{path.name} is empty: expected a .ts file.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        text = ""
        if b"\x00" not in data[:4096] and not any(
            line[:1] not in b"#" for line in data[: error.start + 1].splitlines()[-1:]
        ):
            text = data.decode("latin-1")  # a name in a comment
    if not text or "\x00" in text:
        raise InvalidValueError(
            f"{path.name} is no text in UTF-8: expected a .ts file, whose header begins with "
            "@problemName."
        )
    return text


def _header_lines(lines: list[str], file: str) -> tuple[dict[str, list[str]], int]:
    """The header's words by name, small, and the place of the first line of data."""
    said: dict[str, list[str]] = {}
    for place, line in enumerate(lines):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if not words[0].startswith("@"):
            raise InvalidValueError(
                f"line {place + 1} of {file} stands before @data and begins with "
                f"{words[0][:20]!r}: expected a line of the header, such as @problemName."
            )
        if words[0].lower() == "@data":
            return said, place + 1
        said[words[0][1:].lower()] = words[1:]
    raise InvalidValueError(f"{file} has no line @data: expected the format of the UEA archive.")


def _header(said: Mapping[str, list[str]], file: str) -> _Header:
    if _yes(said, "timestamps", file):
        raise InvalidValueError(
            f"{file} says @timeStamps true: a time for every value is not read; write the values "
            "alone, or a long table with --time."
        )
    if "targetlabel" in said and _yes(said, "targetlabel", file):
        raise InvalidValueError(
            f"{file} says @targetLabel true, so its cases have numbers: expected @classLabel true "
            "and the classes."
        )
    labelled = _yes(said, "classlabel", file)
    classes = tuple(said.get("classlabel", ())[1:])
    if labelled and not classes:
        raise InvalidValueError(
            f"{file} says @classLabel true and names no class: expected them behind it."
        )
    dimensions = _number(said, "dimensions" if "dimensions" in said else "dimension", file)
    if dimensions is None and _yes(said, "univariate", file):
        dimensions = 1
    equal = "equallength" not in said or _yes(said, "equallength", file)
    length = _number(said, "serieslength", file) if equal else None
    return _Header(dimensions, length or None, classes, labelled)


def _yes(said: Mapping[str, list[str]], name: str, file: str) -> bool:
    if name not in said:
        return False
    word = (said[name] or [""])[0].lower()
    if word not in YES_OR_NO:
        raise InvalidValueError(f"{file} says @{name} {word!r}: expected true or false.")
    return word == "true"


def _number(said: Mapping[str, list[str]], name: str, file: str) -> int | None:
    if name not in said:
        return None
    word = (said[name] or [""])[0]
    if not (word.isascii() and word.isdecimal() and len(word) < 10):
        raise InvalidValueError(f"{file} says @{name} {word!r}: expected a whole number.")
    return int(word)


def _case(line: str, header: _Header, where: str) -> tuple[Floats, str]:
    parts = line.split(":")
    label = parts.pop().strip() if header.labelled else ""
    if header.labelled and label not in header.classes:
        raise InvalidValueError(
            f"{where} ends with the label {label[:40]!r}: @classLabel names "
            f"{_few(header.classes)}{ending(label[:40], header.classes)}"
        )
    if header.dimensions is not None and len(parts) != header.dimensions:
        raise InvalidValueError(
            f"{where} has {len(parts)} channels: the header says {header.dimensions}."
        )
    channels = [_values(part, where) for part in parts]
    lengths = {len(channel) for channel in channels}
    if len(lengths) > 1:
        raise InvalidValueError(
            f"{where} has channels of {' and '.join(map(str, sorted(lengths)))} values: all of a "
            "case need as many."
        )
    if header.length is not None and lengths != {header.length}:
        raise InvalidValueError(
            f"{where} has {lengths.pop()} values in a channel: @seriesLength says {header.length}."
        )
    return np.column_stack(channels), label


def _few(words: tuple[str, ...], most: int = 9) -> str:
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more


def _values(part: str, where: str) -> Floats:
    cells = [MISSING.get(cell, cell) for cell in map(str.strip, part.split(","))]
    try:
        if "_" in part:  # Python reads 1_000 as a number
            raise ValueError
        return np.array(cells, dtype=np.float64)
    except ValueError:
        bad = next(cell for cell in cells if not _is_number(cell))
        raise InvalidValueError(
            f"{where} holds {bad[:40]!r}: expected a number, or ? where it is missing."
        ) from None


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell
