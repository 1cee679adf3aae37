"""How good a forecaster is on the test part, beside those that need no network.

The test part is looked at here and nowhere else.  The rivals learn from all that lies before it:
they need no validation part, and so keep what the network gives up for one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from unrolled.files.columns import Floats, Integers
from unrolled.recipes._series import scores
from unrolled.recipes._series.autoregression import Autoregression
from unrolled.recipes._series.panel import Panel, Parts
from unrolled.recipes._series.rivals import Persistence, Rival, Rivals, fit_rivals
from unrolled.recipes._series.seasons import season_of

__all__ = ["Judge", "Judged"]

KEYS = {
    "Persistence": "persistence",
    "SeasonalNaive": "seasonal_naive",
    "Autoregression": "ar",
    "ExponentialSmoothing": "smoothing",
}


class Judged(NamedTuple):
    """The errors of one forecaster for one column: one step ahead, all steps, and by step."""

    rmse: scores.Score
    mae: scores.Score
    mase: scores.Score


@dataclass(frozen=True)
class Judge:
    """The test part, its rivals, and what they come to."""

    panel: Panel
    parts: Parts
    window: int
    horizon: int
    few: bool = False  # of rivals: none that is for people's own data

    @property
    def origins(self) -> Integers:
        """Where forecasts are judged."""
        return self.parts.test_origins

    def truth(self, column: int) -> Floats:
        """What came after each origin: [horizon, origins]."""
        ahead: Floats = self.panel.following(self.origins, self.horizon)[..., column].numpy()
        return ahead

    # --- the rivals ---

    def _before_test(self, group: int, column: int) -> Floats:
        rows = int(self.parts.test[group] - self.panel.starts[group])
        return self.panel.series(group, column)[:rows]

    def season(self, group: int, column: int) -> int | None:
        """The season of a series, by its frequency or by itself."""
        clock = self.panel.timelines[group].clock
        return season_of(clock.spacing if clock else None, self._before_test(group, column))

    @cached_property
    def _fitted(self) -> dict[tuple[int, int], Rivals]:
        """By the series and the column: who was fitted, each bounded by the rows it looks at."""
        return {
            (group, column): self._fit(group, column)
            for group in range(len(self.panel.groups))
            for column in range(self.panel.width)
        }

    def _fit(self, group: int, column: int) -> Rivals:
        before = self._before_test(group, column)
        if self.few:
            return Rivals((Persistence.fit(before), Autoregression.fit(before, self.window)))
        return fit_rivals(before, period=self.season(group, column), window=self.window)

    @cached_property
    def _rivals(self) -> dict[tuple[int, int], dict[str, Rival]]:
        """The same by the names of figures."""
        return {
            place: {KEYS[type(rival).__name__]: rival for rival in rivals.fitted}
            for place, rivals in self._fitted.items()
        }

    @property
    def notes(self) -> list[str]:
        """What has to be said of how the rivals were fitted, each thing once."""
        told = [note for rivals in self._fitted.values() for note in rivals.notes]
        return list(dict.fromkeys(told))

    @cached_property
    def names(self) -> dict[str, str]:
        """The rivals that every series has, as a table names them, by the names of figures."""
        each = list(self._rivals.values())
        common = [key for key in KEYS.values() if all(key in named for named in each)]
        plain = {"ar": "AR", "seasonal_naive": "seasonal naive", "smoothing": "smoothing"}
        names = {key: {named[key].name for named in each} for key in common}
        return {key: words.pop() if len(words) == 1 else plain[key] for key, words in names.items()}

    @property
    def order(self) -> int | None:
        """How far the autoregression of the first series looks back."""
        return getattr(self._rivals[0, 0].get("ar"), "order", None)

    @cached_property
    def _forecasts(self) -> dict[tuple[str, int], Floats]:
        """What each rival says of each column: [horizon, origins]."""
        return {
            (key, column): self._of_rival(key, column)
            for key in self.names
            for column in range(self.panel.width)
        }

    def _of_rival(self, key: str, column: int) -> Floats:
        found = np.empty((self.horizon, len(self.origins)))
        for group, chosen, start in self._groups():
            values = self.panel.series(group, column)
            rival = self._rivals[group, column][key]
            found[:, chosen] = rival.forecast(values, self.origins[chosen] - start, self.horizon)
        return found

    def _groups(self) -> Iterator[tuple[int, Any, int]]:
        of = self.panel.group_of[self.origins]
        for group, start in enumerate(self.panel.starts.tolist()):
            yield group, of == group, start

    def rival(self, key: str, column: int = 0) -> Floats:
        """What a rival says of a column."""
        return self._forecasts[key, column]

    # --- the figures ---

    @cached_property
    def _scales(self) -> Floats:
        """What an absolute error is a multiple of: [targets, origins]."""
        scales = np.empty((self.panel.width, len(self.origins)))
        for column in range(self.panel.width):
            for group, chosen, _ in self._groups():
                before = self._before_test(group, column)
                error = scores.seasonal_error(before, self.season(group, column))
                scales[column, chosen] = error if error > 0 else np.nan
        return scales

    def judge(self, forecasts: Floats, column: int = 0) -> Judged:
        """Hold forecasts [horizon, origins] of a column against what came."""
        truth, scale = self.truth(column), self._scales[column]
        rmse, mae = scores.rmse(forecasts, truth), scores.mae(forecasts, truth)
        sure = ~np.isnan(scale)
        if not sure.any():  # each season repeats the last: there is nothing to scale by
            return Judged(rmse, mae, mae.over(np.nan))
        scaled = scores.mae((forecasts / scale)[:, sure], (truth / scale)[:, sure])
        return Judged(rmse, mae, scaled)

    def intervals(
        self, quantiles: Floats, levels: tuple[float, ...], column: int = 0
    ) -> dict[str, float]:
        """How often what came lay in each interval, how wide they are, and what quantiles cost."""
        truth = self.truth(column)
        found = {"pinball": scores.pinball(quantiles, truth, levels).overall}
        for place, level in enumerate(levels[: len(levels) // 2]):
            low, high = quantiles[..., place], quantiles[..., -1 - place]
            name = f"{100 * (1 - 2 * level):g}"
            found[f"coverage_{name}"] = 100 * scores.coverage(low, high, truth).overall
            found[f"width_{name}"] = scores.mean_width(low, high, truth).overall
        return found

    def figures(self, forecasts: Mapping[str, Floats]) -> dict[str, Any]:
        """All errors by their names, of forecasts [horizon, origins, targets] by their ends."""
        found: dict[str, Any] = {}
        for column, target in enumerate(self.panel.targets):
            of = f"_{target}" if self.panel.width > 1 else ""
            said = {end: values[..., column] for end, values in forecasts.items()}
            said |= {f"_{key}": self.rival(key, column) for key in self.names}
            for end, values in said.items():
                for name, score in self.judge(values, column)._asdict().items():
                    found[f"{name}{of}{end}"] = float(score.by_step[0])
                    if self.horizon > 1:
                        found[f"{name}_horizon{of}{end}"] = score.overall
                    if self.horizon > 1 and end == "":
                        found[f"{name}_by_step{of}"] = score.by_step.tolist()
        return found

    def verdict(self, forecasts: Floats) -> str:
        """Who won, in one line; where that is not the network, what that means."""
        by_name, metric = self._ranked(forecasts)
        line = f"{scores.winner(by_name, metric)}."
        told = {name: value for name, value in by_name.items() if not np.isnan(value)}
        if not told or "LSTM" in scores.ranking(told)[0]:
            return line
        best = scores.ranking(told)[0][0]
        return f"{line} The LSTM does not win here: {best} needs no network and is better."

    def _ranked(self, forecasts: Floats) -> tuple[dict[str, float], str]:
        """Mean over the columns of each one's error, scaled where there is a scale."""
        columns = range(self.panel.width)
        ours = [self.judge(forecasts[..., column], column) for column in columns]
        judged = {"LSTM": ours}
        for key, name in self.names.items():
            judged[name] = [self.judge(self.rival(key, column), column) for column in columns]
        metric = "MAE" if any(np.isnan(one.mase.overall) for one in ours) else "MASE"
        return {
            name: float(np.mean([getattr(one, metric.lower()).overall for one in every]))
            for name, every in judged.items()
        }, metric
