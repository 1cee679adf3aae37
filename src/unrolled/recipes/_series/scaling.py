"""What windows and targets are divided by, learnt from each series' own training part."""

from __future__ import annotations

import dataclasses
import warnings
from dataclasses import dataclass

import numpy as np

from unrolled.files.columns import Floats, Integers
from unrolled.recipes._series.panel import Panel, Parts
from unrolled.recipes._series.settings import Setting

__all__ = ["Scales", "scales_of", "unscaled"]

MOST = 20_000  # windows that a scale is learnt from
BELOW = 4  # times the least value: above it asinh is a logarithm within a tenth


@dataclass(frozen=True)
class Scales:
    """Means and sizes in a series' own units.

    ``mean`` and ``scale`` are [G, C], ``target_scale`` [G, horizon, targets], ``season_scale`` and
    ``bend`` [G, targets], the others [K].  With a bend, all are of bent values, asinh(x / bend).
    """

    mean: Floats
    scale: Floats
    target_scale: Floats
    known_mean: Floats
    known_scale: Floats
    season_scale: Floats
    bend: Floats

    def named(self, alone: bool) -> dict[str, Floats]:
        """By the names of a model's buffers; of one column alone without sizes of 1."""
        named = dict(vars(self))
        if alone:
            sizes: dict[str, tuple[int, ...]] = {"mean": (), "scale": (), "target_scale": (-1,)}
            sizes |= {"season_scale": (), "bend": ()}
            named |= {name: named[name].reshape(shape) for name, shape in sizes.items()}
        return named


def unscaled(panel: Panel, horizon: int) -> Scales:
    """Nothing is moved or divided."""
    groups, columns, known = len(panel.groups), panel.values.shape[1], len(panel.ahead)
    return Scales(
        np.zeros((groups, columns)),
        np.ones((groups, columns)),
        np.ones((groups, horizon, panel.width)),
        np.zeros(known),
        np.ones(known),
        np.ones((groups, panel.width)),
        np.ones((groups, panel.width)),
    )


def scales_of(
    panel: Panel, parts: Parts, setting: Setting, horizon: int, *, changes: bool
) -> Scales:
    """Learn the scales; changes count from each window's last value, or else from the mean.

    With a season, forecasts count from the value one season before, whatever ``changes`` says.
    """
    scales = unscaled(panel, horizon)
    if setting.bent:
        panel = _bent(panel, parts, scales.bend)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the mean of nothing but blanks
        for group in range(len(panel.groups)):
            origins = parts.training_origins
            origins = _some(origins[panel.group_of[origins] == group])
            _one(panel, parts, group, origins, setting, horizon, changes, scales)
        learnt = panel.known[parts.learnt]
        scales.known_mean[:] = np.nan_to_num(np.nanmean(learnt, 0))
        spread = np.nan_to_num(np.nanstd(learnt, 0))
    scales.known_scale[:] = np.where(spread > 0, spread, 1)
    return scales


def _bent(panel: Panel, parts: Parts, bend: Floats) -> Panel:
    """The panel with its targets as asinh(x / bend), and each series' own bend.

    Where all is above 0 that is a logarithm; where there are zeros, as in counts, it is one above
    the median, and a straight line below.
    """
    values = panel.values.copy()
    for group, start in enumerate(panel.starts.tolist()):
        after = [*panel.starts.tolist(), len(values)][group + 1]
        learnt = values[start : int(parts.validation[group]), : panel.width]
        least = np.nanmin(learnt, 0)
        bend[group] = np.where(least > 0, least / BELOW, np.nanmedian(learnt, 0) / 2)
        bend[group][bend[group] <= 0] = 1.0
        targets = values[start:after, : panel.width]
        values[start:after, : panel.width] = np.arcsinh(targets / bend[group])
    return dataclasses.replace(panel, values=values)


def _one(
    panel: Panel,
    parts: Parts,
    group: int,
    origins: Integers,
    setting: Setting,
    horizon: int,
    changes: bool,
    scales: Scales,
) -> None:
    start = int(panel.starts[group])
    rows = slice(start, int(parts.validation[group]))
    learnt = panel.values[rows]
    for column in range(panel.values.shape[1]):
        values = panel.values[:, column]
        mean = scales.mean[group, column] = np.nan_to_num(np.nanmean(learnt[:, column]))
        if column >= panel.width:
            scales.scale[group, column] = np.nan_to_num(np.nanstd(learnt[:, column])) or 1
            continue
        read = values[origins + np.arange(1 - setting.window, 1)[:, None]]
        held = _held(values[start:])
        base = held[origins - start] if changes or setting.season else mean
        if setting.level:
            base = held[origins - start + np.arange(1 - setting.window, 1)[:, None]].mean(0)
        scale = size(read - base) or float(np.nanstd(learnt[:, column])) or 1.0
        scales.scale[group, column] = scale
        if setting.season:
            over = learnt[setting.season :, column] - learnt[: -setting.season, column]
            scales.season_scale[group, column] = size(over) or scale
        for step in range(horizon):
            if setting.season:
                before = origins - start + step % setting.season + 1 - setting.season
                base = held[before]
            # A change over exactly one period is always 0, and 0 divides nothing.
            ahead = size(values[origins + step + 1] - base) or scale
            scales.target_scale[group, step, column] = ahead


def size(values: Floats) -> float:
    """Root of the mean square of what is there."""
    return float(np.nan_to_num(np.sqrt(np.nanmean(np.square(values))))) if values.size else 0.0


def _held(values: Floats) -> Floats:
    """A series whose blanks hold what was there before."""
    last = np.maximum.accumulate(np.where(np.isfinite(values), np.arange(len(values)), 0))
    held: Floats = values[last]
    return held


def _some(origins: Integers) -> Integers:
    if len(origins) <= MOST:
        return origins
    return origins[np.linspace(0, len(origins) - 1, MOST).astype(np.int64)]
