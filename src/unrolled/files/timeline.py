"""When the values of a series were, in words and on an axis, and when the next ones will be."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from unrolled.errors import InvalidValueError
from unrolled.files.columns import Floats

__all__ = ["Timeline", "of_rows", "of_words"]


@dataclass(frozen=True)
class Timeline:
    """A place on an axis and a label for each value of a series."""

    labels: list[str]
    places: Floats
    name: str

    @cached_property
    def is_even(self) -> bool:
        """Whether each place is as far from the one before as the next."""
        steps = np.diff(self.places)
        return bool(len(steps) and np.allclose(steps, steps[0], rtol=1e-6))

    def ahead(self, count: int) -> list[str]:
        """Label what follows: the next places where they can be told, or +1, +2, …"""
        if not self.is_even or self.labels[-1] != f"{self.places[-1]:.6g}":
            return [f"+{n}" for n in range(1, count + 1)]
        step = self.places[1] - self.places[0]
        return [f"{self.places[-1] + step * n:.6g}" for n in range(1, count + 1)]


def of_rows(count: int) -> Timeline:
    """Count rows as a spreadsheet does: the header is row 1."""
    places = np.arange(2.0, count + 2)
    return Timeline([f"{place:.0f}" for place in places], places, "row")


def of_words(words: list[str], name: str) -> Timeline:
    """Take a column of years or hours as places; of dates, the labels, with rows for places.

    Raises
    ------
    ValueError
        If time does not run forward from row to row: the split would not be one in time.
    """
    try:
        places = np.array([float(word) for word in words])
    except ValueError:
        if all(re.match(r"\d{4}-\d\d", word) for word in words):  # dates that sort as words
            _check_forward(words, words, name)
        return Timeline(
            words, of_rows(len(words)).places, f"row ({name} {words[0]} to {words[-1]})"
        )
    _check_forward(list(places), words, name)
    return Timeline([f"{place:.6g}" for place in places], places, name)


def _check_forward(times: Sequence[Any], words: list[str], name: str) -> None:
    for row, (before, after) in enumerate(pairwise(times), 3):
        if not before < after:
            raise InvalidValueError(
                f"row {row}: {name} is {words[row - 2]} after {words[row - 3]}, expected a later "
                f"time: sort the file by {name}, or leave out --time to take the rows as they lie."
            )
