"""Which words of a column are events, decided over all files at once, and where they are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from unrolled.errors import InvalidValueError
from unrolled.errors.expected import ending
from unrolled.files.columns import Bools

__all__ = ["MOST_EVENTS", "NONE_WORDS", "Words", "canonical", "events_of", "find_name", "split"]

MOST_EVENTS = 20
NONE_WORDS = ("0", "no", "none", "false")  # what a column of events says where there is none

Events = Mapping[str, Bools]


class Words(NamedTuple):
    """What a column of one file says at each step; ``wanted``: the one word that was asked for."""

    column: str
    wanted: str
    words: list[str]


def find_name(name: str, known: Sequence[str], what: str, file: str) -> str:
    """Give the name back if it is known.

    Raises
    ------
    ValueError
        Naming what there is, and what may have been meant.
    """
    if name in known:
        return name
    there = f"its {what}s are {', '.join(known)}" if known else f"it has no {what}"
    raise InvalidValueError(f"{file} has no {what} {name!r}: {there}{ending(name, known)}")


def split(event: str, names: Sequence[str]) -> tuple[str, str]:
    """Take ``COLUMN=VALUE`` apart, but for a column that has = in its name."""
    if event in names or "=" not in event:
        return event, ""
    column, _, value = event.rpartition("=")
    return column, value


def canonical(word: str, where: str) -> str:
    """Give 1.0 and 1 one name; other words are as they are."""
    if not word:
        raise InvalidValueError(f"{where} is blank: write 0 where there is no event.")
    try:
        value = float(word)
    except ValueError:
        return word
    if not math.isfinite(value):
        raise InvalidValueError(f"{where} is {word}: write 0 where there is no event.")
    return f"{value:.10g}"


def events_of(
    files: Sequence[Words], *, labelled: bool, known: Sequence[str] | None = None
) -> tuple[list[Events], tuple[str, ...]]:
    """Say where each event is in each file, and how it was decided which words are events.

    Parameters
    ----------
    files
        The column of each file; it has one name in all.
    labelled
        Whether files without an event are refused.
    known
        The events that a run learnt, which are then looked for and nothing else.

    Raises
    ------
    ValueError
        In one sentence: no event, too many, or not the one that was asked for.
    """
    column = files[0].column
    arrays = [np.array(file.words) for file in files]
    names, said = _chosen(files[0], np.concatenate(arrays), labelled)
    if known is not None:
        names, said = [name.removeprefix(f"{column}=") for name in known], ()
    return [{f"{column}={name}": array == name for name in names} for array in arrays], said


def _chosen(asked: Words, words: np.ndarray, labelled: bool) -> tuple[list[str], tuple[str, ...]]:
    """The words that are events, and a line about it."""
    found, counts = np.unique(words, return_counts=True)
    shares = dict(zip(found.tolist(), (counts / len(words)).tolist(), strict=True))
    column = f"column {asked.column!r}"
    if asked.wanted:
        name = canonical(asked.wanted, f"--event {asked.column}={asked.wanted}")
        return [find_name(name, list(shares), "value", column) if labelled else name], ()
    names, said = _told(column, shares)
    if len(names) > MOST_EVENTS:
        raise InvalidValueError(
            f"{column} holds {len(names):,} different events, more than {MOST_EVENTS}: "
            f"expected a few words or whole numbers; --event {asked.column}=VALUE takes one alone."
        )
    if labelled and not names:
        raise InvalidValueError(
            f"{column} is {' or '.join(shares) or 'nothing'} in every row: there is no "
            "event to learn from; choose another --event."
        )
    return names, said


def _told(column: str, shares: Mapping[str, float]) -> tuple[list[str], tuple[str, ...]]:
    """All words but those for nothing; of two words, the rarer one."""
    names = [word for word in shares if word.casefold() not in NONE_WORDS]
    if len(names) < len(shares) or len(names) < 2:
        return names, ()
    rare, *others = sorted(names, key=lambda name: shares[name])
    if len(names) == 2 and shares[rare] < shares[others[0]]:
        line = (
            f"{column} holds two words: {rare!r}, the rarer one ({shares[rare]:.2%} of all steps), "
            f"is the event, and {others[0]!r} its absence; --event COLUMN=VALUE says otherwise"
        )
        return [rare], (line,)
    each = ", ".join(f"{name!r} ({shares[name]:.2%})" for name in names[:MOST_EVENTS])
    return names, (f"each word of {column} is an event: {each}; --event COLUMN=VALUE takes one",)
