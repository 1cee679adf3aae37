"""Pairs of a source and its target out of a file of columns, and which of them are held out."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from unrolled.errors import InvalidValueError
from unrolled.errors.expected import ending
from unrolled.files.text import encoding_of, read_text
from unrolled.recipes._pairs.cells import Row, cut
from unrolled.recipes._pairs.headings import has_names

__all__ = ["Asked", "DividedPairs", "Pair", "ReadPairs", "digest", "divide", "read_pairs"]

Pair = tuple[str, str]


class Asked(NamedTuple):
    """What was said of a file; what is left empty is found, where there is no doubt."""

    columns: tuple[str, ...] = ()
    header: str = ""
    quotes: str = ""
    separator: str = ""
    encoding: str = ""
    leave_out: bool = False
    lowercase: bool = False


class ReadPairs(NamedTuple):
    """Pairs, and in a few words each how they were read."""

    pairs: list[Pair]
    said: tuple[str, ...]


class DividedPairs(NamedTuple):
    """Pairs to learn from, and pairs to be judged on; no source is on both sides.

    ``repeated`` counts the sources that stand in more than one pair.
    """

    training: list[Pair]
    held_out: list[Pair]
    repeated: int


def read_pairs(path: Path, asked: Asked | None = None) -> ReadPairs:
    """Read a file of columns: of each row a source and its target.

    Spaces around either are taken off, and empty lines at the end do not count.

    Raises
    ------
    ValueError
        With one sentence that names the line, or the byte, and says how to mend it.
    """
    asked = Asked() if asked is None else asked
    file, text = path.name, read_text(path, asked.encoding)
    if not text.strip("\ufeff \t\r\n"):
        raise InvalidValueError(
            f"{file} is empty: expected lines of a source, a tab and its target."
        )
    cells = cut(text, file, asked.separator, asked.quotes)
    rows, short = _whole_rows(cells.rows, file, asked)
    names = _names(rows, file, asked)
    if names:
        rows = rows[1:]
    places = _places(names, rows, file, asked.columns)
    rows, blank = _filled(rows, places, file, asked.leave_out)
    if not rows:
        raise InvalidValueError(f"{file} has no row of a source and its target: expected some.")
    pairs = [(row[places[0]], row[places[1]]) for _, row in rows]
    if asked.lowercase:
        pairs = [(source.lower(), target.lower()) for source, target in pairs]
    encoding = encoding_of(path, asked.encoding)
    said = [
        encoding,
        *cells.said,
        f"names in its first row ({', '.join(names)})" if names else "no row of names",
        *(_chosen(names, places) if len(names or rows[0][1]) > 2 else []),
        *(["in lower case"] if asked.lowercase else []),
        f"{len(pairs):,} pairs",
    ]
    said += [f"{count:,} rows left out {why}" for why, count in (short + blank) if count]
    return ReadPairs(pairs, tuple(said))


def _chosen(names: list[str], places: tuple[int, int]) -> list[str]:
    source, target = (names[n] if names else str(n + 1) for n in places)
    return [f"source from column {source}, target from column {target}"]


# --- rows ---


def _whole_rows(
    rows: list[Row], file: str, asked: Asked
) -> tuple[list[Row], list[tuple[str, int]]]:
    """The rows that are as wide as most, and how many are not; refused, unless told to go."""
    there = [row for row in rows if any(row[1])]
    widths = Counter(len(cells) for _, cells in there)
    width = max(widths.most_common(1)[0][0], 2)
    for number, cells in [] if asked.leave_out else rows:
        where = f"line {number} of {file}"
        if not any(cells):
            raise InvalidValueError(
                f"{where} is blank: fill it in or delete it, or leave such lines out with "
                "--leave-out."
            )
        if len(cells) != width:
            raise _wide(where, len(cells), width)
    whole = [row for row in there if len(row[1]) == width]
    left = [("that are blank", len(rows) - len(there))]
    return whole, [*left, (f"that have not {width} cells", len(there) - len(whole))]


def _wide(where: str, count: int, width: int) -> Exception:
    fields = "1 field" if count == 1 else f"{count} fields"
    expected = "2, a source and its target with a tab between" if width == 2 else f"{width}"
    mend = "put a tab between source and target" if count == 1 else f"leave {width}"
    mend = mend.replace("leave 2", "leave two")
    return InvalidValueError(
        f"{where} has {fields}, expected {expected}: {mend}, or leave such lines out with "
        "--leave-out."
    )


def _filled(
    rows: list[Row], places: tuple[int, int], file: str, leave_out: bool
) -> tuple[list[Row], list[tuple[str, int]]]:
    """The rows that have both; one that has not is refused, unless it was told to go."""
    kept = []
    for number, cells in rows:
        empty = [
            n for n, place in zip(("source", "target"), places, strict=True) if not cells[place]
        ]
        if empty and not leave_out:
            raise InvalidValueError(
                f"line {number} of {file} has an empty {empty[0]}: fill it in or delete the line, "
                "or leave such lines out with --leave-out."
            )
        if not empty:
            kept.append((number, cells))
    return kept, [("without a source or a target", len(rows) - len(kept))]


# --- columns ---


def _names(rows: list[Row], file: str, asked: Asked) -> list[str]:
    """The names of the columns; none where there is no row of names."""
    if not rows or asked.header == "no":
        return []
    first = rows[0][1]
    named = [c for c in asked.columns if not c.isdigit()]
    if asked.header == "yes" or (named and all(name in first for name in named)):
        return first
    return first if has_names([cells for _, cells in rows], file) else []


def _places(
    names: list[str], rows: list[Row], file: str, columns: tuple[str, ...]
) -> tuple[int, int]:
    """Where the source and the target are, counted from 0."""
    width = len(names or rows[0][1]) if names or rows else 2
    if not columns:
        if width == 2:
            return 0, 1
        shown = ", ".join(repr(cell[:24]) for cell in names or rows[0][1])
        raise InvalidValueError(
            f"{file} has {width} columns, {shown}: say which hold the source and the target, such "
            "as with --columns 1 2."
        )
    source, target = (_place(column, names, width, file) for column in columns)
    if source == target:
        raise InvalidValueError(
            f"--columns {' '.join(columns)} is one column twice: expected two of {file}."
        )
    return source, target


def _place(column: str, names: list[str], width: int, file: str) -> int:
    if names.count(column) > 1:
        raise InvalidValueError(
            f"{file} has several columns {column!r}: say by numbers which, from 1 to {width}."
        )
    if column in names:
        return names.index(column)
    if column.isdigit() and 1 <= int(column) <= width:
        return int(column) - 1
    has = f"its columns are {', '.join(names)}" if names else "it has no names"
    end = ending(column, names) if names else "."
    raise InvalidValueError(
        f"--columns {column} is no column of {file}: expected a number from 1 to {width}, or a "
        f"name, and {has}{end}"
    )


# --- what is held out ---


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


def digest(parts: DividedPairs) -> str:
    """What tells these pairs from others."""
    found = hashlib.sha256()
    for part in (parts.training, parts.held_out):
        found.update("".join(f"{s}\t{t}\n" for s, t in part).encode() + b"\n")
    return found.hexdigest()


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
