"""Text of any length, in one pass from its files into numbers on the disk.

The characters go into a file without a name in the folder for temporary files (TMPDIR says which),
four bytes each, and are read from there through `numpy.memmap`: a text need not fit into memory,
nothing half written can be found by anybody, and nothing is left behind.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from unrolled.errors import InvalidValueError
from unrolled.files.text import text_blocks

__all__ = ["SUFFIXES", "Points", "TextCorpus", "read", "split_at", "stored", "text_of"]

SUFFIXES = (".txt", ".md", ".rst", ".py")
BLOCK = 1 << 20  # bytes, and characters, handled at a time
LEAST = 64  # characters on either side of the split

Points = npt.NDArray[np.uint32]


class TextCorpus(NamedTuple):
    """A text: its characters' code points, [N], on the disk, and a digest of them."""

    name: str
    files: int
    points: Points
    digest: str


def read(path: Path, encoding: str = "") -> TextCorpus:
    """Read a file, or a folder's text files one after the other in the order of their paths.

    Parameters
    ----------
    path
        Text; of a folder, every file below it that ends in one of `SUFFIXES`, but for what is
        hidden (a name that begins with a dot).
    encoding
        How its letters are written; if empty, as a file's mark says, or else UTF-8.

    Raises
    ------
    ValueError
        In one sentence: no such file, none in the folder, another encoding and where, or no text.
    """
    files = _files(path)
    digest = hashlib.sha256()

    def blocks() -> Iterator[Points]:
        for file in files:
            for text in text_blocks(file, BLOCK, encoding):
                block = text.encode("utf-32-le")
                digest.update(block)
                yield np.frombuffer(block, "<u4")

    points = stored(blocks(), np.dtype("<u4"))
    if not len(points):
        raise InvalidValueError(f"{path} is empty: expected text.")
    return TextCorpus(path.name, len(files), points, digest.hexdigest())


def split_at(corpus: TextCorpus, share: float, most: int, field: str = "validation_share") -> int:
    """Where the held-out end begins: ``share`` of the characters, but no more than ``most``.

    Raises
    ------
    ValueError
        If either side would have too few characters to learn from, or to be judged on.
    """
    count = len(corpus.points)
    held = min(round(share * count), most)
    if min(held, count - held) < LEAST:
        raise InvalidValueError(
            f"{corpus.name} has {count:,} characters, which makes {count - held:,} to learn from "
            f"and {held:,} to be judged on: {LEAST} of each are the least; give a longer text, or "
            f"another {field}."
        )
    return count - held


def stored(blocks: Iterator[npt.NDArray[Any]], kind: np.dtype[Any]) -> npt.NDArray[Any]:
    """Arrays one after the other in a nameless file on the disk, mapped into memory to be read."""
    with tempfile.TemporaryFile(prefix="unrolled-") as file:
        try:
            for block in blocks:
                file.write(block.astype(kind, copy=False).data)
            file.flush()
        except OSError as error:
            error.filename = error.filename or tempfile.gettempdir()
            raise
        if not file.tell():
            return np.empty(0, kind)
        return np.memmap(file, kind, "r")


def text_of(points: Points) -> str:
    """The characters of code points."""
    return points.astype("<u4", copy=False).tobytes().decode("utf-32-le")


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InvalidValueError(f"there is no file or folder {path}: check the path.")
    inside = sorted(file.relative_to(path) for file in path.rglob("*"))
    named = [file for file in inside if file.suffix in SUFFIXES]
    seen = [path / file for file in named if not any(p.startswith(".") for p in file.parts)]
    files = [file for file in seen if file.is_file()]
    if not files:
        raise InvalidValueError(
            f"{path} has no text: expected a file in it that ends in {', '.join(SUFFIXES)}."
        )
    return files
