"""How a run learned, how long its units remember, and how its gradient fades."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullFormatter

from unrolled.pictures.toolkit import Floats, Theme, begin, dress, is_wide, legend_below, save

__all__ = ["draw_flow", "draw_half_lives", "draw_learning"]

MARKERS = ("o", "s", "D", "P", "X")


def draw_learning(
    history: Sequence[Mapping[str, Any]],
    path: Path,
    theme: Theme,
    *,
    metrics: Sequence[str] = (),
    published: Mapping[str, tuple[float, str]] | None = None,
    title: str = "",
) -> Path:
    """Draw the loss and some figures over the steps, each with its published value as a line.

    Parameters
    ----------
    history
        Rows with ``step``, ``loss`` and figures; a row may lack any but the step.
    path
        Where the PNG file goes.
    theme
    metrics
        Which figures stand below the loss.
    published
        By figure: its value, and whose it is.
    title
    """
    names = ["loss", *metrics]
    figure = begin(theme, 14 + 27 * len(names))
    grid = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
    for place, (axes, name) in enumerate(zip(grid, names, strict=True)):
        rows = [row for row in history if row.get(name) is not None]
        values = np.array([row[name] for row in rows], dtype=float)
        look = theme.look(0 if place == 0 else 2) | {"linestyle": "-"}
        few = {"marker": "o", "ms": 2.5} if len(rows) < 25 else {}
        axes.plot([row["step"] for row in rows], values, **look, **few)
        level = (published or {}).get(name)
        if level is not None:
            label = f"{level[1]}: {level[0]:.3g}"
            axes.axhline(level[0], **theme.look(1), label=label)
            _legend(axes, theme)
        if is_wide(values, () if level is None else (level[0],)):
            _logarithmic(axes)
        dress(axes, theme, title=name, xlabel="step" if place == len(names) - 1 else "")
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    return save(figure, path, title, theme=theme)


def draw_half_lives(
    lives: Mapping[str, Floats], path: Path, theme: Theme, *, title: str = ""
) -> Path:
    """Draw every unit's half-life, the longest first, each layer [H] a line of marks.

    Those that forget nothing stand at the top as triangles, those that keep nothing at the bottom.
    """
    figure = begin(theme, 56 + 3.5 * len(lives))
    axes = figure.subplots()
    known = np.concatenate([life[np.isfinite(life) & (life > 0)] for life in lives.values()])
    low, high = (known.min(), known.max()) if known.size else (1.0, 1.0)
    low, high = min(low, 0.5) / 2, max(high, 10.0) * 3
    for place, (name, life) in enumerate(lives.items()):
        ordered = np.sort(np.where(np.isnan(life), 0, life))[::-1]
        across = np.arange(len(ordered)) / max(len(ordered) - 1, 1)
        shown = np.clip(ordered, low, high)
        look: dict[str, Any] = {
            "color": theme.lines[place % len(theme.lines)],
            "ms": 2.6,
            "zorder": 4,
        }
        usual = MARKERS[place % len(MARKERS)]
        kinds = {usual: np.isfinite(ordered) & (ordered > 0), "^": np.isinf(ordered)}
        for marker, which in (kinds | {"v": ordered == 0}).items():
            axes.plot(across[which], shown[which], marker, **look)
        who = f"{name}: " if name else ""
        marker = "^" if np.isinf(np.median(ordered)) else usual
        axes.plot([], [], marker, label=f"{who}{_told(ordered)}", **look)
    axes.set_yscale("log")
    axes.set_ylim(low / 1.5, high * 1.5)
    dress(axes, theme, ylabel="half-life (steps)", xlabel="units, the longest memory first")
    axes.set_xticks([])
    handles, names = axes.get_legend_handles_labels()
    figure.legend(
        handles,
        names,
        loc="outside lower left",
        frameon=False,
        fontsize=theme.small,
        labelcolor=theme.ink,
        handlelength=1.2,
    )
    return save(figure, path, title, theme=theme)


def _told(lives: Floats) -> str:
    """How long units remember, in few words."""
    middle, forever = float(np.median(lives)), int(np.isinf(lives).sum())
    if np.isinf(middle):
        return f"{forever} of {len(lives)} units forget nothing"
    more = f", {forever} forget nothing" if forever else ""
    return f"{len(lives)} units, the middle one {middle:.2g} steps{more}"


def draw_flow(
    flows: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    path: Path,
    theme: Theme,
    *,
    following: str = "the loss",
    title: str = "",
) -> Path:
    """Draw how much of a gradient gets back to h_t and to c_t.

    Parameters
    ----------
    flows
        By name, the norms at every step: of h, and of c (empty where there is none).
    path
        Where the PNG file goes.
    theme
    following
        What the gradient is of.
    title
    """
    panels = {"|∂/∂c_t|": 1, "|∂/∂h_t|": 0}
    panels = {head: k for head, k in panels.items() if any(len(flow[k]) for flow in flows.values())}
    figure = begin(theme, 20 + 30 * len(panels) + 3 * (len(flows) > 2))
    grid = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (head, k) in zip(grid, panels.items(), strict=True):
        every = []
        for place, (name, flow) in enumerate(flows.items()):
            values = np.array(flow[k], dtype=float)
            every.append(values)
            few = {"marker": "o", "ms": 2.0} if len(values) <= 60 else {}
            # On a logarithmic scale there is no place for a zero.
            shown = np.where(values > 0, values, np.nan)
            axes.plot(range(1, len(values) + 1), shown, label=name, **theme.look(place), **few)
        if is_wide(np.concatenate(every)):
            _logarithmic(axes)
        dress(axes, theme, title=f"{head} of {following}")
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    grid[-1].set_xlabel("step t", fontsize=7, color=theme.ink, labelpad=2)
    if len(flows) > 1:
        legend_below(figure, grid[-1], theme)
    return save(figure, path, title, theme=theme)


def _legend(axes: Axes, theme: Theme) -> None:
    axes.legend(
        loc="best", frameon=False, fontsize=theme.small, labelcolor=theme.ink, handlelength=2.2
    )


def _logarithmic(axes: Axes) -> None:
    axes.set_yscale("log")
    axes.yaxis.set_minor_formatter(NullFormatter())  # or it writes over itself
