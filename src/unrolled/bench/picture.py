"""The benchmark's picture: every ratio as a bar from 1 to the right or to the left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from unrolled.errors import InvalidValueError
from unrolled.pictures.toolkit import BLUE, INK, ORANGE, PAGE, begin, dress, save

__all__ = ["columns", "ratios"]


def ratios(
    panels: Mapping[str, Mapping[str, Sequence[float]]],
    path: Path,
    *,
    title: str = "",
    xlabel: str = "",
) -> Path:
    """Draw ratios as bars from 1 to the right or to the left, on a logarithmic axis.

    Parameters
    ----------
    panels
        Under each heading the ratios of each label; of several there is a point each, and the bar
        goes to their median.  What lies below 1 is hatched and of another colour.
    path
        Where the PNG file goes.
    title, xlabel
        Words above and below.
    """
    if not any(panels.values()):
        raise InvalidValueError("there are no ratios: nothing to draw.")
    parts = columns({heading: len(rows) + 2 for heading, rows in panels.items()})
    tallest = max(sum(len(panels[heading]) + 2 for heading in column) for column in parts)
    figure = begin(PAGE, 4.8 * tallest + 23, 122 * len(parts))
    grid = figure.add_gridspec(1, len(parts))
    for place, column in enumerate(parts):
        heights = [len(panels[heading]) + 1.0 for heading in column]
        # What a shorter column leaves free stays free, so that all bars are of one height.
        heights.append(max(tallest - sum(h + 1 for h in heights), 0) + 0.01)
        inner = grid[place].subgridspec(len(heights), 1, height_ratios=heights)
        for row, heading in enumerate(column):
            _ratio_panel(figure.add_subplot(inner[row]), heading, panels[heading])
    figure.supxlabel(xlabel, fontsize=9, color=INK)
    return save(figure, path, title)


def columns(heights: Mapping[str, int]) -> list[list[str]]:
    """Headings in one column, or in two of about one height where there is much to show."""
    names, total = list(heights), sum(heights.values())
    if total <= 16 or len(names) == 1:
        return [names]
    cuts = range(1, len(names))
    cut = min(cuts, key=lambda n: max(sum(heights[k] for k in part) for part in _cut(names, n)))
    return _cut(names, cut)


def _cut(names: list[str], place: int) -> list[list[str]]:
    return [names[:place], names[place:]]


def _ratio_panel(axes: Axes, heading: str, rows: Mapping[str, Sequence[float]]) -> None:
    every = [ratio for values in rows.values() for ratio in values]
    axes.set_xscale("log")
    axes.set_xlim(min(0.8, min(every) / 1.3), max(1.3, max(every)) * 2.2)
    for place, values in enumerate(rows.values()):
        middle = float(np.median(values))
        look: dict[str, Any] = (
            {"color": BLUE} if middle >= 1 else {"color": ORANGE, "hatch": "////"}
        )
        axes.barh(place, middle - 1, left=1, height=0.7, zorder=2, edgecolor="white", **look)
        low, high = min(values), max(values)
        if len(values) > 1:
            axes.plot(values, [place] * len(values), "o", color=INK, ms=2.2, alpha=0.7, zorder=4)
        words = f"{low:.2f} to {high:.2f}" if len(values) > 1 else _ratio_words(middle)
        axes.annotate(
            words,
            (max(high, 1), place),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=INK,
        )
    axes.axvline(1, color=INK, linewidth=1, zorder=3)
    dress(axes)
    axes.set_title(heading, loc="left", fontsize=9.5, color=INK)
    axes.set_yticks(range(len(rows)), list(rows), fontsize=8)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.tick_params(axis="x", labelsize=8)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=7))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(visible=False, axis="y")
    axes.grid(axis="x", color="#E4E4E4")


def _ratio_words(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio >= 20 else f"{ratio:.2f}"
