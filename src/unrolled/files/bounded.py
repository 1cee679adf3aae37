"""JSON that anybody may have written: its size is bounded before it is parsed.

A parser that recurses ends a process on 200,000 brackets, and a number of a million digits takes it
minutes; both are refused by a look at the bytes.
"""

from __future__ import annotations

import json
import re
from itertools import accumulate
from pathlib import Path
from typing import Any

from unrolled.errors import InvalidValueError

__all__ = ["MOST_BYTES", "MOST_DEPTH", "MOST_DIGITS", "check_json", "parse_json", "read_at_most"]

MOST_BYTES = 2**24
MOST_DEPTH = 200
MOST_DIGITS = 1000

_ESCAPED = re.compile(rb"\\.", re.DOTALL)
_BRACKETS = re.compile(rb"[\[\]{}]")
_LONG = re.compile(rb"[0-9.eE+-]{%d}" % (MOST_DIGITS + 1))


def read_at_most(path: Path) -> bytes:
    """A file's bytes.

    Raises
    ------
    InvalidValueError
        If there are more than are ever parsed.
    """
    with open(path, "rb") as file:
        data = file.read(MOST_BYTES + 1)
    _check_size(data)
    return data


def parse_json(data: bytes) -> Any:
    """What JSON says.

    Raises
    ------
    InvalidValueError
        If it is none, or goes beyond a bound: the sentence's end, such as "it is not JSON (…)".
    """
    check_json(data)
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=_once)
    except ValueError as error:  # JSON or UTF-8
        raise InvalidValueError(f"it is not JSON ({error})") from error


def check_json(data: bytes) -> None:
    """Refuse JSON that goes beyond a bound; it may be none.

    Raises
    ------
    InvalidValueError
    """
    _check_size(data)
    outside = b" ".join(_ESCAPED.sub(b"", data).split(b'"')[::2])  # of all strings
    brackets = _BRACKETS.findall(outside)
    depth = max(accumulate(1 if b in b"[{" else -1 for b in brackets), default=0)
    if depth > MOST_DEPTH:
        raise InvalidValueError(f"it is nested {depth:,} deep, and {MOST_DEPTH} is the most")
    if _LONG.search(outside):
        raise InvalidValueError(f"it has a number of more than {MOST_DIGITS:,} digits")


def _check_size(data: bytes) -> None:
    if len(data) > MOST_BYTES:
        raise InvalidValueError(f"it has more than {MOST_BYTES:,} bytes of JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise InvalidValueError("a name stands twice in one object")
    return found
