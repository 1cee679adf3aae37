"""Pictures of the answers to the held-out sources."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from unrolled.pictures import plots
from unrolled.recipes._pairs.judging import Judgement, bins, exact_match, short

__all__ = ["draw_by_length", "draw_examples", "examples"]

_WIDEST = 72  # characters of a source in the picture


def draw_by_length(
    judged: Sequence[Judgement],
    length: Callable[[Judgement], int],
    path: Path,
    *,
    title: str,
    word: str,
) -> Path:
    """Draw the share right by a length; under each bar the length, and how many sources have it."""
    sorted_ = bins(judged, length)
    return plots.bars(
        [f"{name} ({len(inside):,})" for name, inside in sorted_.items()],
        [exact_match(inside) for inside in sorted_.values()],
        path,
        title=title,
        ylabel=f"share right, by {word}",
    )


def examples(judged: Sequence[Judgement], of_each: int) -> list[Judgement]:
    """A few that are right and a few that are wrong, from all over the held-out part."""
    right = [one for one in judged if one.right]
    wrong = [one for one in judged if not one.right]
    return [*_spread(right, of_each), *_spread(wrong, of_each)]


def _spread(judged: list[Judgement], most: int) -> list[Judgement]:
    return judged[:: max(1, -(-len(judged) // most))]


def draw_examples(judged: Sequence[Judgement], path: Path, *, title: str) -> Path:
    """Draw a table of held-out sources, their targets and the answers, right and wrong."""
    shown = examples(judged, 6)
    return plots.table(
        ["source", "target", "answer", ""],
        [
            [
                *(short(text, _WIDEST) for text in (one.source, one.target, one.answer)),
                "right" if one.right else "wrong",
            ]
            for one in shown
        ],
        path,
        title=title,
        marked=[not one.right for one in shown],
    )
