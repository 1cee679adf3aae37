"""What a text costs the compressors that everybody has, when they have seen what came before it."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

from unrolled.recipes._text.corpus import BLOCK, Points, text_of

__all__ = ["COMPRESSORS", "HISTORY", "cost"]

# The most that they are shown of the training text, in characters, the last of it.  gzip looks back
# 32 kB and bz2 900 kB; xz would look back further, but takes a second for each million.
HISTORY = 16_000_000


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


COMPRESSORS: dict[str, Callable[[], _Compressor]] = {
    "gzip": lambda: zlib.compressobj(9, wbits=31),
    "bz2": lambda: bz2.BZ2Compressor(9),
    "xz": lambda: lzma.LZMACompressor(preset=9 | lzma.PRESET_EXTREME),
}


def cost(points: Points, split: int) -> dict[str, float]:
    """Bits per character of what lies beyond the split: size of both parts less that of the first.

    Each compressor at its best setting, on the text in UTF-8.
    """
    start = max(0, split - HISTORY)
    count = len(points) - split
    return {
        name: 8 * (_size(new(), points[start:]) - _size(new(), points[start:split])) / count
        for name, new in COMPRESSORS.items()
    }


def _size(compressor: _Compressor, points: Points) -> int:
    return sum(len(compressor.compress(block)) for block in _bytes(points)) + len(
        compressor.flush()
    )


def _bytes(points: Points) -> Iterator[bytes]:
    return (text_of(points[at : at + BLOCK]).encode() for at in range(0, len(points), BLOCK))
