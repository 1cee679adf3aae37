"""What a value has to be, as data beside it, and the one sentence that refuses any other.

A recipe's field, a constructor's argument and a flag are refused in the same words; each is spelled
as it was written: ``hidden = 0``, ``hidden_size=0``, ``--threads 0``.
"""

from __future__ import annotations

import difflib
import math
import numbers
import shlex
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from typing import Annotated, Any

from unrolled.errors import InvalidValueError

__all__ = [
    "Before",
    "Count",
    "Expected",
    "Layers",
    "at_least",
    "below_one",
    "between",
    "check_argument",
    "check_field",
    "check_flag",
    "distinct",
    "each",
    "ending",
    "finite",
    "flagged",
    "one_of",
    "only",
    "positive",
    "probability",
    "share",
    "some",
    "whole",
]


@dataclass(frozen=True)
class Expected:
    """What a value has to be: the metadata of a field that is ``Annotated``.

    Parameters
    ----------
    words
        What follows "expected", such as "1 or more".
    holds
        Whether a value is that.
    names
        The names that there are, where the value is one of them: the nearest is proposed.
    inside
        Whether it holds of each of the things in a tuple.
    """

    words: str
    holds: Callable[[Any], bool]
    names: tuple[str, ...] = ()
    inside: bool = False

    def refusal(self, spell: Callable[[Any], str], value: Any) -> str | None:
        """The sentence that refuses ``value``; None where it is what was expected."""
        for one in value if self.inside else (value,):
            if not self.holds(one):
                end = ending(str(one), self.names)
                return f"{spell(one)} makes no sense: expected {self.words}{end}"
        return None


@dataclass(frozen=True)
class Before:
    """What holds for a run that was made before the field was: the metadata of a later field.

    It is not the field's default: that may be another one, now or in a subclass, and a run goes on
    as it was begun.
    """

    value: Any


def check_field(name: str, value: Any, expected: Expected) -> None:
    """Raise ValueError where a recipe's field is not what is expected of it."""
    _check(lambda one: f"{name} = {one!r}", value, expected)


def check_argument(name: str, value: Any, expected: Expected) -> None:
    """Raise ValueError where an argument is not what is expected of it."""
    _check(lambda one: f"{name}={one!r}", value, expected)


def check_flag(name: str, value: Any, expected: Expected) -> None:
    """Raise ValueError where the value of a flag is not what is expected of it."""
    _check(lambda one: f"{name} {one}", value, expected)


def _check(spell: Callable[[Any], str], value: Any, expected: Expected) -> None:
    refusal = expected.refusal(spell, value)
    if refusal is not None:
        raise InvalidValueError(refusal)


def ending(word: str, known: Iterable[str], most: int = 1) -> str:
    """How a sentence ends: by asking whether a name near to ``word`` was meant, if one is."""
    folded = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(word.casefold(), folded, n=most)
    meant = " or ".join(repr(folded[name]) for name in near)
    return f"; did you mean {meant}?" if meant else "."


# --- what is expected ---


def flagged(flag: str, value: str) -> str:
    """A flag and its value as they are typed into a shell: what is advised works as it stands."""
    return f"{flag} {shlex.quote(value)}"


def at_least(least: float) -> Expected:
    """A finite number, ``least`` or more."""
    return Expected(f"{least} or more", lambda value: least <= value < math.inf)


def between(least: float, most: float) -> Expected:
    """A number from ``least`` to ``most``, both included."""
    return Expected(f"{least} to {most}", lambda value: least <= value <= most)


def whole(least: int, most: int) -> Expected:
    """A whole number from ``least`` to ``most``, both included, and no bool."""

    def holds(value: Any) -> bool:
        number = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        return number and least <= int(value) <= most

    return Expected(f"a whole number from {least} to {most}", holds)


def one_of(names: Collection[str], besides: str = "") -> Expected:
    """One of some names; ``besides`` are words for what else is taken."""
    *first, last = [*names, *([besides] if besides else [])]
    words = f"{', '.join(first)} or {last}" if first else last
    return Expected(words, lambda value: value in names, tuple(names))


def only(value: Any, why: str) -> Expected:
    """That value alone, with the reason."""
    return Expected(f"{value}, since {why}", lambda given: bool(given == value))


def some(example: str) -> Expected:
    """A tuple that is not empty."""
    return Expected(f"one or more, such as {example}", bool)


def each(expected: Expected) -> Expected:
    """The same of each of the things in a tuple."""
    return replace(expected, inside=True)


def _is_probability(value: Any) -> bool:
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return number and 0 <= float(value) <= 1


finite = Expected("a finite number, such as 1", math.isfinite)
positive = Expected("a number above 0, such as 0.01", lambda value: 0 < value < math.inf)
share = Expected("a share between 0 and 1, such as 0.1", lambda value: 0 < value < 1)
below_one = Expected("0 or more and below 1", lambda value: 0 <= value < 1)
probability = Expected("a number from 0 to 1", _is_probability)
distinct = Expected("each of them once", lambda value: len(set(value)) == len(value))

Count = Annotated[int, at_least(1)]
"""How many there are of something: 1 or more."""

Layers = Annotated[int, between(1, 1000)]
"""How many layers lie one on the other: each is built by itself, so that millions take for ever."""
