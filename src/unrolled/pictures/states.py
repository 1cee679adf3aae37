"""Heat maps of a layer's gates, cell and hidden state; one unit's, as lines or over a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.ticker import MaxNLocator

from unrolled.pictures import letters
from unrolled.pictures.toolkit import (
    GATES,
    Floats,
    Theme,
    begin,
    colorbar,
    dress,
    heat_map,
    legend_above,
    name_steps,
    save,
)

__all__ = ["draw_states", "draw_text", "draw_unit"]

MOST_STEPS = 36  # of which each has room for a letter
COLUMNS, LINES = 56, 22
_SHORT = {"i": "input i", "f": "forget f", "o": "output o", "g": "block g", "c": "cell c"}
_SHORT |= {"h": "hidden h"}


def draw_states(
    values: Mapping[str, Floats],
    path: Path,
    theme: Theme,
    *,
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = (),
    there: Mapping[str, Floats] | None = None,
    title: str = "",
) -> Path:
    """Draw i, f, g, o, c and h of one sequence, one below the other, over a shared time.

    Parameters
    ----------
    values
        [T, H] by letter; a letter that is missing is left out.
    path
        Where the PNG file goes.
    theme
    inputs, outputs
        Words above and below, for every step.
    there
        Yes or no for every step, by name: a strip above the maps, where it is ever yes.
    title
    """
    maps = {name: values[name][:MOST_STEPS] for name in GATES if name in values}
    whole = len(next(iter(values.values())))
    steps = min(whole, MOST_STEPS)
    strips = {name: f[:steps] for name, f in (there or {}).items() if f[:steps].any()}
    tall = 4.0 + 2.6 * max((len(word) for word in inputs[:steps]), default=0) * _turned(inputs)
    figure = begin(theme, 18 + 17 * len(maps) + 5 * len(strips) + min(tall, 16))
    heights = [*[3.0] * len(strips), *[16.0] * len(maps)]
    grid = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights, squeeze=False)[:, 0]
    for axes, (name, flags) in zip(grid, strips.items(), strict=False):
        _strip(axes, name, flags, theme)
    for axes, (name, shown) in zip(grid[len(strips) :], maps.items(), strict=True):
        heat_map(figure, axes, name, shown, theme)
    for axes in grid:
        axes.tick_params(axis="x", bottom=False, labelbottom=False)
    top = grid[0]
    if len(inputs):
        # Axes that share their ticks would share the words too.
        words = top.secondary_xaxis("top")
        words.spines["top"].set_visible(False)
        name_steps(words, list(inputs[:steps]), theme, above=True)
    if any(outputs[:steps]):
        name_steps(grid[-1], list(outputs[:steps]), theme)
    elif not len(inputs):
        grid[-1].tick_params(axis="x", labelbottom=True)
        grid[-1].xaxis.set_major_locator(MaxNLocator(8, integer=True))
    rows = ["inputs above" if len(inputs) else "", "outputs below" if any(outputs[:steps]) else ""]
    notes = [", ".join(word for word in rows if word)]
    notes += [f"the first {steps} of {whole:,} steps"] if whole > steps else []
    return save(figure, path, title, theme=theme, note="; ".join(note for note in notes if note))


def _turned(words: Sequence[str]) -> bool:
    return max((len(line) for word in words for line in word.split("\n")), default=0) > 3


def _strip(axes: Axes, name: str, flags: Floats, theme: Theme) -> None:
    """Draw where something is there, in the page's ink."""
    colours = ListedColormap([theme.grid, theme.ink])
    axes.imshow(flags[None] > 0, aspect="auto", cmap=colours, vmin=0, vmax=1)
    dress(axes, theme, grid="")
    axes.set_yticks([0], [name])
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.tick_params(axis="y", length=0)


def draw_unit(
    values: Mapping[str, Floats],
    path: Path,
    theme: Theme,
    *,
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = (),
    there: Mapping[str, Floats] | None = None,
    title: str = "",
) -> Path:
    """Draw one unit's gates, and below them its cell and hidden state, over time.

    Parameters
    ----------
    values
        [T] by letter.
    path, theme, inputs, outputs, there, title
        As in `draw_states`; what is there is shaded.
    """
    whole = len(next(iter(values.values())))
    steps = min(whole, MOST_STEPS)
    panels = [[name for name in group if name in values] for group in ("ifo", "gch")]
    panels = [panel for panel in panels if panel]
    figure = begin(theme, 22 + 30 * len(panels))
    grid = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axes, panel in zip(grid, panels, strict=True):
        for place, name in enumerate(panel):
            axes.plot(range(steps), values[name][:steps], label=_SHORT[name], **theme.look(place))
        for name, flags in (there or {}).items():
            _shade(axes, flags[:steps], theme, name)
        dress(axes, theme)
        axes.set_xlim(-0.5, steps - 0.5)
        axes.tick_params(axis="x", bottom=False, labelbottom=False)
        legend_above(axes, theme)
    if len(inputs):
        name_steps(grid[-1], list(inputs[:steps]), theme)
    notes = ["read below"] if len(inputs) else []
    notes += [f"the first {steps} of {whole:,} steps"] if whole > steps else []
    return save(figure, path, title, theme=theme, note="; ".join(notes))


def _shade(axes: Axes, flags: Floats, theme: Theme, name: str) -> None:
    for place, (begin_, end) in enumerate(_stretches(flags > 0)):
        axes.axvspan(
            begin_ - 0.5,
            end - 0.5,
            color=theme.grid,
            alpha=0.8,
            linewidth=0,
            zorder=0,
            label=name if place == 0 else None,
        )


def _stretches(flags: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Where something begins, and where it is no more."""
    edges = np.flatnonzero(np.diff(flags.astype(int), prepend=0, append=0))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def draw_text(
    tokens: Sequence[str],
    values: Floats,
    path: Path,
    theme: Theme,
    *,
    title: str = "",
    note: str = "",
    bound: float = 1.0,
) -> Path:
    """Draw a text, each token on the colour of what one unit held behind it [T]."""
    cells = letters.places(tokens, COLUMNS, LINES)
    lines = 1 + cells[-1].line
    figure = begin(theme, 16 + 3.1 * lines)
    axes = figure.subplots()
    size = (
        0.9 * (theme.width - 4) / COLUMNS / 0.602 / 25.4 * 72
    )  # a letter of this font is 0.602 wide
    image = letters.colour(
        axes, cells, values.tolist(), COLUMNS, size, cmap=theme.signed, vmin=-bound, vmax=bound
    )
    look: dict[str, Any] = {"location": "bottom", "pad": 0.01, "aspect": 40, "shrink": 0.6}
    colorbar(figure, image, axes, theme, ticks=4, **look)
    return save(figure, path, title, theme=theme, note=note)
