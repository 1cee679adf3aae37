"""The bytes of a file, unpacked where it is packed; what kind of file it is, by how it begins."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any, NamedTuple

from unrolled.errors import InvalidValueError
from unrolled.files.foreign import refuse_foreign
from unrolled.files.text import MOST

__all__ = ["Unpacked", "unpack"]

PACKED: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)


class Unpacked(NamedTuple):
    """What was in a file: its bytes, its kind ("text", "excel" or "parquet"), how it was packed."""

    data: bytes
    kind: str
    packed: str = ""


def unpack(path: Path) -> Unpacked:
    """Read a whole file.

    Raises
    ------
    ValueError
        If there is none, it cannot be read, is too large, or of a kind that is not read.
    """
    if path.is_dir():
        raise InvalidValueError(f"{path} is a folder: expected a file.")
    try:
        with open(path, "rb") as file:
            data = _most(file, path)
    except FileNotFoundError:
        raise InvalidValueError(f"there is no file {path}: check the path.") from None
    except OSError as error:
        raise InvalidValueError(f"{path} cannot be read: {error.strerror}.") from None
    try:
        return _unpacked(data, path)
    except DAMAGED as error:
        raise InvalidValueError(
            f"{path.name} is packed, and cannot be unpacked ({error}): it is damaged or cut short."
        ) from None


def _most(file: IO[bytes], path: Path) -> bytes:
    data = file.read(MOST + 1)
    if len(data) > MOST:
        raise InvalidValueError(
            f"{path.name} has more than {MOST:,} bytes, and is read whole: divide it."
        )
    return data


def _unpacked(data: bytes, path: Path) -> Unpacked:
    for mark, opened in PACKED.items():
        if data.startswith(mark):
            with opened(io.BytesIO(data), "rb") as file:
                inner = _most(file, path)
            return Unpacked(inner, _kind(inner, path), opened.__module__.lstrip("_"))
    if data.startswith(b"PK\x03\x04"):
        return _out_of_zip(data, path)
    return Unpacked(data, _kind(data, path))


def _out_of_zip(data: bytes, path: Path) -> Unpacked:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = archive.namelist()
        if "[Content_Types].xml" in names:
            return Unpacked(data, "excel")
        files = [n for n in names if not n.endswith("/") and not n.startswith("__MACOSX/")]
        if len(files) != 1:
            raise InvalidValueError(
                f"{path.name} holds {len(files)} files ({', '.join(files[:5])}): expected one; "
                "unpack it and name the table itself."
            )
        try:
            with archive.open(files[0]) as file:
                inner = _most(file, path)
        except (RuntimeError, NotImplementedError) as error:  # a password, an unknown method
            raise InvalidValueError(f"{path.name} cannot be unpacked: {error}.") from None
    return Unpacked(inner, _kind(inner, path), "zip")


def _kind(data: bytes, path: Path) -> str:
    if data.startswith(b"PAR1"):
        return "parquet"
    if data.startswith(b"PK\x03\x04"):
        return "excel"
    refuse_foreign(data, path.name)
    return "text"
