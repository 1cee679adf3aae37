"""What every picture is drawn with: a page's colours and letters, axes, legends, maps, the file.

Drawn through matplotlib's objects, not pyplot: no window, no global figure, safe in any thread.
The colours are Okabe and Ito's (2008), which colour-blind eyes tell apart; each line differs in
its dashes too, so a grey print tells the same.  What has a sign goes from blue over the page's own
ground to orange, so that 0 is nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from unrolled.files.whole import make_folder, replace_file
from unrolled.pictures.fonts import Canvas

__all__ = [
    "BLUE",
    "DARK",
    "FAINT",
    "GATES",
    "GREEN",
    "INK",
    "LIGHT",
    "ORANGE",
    "PAGE",
    "PURPLE",
    "Floats",
    "Theme",
    "begin",
    "colorbar",
    "dress",
    "heat_map",
    "is_wide",
    "legend_above",
    "legend_below",
    "name_steps",
    "save",
]

Floats = npt.NDArray[np.float64]

INK, FAINT = "#222222", "#9A9A9A"
BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#E69F00", "#009E73", "#CC79A7"
LETTER = 0.62  # of a point's height, a letter's width at the most in the common fonts
GATES = {
    "i": "input gate i",
    "f": "forget gate f",
    "g": "block input g",
    "o": "output gate o",
    "c": "cell state c",
    "h": "hidden state h",
}


@dataclass(frozen=True)
class Theme:
    """The colours of a page, its width in millimetres, and its letters in points."""

    ground: str
    ink: str
    soft: str
    grid: str
    lines: tuple[str, ...]
    signed: Colormap
    share: str = "cividis"
    width: float = 85.0  # half of what a page holds beside its margins
    small: float = 6.2
    plain: float = 7.0
    large: float = 8.0
    line: float = 1.2
    dpi: int = 240

    def look(self, place: int) -> dict[str, Any]:
        """How the line at that place is drawn; each differs in its dashes too, for a grey print."""
        dashes = ("-", "--", ":", "-.", (0, (1, 1)), (0, (3, 1, 1, 1, 1, 1)))
        return {
            "color": self.lines[place % len(self.lines)],
            "linestyle": dashes[place % len(dashes)],
            "linewidth": self.line,
            "zorder": 4 - min(place, 9) / 10,
        }


def _signed(low: str, middle: str, high: str) -> Colormap:
    return LinearSegmentedColormap.from_list("signed", [low, middle, high])


LIGHT = Theme(
    ground="#FFFFFF",
    ink=INK,
    soft="#5A5A5A",
    grid="#E2E2E2",
    lines=(BLUE, "#D55E00", GREEN, PURPLE, "#444444"),
    signed=_signed(BLUE, "#FFFFFF", "#D55E00"),
)
"""Half a page, on white."""

DARK = Theme(
    ground="#15181C",
    ink="#EDEDED",
    soft="#B4B4B4",
    grid="#3A3F45",
    lines=("#56B4E9", ORANGE, "#2FC79A", "#E3A3C4", "#F0E442"),
    signed=_signed("#56B4E9", "#15181C", ORANGE),
)
"""Half a page, on a dark ground."""

PAGE = Theme(
    ground="#FFFFFF",
    ink=INK,
    soft="#6E6E6E",
    grid="#E4E4E4",
    lines=(BLUE, ORANGE, FAINT, PURPLE, GREEN),
    signed=_signed(BLUE, "#FFFFFF", "#D55E00"),
    width=228.6,
    small=9.5,
    plain=10.5,
    large=13.0,
    line=1.6,
    dpi=150,
)
"""A whole page, on white: what a training leaves in its folder."""


def begin(theme: Theme, height: float, width: float | None = None) -> Figure:
    """A figure ``height`` millimetres high, as wide as the page unless ``width`` is given."""
    layout = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03)
    size = ((theme.width if width is None else width) / 25.4, height / 25.4)
    figure = Figure(figsize=size, layout=layout)
    figure.set_facecolor(theme.ground)
    return figure


def dress(
    axes: Axes,
    theme: Theme = PAGE,
    *,
    title: str = "",
    xlabel: str = "",
    ylabel: str = "",
    grid: str = "y",
) -> None:
    """Give axes their words and colours, and faint lines to read values by (grid: x, y or "")."""
    axes.set_facecolor(theme.ground)
    axes.set_title(
        title, loc="left", fontsize=theme.plain, color=theme.ink, pad=3, parse_math=False
    )
    axes.set_xlabel(xlabel, fontsize=theme.plain, color=theme.ink, labelpad=2)
    axes.set_ylabel(ylabel, fontsize=theme.plain, color=theme.ink, labelpad=2)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(theme.soft)
    look: dict[str, Any] = {"color": theme.soft, "labelcolor": theme.ink, "labelsize": theme.small}
    axes.tick_params(which="both", length=theme.small / 3, pad=1.5, **look)
    for axis in (axes.xaxis, axes.yaxis):
        axis.get_offset_text().set(fontsize=theme.small, color=theme.ink)  # such as 1e−6
    if grid:
        axes.grid(axis=grid, color=theme.grid, linewidth=0.6)  # type: ignore[arg-type]
    axes.set_axisbelow(True)


def legend_above(axes: Axes, theme: Theme = PAGE) -> None:
    """Say in one line above the axes what is what."""
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=4,
        frameon=False,
        fontsize=theme.small,
        labelcolor=theme.ink,
        handlelength=1.7,
        columnspacing=0.8,
        borderpad=0.1,
    )


def legend_below(figure: Figure, axes: Axes, theme: Theme = PAGE, columns: int = 3) -> None:
    """Say below all axes what the lines of one of them are, in so many columns at the most."""
    handles, names = axes.get_legend_handles_labels()
    if not handles:
        return
    figure.legend(
        handles,
        names,
        loc="outside lower center",
        ncols=min(columns, len(names)),
        frameon=False,
        fontsize=theme.small,
        labelcolor=theme.ink,
        handlelength=2.2,
        columnspacing=1.0,
    )


def heat_map(figure: Figure, axes: Axes, name: str, values: Floats, theme: Theme = PAGE) -> None:
    """Draw a gate or a state [T, H] with time to the right; the scale says what it can be."""
    is_share = name in "ifo"
    finite = np.abs(values[np.isfinite(values)])
    # A cell that counts up is drawn to the end of its scale; one wild value does not hide the rest.
    high = float(np.quantile(finite, 0.99)) if finite.size else 1.0
    bound = 1.0 if name in "gh" else max(1.0, high)
    image = axes.imshow(
        values.T,
        aspect="auto",
        interpolation="nearest",
        cmap=theme.share if is_share else theme.signed,
        vmin=0.0 if is_share else -bound,
        vmax=1.0 if is_share else bound,
    )
    dress(axes, theme, title=GATES[name], ylabel="unit", grid="")
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    beyond = finite.size and finite.max() > bound * 1.001
    extend = "both" if beyond else "neither"
    colorbar(figure, image, axes, theme, pad=0.015, aspect=9, extend=extend)


def colorbar(
    figure: Figure, image: AxesImage, axes: Axes, theme: Theme = PAGE, ticks: int = 2, **more: Any
) -> Colorbar:
    """A scale of colours beside the axes, in the page's letters and without a frame."""
    bar = figure.colorbar(image, ax=axes, **more)
    look: dict[str, Any] = {"color": theme.soft, "labelcolor": theme.ink, "labelsize": theme.small}
    bar.ax.tick_params(length=theme.small / 3, pad=1.5, **look)
    bar.outline.set_visible(False)
    bar.locator = MaxNLocator(ticks)
    bar.update_ticks()
    return bar


def is_wide(values: Floats, more: Sequence[float] = ()) -> bool:
    """Whether values, with some more, span too much for a linear scale: a factor of 30."""
    every = np.concatenate([np.asarray(values, dtype=float), np.asarray(more, dtype=float)])
    finite = every[np.isfinite(every) & (every > 0)]
    return bool(finite.size and finite.max() / finite.min() > 30 and not (every < 0).any())


def save(
    figure: Figure, path: Path, title: str = "", *, theme: Theme = PAGE, note: str = ""
) -> Path:
    """Put the title above and the note below, and write the PNG file, whole at any moment."""
    words: dict[str, Any] = {"x": 0.012, "ha": "left", "parse_math": False}
    if title:
        figure.suptitle(title, fontsize=theme.large, color=theme.ink, **words)
    if note:
        figure.supxlabel(note, fontsize=theme.small, color=theme.soft, **words)
    Canvas(figure)
    make_folder(path.parent)
    look: dict[str, Any] = {"format": "png", "dpi": theme.dpi, "facecolor": theme.ground}
    replace_file(path, lambda beside: figure.savefig(beside, **look))
    return path


def name_steps(axes: Axes, names: Sequence[str], theme: Theme, *, above: bool = False) -> None:
    """Write a word at every step, upright where they are long, or at as many as there is room."""
    room = 0.8 * theme.width / 25.4 * 72 / max(len(names), 1)  # points to a step
    longest = max((len(line) for name in names for line in name.split("\n")), default=1)
    needed = (longest + 0.3) * LETTER * theme.small
    turned = needed > room and room > 1.15 * theme.small
    apart = 1 if turned else max(1, -int(-needed // room))
    places = range(0, len(names), apart)
    axes.set_xticks(list(places), [_shown(names[place]) for place in places])
    axes.tick_params(
        axis="x",
        top=False,
        bottom=False,
        labeltop=above,
        labelbottom=not above,
        labelsize=theme.small,
        rotation=90 if turned else 0,
        labelcolor=theme.ink,
        pad=1,
    )
    for label in axes.get_xticklabels():
        label.set_parse_math(False)


def _shown(name: str) -> str:
    marks = {
        "\n": "\N{DOWNWARDS ARROW WITH CORNER LEFTWARDS}",
        " ": "\N{OPEN BOX}",
        "\t": "\N{RIGHTWARDS ARROW}",
    }
    return marks.get(name, name)
