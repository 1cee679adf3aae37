"""Intervals made honest by the validation part."""

from __future__ import annotations

import numpy as np
import torch

from unrolled.recipes._series.calibration import Calibration
from unrolled.recipes._series.forecaster import LEAST, Forecaster
from unrolled.recipes._series.panel import Panel, Parts
from unrolled.recipes._series.predicting import predict

__all__ = ["calibrate"]


def calibrate(model: Forecaster, panel: Panel, parts: Parts, context: int) -> None:
    """Learn how far each interval is to be widened, in multiples of its own width.

    An interval is wide where the network is unsure, so it is widened more there: CQR-r of Sesia
    and Candès, "A comparison of some conformal quantile regression methods" (2020).
    """
    origins = parts.validation_origins
    if not len(origins) or len(model.quantiles) < 2:
        return
    model.widening.zero_()
    found = predict(model, panel, origins, context)
    truth = panel.following(origins, model.horizon).numpy()
    least = LEAST * model.sizes(torch.from_numpy(panel.group_of[origins])).numpy()
    half = len(model.quantiles) // 2
    for place in range(half):
        low, middle, high = (found[..., at] for at in (place, half, -1 - place))
        width = np.maximum(high - low, least)
        level = model.quantiles[place]
        for column in range(panel.width):
            of = width[..., column]
            ends = np.stack([end[..., column] / of for end in (low, middle, high)], -1)
            ahead = truth[..., column] / of
            fitted = Calibration.fit(ends, ahead, (level, 0.5, 1 - level), overlapping=True)
            widening = torch.from_numpy(fitted.corrections[:, 0].copy())
            model.widening[place, :, column] = widening
