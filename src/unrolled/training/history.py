"""`metrics.jsonl`: one line a report, each with a seal that covers the seal of the line before.

So a line that was changed, taken out or moved is told; only the last one may be half there, which
is what a killed process leaves.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unrolled.errors import InvalidValueError
from unrolled.errors.expected import whole
from unrolled.files import sealed
from unrolled.files.bounded import parse_json
from unrolled.files.whole import open_unlinked
from unrolled.training import documents
from unrolled.training.declared import FIGURE, held
from unrolled.training.documents import METRICS, DamagedError

__all__ = ["append_metrics", "cut_metrics", "read_metrics"]

_STEP = whole(0, 2**53)
_LAST = re.compile(rb'([0-9a-f]{64})"}\n\Z')


def append_metrics(folder: Path, row: Mapping[str, Any]) -> None:
    """Add one line; a figure that is not finite is written as null, which JSON has."""
    run = documents.owner(folder).run
    with open(folder / METRICS, "ab+", opener=open_unlinked) as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 100))
        last = _LAST.search(file.read())
        line, _ = _line(row, run, last[1].decode() if last else "")
        file.write(line)


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """The lines of `metrics.jsonl`, less a last one that a killed process left half written.

    Raises
    ------
    RunError
        If a line is damaged.
    """
    path = folder / METRICS
    if not path.is_file():
        return []
    whose = documents.owner(folder)
    rows, after = [], ""
    for number, line in enumerate(_lines(path.read_bytes()), 1):
        try:
            row, seal = _row(line, after)
        except InvalidValueError as error:
            raise DamagedError(path, f"line {number}: {error}") from error
        documents.check_owner(path, seal, whose)
        after = seal.digest if seal is not None else ""
        rows.append(row)
    return rows


def cut_metrics(folder: Path, step: int) -> None:
    """Forget what was reported after ``step``: those steps will be made again."""
    if not (folder / METRICS).is_file():
        return
    lines: list[bytes | memoryview] = []
    run, after = documents.owner(folder).run, ""
    for row in read_metrics(folder):
        if row["step"] <= step:
            line, after = _line(row, run, after)
            lines.append(line)
    documents.write_pieces(folder / METRICS, lines)


def _line(row: Mapping[str, Any], run: str, after: str) -> tuple[bytes, str]:
    """A row with its seal, and the digest in it."""
    pieces = sealed.stamped(documents.as_json(documents.finite(row), run), after)
    return b"".join(pieces), bytes(pieces[1]).decode()


def _lines(data: bytes) -> list[bytes]:
    *lines, torn = data.split(b"\n")
    whole_but_its_end = sealed.KEY.encode() in torn and b'"}' in torn
    return [*lines, torn] if whole_but_its_end else lines


def _row(line: bytes, after: str) -> tuple[dict[str, Any], sealed.Seal | None]:
    row = parse_json(line)
    if not isinstance(row, dict):
        raise InvalidValueError("it holds no JSON object")
    seal = sealed.examined(line + b"\n", after)
    documents.take_seal(row, seal)
    held(row, {**dict.fromkeys(row, FIGURE), "step": _STEP})
    return row, seal
