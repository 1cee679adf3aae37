"""One array out of a NumPy file: its header is held to the grammar that NumPy writes, never run.

A header is a Python dictionary in words, and NumPy's own reader hands whatever stands there to
Python's parser, which raises what it likes.  Here its words, its depth and its size are bounded
first, and no memory is taken that the file does not fill.
"""

from __future__ import annotations

import ast
import math
import re
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from unrolled.errors import InvalidValueError

__all__ = ["read_array"]

MAGIC = b"\x93NUMPY"
LONGEST, DEEPEST = 1 << 18, 8  # bytes of a header, and brackets within brackets

_WORD = re.compile(
    r"""\s* (?: (?P<text> u? '(?:[^'\\]|\\.)*' | u? "(?:[^"\\]|\\.)*" )
              | (?P<number> \d{1,19} ) L?
              | (?P<name> True | False )
              | (?P<open> [({[] ) | (?P<close> [)}\]] ) | (?P<mark> [,:] ) )""",
    re.VERBOSE,
)


def read_array(file: IO[bytes], size: int) -> npt.NDArray[Any]:
    """The array of a .npy file of ``size`` bytes, read from its first; never a pickle.

    Raises
    ------
    ValueError
        In a few words, which do not name the file.
    """
    given, begin = _header(file)
    dtype, shape = _dtype(given["descr"]), given["shape"]
    count = math.prod(shape)
    if not count or not dtype.itemsize:
        raise InvalidValueError(f"an array of the shape {shape} holds nothing")
    if (needed := count * dtype.itemsize) > size - begin:
        raise InvalidValueError(
            f"its header promises {needed:,} bytes and {max(size - begin, 0):,} follow"
        )
    data = file.read(needed)
    if len(data) < needed:
        raise InvalidValueError("it is cut short")
    flat: npt.NDArray[Any] = np.frombuffer(data, dtype, count)
    return flat.reshape(shape[::-1]).T if given["fortran_order"] else flat.reshape(shape)


def _header(file: IO[bytes]) -> tuple[dict[str, Any], int]:
    """The header's dictionary, and where the data begins."""
    if file.read(len(MAGIC)) != MAGIC:
        raise InvalidValueError("it does not begin as one")
    if (version := tuple(file.read(2))) not in ((1, 0), (2, 0), (3, 0)):
        raise InvalidValueError("its format has a version that is not known")
    wide = 2 if version == (1, 0) else 4
    length = int.from_bytes(file.read(wide), "little")
    if length > LONGEST:
        raise InvalidValueError(f"its header is {length:,} bytes long")
    words = file.read(length).decode("utf-8" if version == (3, 0) else "latin-1")
    return _dictionary(words), len(MAGIC) + 2 + wide + length


def _dictionary(text: str) -> dict[str, Any]:
    """A header in words, read."""
    try:
        given = ast.literal_eval(_plain(text.strip()))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        given = None
    if not isinstance(given, dict) or given.keys() != {"descr", "fortran_order", "shape"}:
        raise InvalidValueError("its header is none that NumPy writes")
    shape, order = given["shape"], given["fortran_order"]
    if not isinstance(shape, tuple) or not all(type(n) is int for n in shape):
        raise InvalidValueError("its header gives a shape that is none")
    if not isinstance(order, bool):
        raise InvalidValueError("its header gives an order that is none")
    return given


def _plain(text: str) -> str:
    """The same words, each of which may stand in a header, in brackets that are not too deep."""
    depth, at, words = 0, 0, []
    while at < len(text):
        found = _WORD.match(text, at)
        depth += 0 if found is None else bool(found["open"]) - bool(found["close"])
        if found is None or not 0 <= depth <= DEEPEST:
            raise ValueError("no header")
        at = found.end()
        words.append(found[found.lastgroup or 0])
    return " ".join(words)


def _dtype(description: Any) -> np.dtype[Any]:
    try:
        dtype = np.lib.format.descr_to_dtype(description)
    except Exception as error:  # whatever NumPy makes of what it does not know
        raise InvalidValueError("its header gives a type that NumPy does not know") from error
    if dtype.hasobject:
        raise InvalidValueError("Objects in it are never read")
    return dtype
