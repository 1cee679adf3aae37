"""The picture of what comes after the end of series, with intervals around it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from unrolled.pictures.toolkit import BLUE, INK, PAGE, Floats, begin, dress, legend_below, save

__all__ = ["Future", "futures"]


class Future(NamedTuple):
    """The last stretch of a series and what is forecast after it.

    ``bands`` are intervals from the widest to the narrowest: name, lower and upper end.
    """

    title: str
    places: Any
    values: Floats
    places_ahead: Any
    ahead: Floats
    bands: Sequence[tuple[str, Floats, Floats]] = ()


def futures(panels: Sequence[Future], path: Path, *, title: str = "") -> Path:
    """Draw one panel below the other."""
    figure = begin(PAGE, 28 + 62 * len(panels))
    grid = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
    for axes, one in zip(grid, panels, strict=True):
        axes.plot(one.places, one.values, color=INK, label="until now")
        for place, (name, low, high) in enumerate(one.bands):
            shade = 0.15 + 0.15 * place
            where, ends = _joined(one, low), _joined(one, high)
            axes.fill_between(_all(one), where, ends, color=BLUE, alpha=shade, lw=0, label=name)
        few = {"marker": "o", "ms": 3} if len(one.ahead) < 25 else {}
        axes.plot(_all(one), _joined(one, one.ahead), color=BLUE, label="forecast", **few)
        axes.margins(x=0.01)
        dress(axes, title=one.title)
    legend_below(figure, grid[0], columns=4)
    return save(figure, path, title)


def _all(one: Future) -> Any:
    """The places of the forecast, and before them that of the last value."""
    return np.concatenate((np.asarray(one.places)[-1:], np.asarray(one.places_ahead)))


def _joined(one: Future, ahead: Floats) -> Floats:
    """A forecast that begins at the last value."""
    return np.concatenate((one.values[-1:], ahead))
