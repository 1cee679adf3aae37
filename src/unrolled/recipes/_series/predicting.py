"""A trained forecaster put to use: from many origins at once, and beyond the end of its series."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unrolled.errors import InvalidValueError
from unrolled.files.columns import Floats, Integers
from unrolled.recipes._series.forecaster import Forecaster
from unrolled.recipes._series.panel import Panel

__all__ = ["Ahead", "ahead_of", "batch_at", "known_ahead", "predict"]

AT_ONCE = 4096  # windows


def batch_at(panel: Panel, origins: Integers, window: int, horizon: int) -> tuple[Any, ...]:
    """What the network is given at origins: windows, what is known beside them, whose they are."""
    known = panel.beside(origins, window, horizon) if panel.ahead else None
    several = len(panel.groups) > 1
    groups = torch.from_numpy(panel.group_of[origins]) if several else None
    return panel.window(origins, window), known, groups


@torch.no_grad()
def predict(model: Forecaster, panel: Panel, origins: Integers, window: int) -> Floats:
    """Every quantile from each origin: [horizon, origins, targets, quantiles], in own units."""
    sizes = (model.width, max(len(model.quantiles), 1))
    found = np.empty((model.horizon, len(origins), *sizes))
    for first in range(0, len(origins), AT_ONCE):
        some = slice(first, first + AT_ONCE)
        given = batch_at(panel, origins[some], window, model.horizon)
        found[:, some] = model.spread(*given).numpy()
    return found


@dataclass(frozen=True)
class Ahead:
    """What comes after the end of one series: [steps, targets, quantiles] and when that is."""

    group: str
    labels: list[str]
    places: Any
    values: Floats


def known_ahead(panel: Panel) -> int | None:
    """For how many steps beyond every series' end all is known that is to be; None: needs none."""
    if not panel.ahead:
        return None
    return min(_known(panel, group) for group in range(len(panel.groups)))


def _known(panel: Panel, group: int) -> int:
    end = int(panel.starts[group] + panel.counts[group])
    after = [*panel.starts, len(panel.values)][group + 1]
    blank = np.flatnonzero(np.isnan(panel.known[end:after]).any(1))
    return int(blank[0]) if len(blank) else int(after - end)


def ahead_of(model: Forecaster, panel: Panel, window: int, steps: int) -> list[Ahead]:
    """Forecast what follows each series; beyond the horizon, from its own forecasts.

    There an interval is as wide as its own uncertainty and that of the forecast it began from,
    taken as independent: the root of both squares.
    """
    _check_known(panel, steps)
    ends = panel.starts + panel.counts - 1
    values, known, groups = _ends(panel, ends, window, steps, model.horizon)
    blocks = list(_blocks(model, values, known, groups, steps, window))
    found = _wider(blocks)[:steps]
    return [
        Ahead(name, line.ahead(steps), line.places_ahead(steps), found[:, number])
        for number, (name, line) in enumerate(zip(panel.groups, panel.timelines, strict=True))
    ]


def _check_known(panel: Panel, steps: int) -> None:
    known = known_ahead(panel)
    if known is None or steps <= known:
        return
    names = " and ".join(panel.ahead)
    fewer = ", or ask for fewer with --steps" if known else ""
    is_known = "is known" if len(panel.ahead) == 1 else "are known"
    raise InvalidValueError(
        f"{steps} {'step' if steps == 1 else 'steps'} cannot be forecast: {names} {is_known} for "
        f"{known} beyond the last value; say what will be with `unrolled forecast RUN "
        f"--data-future FILE`, or with further rows of a new file as --data{fewer}."
    )


def _ends(
    panel: Panel, ends: Integers, window: int, steps: int, horizon: int
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """The last windows, and what is known from there on, for whole horizons."""
    several = torch.arange(len(ends)) if len(ends) > 1 else None
    values = panel.window(ends, window)
    if not panel.ahead:
        return values, None, several
    rows = window + -(-steps // horizon) * horizon
    places = ends + np.arange(1 - window, rows - window + 1)[:, None]
    most = np.array([*panel.starts[1:], len(panel.values)]) - 1
    known = torch.from_numpy(panel.known[np.minimum(places, most)])
    known[window + steps :] = torch.nan
    return values, known.nan_to_num(0.0), several


@torch.no_grad()
def _blocks(
    model: Forecaster,
    values: Tensor,
    known: Tensor | None,
    groups: Tensor | None,
    steps: int,
    window: int,
) -> Iterator[Floats]:
    """Horizon after horizon, each read from the medians of the one before."""
    for first in range(0, steps, model.horizon):
        beside = None if known is None else known[first : first + window + model.horizon]
        found = model.spread(values, beside, groups)
        yield found.numpy()
        middle = found[..., len(model.quantiles) // 2]
        rest = torch.full((*middle.shape[:2], values.shape[2] - model.width), torch.nan)
        values = torch.cat((values, torch.cat((middle, rest.to(middle.dtype)), -1)))[-window:]


def _wider(blocks: list[Floats]) -> Floats:
    """All steps one after the other, each interval no surer than the forecast it stands on."""
    found, before = [], 0.0
    for block in blocks:
        middle = block[..., block.shape[-1] // 2, None]
        off = block - middle
        off = np.sign(off) * np.sqrt(off**2 + np.asarray(before) ** 2)
        found.append(middle + off)
        before = off[-1:]
    return np.concatenate(found)
