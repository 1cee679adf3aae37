"""Forecast a series of numbers from its last values: a cosine, or a column of anybody's table.

Document 003 reads ten values of a cosine and forecasts the next.  As printed it hands them to the
network as one step of ten features, so the recurrent weights are never used; here, as its text
intends, they are ten steps of one feature.  Its forecasts are judged beside two forecasts
that need no network: that nothing changes, and an autoregression.
"""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from torch import Tensor

from unrolled import training
from unrolled.errors import InvalidValueError
from unrolled.errors.expected import Count, Layers, at_least, only, positive
from unrolled.explorer import Explorable
from unrolled.files.columns import Floats
from unrolled.files.spacing import Spacing
from unrolled.files.timeline import Clock, Timeline
from unrolled.inside.passage import Passage
from unrolled.layer.lstm import LSTM
from unrolled.recipes import Published
from unrolled.recipes._asked import whole_number
from unrolled.recipes._series import future, honest, keeping, predicting, reading, showing, told
from unrolled.recipes._series.asked import Asked
from unrolled.recipes._series.ensemble import Teaching, teach
from unrolled.recipes._series.forecaster import Forecaster, blocks, inputs_of
from unrolled.recipes._series.forecasting import Split
from unrolled.recipes._series.judging import Judge
from unrolled.recipes._series.panel import Panel, Parts, parts_of
from unrolled.recipes._series.scaling import Scales, scales_of, unscaled
from unrolled.steps.program import Native
from unrolled.training.optimizers import make_optimizer
from unrolled.training.recipe import CellName

SOURCE = (
    "document 003 (a cosine, TensorFlow 1; after Bao Ziyang, Neural Networks and Deep Learning)"
)

# The document's figures are pictures; this is from running it as its text intends.
PUBLISHED = (Published("rmse", 0.0242, 1000, "document 003's cosine, the worst of 5 runs"),)


# The defaults were chosen on the sunspots' training part alone: the mean RMSE on three folds of 40
# years, each forecast from the years before it, 1827 to 1946.  Beside it what AR(9) has there:
# one step 13.0 (15.7), 11 steps 23.4 (24.7).  Nothing was chosen by a test part.


@dataclass(frozen=True)
class Recipe(training.Recipe, Asked):
    """The hyperparameters of a forecast."""

    steps: int = 1500
    """Updates: about a second. Of a file, the validation part says after which ones the weights are
    kept: more learn a small series by heart."""
    learning_rate: float = 0.002
    """How far an update goes; 0.001 to 0.005 all do."""
    steps_per_update: Annotated[int, only(0, "each window begins from a state of zeros")] = 0
    """Only 0 makes sense: a window is short, and each begins from a state of zeros."""
    horizon: Count = 1
    """How many steps ahead are forecast, all at once."""
    window: Count = 10
    """How many values the network reads before it forecasts: as many as tell what comes next. Of
    10, 12, 14 and 22, 10 was best for yearly sunspots, whose cycle is 11; document 003 has 10."""
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
    ensemble: Count = 1
    """Networks, from other first weights each, whose forecasts are averaged: better, and slower."""
    batch_size: Count = 32
    """Windows in one update; more make an update steadier, and slower."""
    accumulator: Annotated[float, at_least(0)] = 0.0
    """Adagrad's sum of squares at the start: torch has 0, TensorFlow 0.1."""

    def check(self) -> None:
        """Raise ValueError where fields do not fit each other, or the data."""
        if self.window == 1 and self.changes:
            raise InvalidValueError(
                "window = 1 has no value but its last, from which changes are counted: use 2 or "
                "more, or --no-changes."
            )
        if self.accumulator and self.optimizer != "Adagrad":
            raise InvalidValueError(
                f"accumulator = {self.accumulator} is Adagrad's, but the optimizer is "
                f"{self.optimizer}: use --accumulator 0."
            )
        self.check_file()
        len(self.parts.test_origins)  # which reads, and so looks over, the whole file

    def published(self) -> Recipe:
        """Document 003's hyperparameters, on whatever data this has."""
        return dataclasses.replace(
            self,
            window=10,
            training_windows=10_000,
            test_windows=1_000,
            spacing=0.01,
            hidden=30,
            layers=1,
            start="tensorflow",
            changes=False,
            scaled=False,
            batch_size=32,
            steps=1000,
            optimizer="Adagrad",
            learning_rate=0.1,
            accumulator=0.1,
            clip=0.0,
            report_every=100,
        )

    @property
    def comparable(self) -> bool:
        """Whether the published figure is of this series."""
        return self.data is None

    def optimizer_options(self) -> dict[str, Any]:
        """What the optimiser is given beside the learning rate."""
        return (
            {"initial_accumulator_value": self.accumulator} if self.optimizer == "Adagrad" else {}
        )

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
        learnt = self.training_windows + self.window + self.horizon - 1
        count = learnt + self.test_windows + self.horizon - 1
        clock = Clock(0.0, Spacing(self.spacing, "number"), "number", "x")
        return reading.cosine(self.spacing, count, self.horizon, Timeline.of_clock(clock, count))

    @cached_property
    def parts(self) -> Parts:
        """The series, cut in time."""
        counts = self.panel.counts
        if self.data is None:
            tested, chosen = np.array([self.test_windows + self.horizon - 1]), 0 * counts
        else:
            tested = np.maximum(np.round(self.test_share * counts), self.horizon).astype(np.int64)
            chosen = np.round(self.validation_share * counts).astype(np.int64)
            chosen = np.maximum(chosen, self.horizon) if self.validation_share else 0 * counts
        return parts_of(self.panel, self.window, self.horizon, tested, chosen)

    @property
    def plain(self) -> bool:
        """Whether there is one series, and nothing beside it."""
        panel = self.panel
        return len(panel.groups) == panel.values.shape[1] == 1 and not panel.ahead

    @cached_property
    def split(self) -> Split:
        """The first series alone, cut where the test part begins."""
        border = int(self.parts.test[0] - self.panel.starts[0])
        return Split(self.panel.series(0), border, self.window, self.horizon)

    @property
    def timeline(self) -> Timeline:
        """When each value of the first series was."""
        return self.panel.timelines[0]

    @cached_property
    def judge(self) -> Judge:
        """The test part, and who else forecasts it."""
        return Judge(self.panel, self.parts, self.window, self.horizon, few=self.data is None)

    # --- learning ---

    @property
    def chosen_by(self) -> str:
        """The loss on the validation part, where there is one."""
        return "validation_loss" if len(self.parts.validation_origins) else ""

    def model(self) -> Forecaster:
        """An LSTM and its output, from values to values."""
        if not self.scaled:
            return self.model_of(self.panel, unscaled(self.panel, self.horizon))
        how = (self.panel, self.parts, self.window, self.horizon)
        return self.model_of(self.panel, scales_of(*how, changes=self.changes))

    def model_of(self, panel: Panel, scales: Scales) -> Forecaster:
        """The same for any panel with such columns and groups."""
        lstm = LSTM(inputs_of(panel), self.hidden, self.layers, cell=self.cell)
        model = Forecaster(
            lstm, panel, self.horizon, scales, changes=self.changes, quantiles=self.quantiles
        )
        for _ in range(1, self.ensemble):
            model.add(LSTM(inputs_of(panel), self.hidden, self.layers, cell=self.cell))
        if self.start == "tensorflow":
            model.start_as_tensorflow()
        return model

    def batches(self, step: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Windows [N, T, B, C] of the training part and what followed them [N, horizon, B]."""
        origins = self.parts.training_origins
        sizes = (AT_ONCE, self.batch_size)
        chosen = torch.randint(len(origins), sizes, generator=generator).flatten().numpy()
        return tuple(blocks(t, min(t.dim() - 1, 1), sizes) for t in self._batch_at(origins[chosen]))

    def _batch_at(self, origins: Any) -> tuple[Tensor, ...]:
        """Windows, what followed, and, where there is more than one series, all beside it."""
        ahead = self.panel.following(origins, self.horizon)
        ahead = ahead[..., 0] if self.panel.width == 1 else ahead
        if not self.panel.ahead and len(self.panel.groups) == 1:
            return self.panel.window(origins, self.window), ahead
        known = self.panel.beside(origins, self.window, self.horizon)
        of = torch.from_numpy(self.panel.group_of[origins])
        return self.panel.window(origins, self.window), ahead, known, of

    def native(self, model: Forecaster) -> Native | str:
        """How the kernel makes whole updates."""
        return Native(model.network, model.criterion, model.batches)

    def loss(self, model: Forecaster, batch: tuple[Tensor, ...], state: Any) -> tuple[Tensor, Any]:
        """That of quantiles, or the mean squared error; of changes, as multiples of their size."""
        return model.loss_of(batch), None

    # --- judging ---

    def metrics(self, model: Forecaster) -> dict[str, float]:
        """The error on the validation part; of the cosine, the RMSE on the test part."""
        if self.data is None:
            return told.errors(self.judge, self._forecasts(model))
        part = "validation" if self.chosen_by else "training"
        origins = getattr(self.parts, f"{part}_origins")
        origins = origins[:: -(-len(origins) // MOST_CHOSEN)]
        loss = model.loss_of(self._batch_at(origins)).item()
        middle = predicting.predict(model, self.panel, origins, self.window)
        off = middle[..., 0, len(self.quantiles) // 2]
        off = off - self.panel.following(origins, self.horizon)[..., 0].numpy()
        return {f"{part}_loss": loss, f"{part}_rmse": float(np.sqrt(np.nanmean(off**2)))}

    @torch.no_grad()
    def settle(self, model: Forecaster) -> None:
        """Train the ensemble's other networks, and make the intervals honest."""
        if self.ensemble > 1:
            teach(model, self._teaching(model))
        honest.calibrate(model, self.panel, self.parts, self.window)

    def _teaching(self, model: Forecaster) -> Teaching:
        origins = self.parts.validation_origins
        origins = origins[:: -(-len(origins) // MOST_CHOSEN) or 1]
        return Teaching(
            draw=lambda generator: model.batches(self.batches(0, generator)),
            judge=self._batch_at(origins) if len(origins) else None,
            make=lambda p: make_optimizer(
                self.optimizer, p, self.learning_rate, self.optimizer_options()
            ),
            rounds=-(-self.steps // (AT_ONCE * ROUND)),
            blocks=ROUND,
            clip=self.clip,
            seed=self.seed,
        )

    def _forecasts(self, model: Forecaster) -> Floats:
        """Every quantile of the test part: [horizon, origins, targets, quantiles]."""
        return predicting.predict(model, self.panel, self.parts.test_origins, self.window)

    def _untrained(self) -> Forecaster:
        """The model as this run's training began with it."""
        model = training.build(self).eval()
        assert isinstance(model, Forecaster)
        return model

    def result(self, model: Forecaster) -> dict[str, Any]:
        """The errors on the test part, and those of the rivals: same origins, own units."""
        found = {"": self._forecasts(model)}
        if self.data is None:
            found["_before"] = self._forecasts(self._untrained())
        return told.result(self.judge, found, self.quantiles, cosine=self.data is None)

    def summary(self, model: Forecaster) -> str:
        """The table of rivals, who won, and what comes next."""
        forecasts = self._forecasts(model)
        if self.data is None:
            untrained = self._forecasts(self._untrained())
            return told.cosine(self.judge, forecasts, untrained)
        lines = told.summary(self.judge, forecasts, self.quantiles)
        steps = future.as_far(self.panel, self.horizon)
        if steps:
            ahead = predicting.ahead_of(model, self.panel, self.window, steps)
            lines += ["", *future.table(self.panel, ahead, self.quantiles)]
        return "\n".join(lines)

    @property
    def reading(self) -> str:
        """One line that says how the file was read."""
        return self.panel.said[0]

    def kept(self, model: Forecaster) -> Any:
        """The end of every series, so that it can be gone on with without the file."""
        return None if self.data is None else keeping.kept(self.panel, self.window)

    def model_like(self, panel: Panel) -> Forecaster:
        """A model that weights can be given."""
        with torch.random.fork_rng(devices=[]):
            return self.model_of(panel, unscaled(panel, self.horizon))

    def panel_of(self, kept: Panel, data: Path | None, beyond: Path | None) -> Panel:
        """What a run kept, or a new file read alike; ``beyond`` has what is known ahead."""
        asked = self._asks(data, beyond, kept.targets)
        if data is None:
            return kept if beyond is None else reading.with_ahead(kept, asked)
        return reading.read_again(asked, kept, self.window, self.horizon)

    def _asks(self, data: Path | None, beyond: Path | None, column: tuple[str, ...]) -> Recipe:
        file = data or self.data
        asked = dataclasses.replace(self, data=file, data_future=beyond, column=column)
        asked.check_file()
        return asked

    # --- showing ---

    def draw(self, model: Forecaster, history: list[dict[str, Any]], folder: Path) -> list[Path]:
        """How it learned, what it forecasts, how good that is, and what its gates do."""
        figures = self.result(model)
        published = PUBLISHED[0].value if self.comparable else None
        pictures = [
            showing.learning(self.judge, figures, history, folder, published),
            showing.forecasts(self.judge, self._forecasts(model), self.quantiles, folder),
            showing.errors(self.judge, figures, folder),
            showing.gates(model, self.panel, self.window, folder),
        ]
        steps = future.as_far(self.panel, self.horizon) if self.data is not None else 0
        if steps:
            ahead = predicting.ahead_of(model, self.panel, self.window, steps)
            place = folder / "future.png"
            pictures.append(future.draw(self.panel, ahead, self.quantiles, place))
        return pictures

    def explorer(self, model: Forecaster) -> list[Explorable]:
        """What the explorer shows: where the judged part begins, and what comes after."""
        if not self.plain or self.ensemble > 1:
            raise InvalidValueError(
                "the explorer shows one network on one series, and here are several of either."
            )
        return [showing.explorable(model, self.split, self.timeline, self.panel.subject)]

    def attempt(self, model: Forecaster, arguments: list[str]) -> str:
        """What comes after the end of the series: the horizon, or as many values as asked."""
        count = _count(arguments, self.horizon)
        ahead = predicting.ahead_of(model, self.panel, self.window, count)
        if not self.plain:
            return "\n".join(future.table(self.panel, ahead, self.quantiles))
        values = [*self.split.values[-3:], *ahead[0].values[:, 0, len(self.quantiles) // 2]]
        return told.attempt(self.panel, values, ahead[0].labels, self.horizon)

    def look(self, model: Forecaster) -> list[Passage]:
        """The test part's last windows."""
        if not self.plain:
            return super().look(model)
        return [showing.last_windows(model, self.split, self.timeline)]


AT_ONCE = 32  # batches that are drawn in one go
ROUND = 3  # such blocks, after which the others of an ensemble are judged
MOST_CHOSEN = 4000  # windows of the validation part that a report looks at


def _count(arguments: list[str], horizon: int) -> int:
    """How many values are asked for."""
    if not arguments:
        return horizon
    return whole_number(" ".join(arguments), "how many values to forecast", 1, 99_999, such_as=12)
