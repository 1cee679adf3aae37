"""A text coloured by surprise: how many bits each of its tokens took."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from unrolled.pictures import letters, toolkit

__all__ = ["COLUMNS", "LINES", "surprise"]

COLUMNS, LINES = 76, 18


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
    cells = letters.places(tokens, COLUMNS, LINES)
    figure = Figure(figsize=(9, 1 + 0.22 * (1 + cells[-1].line)), layout="constrained")
    axes = figure.subplots()
    # These colours tell more from less in grey too.
    image = letters.colour(axes, cells, bits, COLUMNS, 8.4, cmap="YlOrRd", vmin=0, vmax=most)
    figure.colorbar(image, extend="max", pad=0.01, aspect=30, label="bits")
    return toolkit.save(figure, path, title)
