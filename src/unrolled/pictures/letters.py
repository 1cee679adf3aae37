"""A text as a grid of letters, each on a colour of its own."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.image import AxesImage

__all__ = ["LetterPlace", "colour", "places"]

FAMILY = "DejaVu Sans Mono"  # matplotlib brings it
MISSING = "\N{WHITE SQUARE}"
MARKS = {"\n": "\N{DOWNWARDS ARROW WITH CORNER LEFTWARDS}", "\t": "\N{RIGHTWARDS ARROW}"}


class LetterPlace(NamedTuple):
    """A letter's place in the grid, and the number of the token that it is of."""

    line: int
    column: int
    letter: str
    token: int


def places(tokens: Sequence[str], columns: int, lines: int) -> list[LetterPlace]:
    """Where each letter stands; lines break where the text does, or full; what is over is left."""
    found: list[LetterPlace] = []
    line = column = 0
    for number, token in enumerate(tokens):
        for letter in token:
            if column == columns:
                line, column = line + 1, 0
            if line == lines:
                return found
            found.append(LetterPlace(line, column, letter, number))
            line, column = (line + 1, 0) if letter == "\n" else (line, column + 1)
    return found


def colour(
    axes: Axes,
    cells: Sequence[LetterPlace],
    values: Sequence[float],
    columns: int,
    fontsize: float,
    **image: Any,
) -> AxesImage:
    """Draw letters, each on the colour of its token's value.

    Parameters
    ----------
    axes
    cells
        As `places` gives them.
    values
        One for each token.
    columns
        How wide the grid is.
    fontsize
        Of the letters, in points.
    **image
        ``cmap``, ``vmin`` and ``vmax``, as matplotlib takes them.
    """
    shown: npt.NDArray[np.float64] = np.full((1 + cells[-1].line, columns), np.nan)
    for cell in cells:
        shown[cell.line, cell.column] = values[cell.token]
    drawn = axes.imshow(shown, aspect="auto", interpolation="nearest", **image)
    colours = drawn.to_rgba(np.array([values[cell.token] for cell in cells]))
    for cell, (red, green, blue, _) in zip(cells, colours, strict=True):
        light = 0.3 * red + 0.59 * green + 0.11 * blue > 0.5
        axes.text(
            cell.column,
            cell.line,
            _drawn(cell.letter),
            color="#111111" if light else "#FFFFFF",
            family=FAMILY,
            fontsize=fontsize,
            ha="center",
            va="center_baseline",
            parse_math=False,
            in_layout=False,
        )
    axes.set_axis_off()
    return drawn


def _drawn(letter: str) -> str:
    """The letter, or a sign for one that has no shape or that the font does not have."""
    letter = MARKS.get(letter, letter)
    known = get_font(findfont(FontProperties(family=FAMILY))).get_char_index(ord(letter))
    return letter if known and unicodedata.category(letter)[0] != "C" else MISSING
