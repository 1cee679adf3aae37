"""What is learned from, what chooses, what judges: folds in which classes and groups are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from unrolled.errors import InvalidValueError
from unrolled.files.columns import Integers
from unrolled.recipes._labels.learning import Fold

__all__ = ["Division", "check_classes", "divide", "folds_of"]


class Division(NamedTuple):
    """The folds of all that is learned from, one for each network, and the places that judge."""

    folds: list[Fold]
    test: Integers


def folds_of(
    places: Integers,
    classes: Integers,
    groups: Sequence[str],
    count: int,
    generator: np.random.Generator,
) -> list[Integers]:
    """Deal places out to ``count`` folds, each class as evenly as it goes.

    Parameters
    ----------
    places
        What is dealt out.
    classes
        Of all sequences, by number.
    groups
        Of all sequences; empty: each is alone.  A group lies in one fold as a whole.
    """
    if not groups:
        return _dealt(places, classes, count, generator)
    return _dealt_groups(places, classes, groups, count, generator)


def _dealt(
    places: Integers, classes: Integers, count: int, generator: np.random.Generator
) -> list[Integers]:
    shuffled = generator.permutation(places)
    order = shuffled[np.argsort(classes[shuffled], kind="stable")]
    return [np.sort(order[number::count]) for number in range(count)]


def _dealt_groups(
    places: Integers,
    classes: Integers,
    groups: Sequence[str],
    count: int,
    generator: np.random.Generator,
) -> list[Integers]:
    """The largest group first, each to the fold in which its classes are rarest."""
    of = np.array([groups[place] for place in places])
    names = generator.permutation(np.unique(of))
    kinds = int(classes.max()) + 1
    held = {name: places[of == name] for name in names}
    often = {name: np.bincount(classes[held[name]], minlength=kinds) for name in names}
    sums, folds = np.zeros((count, kinds)), [[] for _ in range(count)]  # type: ignore[var-annotated]
    for name in sorted(names, key=lambda name: -len(held[name])):
        crowded = ((sums + often[name]) ** 2 - sums**2).sum(1)
        fold = int(np.argmin(crowded))
        sums[fold] += often[name]
        folds[fold].extend(held[name])
    return [np.sort(np.array(fold, dtype=np.int64)) for fold in folds]


def divide(
    classes: Integers,
    groups: Sequence[str],
    test: Integers | None,
    shares: tuple[float, float],
    members: int,
    seed: int,
) -> Division:
    """Cut sequences into parts.

    Parameters
    ----------
    classes, groups
        Of all sequences; no groups: each sequence is alone.
    test
        The places that judge, where they are given; None: they are drawn.
    shares
        Of test and of validation: a fold is one over the nearest whole number.
    members
        How many networks there are; each has a validation fold of its own, as far as they go.
    seed

    Raises
    ------
    ValueError
        If a part would be empty.
    """
    generator = np.random.default_rng([seed, 5])
    every = np.arange(len(classes))
    if test is None:
        test = folds_of(every, classes, groups, _count(shares[0], len(every)), generator)[0]
        _some(test, "test", groups)
    known = np.setdiff1d(every, test)
    dealt = folds_of(known, classes, groups, _count(shares[1], len(known)), generator)
    dealt = [fold for fold in dealt if len(fold)]
    if len(dealt) < 2:
        _some(np.zeros(0, dtype=np.int64), "validation", groups)
    folds = [Fold(np.setdiff1d(known, fold), fold) for fold in dealt]
    return Division([folds[number % len(folds)] for number in range(members)], test)


def _count(share: float, most: int) -> int:
    return min(max(2, round(1 / share)), max(2, most))


def _some(places: Integers, part: str, groups: Sequence[str]) -> None:
    if not len(places):
        who = "group" if groups else "sequence"
        raise InvalidValueError(
            f"there are too few {who}s for a {part} part: bring more, or take a larger share for "
            "it."
        )


def check_classes(
    division: Division, classes: Integers, words: Sequence[str], groups: Sequence[str]
) -> None:
    """Raise where a class is missing from a part that is learned from, or there is but one.

    Raises
    ------
    ValueError
        Naming the class.
    """
    if len(words) < 2:
        raise InvalidValueError(
            f"every sequence has the label {words[0]!r}: expected two labels or more."
        )
    for number, word in enumerate(words):
        held = np.flatnonzero(classes == number)
        left = np.setdiff1d(held, division.test)
        if len(left) < 2:
            raise InvalidValueError(
                f"the label {word!r} has {len(held)} sequences, of which {len(left)} would be left "
                "beside the test part: expected 2 or more, to learn from one and choose by the "
                "other; bring more, or take the label out."
            )
        for fold in division.folds:
            if not np.isin(held, fold.training).any():
                raise InvalidValueError(_lacking(word, held, groups))


def _lacking(word: str, held: Integers, groups: Sequence[str]) -> str:
    if groups and len({groups[place] for place in held}) < 3:
        who = " and ".join(sorted({repr(groups[place]) for place in held}))
        return (
            f"the label {word!r} comes from the group {who} alone, so that it cannot be on every "
            "side: bring more groups with it, or leave the label out."
        )
    return (
        f"the sequences with the label {word!r} all lie in one validation part, so that nothing "
        "could be learned from: bring more of them, or choose another seed."
    )
