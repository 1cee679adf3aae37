"""The picture of forecasts over the part of a series that nothing was learned from."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from unrolled.files.columns import Floats
from unrolled.pictures import plots
from unrolled.recipes._series.judging import Judge

__all__ = ["draw_forecasts"]


def draw_forecasts(
    judge: Judge, found: Floats, levels: tuple[float, ...], most: int, path: Path
) -> Path:
    """Draw what each gives from origins in the test part, over what happened.

    One step ahead, the last rows of the test part are forecast; of the whole horizon, as many as
    fit without overlapping.
    """
    panel, horizon = judge.panel, judge.horizon
    chosen = np.flatnonzero(panel.group_of[judge.origins] == 0)[-most:]
    rows = judge.origins[chosen] - panel.starts[0]
    said = {"LSTM": found[:, chosen, 0, found.shape[-1] // 2]}
    shown = ("ar", "persistence") if judge.few else tuple(judge.names)
    said |= {judge.names[key]: judge.rival(key)[:, chosen] for key in shown}
    places = np.asarray(panel.timelines[0].places)
    apart = _apart(rows, horizon) if horizon > 1 else []
    band = None
    if len(levels) > 1:
        band = (f"{100 * (1 - 2 * levels[0]):g} %", found[0, chosen, 0, 0], found[0, chosen, 0, -1])
    return plots.forecast(
        places[rows + 1],
        panel.series(0)[rows + 1],
        {who: values[0] for who, values in said.items()},
        path,
        fans=[
            plots.Fan(
                places[rows[n] + 1 : rows[n] + 1 + horizon],
                {who: values[:, n] for who, values in said.items()},
            )
            for n in apart
        ],
        band=band,
        title=f"{panel.targets[0]}: forecasts beyond what was learned from",
        xlabel=panel.timelines[0].name,
        ylabel=panel.targets[0],
    )


def _apart(rows: Floats, horizon: int) -> list[int]:
    """Origins whose horizons do not overlap."""
    found: list[int] = []
    for number, row in enumerate(rows.tolist()):
        if not found or row >= rows[found[-1]] + horizon:
            found.append(number)
    return found
