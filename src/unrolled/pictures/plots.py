"""Pictures of a run: how it learned, how good it is, what it forecasts, what its gates did.

A page wide, on white: these are written into a run's folder when it has ended.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from unrolled.errors import InvalidValueError
from unrolled.pictures.fonts import columns_of, shown
from unrolled.pictures.toolkit import (
    BLUE,
    GATES,
    GREEN,
    INK,
    PAGE,
    Floats,
    begin,
    dress,
    heat_map,
    is_wide,
    legend_below,
    save,
)

__all__ = [
    "Fan",
    "bars",
    "curves",
    "forecast",
    "gates",
    "learning_curve",
    "table",
]


class Fan(NamedTuple):
    """Forecasts from one origin: where they lie in time, and each method's values."""

    positions: Sequence[float] | Floats
    forecasts: Mapping[str, Floats]


def learning_curve(
    history: Sequence[Mapping[str, Any]],
    path: Path,
    *,
    metric: str,
    published: float | None = None,
    levels: Mapping[str, float] | None = None,
    title: str = "",
) -> Path:
    """Draw the loss and one metric over the steps.

    Parameters
    ----------
    history
        Rows with ``step``, ``loss`` and the metric; a row may lack any but the step.
    path
        Where the PNG file goes.
    metric
        Which figure stands beside the loss.
    published
        The document's own figure, as a horizontal line.
    levels
        Other figures to compare the metric with, by name; the same.
    title
        Above the picture.
    """
    figure = begin(PAGE, 91)
    panels = figure.subplots(1, 2)
    for axes, key, colour in zip(panels, ("loss", metric), (BLUE, GREEN), strict=True):
        rows = [row for row in history if row.get(key) is not None]
        steps = [row["step"] for row in rows]
        values = np.array([row[key] for row in rows], dtype=float)
        # A marker where there are few: a run of one report is a point, not nothing.
        axes.plot(steps, values, color=colour, marker="o" if len(rows) < 25 else "", ms=4)
        if is_wide(values) and not _rising_share(values):
            axes.set_yscale("log")
        dress(axes, title=key, xlabel="step")
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    lines = dict(levels or {}) | ({} if published is None else {"published": published})
    for place, (name, level) in enumerate(lines.items(), 1):
        panels[1].axhline(level, **PAGE.look(place), label=f"{name}: {level:.3g}")
    legend_below(figure, panels[1])
    return save(figure, path, title)


def curves(
    panels: Mapping[str, Mapping[str, tuple[Sequence[float], Sequence[float]]]],
    path: Path,
    *,
    levels: Mapping[str, float] | None = None,
    title: str = "",
    xlabel: str = "step",
) -> Path:
    """Draw lines that are to be compared, in panels side by side, under one legend.

    Parameters
    ----------
    panels
        By the panel's title: each line's x and y, by its name.  The legend is the first
        panel's; the same place in a panel has the same look.
    path
        Where the PNG file goes.
    levels
        Figures to compare with, by name: horizontal lines in every panel.
    title, xlabel
        Words above and below.
    """
    figure = begin(PAGE, 107)
    grid = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (head, lines) in zip(grid, panels.items(), strict=True):
        known = np.concatenate([np.asarray(y, dtype=float) for _, y in lines.values()])
        wide = is_wide(known[known != 0])  # and then there is no place for a zero
        for place, (name, (x, y)) in enumerate(lines.items()):
            shown = [np.nan if wide and value == 0 else value for value in y]
            few = {"marker": "o", "ms": 4} if len(x) < 25 else {}
            axes.plot(x, shown, label=name, **few, **PAGE.look(place))
        for name, level in (levels or {}).items():
            axes.axhline(level, color=INK, linewidth=1, label=f"{name}: {level:.3g}", zorder=1)
        if wide:
            axes.set_yscale("log")
        dress(axes, title=head, xlabel=xlabel)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    legend_below(figure, grid[0])
    return save(figure, path, title)


def bars(
    labels: Sequence[str],
    values: Sequence[float],
    path: Path,
    *,
    title: str = "",
    ylabel: str = "",
    ours: Collection[int] | None = None,
) -> Path:
    """Draw one bar for each label, its value above it; the places in ``ours`` stand out."""
    figure = begin(PAGE, 91, max(114, 33 * len(labels) + 30))
    axes = figure.subplots()
    colours = [BLUE if ours is None or place in ours else "#B8B8B8" for place in range(len(labels))]
    drawn = axes.bar(range(len(labels)), values, color=colours, width=0.62, zorder=2)
    axes.bar_label(drawn, labels=[f"{value:.3g}" for value in values], padding=3)
    axes.set_xticks(range(len(labels)), [label.replace(" ", "\n", 1) for label in labels])
    dress(axes, ylabel=ylabel)
    axes.tick_params(axis="x", length=0, labelcolor=INK)
    axes.margins(y=0.12)
    return save(figure, path, title)


def forecast(
    positions: Sequence[float] | Floats,
    truth: Floats,
    forecasts: Mapping[str, Floats],
    path: Path,
    *,
    fans: Iterable[Fan] = (),
    band: tuple[str, Floats, Floats] | None = None,
    title: str = "",
    xlabel: str = "",
    ylabel: str = "",
) -> Path:
    """Draw forecasts over the truth, and below them the whole horizon, or else the errors.

    Parameters
    ----------
    positions, truth
        The series, as far as it is to be seen.
    forecasts
        One step ahead, by the name of who forecast; the same positions as the truth.
    path
        Where the PNG file goes.
    fans
        Forecasts of several steps, each from one origin.  Without any, the second panel holds the
        errors one step ahead.
    band
        An interval one step ahead: its name, its lower and its upper end.
    title, xlabel, ylabel
        Words above and beside.
    """
    fans = list(fans)
    figure = begin(PAGE, 157)
    above, below = figure.subplots(2, 1, sharex=True)
    _truth(above, positions, truth)
    if band is not None:
        name, low, high = band
        above.fill_between(positions, low, high, color=BLUE, alpha=0.18, lw=0, label=name)
    for place, (name, values) in enumerate(forecasts.items()):
        above.plot(positions, values, label=name, **PAGE.look(place))
    dress(above, title="One step ahead", ylabel=ylabel)
    if fans:
        _truth(below, positions, truth)
        _draw_fans(below, fans)
        many = len(fans[0].positions)
        note = f"{many} steps ahead: all {many} forecast at once at each upright line"
        dress(below, title=note, xlabel=xlabel, ylabel=ylabel)
    else:
        for place, values in enumerate(forecasts.values()):
            below.plot(positions, values - truth, **PAGE.look(place))
        dress(below, title="Error: forecast less truth", xlabel=xlabel, ylabel=ylabel)
    for axes in (above, below):
        axes.margins(x=0.01)
    legend_below(figure, above, columns=min(1 + len(forecasts), 4))
    return save(figure, path, title)


def gates(
    trace: Mapping[str, Any],
    path: Path,
    *,
    steps: Sequence[str] | None = None,
    title: str = "",
    xlabel: str = "step",
) -> Path:
    """Draw what one sequence did inside a layer: a heat map for each of i, f, g, o, c and h.

    Parameters
    ----------
    trace
        [T, H] arrays or tensors by name; a name that is missing, or None, is left out.
    path
        Where the PNG file goes.
    steps
        What to write under each step; their numbers by default.
    title, xlabel
        Words above and below.
    """
    maps = {name: _array(trace[name]) for name in GATES if trace.get(name) is not None}
    if not maps:
        raise InvalidValueError(f"the trace holds none of {', '.join(GATES)}: nothing to draw.")
    rows = -(-len(maps) // 2)
    figure = begin(PAGE, 20 + 51 * rows)
    grid = figure.subplots(rows, 2, sharex=True, squeeze=False)
    for axes in grid.flat[len(maps) :]:
        axes.set_axis_off()
    for axes, (name, values) in zip(grid.flat, maps.items(), strict=False):
        heat_map(figure, axes, name, values)
    for axes in grid[-1]:
        axes.set_xlabel(xlabel)
        if steps is not None:
            places = _thin(len(steps), 8)
            axes.set_xticks(places, [steps[place] for place in places])
    return save(figure, path, title)


def table(
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    path: Path,
    *,
    title: str = "",
    marked: Sequence[bool] = (),
) -> Path:
    """Draw rows of words under their heads; a marked row stands on another ground.

    What DejaVu Sans Mono does not have is drawn by another font, or as its code point.
    """
    cells = [[shown(cell) for cell in row] for row in (heads, *rows)]
    widths = [max(map(columns_of, column)) for column in zip(*cells, strict=True)]
    lefts = np.cumsum([0, *(width + 3 for width in widths)])
    # One unit of the axes is one character of the font at 9 points, and one line.
    across = max(lefts[-1], 1.5 * columns_of(shown(title))) + 2
    lines = len(cells)
    height = 0.6 + 0.26 * lines
    figure = Figure(figsize=(0.0753 * across, height))  # placed by hand: no layout engine
    axes = figure.add_axes((0, 0, 1, 1 - 0.55 / height))
    axes.set_axis_off()
    axes.set_xlim(-1, across - 1)
    axes.set_ylim(lines - 0.5, -0.5)
    words: dict[str, Any] = {"family": "DejaVu Sans Mono", "fontsize": 9, "va": "center"}
    words["parse_math"] = False  # a dollar is a dollar
    for line, row in enumerate(cells):
        if line and any(marked[line - 1 : line]):
            axes.axhspan(line - 0.5, line + 0.5, color="#FBE3B5", zorder=0)
        for left, cell in zip(lefts[:-1], row, strict=True):
            axes.text(left, line, cell, color=INK if line else "#666666", **words)
    axes.axhline(0.5, color="#888888", linewidth=0.8)
    return save(figure, path, title)


def _truth(axes: Axes, positions: Sequence[float] | Floats, truth: Floats) -> None:
    """Draw what happened: points where they can be told apart, a broad pale line where not."""
    if len(truth) <= 150:
        axes.plot(positions, truth, "o", color=INK, ms=3.5, label="truth", zorder=5)
    else:
        axes.plot(positions, truth, color="#BBBBBB", linewidth=5, label="truth", zorder=1)


def _draw_fans(axes: Axes, fans: Sequence[Fan]) -> None:
    for fan in fans:
        axes.axvline(fan.positions[0], color="#CCCCCC", linewidth=1, zorder=0)
        for place, values in enumerate(fan.forecasts.values()):
            axes.plot(fan.positions, values, **PAGE.look(place))


def _array(value: Any) -> Floats:
    """Make a float64 array of an array or a tensor, with or without a gradient, on any device."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().double().numpy()
    values = np.asarray(value, dtype=np.float64)
    if values.ndim != 2:
        raise InvalidValueError(f"a trace to draw is [T, H], one sequence; this is {values.shape}.")
    return values


def _rising_share(values: Floats) -> bool:
    """Say whether values are shares on their way up: what counts is how far 1 is."""
    return bool(values.size and values.max() <= 1 and values[-1] > values[0])


def _thin(count: int, most: int) -> list[int]:
    """Choose at most ``most`` of ``count`` places, evenly."""
    return list(range(0, count, max(1, -(-count // most))))
