"""Intervals made honest by the validation part."""

from __future__ import annotations

import numpy as np
import torch

from unrolled.files.columns import Floats
from unrolled.recipes._series.calibration import Calibration
from unrolled.recipes._series.forecaster import LEAST, Forecaster
from unrolled.recipes._series.panel import Panel, Parts
from unrolled.recipes._series.predicting import predict

__all__ = ["Intervals"]

SURE = 20
"""Horizons that the validation part has to hold before an interval is made narrower by it."""


class Intervals:
    """The intervals of a model, as its validation part sees them."""

    def __init__(self, model: Forecaster, panel: Panel, parts: Parts, context: int) -> None:
        self._model, self._panel, self._context = model, panel, context
        self._origins = parts.validation_origins
        self._wide = np.empty(0)

    @property
    def _given(self) -> bool:
        return len(self._origins) > 0 and len(self._model.quantiles) > 1

    def calibrate(self) -> None:
        """Learn how far each interval is to be widened, in multiples of its own width.

        An interval is wide where the network is unsure, so it is widened more there: CQR-r of
        Sesia and Candès, "A comparison of some conformal quantile regression methods" (2020).
        Their exchangeable samples are here errors that overlap, and so count as fewer; and few
        make no interval narrower.
        """
        if not self._given:
            return
        model = self._model
        found, widths = self._found()
        truth = self._panel.following(self._origins, model.horizon).numpy()
        half = len(model.quantiles) // 2
        sure = len(self._origins) >= SURE * model.horizon
        for place in range(half):
            level = model.quantiles[place]
            for column in range(self._panel.width):
                of = widths[place, ..., column]
                at = (place, half, -1 - place)
                ends = np.stack([found[:, :, column, one] / of for one in at], -1)
                ahead = truth[..., column] / of
                levels = (level, 0.5, 1 - level)
                fitted = Calibration.fit(ends, ahead, levels, overlapping=True)
                wider = fitted.corrections[:, 0]
                wider = wider if sure else np.maximum(wider, 0.0)
                model.widening[place, :, column] = torch.from_numpy(wider.copy())
                model.notes += [note for note in fitted.notes if note not in model.notes]
        self._wide = self._mean_width(widths)

    def keep_width(self) -> None:
        """Let the intervals be as wide as they were, after the networks have learnt anew.

        They have then learnt from the validation part itself, and are surer there than they are
        to be of what comes.
        """
        if not self._given:
            return
        model = self._model
        before = self._wide
        _, widths = self._found()
        mean = np.nanmean(widths, 2)
        model.widening.copy_(torch.from_numpy((before / mean - 1) / 2))

    def _found(self) -> tuple[Floats, Floats]:
        """Quantiles as the networks give them, and the widths of the intervals.

        [horizon, origins, targets, quantiles], and [intervals, horizon, origins, targets].
        """
        model = self._model
        kept = model.widening.clone()
        model.widening.zero_()
        found = predict(model, self._panel, self._origins, self._context)
        model.widening.copy_(kept)
        groups = torch.from_numpy(self._panel.group_of[self._origins])
        least = LEAST * model.sizes(groups).numpy()
        half = len(model.quantiles) // 2
        widths = [found[..., -1 - place] - found[..., place] for place in range(half)]
        return found, np.maximum(np.stack(widths), least)

    def _mean_width(self, widths: Floats) -> Floats:
        """Of each interval, step and target, once widened."""
        wider = 1 + 2 * self._model.widening.numpy()
        mean: Floats = np.nanmean(widths, 2) * wider
        return mean
