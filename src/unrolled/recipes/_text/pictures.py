"""A text coloured by surprise: how many bits each of its tokens took."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.patches import Rectangle

__all__ = ["COLUMNS", "LINES", "surprise"]

COLUMNS, LINES = 76, 18
SHADES = "YlOrRd"  # light to dark, in grey too
INK = "#222222"
FAMILY = "DejaVu Sans Mono"  # matplotlib brings it
MISSING = "\N{WHITE SQUARE}"
MARKS = {"\n": "\N{DOWNWARDS ARROW WITH CORNER LEFTWARDS}", "\t": "\N{RIGHTWARDS ARROW}"}


def surprise(
    tokens: Sequence[str], bits: Sequence[float], path: Path, *, title: str = "", most: float = 10
) -> Path:
    """Draw a text, each token on a colour that says how many bits it took.

    Parameters
    ----------
    tokens
        As they follow each other, with the spaces between words.
    bits
        One for each token.
    path
        Where the PNG file goes.
    title
        Above the picture.
    most
        The colours end here: what took more looks the same.
    """
    figure = Figure(figsize=(9, 4.9), layout="constrained")
    axes = figure.subplots()
    place = _write(axes, tokens, bits, most)
    axes.set_xlim(0, COLUMNS)
    axes.set_ylim(min(LINES, place[0] + 1), 0)
    axes.set_axis_off()
    bar = figure.colorbar(
        ScalarMappable(Normalize(0, most), SHADES), ax=axes, extend="max", pad=0.01, aspect=30
    )
    bar.set_label("bits")
    figure.suptitle(title, x=0.01, ha="left", fontsize=13)
    FigureCanvasAgg(figure)
    beside = path.with_name(f".{path.name}.writing")
    figure.savefig(beside, format="png", dpi=150, facecolor="white")
    os.replace(beside, path)
    return path


def _write(
    axes: Axes, tokens: Sequence[str], bits: Sequence[float], most: float
) -> tuple[int, int]:
    """Put the tokens on lines, broken where they end in the text or are full."""
    colours = colormaps[SHADES]
    line = column = 0
    for token, needed in zip(tokens, bits, strict=True):
        for letter in token:
            if column == COLUMNS:
                line, column = line + 1, 0
            if line == LINES:
                return line - 1, column
            colour = colours(min(needed / most, 1.0))
            axes.add_patch(Rectangle((column, line), 1, 1, color=colour, linewidth=0))
            axes.text(
                column + 0.5,
                line + 0.52,
                _drawn(letter),
                family=FAMILY,
                fontsize=8.4,
                ha="center",
                va="center",
                color="white" if needed > 0.7 * most else INK,
                parse_math=False,
            )
            column += 1
            if letter == "\n":
                line, column = line + 1, 0
    return line, column


def _drawn(letter: str) -> str:
    """The letter, or a sign for one that has no shape or that the font does not have."""
    letter = MARKS.get(letter, letter)
    known = get_font(findfont(FontProperties(family=FAMILY))).get_char_index(ord(letter))
    return letter if known and unicodedata.category(letter)[0] != "C" else MISSING
