"""How good the answers are: whole answers right, and the edits that the others need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from unrolled.recipes._pairs.decoding import Answer
from unrolled.recipes._pairs.vocabulary import PairVocabulary

__all__ = [
    "Judgement",
    "bins",
    "edit_distance",
    "exact_match",
    "figures",
    "judged",
    "share_of_edits",
    "short",
]


class Judgement(NamedTuple):
    """One held-out source: its target (the nearest, where it has several) and the answer.

    The lengths are in symbols, and so are the edits.
    """

    source: str
    target: str
    answer: str
    right: bool
    edits: int
    source_length: int
    target_length: int


def judged(
    source: str,
    targets: Sequence[str],
    answer: Answer,
    vocabularies: tuple[PairVocabulary, PairVocabulary],
) -> Judgement:
    """How far an answer is from the nearest of a source's targets."""
    read, wanted = vocabularies
    symbols = wanted.symbols_of(answer.numbers)
    edits = [edit_distance(symbols, wanted.cut(target)) for target in targets]
    nearest = targets[edits.index(min(edits))]
    return Judgement(
        source=source,
        target=nearest,
        answer=wanted.text(answer.numbers),
        right=answer.ended and min(edits) == 0,
        edits=min(edits),
        source_length=len(read.cut(source)),
        target_length=len(wanted.cut(nearest)),
    )


def edit_distance(one: Sequence[str], other: Sequence[str]) -> int:
    """The fewest symbols to insert, delete or replace that make one the other (Levenshtein 1966).

    Examples
    --------
    >>> edit_distance("4012", "412")
    1
    """
    above = list(range(len(other) + 1))
    for row, symbol in enumerate(one, start=1):
        here = [row]
        for column, against in enumerate(other, start=1):
            replaced = above[column - 1] + (symbol != against)
            here.append(min(above[column] + 1, here[-1] + 1, replaced))
        above = here
    return above[-1]


def exact_match(judged: Sequence[Judgement]) -> float:
    """The share of the sources whose answer is right to the last symbol."""
    return sum(one.right for one in judged) / len(judged)


def share_of_edits(judged: Sequence[Judgement]) -> float:
    """Edits for each symbol of the targets; 0 is perfect, and it may be above 1."""
    return sum(one.edits for one in judged) / sum(one.target_length for one in judged)


def figures(judged: Sequence[Judgement]) -> dict[str, float]:
    """Both of them by name."""
    return {"exact_match": exact_match(judged), "edit_distance": share_of_edits(judged)}


def bins(
    judged: Sequence[Judgement], length: Callable[[Judgement], int], most: int = 8
) -> dict[str, list[Judgement]]:
    """Sort by a length into at most ``most`` bins of about as many sources each.

    Returns
    -------
    dict
        By the words for the bin, such as ``"7"`` or ``"10–24"``, the shortest first.
    """
    lengths = np.array([length(one) for one in judged])
    found = np.unique(lengths)
    if len(found) > most:
        ends = np.unique(np.quantile(lengths, np.linspace(0, 1, most + 1)[1:], method="nearest"))
    else:
        ends = found
    sorted_: dict[str, list[Judgement]] = {}
    for place in np.unique(np.searchsorted(ends, lengths)):
        inside = [one for one in judged if np.searchsorted(ends, length(one)) == place]
        least, longest = (bound(length(one) for one in inside) for bound in (min, max))
        sorted_[str(least) if least == longest else f"{least}–{longest}"] = inside
    return sorted_


def short(text: str, most: int) -> str:
    """A text of at most so many characters; an ellipsis stands for what is cut off."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
