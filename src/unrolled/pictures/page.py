"""What the pictures share: half a page's width, letters of 6 points or more, light and dark.

The colours are Okabe and Ito's (2008), which colour-blind eyes tell apart; what has a sign goes
from blue over the page's own ground to orange, so that 0 is nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from unrolled.pictures import plots

__all__ = [
    "DARK",
    "LIGHT",
    "SMALL",
    "WIDTH",
    "Theme",
    "begin",
    "dress",
    "finish",
    "legend_above",
    "name_steps",
]

WIDTH = 85.0  # millimetres: half of what a page holds beside its margins
SMALL, PLAIN, LARGE = 6.2, 7.0, 8.0  # points
DPI = 240
LETTER = 0.62  # of a point's height, a letter's width at the most in the common fonts


@dataclass(frozen=True)
class Theme:
    """The colours of a page."""

    ground: str
    ink: str
    soft: str
    grid: str
    lines: tuple[str, ...]
    signed: Colormap
    share: str = "cividis"

    def look(self, place: int) -> dict[str, Any]:
        """How the line at that place is drawn; each differs in its dashes too, for a grey print."""
        dashes = ("-", "--", "-.", ":", (0, (3, 1, 1, 1, 1, 1)))
        return {
            "color": self.lines[place % len(self.lines)],
            "linestyle": dashes[place % len(dashes)],
            "linewidth": 1.2,
            "zorder": 4,
        }


def _signed(low: str, middle: str, high: str) -> Colormap:
    return LinearSegmentedColormap.from_list("signed", [low, middle, high])


LIGHT = Theme(
    ground="#FFFFFF",
    ink="#222222",
    soft="#5A5A5A",
    grid="#E2E2E2",
    lines=(plots.BLUE, "#D55E00", plots.GREEN, plots.PURPLE, "#444444"),
    signed=_signed(plots.BLUE, "#FFFFFF", "#D55E00"),
)
DARK = Theme(
    ground="#15181C",
    ink="#EDEDED",
    soft="#B4B4B4",
    grid="#3A3F45",
    lines=("#56B4E9", plots.ORANGE, "#2FC79A", "#E3A3C4", "#F0E442"),
    signed=_signed("#56B4E9", "#15181C", plots.ORANGE),
)


def begin(theme: Theme, height: float) -> Figure:
    """A figure as wide as half a page, and ``height`` millimetres high."""
    layout = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03)
    figure = Figure(figsize=(WIDTH / 25.4, height / 25.4), layout=layout)
    figure.set_facecolor(theme.ground)
    return figure


def dress(
    axes: Axes,
    theme: Theme,
    *,
    title: str = "",
    xlabel: str = "",
    ylabel: str = "",
    grid: str = "y",
) -> None:
    """Give axes their words and colours, and faint lines to read values by (grid: x, y or "")."""
    axes.set_facecolor(theme.ground)
    axes.set_title(title, loc="left", fontsize=PLAIN, color=theme.ink, pad=3, parse_math=False)
    axes.set_xlabel(xlabel, fontsize=PLAIN, color=theme.ink, labelpad=2)
    axes.set_ylabel(ylabel, fontsize=PLAIN, color=theme.ink, labelpad=2)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(theme.soft)
    axes.tick_params(
        which="both", color=theme.soft, labelcolor=theme.ink, labelsize=SMALL, length=2, pad=1.5
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.get_offset_text().set(fontsize=SMALL, color=theme.ink)  # such as 1e−6
    if grid:
        axes.grid(axis=grid, color=theme.grid, linewidth=0.6)  # type: ignore[arg-type]
    axes.set_axisbelow(True)


def legend_above(axes: Axes, theme: Theme) -> None:
    """Say in one line above the axes what is what."""
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=4,
        frameon=False,
        fontsize=SMALL,
        labelcolor=theme.ink,
        handlelength=1.7,
        columnspacing=0.8,
        borderpad=0.1,
    )


def finish(figure: Figure, path: Path, theme: Theme, title: str, note: str = "") -> Path:
    """Put the title above, and below it in smaller letters what there is to say; write the file."""
    figure.suptitle(title, x=0.012, ha="left", fontsize=LARGE, color=theme.ink, parse_math=False)
    if note:
        figure.supxlabel(
            note, x=0.012, ha="left", fontsize=SMALL, color=theme.soft, parse_math=False
        )
    return plots.save(figure, path, "", ground=theme.ground, dpi=DPI)


def name_steps(axes: Axes, names: Sequence[str], theme: Theme, *, above: bool = False) -> None:
    """Write a word at every step, upright where they are long, or at as many as there is room."""
    room = 0.8 * WIDTH / 25.4 * 72 / max(len(names), 1)  # points to a step
    longest = max((len(line) for name in names for line in name.split("\n")), default=1)
    needed = (longest + 0.3) * LETTER * SMALL
    turned = needed > room and room > 1.15 * SMALL
    apart = 1 if turned else max(1, -int(-needed // room))
    places = range(0, len(names), apart)
    axes.set_xticks(list(places), [_shown(names[place]) for place in places])
    axes.tick_params(
        axis="x",
        top=False,
        bottom=False,
        labeltop=above,
        labelbottom=not above,
        labelsize=SMALL,
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
