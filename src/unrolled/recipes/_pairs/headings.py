"""Whether the first row of a file of texts is a row of names: seen, said, or asked."""

from __future__ import annotations

import re
from collections.abc import Sequence

from unrolled.errors import InvalidValueError

__all__ = ["has_names"]

# What people write above columns of texts.  A word that is also a likely text is no harm: where
# one cell of the row is no such name, it is asked.
NAMES = frozenset(
    """
    source target src tgt src_text tgt_text text translation translated input output question
    answer query reply response prompt completion sentence original from to x y word words number
    digits id index key value label attribution licence license comment context phrase lemma gloss
    eng deu fra spa ita por nld nor nob swe dan fin pol ces rus ukr cmn jpn kor ara heb tur ell
    english german french spanish italian portuguese dutch norwegian swedish danish finnish polish
    czech russian ukrainian chinese japanese korean arabic hebrew turkish greek hungarian romanian
    latin deutsch englisch
    """.split()  # noqa: SIM905
)
CODES = frozenset(  # some of which are words of some language
    """
    en de fr es it pt nl no nb nn sv da fi pl cs ru uk zh ja ko ar he tr el hu ro la
    """.split()  # noqa: SIM905
)
MOSTLY = 0.98
FEWEST = 20  # rows below the first one from which their lengths tell anything


def has_names(rows: Sequence[Sequence[str]], file: str) -> bool:
    """Whether the first of some rows names the columns.

    It does where each of its cells is a name that people write there (the codes of languages, above
    rows of several words), or where it alone has words above a column of numbers.  It is asked
    where only some are such names, or where its cells are single words and nearly all below are
    several.

    Raises
    ------
    ValueError
        In one sentence, where it has to be asked.
    """
    first, below = rows[0], rows[1:]
    if any(list(row) == list(first) for row in below):
        return False  # a row that comes twice is data
    columns = _columns(below, len(first))
    # Where cells below are such names too, "word 0" above "word 1", it is what the column holds.
    named = [
        _is_name(c) and not any(map(_is_name, col)) for c, col in zip(first, columns, strict=True)
    ]
    codes = [cell.casefold() in CODES for cell in first]
    if all(named) or any(map(_above_numbers, first, columns)):
        return True
    if all(map(max, named, codes)) and _longer(below) > len(below) / 2:
        return True
    if any(named) or all(codes) or _stands_out(first, below):
        shown = ", ".join(repr(cell[:30]) for cell in first)
        raise InvalidValueError(
            f"{file} begins with {shown}: say with --header yes that these are the names of its "
            "columns, or with --header no that they are texts as all that follow."
        )
    return False


def _is_name(cell: str) -> bool:
    folded = re.sub(r"[\s_-]+", "_", cell.strip().casefold())
    plain = re.sub(r"_?(?:sentence|text|sentences|id|language|lang)?_?\d*$", "", folded)
    return folded in NAMES or plain in NAMES


def _columns(rows: Sequence[Sequence[str]], width: int) -> list[list[str]]:
    return [[row[n] for row in rows if len(row) > n] for n in range(width)]


def _above_numbers(cell: str, below: list[str]) -> bool:
    return len(below) > 1 and not cell.isdigit() and all(one.isdigit() for one in below)


def _stands_out(first: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Whether the first row is of single words, and nearly all others are not."""
    if len(below) < FEWEST or not all(re.fullmatch(r"\w+", cell) for cell in first):
        return False
    return _longer(below) >= MOSTLY * len(below)


def _longer(rows: Sequence[Sequence[str]]) -> int:
    """How many rows have several words in each cell."""
    return sum(all(" " in cell for cell in row) for row in rows)
