"""Pictures of a reader of sequences: what it takes for what, how honest, what it hangs on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes

from unrolled.files.columns import Floats, Integers
from unrolled.pictures import toolkit
from unrolled.recipes._labels.mattering import Mattering
from unrolled.recipes._labels.scores import Bin

__all__ = ["Shown", "draw_confusion", "draw_mattering", "draw_reliability"]

MOST_NUMBERS = 15  # classes up to which the counts are written into the table
MOST_CHANNELS = 8


class Shown(NamedTuple):
    """A sequence in a picture: what it is called and truly is, its values, what hangs on them."""

    name: str
    true: str
    said: str
    values: Floats
    found: Mattering


def draw_confusion(found: Integers, words: Sequence[str], path: Path) -> Path:
    """Draw how often each label (a row) was given each label (a column)."""
    shares = found / np.maximum(found.sum(1, keepdims=True), 1)
    side = 40 + min(4.5 * len(words), 110)
    figure = toolkit.begin(toolkit.PAGE, side, side + 12)
    axes = figure.subplots()
    image = axes.imshow(shares, vmin=0, vmax=1, cmap="Blues")
    toolkit.dress(axes, xlabel="said", ylabel="true", grid="")
    axes.grid(visible=False)
    axes.set_xticks(range(len(words)), list(words), rotation=90 if len(words) > 4 else 0)
    axes.set_yticks(range(len(words)), list(words))
    if len(words) <= MOST_NUMBERS:
        for (row, column), count in np.ndenumerate(found):
            dark = shares[row, column] > 0.5
            axes.text(
                column,
                row,
                str(count) if count else "",
                ha="center",
                va="center",
                fontsize=toolkit.PAGE.small,
                color="white" if dark else toolkit.INK,
            )
    toolkit.colorbar(figure, image, axes, label="share of the true label")
    return toolkit.save(figure, path, "What was said of each label, test part")


def draw_reliability(bins: Sequence[Bin], error: float, path: Path) -> Path:
    """Draw how often labels are right that were given with about one probability."""
    figure = toolkit.begin(toolkit.PAGE, 70)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=toolkit.FAINT, linestyle=":", label="honest")
    most = max(found.many for found in bins)
    axes.plot(
        [found.said for found in bins],
        [found.right for found in bins],
        color=toolkit.BLUE,
        label="the network",
    )
    axes.scatter(
        [found.said for found in bins],
        [found.right for found in bins],
        s=[8 + 60 * found.many / most for found in bins],
        color=toolkit.BLUE,
    )
    for found in bins:
        axes.annotate(
            f"{found.many:,}",
            (found.said, found.right),
            textcoords="offset points",
            xytext=(4, -9),
            fontsize=toolkit.PAGE.small,
        )
    axes.set(xlim=(0, 1.05), ylim=(0, 1.08))
    toolkit.dress(
        axes,
        title=f"expected calibration error {error:.3f}; the numbers count sequences",
        xlabel="probability that was said",
        ylabel="share that is right",
    )
    toolkit.legend_below(figure, axes)
    return toolkit.save(figure, path, "How honest its probabilities are, test part")


def draw_mattering(shown: Sequence[Shown], channels: Sequence[str], path: Path) -> Path:
    """Draw sequences, and under each how much the label that was said hangs on every step."""
    figure = toolkit.begin(toolkit.PAGE, 12 + 52 * len(shown), 150)
    grid = figure.subplots(2, len(shown), squeeze=False, height_ratios=[3, 2])
    figure.set_figheight(3.4)
    for (above, below), one in zip(grid.T, shown, strict=True):
        _draw_values(above, one, channels)
        _draw_found(below, one)
    handles, names = grid[1, 0].get_legend_handles_labels()
    figure.legend(
        handles,
        names,
        loc="outside lower center",
        ncols=2,
        frameon=False,
        fontsize=toolkit.PAGE.small,
    )
    return toolkit.save(figure, path, "Which steps the label hangs on, test part")


def _draw_values(axes: Axes, one: Shown, channels: Sequence[str]) -> None:
    if one.values.shape[1] > MOST_CHANNELS:
        axes.imshow(one.values.T, aspect="auto", origin="lower", cmap="cividis")
        axes.set_ylabel(f"{len(channels)} channels")
    else:
        spread = np.nanstd(one.values, axis=0)
        scaled = (one.values - np.nanmean(one.values, axis=0)) / np.where(spread > 0, spread, 1)
        heights = -5.0 * np.arange(one.values.shape[1])
        axes.plot(scaled + heights, color=toolkit.INK, linewidth=0.7)
        axes.set_yticks(heights, list(channels))
    right = "" if one.said == one.true else f", truly {one.true}"
    toolkit.dress(axes, title=f"{one.name}: {one.said}{right}")
    axes.grid(visible=False)
    axes.margins(x=0)


def _draw_found(axes: Axes, one: Shown) -> None:
    steps = np.arange(len(one.found.lost))
    for values, name, colour in (
        (one.found.lost, "lost where the steps around are hidden", toolkit.BLUE),
        (one.found.gradient, "gradient × input", toolkit.ORANGE),
    ):
        most = np.abs(values).max() or 1.0
        axes.plot(steps, values / most, label=name, color=colour, linewidth=1.1)
    axes.axhline(0, color=toolkit.FAINT, linewidth=0.6)
    toolkit.dress(axes, xlabel="step", ylabel="share of the most")
    axes.margins(x=0)
