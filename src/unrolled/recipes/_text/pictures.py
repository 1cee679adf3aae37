"""A text coloured by surprise: how many bits each of its tokens took."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font

__all__ = ["COLUMNS", "LINES", "surprise"]

COLUMNS, LINES = 76, 18
FAMILY = "DejaVu Sans Mono"  # matplotlib brings it
_LETTER: dict[str, Any] = {
    "family": FAMILY,
    "fontsize": 8.4,
    "ha": "center",
    "va": "center_baseline",
    "parse_math": False,
}
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
    cells = _places(tokens)
    needed = [bits[token] for _, _, _, token in cells]
    lines = 1 + max(line for line, *_ in cells)
    shown = np.full((lines, COLUMNS), np.nan)
    for (line, column, _, _), one in zip(cells, needed, strict=True):
        shown[line, column] = one
    figure = Figure(figsize=(9, 1 + 0.22 * lines), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shown, "YlOrRd", aspect="auto", vmin=0, vmax=most)  # in grey too
    for (line, column, letter, _), one in zip(cells, needed, strict=True):
        ink = "white" if one > 0.7 * most else "#222222"
        axes.text(column, line, _drawn(letter), color=ink, in_layout=False, **_LETTER)
    axes.set_axis_off()
    figure.colorbar(image, extend="max", pad=0.01, aspect=30, label="bits")
    figure.suptitle(title, x=0.01, ha="left", fontsize=13)
    FigureCanvasAgg(figure)
    beside = path.with_name(f".{path.name}.writing")
    figure.savefig(beside, format="png", dpi=150, facecolor="white")
    os.replace(beside, path)
    return path


def _places(tokens: Sequence[str]) -> list[tuple[int, int, str, int]]:
    """Line, column and letter, and whose token it is; lines break where the text does, or full."""
    found: list[tuple[int, int, str, int]] = []
    line = column = 0
    for number, token in enumerate(tokens):
        for letter in token:
            if column == COLUMNS:
                line, column = line + 1, 0
            if line == LINES:
                return found
            found.append((line, column, letter, number))
            line, column = (line + 1, 0) if letter == "\n" else (line, column + 1)
    return found


def _drawn(letter: str) -> str:
    """The letter, or a sign for one that has no shape or that the font does not have."""
    letter = MARKS.get(letter, letter)
    known = get_font(findfont(FontProperties(family=FAMILY))).get_char_index(ord(letter))
    return letter if known and unicodedata.category(letter)[0] != "C" else MISSING
