"""Text from a file: UTF-8, whole or block by block, or refused with one sentence."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path

from unrolled.errors import InvalidValueError

__all__ = ["MOST", "read_text", "text_blocks"]

MOST = 1 << 31  # bytes of a file that is read whole: in memory it takes several times as much
BLOCK = 1 << 20  # bytes that are read at a time


def read_text(path: Path) -> str:
    """Read a whole file, its line ends as they are.

    Raises
    ------
    ValueError
        If there is no such file, it cannot be read, is not UTF-8 (and where), or larger than
        `MOST`.
    """
    if path.is_file() and (size := path.stat().st_size) > MOST:
        raise InvalidValueError(
            f"{path.name} has {size:,} bytes, and is read whole: expected {MOST:,} or fewer; "
            "divide it."
        )
    return "".join(text_blocks(path))


def text_blocks(path: Path, size: int = BLOCK) -> Iterator[str]:
    """Read a file of any length, ``size`` bytes at a time; a byte order mark is no part of it.

    Raises
    ------
    ValueError
        If there is no such file, it cannot be read, or is not UTF-8 (and where).
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with open(path, "rb") as file:
            mark = len(codecs.BOM_UTF8)
            at = mark if file.read(mark) == codecs.BOM_UTF8 else 0
            file.seek(at)
            while True:
                block = file.read(size)
                held = len(decoder.getstate()[0])
                yield decoder.decode(block, final=not block)
                if not block:
                    return
                at += len(block)
    except UnicodeDecodeError as error:
        raise InvalidValueError(
            f"{path.name} is not UTF-8 text (byte {at - held + error.start} is "
            f"0x{error.object[error.start]:02x}): save it as UTF-8."
        ) from None
    except FileNotFoundError:
        raise InvalidValueError(f"there is no file {path}: check the path.") from None
    except OSError as error:
        raise InvalidValueError(f"{path} cannot be read: {error.strerror}.") from None
