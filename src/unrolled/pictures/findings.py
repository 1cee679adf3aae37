"""Which units track a property, and which ones nothing works without."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from unrolled.inside.ablation import UnitSearch
from unrolled.inside.passage import Question
from unrolled.pictures.toolkit import Theme, begin, dress, legend_above, save

__all__ = ["draw_search", "draw_tracking"]


def draw_tracking(
    found: Mapping[str, Sequence[tuple[str, float]]], path: Path, theme: Theme, *, title: str = ""
) -> Path:
    """Draw bars of r, of the units that best track each property.

    Parameters
    ----------
    found
        By property, units' names with their r, the best first.
    path
        Where the PNG file goes.
    theme
    title
    """
    rows = sum(len(units) + 1.3 for units in found.values())
    figure = begin(theme, 18 + 3.9 * rows)
    axes = figure.subplots()
    names: dict[float, str] = {}
    row = 0.0
    for property, units in found.items():
        axes.text(0, row, property, fontsize=theme.small + 0.6, color=theme.ink, va="center")
        for unit, r in units:
            row += 1
            names[row] = unit
            axes.barh(row, abs(r), height=0.66, color=theme.lines[0 if r < 0 else 1], zorder=2)
            label = f"{r:.2f}".replace("-", "\N{MINUS SIGN}")
            axes.text(
                abs(r) + 0.015, row, label, color=theme.ink, fontsize=theme.small, va="center"
            )
        row += 1.3
    axes.set_ylim(row - 0.7, -0.7)
    axes.set_xlim(0, 1.12)
    dress(axes, theme, xlabel="|r|, the correlation of tanh(c) and the property", grid="x")
    axes.set_yticks(list(names), list(names.values()))
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    return save(figure, path, title, theme=theme)


def draw_search(
    search: UnitSearch,
    question: Question,
    path: Path,
    theme: Theme,
    *,
    title: str = "",
    most: int = 24,
) -> Path:
    """Draw the shares right without each unit alone, and without more and more of the chosen ones.

    Of many units, those without which most goes wrong are drawn.
    """
    order = sorted(search.alone, key=lambda one: (one.needing - one.others, one.units))[:most]
    alone = sorted(order, key=lambda one: one.units) if len(search.alone) <= most else order
    columns = [search.intact, *alone, *search.chosen[1:]]
    labels = ["none", *(str(one.units[0]) for one in alone)]
    labels += ["+".join(map(str, one.units)) for one in search.chosen[1:]]
    figure = begin(theme, 62)
    axes = figure.subplots()
    places = np.arange(len(columns), dtype=float)
    places[1:] += 0.5
    places[1 + len(alone) :] += 0.7
    chosen = set(search.chosen[-1].units)
    blue, orange = theme.lines[0], theme.lines[1]
    axes.bar(
        places,
        [one.needing for one in columns],
        width=0.7,
        color=[orange if chosen & set(one.units) else theme.soft for one in columns],
        zorder=2,
        label=question.needing,
    )
    axes.plot(
        places,
        [one.others for one in columns],
        "D",
        color=blue,
        ms=3,
        zorder=4,
        label=question.others,
    )
    dress(axes, theme, ylabel="share right", xlabel="without unit")
    turned = 90 if max(map(len, labels)) > 4 or len(labels) > 22 else 0
    axes.set_xticks(places, labels, rotation=turned)
    axes.tick_params(axis="x", length=0)
    axes.set_ylim(0, 1.06)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "½", "", "1"])
    for place, one in list(zip(places, columns, strict=True))[1 + len(alone) :]:
        label = f"{one.needing:.0%}"
        axes.text(
            place, one.needing + 0.02, label, color=theme.ink, fontsize=theme.small, ha="center"
        )
    legend_above(axes, theme)
    note = f"each held at its mean where there is no {question.property}; in colour: those chosen"
    return save(figure, path, title, theme=theme, note=note)
