"""Pairs of a source and its target out of a TSV file, and which of them are held out."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from unrolled.errors import InvalidValueError
from unrolled.files.text import read_text

__all__ = ["DividedPairs", "Pair", "divide", "read_pairs"]

Pair = tuple[str, str]


class DividedPairs(NamedTuple):
    """Pairs to learn from, and pairs to be judged on; no source is on both sides.

    ``repeated`` counts the sources that stand in more than one pair.
    """

    training: list[Pair]
    held_out: list[Pair]
    repeated: int


def read_pairs(path: Path) -> list[Pair]:
    """Read a TSV file: on each line a source, a tab and its target, and no header.

    Spaces around either are taken off, and empty lines at the end do not count.  There is no
    quoting: a line is what it looks like.

    Raises
    ------
    ValueError
        With one sentence that names the line, or the byte, and says how to mend it.
    """
    lines = [line.removesuffix("\r") for line in read_text(path).split("\n")]
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise InvalidValueError(
            f"{path.name} is empty: expected lines of a source, a tab and its target."
        )
    return [_pair(line, number, path.name) for number, line in enumerate(lines, start=1)]


def _pair(line: str, number: int, file: str) -> Pair:
    where = f"line {number} of {file}"
    fields = [field.strip() for field in line.split("\t")]
    if not any(fields):
        raise InvalidValueError(f"{where} is blank: fill it in or delete it.")
    if len(fields) != 2:
        mend = "put a tab between source and target" if len(fields) == 1 else "leave two"
        count = "1 field" if len(fields) == 1 else f"{len(fields)} fields"
        raise InvalidValueError(
            f"{where} has {count}, expected 2, a source and its target with a tab between: {mend}."
        )
    for name, field in zip(("source", "target"), fields, strict=True):
        if not field:
            raise InvalidValueError(f"{where} has an empty {name}: fill it in or delete the line.")
    return fields[0], fields[1]


def divide(pairs: Sequence[Pair], share: float, learnt: Collection[str] = ()) -> DividedPairs:
    """Hold out a share of the sources, at least one, and every pair of each; none of ``learnt``.

    Which ones is read from the sources themselves, the smallest of their hashes: the order of the
    file and the seed do not matter, and a line more moves at most a few others.
    """
    counts = Counter(source for source, _ in pairs)
    sources = sorted(counts.keys() - set(learnt), key=_hash)
    chosen = set(sources[: max(1, round(share * len(counts)))])
    held_out = [pair for pair in pairs if pair[0] in chosen]
    training = [pair for pair in pairs if pair[0] not in chosen]
    return DividedPairs(training, held_out, sum(count > 1 for count in counts.values()))


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
