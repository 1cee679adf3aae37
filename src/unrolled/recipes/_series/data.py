"""The data of a forecast: the cosine or a file, cut in time, and the settings that suit it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal

import numpy as np
import torch
from torch import Tensor

from unrolled import training
from unrolled.errors.expected import Count, Layers, at_least, only, positive
from unrolled.files.columns import Integers
from unrolled.files.spacing import Spacing
from unrolled.files.timeline import Clock, Timeline
from unrolled.recipes._series import reading
from unrolled.recipes._series.asked import Asked
from unrolled.recipes._series.judging import Judge
from unrolled.recipes._series.member import blocks
from unrolled.recipes._series.panel import Panel, Parts, parts_of
from unrolled.recipes._series.search import AT_ONCE
from unrolled.recipes._series.seasons import season_of
from unrolled.recipes._series.settings import Setting, settings_of
from unrolled.training.recipe import CellName

__all__ = ["Data"]

SHORT = 10  # steps of a window: document 003's, and at the least where a season says more
LONG = 60  # steps of a window that a season asks for, at the most


@dataclass(frozen=True)
class Data(training.Recipe, Asked):
    """What a network reads and forecasts, and how large it is; each field is a flag."""

    steps: int = 1500
    """Updates of each network, at most: the validation part says after which ones its weights are
    kept, and it stops when nothing has become better for long."""
    learning_rate: float = 0.002
    """How far an update goes; 0.001 to 0.005 all do."""
    steps_per_update: Annotated[int, only(0, "each window begins from a state of zeros")] = 0
    """Only 0 makes sense: a window is short, and each begins from a state of zeros."""
    horizon: Count = 1
    """How many steps ahead are forecast, all at once."""
    window: Annotated[int, at_least(0)] = 0
    """How many values the network reads before it forecasts; 0: a season, but 10 at the least and
    60 at the most. The search tries twice as many too."""
    training_windows: Count = 10_000
    """Of the cosine: windows to learn from."""
    test_windows: Count = 1_000
    """Of the cosine: windows beyond them to be judged on."""
    spacing: Annotated[float, positive] = 0.01
    """Of the cosine: from one value to the next, in radians."""
    cell: CellName = "vanilla"
    """The LSTM's cell: vanilla, carousel, peephole, coupled or linear."""
    hidden: Count = 16
    """Hidden units: how much the network can keep of its window. More learn a small series by
    heart the sooner, as document 003's 30 do with 300 rows."""
    layers: Layers = 1
    """Layers of the LSTM."""
    start: Literal["torch", "tensorflow"] = "torch"
    """First weights: torch's, or TensorFlow 1's (Glorot uniform, biases 0, forget bias 1)."""
    changes: bool = True
    """Read and forecast how far values are from the window's last one, or else the values, as
    document 003 does. What was learnt at one level then holds at another, and no change is where it
    begins."""
    scaled: bool = True
    """Scale by the spread found in the training part, or else, as document 003, not at all."""
    search: Annotated[int, at_least(0)] = 0
    """Of a file: networks that are tried, of other windows, sizes, rates and first weights; they
    count from the last value, that a season before, or the window's mean. 0: as many as take some
    seconds, 10 at the most."""
    ensemble: Count = 5
    """Of a file: networks whose forecasts are averaged, the best of the search."""
    minutes: Annotated[float, at_least(0)] = 0.0
    """Of a file: after how long the search ends with what it has, so that a run is no longer the
    same on every machine; 0: when it is over."""
    refit: bool = True
    """Of a file: once the networks and their numbers of updates are chosen, train them anew from
    the training and the validation part together, where there are fewer than 10,000 windows."""
    batch_size: Count = 32
    """Windows in one update; more make an update steadier, and slower."""
    accumulator: Annotated[float, at_least(0)] = 0.0
    """Adagrad's sum of squares at the start: torch has 0, TensorFlow 0.1."""

    # --- the data ---

    def digest(self) -> str:
        """What tells this data from other data: a run goes on with its own alone."""
        panel = self.panel
        data = panel.series(0) if self.plain else np.concatenate((panel.values, panel.known), 1)
        return hashlib.sha256(data.tobytes()).hexdigest()

    @cached_property
    def panel(self) -> Panel:
        """The series, and what is known beside them."""
        if self.data is not None:
            return reading.read_panel(self, self.horizon)
        learnt = self.training_windows + self.read + self.horizon - 1
        count = learnt + self.test_windows + self.horizon - 1
        clock = Clock(0.0, Spacing(self.spacing, "number"), "number", "x")
        return reading.cosine(self.spacing, count, self.horizon, Timeline.of_clock(clock, count))

    @property
    def plain(self) -> bool:
        """Whether there is one series, and nothing beside it."""
        panel = self.panel
        return len(panel.groups) == panel.values.shape[1] == 1 and not panel.ahead

    @cached_property
    def _cuts(self) -> tuple[Integers, Integers]:
        """How many rows of each series are to be tested, and to choose by."""
        counts = self.panel.counts
        if self.data is None:
            return np.array([self.test_windows + self.horizon - 1]), 0 * counts
        return self._share(self.test_share), self._share(self.validation_share)

    def _share(self, share: float) -> Integers:
        """So many rows of each series, a horizon at the least; a share of 0 is none."""
        counts = self.panel.counts
        rows = np.maximum(np.round(share * counts), self.horizon).astype(np.int64)
        return rows if share else 0 * counts

    @property
    def judged(self) -> bool:
        """Whether there is a test part to be judged on."""
        return bool(len(self.parts.test_origins))

    @cached_property
    def parts(self) -> Parts:
        """The series, cut in time."""
        return parts_of(self.panel, self.read, self.horizon, *self._cuts).thinned(MOST_JUDGED)

    @property
    def thinned(self) -> list[str]:
        """What has to be said where not every origin of the test part is looked at."""
        every = int((self._cuts[0] - self.horizon + 1).clip(0).sum())
        looked = len(self.parts.test_origins)
        if every <= MOST_JUDGED:
            return []
        return [f"It is judged at {looked:,} of {every:,} origins, evenly spread."]

    @cached_property
    def judge(self) -> Judge:
        """The test part, and who else forecasts it."""
        return Judge(self.panel, self.parts, self.read, self.horizon, few=self.data is None)

    # --- the settings ---

    @cached_property
    def _learnt(self) -> list[Any]:
        """The targets of each series' training part: [rows, targets]."""
        tested, chosen = self._cuts
        ends = self.panel.starts + self.panel.counts - tested - chosen
        return [
            self.panel.values[start:end, : self.panel.width]
            for start, end in zip(self.panel.starts, ends, strict=True)
        ]

    @cached_property
    def season(self) -> int:
        """Steps of the first series' season; 0: none is known."""
        clock = self.panel.timelines[0].clock
        values = self._learnt[0][:, 0]
        return (season_of(clock.spacing if clock else None, values) or 0) if len(values) else 0

    @cached_property
    def read(self) -> int:
        """How many values the first network reads."""
        if self.window or self.data is None:
            return self.window or SHORT
        wanted = min(max(self.season, SHORT), LONG)
        rows = min(map(len, self._learnt)) - self.horizon
        return max(min(wanted, rows // 2), 2)

    @cached_property
    def settings(self) -> list[Setting]:
        """Those of the network that was asked for, and of the others that are tried."""
        first = Setting(self.read, self.hidden, self.learning_rate)
        if self.data is None or not self.scaled:
            return [first]
        rows = min(map(len, self._learnt)) - self.horizon
        positive = bool(all(np.nanmin(v, initial=np.inf) >= 0 for v in self._learnt))
        found = settings_of(
            first,
            self.search or MOST,
            self.season if self.changes else 0,
            rows,
            positive=positive,
        )
        return found if self.search else self._affordable(found)

    def _affordable(self, found: list[Setting]) -> list[Setting]:
        """The first ones that together take no more than some seconds."""
        inputs = 2 * self.panel.values.shape[1] + len(self.panel.ahead) + OVERHEAD
        beyond = self.horizon if self.panel.ahead else 0
        each = self.steps * self.batch_size * self.layers
        spent = 0.0
        for number, s in enumerate(found):
            spent += each * (s.window + beyond) * 4 * s.hidden * (inputs + s.hidden)
            if number and spent > AFFORDED:
                return found[:number]
        return found

    @property
    def context(self) -> int:
        """How many values the networks are handed, of which each reads the last ones."""
        return max(setting.context for setting in self.settings)

    # --- batches ---

    def batches(self, step: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Windows [N, T, B, C] of the training part and what followed them [N, horizon, B]."""
        origins = self.parts.training_origins
        sizes = (AT_ONCE, self.batch_size)
        chosen = torch.randint(len(origins), sizes, generator=generator).flatten().numpy()
        return tuple(blocks(t, min(t.dim() - 1, 1), sizes) for t in self.at(origins[chosen]))

    def at(self, origins: Integers) -> tuple[Tensor, ...]:
        """Windows, what followed, and, where there is more than one series, all beside it."""
        ahead = self.panel.following(origins, self.horizon)
        ahead = ahead[..., 0] if self.panel.width == 1 else ahead
        if not self.panel.ahead and len(self.panel.groups) == 1:
            return self.panel.window(origins, self.context), ahead
        known = self.panel.beside(origins, self.context, self.horizon)
        of = torch.from_numpy(self.panel.group_of[origins])
        return self.panel.window(origins, self.context), ahead, known, of


MOST = 10  # networks that are tried, if nothing is asked
MOST_JUDGED = 20_000  # origins of the validation and of the test part, evenly spread
AFFORDED = 2e10  # multiplications of all their forward passes together
OVERHEAD = 8  # of a gate beside its products, in multiplications
