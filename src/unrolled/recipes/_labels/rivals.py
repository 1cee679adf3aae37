"""What needs no LSTM, beside it: on the same sequences, which it learned from as a whole."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from unrolled.files.columns import Floats, Integers
from unrolled.recipes._labels.kernels import ridge
from unrolled.recipes._labels.learning import Lesson
from unrolled.recipes._labels.sequences import Scaling
from unrolled.recipes._labels.warping import nearest, steps_needed

__all__ = ["Rival", "rivals"]

MOST_PAIRS = 100_000_000  # pairs of steps that time warping looks at: some fifteen seconds


class Rival(NamedTuple):
    """Who it is, and what it says of the test part; None: it was left out."""

    name: str
    key: str
    said: Integers | None


def rivals(lesson: Lesson, test: Integers, seed: int) -> list[Rival]:
    """Each rival's answers for the places that judge."""
    known, asked = _standardised(lesson, lesson.known, test)
    classes = lesson.answers[lesson.known]
    few = steps_needed(known, asked) <= MOST_PAIRS
    often = int(np.bincount(classes).argmax())
    return [
        Rival("1 nearest, time warped", "dtw", nearest(known, classes, asked) if few else None),
        Rival("ridge on random kernels", "ridge", ridge(known, classes, asked, seed=seed)),
        Rival("most frequent label", "constant", np.full(len(test), often)),
    ]


def _standardised(
    lesson: Lesson, known: Integers, test: Integers
) -> tuple[list[Floats], list[Floats]]:
    scaling = Scaling.of([lesson.sequences[place] for place in known])
    return tuple(  # type: ignore[return-value]
        [
            np.nan_to_num((lesson.sequences[place] - scaling.mean) / scaling.scale)
            for place in places
        ]
        for places in (known, test)
    )
