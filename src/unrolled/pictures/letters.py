"""A text as a grid of letters, each on a colour of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from unrolled.pictures.fonts import code_point, has_glyph

__all__ = ["LetterPlace", "colour", "places"]

FAMILY = "DejaVu Sans Mono"  # matplotlib brings it
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
    grid = axes.imshow(shown, aspect="auto", interpolation="nearest", **image)
    colours = grid.to_rgba(np.array([values[cell.token] for cell in cells]))
    for cell, (red, green, blue, _) in zip(cells, colours, strict=True):
        drawn = _drawn(cell.letter)
        light = 0.3 * red + 0.59 * green + 0.11 * blue > 0.5
        axes.text(
            cell.column,
            cell.line,
            drawn,
            color="#111111" if light else "#FFFFFF",
            family=FAMILY,
            fontsize=fontsize * (1 if len(drawn) == 1 else 0.42),
            linespacing=0.9,
            ha="center",
            va="center_baseline",
            parse_math=False,
            in_layout=False,
        )
    axes.set_axis_off()
    return grid


def _drawn(letter: str) -> str:
    """The letter; of one that has no shape here the code point, in two lines: U+4E2D is 4E, 2D."""
    letter = MARKS.get(letter, letter)
    if has_glyph(letter):
        return letter
    digits = code_point(letter)[2:]
    return f"{digits[:-2]}\n{digits[-2:]}"
