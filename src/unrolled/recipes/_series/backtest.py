"""A backtest: the same forecasts of many origins from each contender, and one table of scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from unrolled.errors import InvalidValueError
from unrolled.files.columns import Floats, Integers
from unrolled.recipes._series import scores
from unrolled.recipes._series.calibration import Levels, interval_of
from unrolled.recipes._series.rivals import Rival
from unrolled.recipes._series.scores import Score

__all__ = ["Backtest", "Row", "backtest", "forecasts_of", "rolling_origins", "truth_of"]

Forecast = Callable[[Integers], Floats]
"""Origins to [horizon, origins, levels], or [horizon, origins, 1] for a forecast of one value."""


@dataclass(frozen=True)
class Row:
    """One contender's scores, over everything or at one step ahead; NaN where there is none.

    Parameters
    ----------
    name
        The contender's.
    step
        How many steps ahead; 0 is all of them together.
    pinball
        Of all levels; of one value only there is none, since it says nothing of the other levels.
    coverages, widths
        Of each interval by the share that it should cover; empty without intervals.
    """

    name: str
    step: int
    mae: float
    rmse: float
    mase: float
    pinball: float
    coverages: Mapping[float, float]
    widths: Mapping[float, float]


@dataclass(frozen=True)
class Backtest:
    """The rows of all contenders, in their order; each first overall, then step by step."""

    rows: tuple[Row, ...]
    origins: int
    horizon: int

    @property
    def overall(self) -> list[Row]:
        """One row for each contender."""
        return [row for row in self.rows if row.step == 0]

    def by_step(self, name: str) -> list[Row]:
        """One row for each step ahead."""
        return [row for row in self.rows if row.name == name and row.step > 0]

    @property
    def verdict(self) -> str:
        """Who wins, in one line: by MASE, or by the MAE where there is nothing to scale by."""
        metric = "MAE" if all(np.isnan(row.mase) for row in self.overall) else "MASE"
        figure = metric.lower()
        return scores.winner({row.name: getattr(row, figure) for row in self.overall}, metric)

    @property
    def lines(self) -> list[str]:
        """The table, a line for each contender, and who wins."""
        heads, rows = _table(self.overall, lambda row: row.name)
        what = f"{self.origins:,} origins, {self.horizon} step{'s' * (self.horizon > 1)} ahead"
        return [*_aligned([[what, *heads], *rows]), self.verdict]

    def lines_by_step(self, name: str) -> list[str]:
        """The table of one contender, a line for each step ahead."""
        heads, rows = _table(self.by_step(name), lambda row: f"{row.step} ahead")
        return _aligned([[name, *heads], *rows])


def rolling_origins(first: int, length: int, horizon: int, every: int = 1) -> Integers:
    """Origins whose every target lies at ``first`` or beyond it, within a series' ``length``."""
    return np.arange(first - 1, length - horizon, every)


def truth_of(values: Floats, origins: Integers, horizon: int) -> Floats:
    """Give the values that follow each origin: [horizon, origins]."""
    truth: Floats = values[origins + np.arange(1, horizon + 1)[:, None]]
    return truth


def forecasts_of(rivals: tuple[Rival, ...], values: Floats, horizon: int) -> dict[str, Forecast]:
    """Each rival as a contender, by its name."""

    def forecaster(rival: Rival) -> Forecast:
        return lambda origins: rival.forecast(values, origins, horizon)[..., None]

    return {rival.name: forecaster(rival) for rival in rivals}


def backtest(
    contenders: Mapping[str, Forecast],
    values: Floats,
    origins: Integers,
    horizon: int,
    *,
    scale: float,
    levels: Levels = (0.5,),
    shares: tuple[float, ...] = (),
) -> Backtest:
    """Ask each contender for its forecasts from the same origins, and score them.

    Parameters
    ----------
    contenders
        By name; the first is ours.  Who gives [horizon, origins, 1] has no intervals.
    values
        The whole series, NaN where a value is missing: such a truth counts nowhere.
    scale
        What MASE is scaled by: `seasonal_error` of the training part.
    levels, shares
        Of those who give quantiles: their levels, the median among them, and which central
        intervals are scored, such as 0.8.
    """
    truth = truth_of(values, origins, horizon)
    if not len(origins) or np.isnan(truth).all():
        raise InvalidValueError(
            f"{len(origins)} origins have no known value after them to be judged by: bring more "
            "rows, or lower the horizon."
        )
    rows: list[Row] = []
    for name, forecast in contenders.items():
        rows += _rows(
            name, _shaped(name, forecast(origins), truth, levels), truth, scale, levels, shares
        )
    return Backtest(tuple(rows), len(origins), horizon)


def _shaped(name: str, forecasts: Floats, truth: Floats, levels: Levels) -> Floats:
    wanted = [(*truth.shape, 1), (*truth.shape, len(levels))]
    if forecasts.shape not in wanted or (forecasts.shape[-1] > 1 and 0.5 not in levels):
        raise InvalidValueError(
            f"{name} forecasts {forecasts.shape}: expected {wanted[0]}, or {wanted[1]} for the "
            f"levels {levels}, the median among them."
        )
    return forecasts


def _rows(
    name: str,
    forecasts: Floats,
    truth: Floats,
    scale: float,
    levels: Levels,
    shares: tuple[float, ...],
) -> list[Row]:
    quantiles = forecasts.shape[-1] > 1
    point = forecasts[..., levels.index(0.5) if quantiles else 0]
    mae, rmse = scores.mae(point, truth), scores.rmse(point, truth)
    loss = scores.pinball(forecasts, truth, levels) if quantiles else None
    ends = {s: interval_of(forecasts, levels, s) for s in shares} if quantiles else {}
    covered = {share: scores.coverage(*end, truth) for share, end in ends.items()}
    widths = {share: scores.mean_width(*end, truth) for share, end in ends.items()}
    return [
        Row(
            name=name,
            step=step,
            mae=_at(mae, step),
            rmse=_at(rmse, step),
            mase=_at(mae.over(scale), step),
            pinball=_at(loss, step) if loss else float("nan"),
            coverages={share: _at(score, step) for share, score in covered.items()},
            widths={share: _at(score, step) for share, score in widths.items()},
        )
        for step in range(len(truth) + 1)
    ]


def _at(score: Score, step: int) -> float:
    """The figure of a step ahead; of 0, that of all."""
    return float(score.by_step[step - 1]) if step else score.overall


# --- in lines ---


def _table(rows: list[Row], head: Callable[[Row], str]) -> tuple[list[str], list[list[str]]]:
    shares = list(dict.fromkeys(share for row in rows for share in row.coverages))
    heads = ["MAE", "RMSE", "MASE", "pinball"]
    heads += [f"{100 * share:g} % covers" for share in shares]
    heads += [f"{100 * share:g} % width" for share in shares]
    return heads, [[head(row), *_cells(row, shares)] for row in rows]


def _cells(row: Row, shares: list[float]) -> list[str]:
    cells = [_number(value) for value in (row.mae, row.rmse, row.mase, row.pinball)]
    covered = [row.coverages.get(share, float("nan")) for share in shares]
    cells += ["–" if np.isnan(share) else f"{100 * share:.1f} %" for share in covered]
    return cells + [_number(row.widths.get(share, float("nan"))) for share in shares]


def _number(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.4g}"


def _aligned(cells: list[list[str]]) -> list[str]:
    """Names to the left, numbers to the right, each column as wide as its widest."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in cells
    ]
