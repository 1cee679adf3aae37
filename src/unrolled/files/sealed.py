"""A seal inside a file: whose file it is, and a digest of all its other bytes.

The seal is a word in the file's own JSON, ``"unrolled seal": "1 <run> <digest>"``: its version, 32
hexadecimal digits that name the run, and the SHA-256 of the file with zeros in the digest's place.
It is replaced with the file, in one act, so that no kill can come between the two.
"""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

from unrolled.errors import InvalidValueError

__all__ = ["KEY", "NOBODY", "Seal", "blank", "examined", "has_seal", "stamped"]

KEY = "unrolled seal"
VERSION = 1
NOBODY = "0" * 32  # the run of a file that lies in no run's folder

_EMPTY = "0" * 64
_MARK = re.compile(rb'"unrolled seal": ?"([0-9]{1,9}) ([0-9a-f]{32}) ([0-9a-f]{64})"')


class Seal(NamedTuple):
    """What a seal says: the run that the file belongs to, and the digest of the file."""

    run: str
    digest: str


def blank(run: str) -> str:
    """The seal of that run's file as it is written first: the digest is still to come."""
    return f"{VERSION} {run} {_EMPTY}"


def stamped(data: bytes, after: str = "", end: int | None = None) -> list[bytes | memoryview]:
    """The pieces of a file whose seal was blank, with its digest in.

    Parameters
    ----------
    data
    after
        The digest of what came before, where one file holds several sealed pieces.
    end
        Where the JSON ends that holds the seal; None: with the file.
    """
    (mark,) = _marks(data, end)
    at = mark.start(3)
    view = memoryview(data)
    return [view[:at], _digest(view, at, after).encode(), view[at + len(_EMPTY) :]]


def examined(data: bytes, after: str = "", end: int | None = None) -> Seal | None:
    """A file's seal, which was found to be right; None where it has none.

    Raises
    ------
    InvalidValueError
        If the file is not as it was sealed: the sentence's end, such as "it has two seals".
    """
    marks = _marks(data, end)
    if not marks:
        return None
    if len(marks) > 1:
        raise InvalidValueError("it has several seals, where one is right")
    (mark,) = marks
    version, run, digest = (word.decode() for word in mark.groups())
    if version != str(VERSION):
        raise InvalidValueError(f"its seal is of version {version}, and {VERSION} is what is known")
    if _digest(memoryview(data), mark.start(3), after) != digest:
        raise InvalidValueError("it is not what was written, since its digest is another")
    return Seal(run, digest)


def has_seal(data: bytes) -> bool:
    """Whether there is a seal in a file, right or wrong."""
    return _MARK.search(data) is not None


def _marks(data: bytes, end: int | None) -> list[re.Match[bytes]]:
    return list(_MARK.finditer(data, 0, len(data) if end is None else end))


def _digest(data: memoryview, at: int, after: str) -> str:
    found = hashlib.sha256(after.encode())
    for piece in (data[:at], _EMPTY.encode(), data[at + len(_EMPTY) :]):
        found.update(piece)
    return found.hexdigest()
