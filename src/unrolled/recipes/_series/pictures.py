"""Pictures of a forecast over the part of a series that nothing was learned from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from unrolled.files.columns import Floats
from unrolled.files.timeline import Timeline
from unrolled.pictures import plots
from unrolled.recipes._series.forecasting import Origins, Split

__all__ = ["draw_forecasts"]


def draw_forecasts(
    split: Split,
    timeline: Timeline,
    forecasters: Mapping[str, Callable[[Origins], Floats]],
    name: str,
    path: Path,
) -> Path:
    """Draw what each forecaster gives from origins in the test part, over what happened.

    One step ahead, every row of the test part is forecast; of the whole horizon, as many as fit
    without overlapping.
    """
    places, last = timeline.places, len(split.values) - 1
    apart = np.arange(split.border - 1, last - split.horizon + 1, split.horizon)
    fans = {who: forecast(apart) for who, forecast in forecasters.items()}
    return plots.forecast(
        places[split.border :],
        split.values[split.border :],
        {
            who: forecast(np.arange(split.border - 1, last))[0]
            for who, forecast in forecasters.items()
        },
        path,
        fans=[
            plots.Fan(
                places[origin + 1 : origin + 1 + split.horizon],
                {who: values[:, n] for who, values in fans.items()},
            )
            for n, origin in enumerate(apart)
            if split.horizon > 1
        ],
        title=f"{name}: forecasts beyond what was learned from",
        xlabel=timeline.name,
        ylabel=name,
    )
