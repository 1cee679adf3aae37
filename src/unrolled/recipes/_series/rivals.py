"""Forecasters that need no network, each bounded in time: what a network has to beat.

All have one shape: ``forecast(values, origins, horizon)`` gives [horizon, origins], and a forecast
from origin k knows values[: k + 1] and no more.  ``values`` begin where the training part did;
NaN is a missing value.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from unrolled.errors import InvalidValueError
from unrolled.files.columns import Floats, Integers
from unrolled.recipes._series.autoregression import Autoregression
from unrolled.recipes._series.smoothing import ExponentialSmoothing

__all__ = ["Persistence", "Rival", "Rivals", "SeasonalNaive", "fit_rivals"]


class Rival(Protocol):
    """Whoever forecasts from origins."""

    @property
    def name(self) -> str:
        """As a table names it."""
        ...

    @property
    def note(self) -> str:
        """What has to be said of how it was fitted; empty where nothing has."""
        ...

    def forecast(self, values: Floats, origins: Integers, horizon: int) -> Floats:
        """Forecast from each origin: [horizon, origins]."""
        ...


@dataclass(frozen=True)
class Persistence:
    """Nothing changes: the last known value, for every step ahead."""

    name: str = "persistence"
    note: str = ""

    @classmethod
    def fit(cls, training: Floats) -> Persistence:
        """There is nothing to fit."""
        return cls()

    def forecast(self, values: Floats, origins: Integers, horizon: int) -> Floats:
        """Repeat the last known value; NaN where none is known yet: [horizon, origins]."""
        return np.repeat(_last_known(values)[origins][None], horizon, axis=0)


@dataclass(frozen=True)
class SeasonalNaive:
    """As it was one season ago: the last known value of the same place in the season.

    Where none of that place is known yet, the last known value at all.
    """

    period: int
    note: str = ""

    @property
    def name(self) -> str:
        """As a table names it."""
        return f"seasonal naive ({self.period})"

    @classmethod
    def fit(cls, training: Floats, period: int) -> SeasonalNaive:
        """There is nothing to fit but the season's length.

        Raises
        ------
        ValueError
            If the training part does not hold one whole season, or the season has no step.
        """
        if not 1 <= period <= len(training):
            raise InvalidValueError(
                f"a season of {period} steps makes no sense: expected 1 to {len(training)}, the "
                "rows of the training part."
            )
        return cls(period)

    def forecast(self, values: Floats, origins: Integers, horizon: int) -> Floats:
        """Repeat the last season that each origin knows: [horizon, origins]."""
        in_season = _last_known_of_season(values, self.period)
        ahead = np.arange(horizon)[:, None] % self.period + 1
        place = origins + ahead - self.period
        naive = np.where(place < 0, np.nan, in_season[np.maximum(place, 0)])
        return np.where(np.isnan(naive), _last_known(values)[origins], naive)


def _last_known(values: Floats) -> Floats:
    """At each place the value, or the last one before that is known; NaN before the first."""
    known = np.where(np.isnan(values), -1, np.arange(len(values)))
    latest = np.maximum.accumulate(known)
    return np.where(latest < 0, np.nan, values[np.maximum(latest, 0)])


def _last_known_of_season(values: Floats, period: int) -> Floats:
    """The same, where what came before is one season earlier, two, and so on."""
    seasons = -(-len(values) // period)
    padded = np.full(seasons * period, np.nan)
    padded[: len(values)] = values
    columns = [_last_known(column) for column in padded.reshape(seasons, period).T]
    return np.stack(columns, 1).reshape(-1)[: len(values)]


@dataclass(frozen=True)
class Rivals:
    """Who was fitted, and who was left out and why, a sentence each."""

    fitted: tuple[Rival, ...]
    left_out: tuple[str, ...] = ()

    @property
    def notes(self) -> list[str]:
        """A line for each rival of whose fitting something has to be said."""
        told = [f"{rival.name}: {rival.note}" for rival in self.fitted if rival.note]
        return [*told, *self.left_out]


@dataclass
class _Fitting:
    """The rivals so far, and the time that is left for more."""

    limit: float
    began: float = field(default_factory=time.perf_counter)
    fitted: list[Rival] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def add(self, name: str, fit: Callable[[], Rival]) -> None:
        """Fit one more, if there is time left; a rival that cannot be fitted is left out."""
        spent = time.perf_counter() - self.began
        if spent >= self.limit:
            over = f"the {self.limit:g} seconds for rivals were over after {spent:.1f}"
            self.left_out.append(f"{name} is left out: {over}")
            return
        try:
            self.fitted.append(fit())
        except (ValueError, np.linalg.LinAlgError) as error:
            self.left_out.append(f"{name} is left out: {error}")


def fit_rivals(training: Floats, *, period: int | None, window: int, limit: float = 15.0) -> Rivals:
    """Fit all rivals on the training part alone, the quickest first.

    Each is bounded by the rows that it looks at (its ``fit`` says how many), so that a million
    rows take no longer than some thousands; besides, none is begun once ``limit`` seconds are over.

    Parameters
    ----------
    period
        The season's length, where one is known (`season_of`).
    window
        How far the autoregression may look back, as the network does.
    limit
        Seconds for all together.
    """
    fitting = _Fitting(limit, fitted=[Persistence.fit(training)])
    if period and period > 1:
        fitting.add(f"seasonal naive ({period})", lambda: SeasonalNaive.fit(training, period))
    fitting.add("the autoregression", lambda: Autoregression.fit(training, window))
    fitting.add("exponential smoothing", lambda: ExponentialSmoothing.fit(training, period))
    return Rivals(tuple(fitting.fitted), tuple(fitting.left_out))
