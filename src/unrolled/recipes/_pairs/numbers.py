"""Numbers in words and in digits: pairs that anybody can check."""

from __future__ import annotations

import functools

import torch

from unrolled.errors import InvalidValueError

__all__ = ["ALONE", "LARGEST", "in_words", "number_pairs"]

_SMALL = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    *("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen"),
    *("eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = ("", " thousand", " million", " billion")

LARGEST = 1000 ** len(_SCALES) - 1

# Whose words no other number has: held out, nobody could tell what they mean.
ALONE = ("zero",)

# The numbers are the same in every run, whatever its seed: runs are then judged alike.
_DRAWN_WITH = 4012


def in_words(number: int) -> str:
    """A number from 0 to `LARGEST` as it is said in British English.

    Examples
    --------
    >>> in_words(4012)
    'four thousand and twelve'
    """
    if not 0 <= number <= LARGEST:
        raise InvalidValueError(f"{number} has no words here: expected 0 to {LARGEST}.")
    if number == 0:
        return _SMALL[0]
    groups = [number // 1000**place % 1000 for place in range(len(_SCALES))]
    spoken = [_hundreds(n) + _SCALES[place] for place, n in enumerate(groups) if n]
    words = " ".join(reversed(spoken))
    if number > 1000 and 0 < groups[0] < 100:
        before, _, last = words.rpartition(spoken[0])
        return f"{before}and {spoken[0]}{last}"
    return words


def _hundreds(number: int) -> str:
    """1 to 999."""
    if number < 20:
        return _SMALL[number]
    if number < 100:
        ones = f"-{_SMALL[number % 10]}" if number % 10 else ""
        return _TENS[number // 10 - 2] + ones
    rest = f" and {_hundreds(number % 100)}" if number % 100 else ""
    return f"{_SMALL[number // 100]} hundred{rest}"


@functools.lru_cache(maxsize=1)  # half a second, and asked for by every recipe of these numbers
def number_pairs(count: int, largest: int, *, apart: bool = False) -> tuple[tuple[str, str], ...]:
    """Words and digits of ``count`` different numbers from 0 to ``largest``.

    Digits stand ``apart``, with spaces between them, if asked.

    As many of each number of digits as of any other, as far as there are so many: drawn from all
    alike, nine in ten of 0 to 999,999 would have six digits.
    """
    ranges = [(10 ** (d - 1) if d > 1 else 0, 10**d) for d in range(1, len(str(largest)) + 1)]
    generator = torch.Generator().manual_seed(_DRAWN_WITH)
    chosen: list[int] = []
    for place, (first, end) in enumerate(ranges):
        there = min(end, largest + 1) - first
        share = -(-(count - len(chosen)) // (len(ranges) - place))
        chosen += _some(first, there, min(share, there), generator)
    between = " " if apart else ""
    return tuple((in_words(number), between.join(str(number))) for number in chosen)


def _some(first: int, there: int, count: int, generator: torch.Generator) -> list[int]:
    """``count`` different numbers of the ``there`` from ``first`` on, in order."""
    found: set[int] = set()
    if 2 * count > there:
        found |= set(torch.randperm(there, generator=generator)[:count].tolist())
    while len(found) < count:
        found |= set(torch.randint(there, (count - len(found),), generator=generator).tolist())
    return [first + n for n in sorted(found)]
