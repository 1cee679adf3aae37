"""Pictures of the answers to the held-out sources."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from unrolled.pictures import plots, toolkit
from unrolled.pictures.toolkit import PAGE
from unrolled.recipes._pairs.judging import Judgement, bins, exact_match, short
from unrolled.recipes._pairs.looking import Looks

__all__ = ["draw_all", "draw_by_length", "draw_examples", "draw_looks", "examples"]

_WIDEST = 72  # characters of a source in the picture
_LOOKED_AT = 60  # symbols of a source, and of an answer, in the picture of attention


def draw_all(
    judged: Sequence[Judgement],
    history: Sequence[Mapping[str, Any]],
    folder: Path,
    name: str,
    tokens: str,
    *,
    digits: bool,
) -> list[Path]:
    """Draw how it learned, what is right by length, and examples."""
    title = f"{name}: held-out sources"
    return [
        plots.learning_curve(
            history, folder / "learning.png", metric="exact_match", title=f"{name}: learning"
        ),
        draw_by_length(
            judged,
            lambda one: one.source_length,
            folder / "by_source.png",
            title=f"{title} by length",
            word=f"{tokens} of source",
        ),
        draw_by_length(
            judged,
            lambda one: one.target_length,
            folder / "by_target.png",
            title=f"{title} by {'digits' if digits else 'length of target'}",
            word="digits" if digits else f"{tokens} of target",
        ),
        draw_examples(judged, folder / "examples.png", title=title),
    ]


def draw_looks(looks: Sequence[Looks], path: Path, *, title: str) -> Path:
    """Draw for some pairs where attention looked: a row for each output, a column for each symbol.

    Of long texts the beginning is drawn, and the note below says so.
    """
    shown = [Looks(one.source[:_LOOKED_AT], one.outputs[:_LOOKED_AT], one.weights) for one in looks]
    heights = [max(len(one.outputs), 4) for one in shown]
    figure = toolkit.begin(PAGE, 16 + 3.9 * sum(heights) + 24 * len(shown))
    panels = figure.subplots(len(shown), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, one in zip(panels, shown, strict=True):
        weights = one.weights[: len(one.outputs), : len(one.source)].double().numpy()
        image = axes.imshow(weights, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        toolkit.dress(axes, grid="")
        toolkit.name_steps(axes, one.source, PAGE)
        axes.set_yticks(range(len(one.outputs)), one.outputs)
        toolkit.colorbar(figure, image, axes, pad=0.01, aspect=12)
    cut = any(max(len(one.source), len(one.outputs)) > _LOOKED_AT for one in looks)
    note = "Rows: what was written, from above; columns: the source; the colour: the weight."
    more = f" The first {_LOOKED_AT} symbols are drawn." if cut else ""
    return toolkit.save(figure, path, f"{title}: where each output looked", note=note + more)


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
