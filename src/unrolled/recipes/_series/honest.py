"""Intervals made honest by the validation part."""

from __future__ import annotations

import torch

from unrolled.recipes._series.calibration import Calibration
from unrolled.recipes._series.forecaster import Forecaster
from unrolled.recipes._series.panel import Panel, Parts
from unrolled.recipes._series.predicting import predict

__all__ = ["calibrate"]


def calibrate(model: Forecaster, panel: Panel, parts: Parts, context: int) -> None:
    """Learn how far each interval is to be widened, as a multiple of its series' changes."""
    origins = parts.validation_origins
    if not len(origins) or len(model.quantiles) < 2:
        return
    model.widening.zero_()
    found = predict(model, panel, origins, context)
    truth = panel.following(origins, model.horizon).numpy()
    scale = model.sizes(torch.from_numpy(panel.group_of[origins])).numpy()
    for column in range(panel.width):
        size = scale[..., column]
        quantiles, ahead = found[:, :, column] / size[..., None], truth[..., column] / size
        fitted = Calibration.fit(quantiles, ahead, model.quantiles)
        model.widening[..., column] = torch.from_numpy(fitted.corrections.T.copy())
