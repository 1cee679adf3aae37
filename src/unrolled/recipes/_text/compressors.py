"""What a text costs the compressors that everybody has, when they have seen what came before it."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Collection, Iterator
from typing import Protocol

from unrolled.recipes._text.corpus import BLOCK, Points, text_of

__all__ = ["COMPRESSORS", "HISTORY", "cost", "said"]

# The most that they are shown of the text before, in characters, the last of it.  gzip looks back
# 32 kB and bz2 900 kB; xz would look back further, but takes a second for each million, twice.
HISTORY = {"gzip": 16_000_000, "bz2": 16_000_000, "xz": 2_000_000}


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

    Each compressor at its best setting, on the text in UTF-8.  One that needs no more for both than
    for the first, as may be with a text that repeats itself, has no figure and is left out.
    """
    count = len(points) - split
    found = {}
    for name, new in COMPRESSORS.items():
        start = max(0, split - HISTORY[name])
        more = _size(new(), points[start:]) - _size(new(), points[start:split])
        if more > 0:
            found[name] = 8 * more / count
    return found


def said(found: Collection[str], split: int) -> list[str]:
    """What a reader has to know of the figures: who saw less than all, and who has none."""
    short = [f"{name} the last {most:,}" for name, most in HISTORY.items() if most < split]
    none = [name for name in COMPRESSORS if name not in found]
    lines = (
        [f"  (of the {split:,} characters before, {', '.join(short)} were shown)"] if short else []
    )
    if none:
        lines.append(
            f"  ({', '.join(none)}: no figure, as the whole needs no more than what is before)"
        )
    return lines


def _size(compressor: _Compressor, points: Points) -> int:
    return sum(len(compressor.compress(block)) for block in _bytes(points)) + len(
        compressor.flush()
    )


def _bytes(points: Points) -> Iterator[bytes]:
    return (text_of(points[at : at + BLOCK]).encode() for at in range(0, len(points), BLOCK))
