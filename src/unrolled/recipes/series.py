"""Forecast a series of numbers from its last values: a cosine, or a column of anybody's table.

Document 003 reads ten values of a cosine and forecasts the next.  As printed it hands them to the
network as one step of ten features, so the recurrent weights are never used; here, as its text
intends, they are ten steps of one feature.  Its forecasts are judged beside two forecasts
that need no network: that nothing changes, and an autoregression.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from torch import Tensor

from unrolled import training
from unrolled.errors import InvalidValueError
from unrolled.errors.expected import Count, Layers, at_least, only, positive, share
from unrolled.explorer import Explorable, Output, Window
from unrolled.files.columns import Floats
from unrolled.files.spacing import Spacing
from unrolled.files.tables import Reading, read_table
from unrolled.files.timed import Timed, Timing, first_missing, in_rows, on_time
from unrolled.files.timeline import Clock, Timeline
from unrolled.inside.passage import Passage
from unrolled.layer.lstm import LSTM
from unrolled.recipes import Published
from unrolled.recipes._asked import whole_number
from unrolled.recipes._series import forecasting
from unrolled.recipes._series.forecaster import (
    Forecaster,
    extend,
    forecast,
    last_windows,
    window_of,
)
from unrolled.recipes._series.forecasting import Autoregression, Origins, Split, rmse
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
class Recipe(training.Recipe, Reading, Timing):
    """The hyperparameters of a forecast."""

    steps: int = 500
    """Updates: about 2 seconds. Of 100 to 700, 500 was best; more learn a small series by heart."""
    learning_rate: float = 0.002
    """How far an update goes; 0.001 to 0.005 all do."""
    steps_per_update: Annotated[int, only(0, "each window begins from a state of zeros")] = 0
    """Only 0 makes sense: a window is short, and each begins from a state of zeros."""
    data: Path | None = None
    """A table with the names of its columns: CSV and its like in any dialect and encoding, Excel,
    Parquet; none: the cosine."""
    column: str = ""
    """The column to forecast."""
    time: str = ""
    """The column that says when (dates, quarters, years, …): rows are put in their places in time,
    and the future has dates; empty: the rows as they lie."""
    where: tuple[str, ...] = ()
    """Of a file: the rows to take, as COLUMN=VALUE, such as shop=Bergen."""
    horizon: Count = 1
    """How many steps ahead are forecast, all at once."""
    window: Count = 10
    """How many values the network reads before it forecasts: as many as tell what comes next. Of
    10, 12, 14 and 22, 10 was best for yearly sunspots, whose cycle is 11; document 003 has 10."""
    test_share: Annotated[float, share] = 0.2
    """Of a file: the share of rows, the last ones, that nothing is learnt from."""
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
        for name, value in (("column", self.column), ("time", self.time), ("where", self.where)):
            if self.data is None and value:
                raise InvalidValueError(
                    f"{name} = {value!r} names a column of no file: add --data FILE."
                )
        len(self.timeline.labels)  # which reads, and so looks over, the whole file

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
        return hashlib.sha256(self.split.values.tobytes()).hexdigest()

    @cached_property
    def split(self) -> Split:
        """The series, cut in time."""
        if self.data is None:
            learnt = self.training_windows + self.window + self.horizon - 1
            tested = self.test_windows + self.horizon - 1
            values = np.cos(self.spacing * np.arange(learnt + tested))
        else:
            values = self.timed.numbers(self._subject)
            self._check_whole(values)
            tested = max(round(self.test_share * len(values)), self.horizon)
        return forecasting.split(values, self.window, self.horizon, tested)

    @cached_property
    def timed(self) -> Timed:
        """The file's rows, in their places in time."""
        assert self.data is not None, "the cosine is of no file"
        table = read_table(self.data, self).where(self.where)
        return on_time(table, self.time, self) if self.time else in_rows(table)

    def _check_whole(self, values: Floats) -> None:
        """Raise ValueError where a step has no value: the windows here have no gaps."""
        gaps = first_missing(values, self.timed.timeline)
        if gaps:
            raise InvalidValueError(
                f"{self._subject!r} of {self.timed.table.file} has no value at {gaps}: expected "
                "one at every step; fill them in, or make steps longer with --every."
            )

    @cached_property
    def timeline(self) -> Timeline:
        """When each value was."""
        count = len(self.split.values)  # which looks over the whole file
        if self.data is None:
            return Timeline.of_clock(
                Clock(0.0, Spacing(self.spacing, "number"), "number", "x"), count
            )
        return self.timed.timeline

    @cached_property
    def _training(self) -> tuple[Tensor, Tensor]:
        origins = self.split.training_origins
        ahead = forecasting.targets(self.split.values, origins, self.horizon)
        return window_of(self.split, origins), torch.from_numpy(ahead)

    @cached_property
    def _truth(self) -> Floats:
        return forecasting.targets(self.split.values, self.split.test_origins, self.horizon)

    @cached_property
    def _autoregression(self) -> Autoregression:
        return Autoregression.fit(self.split.training, self.window)

    def _forecasters(self, model: Forecaster) -> dict[str, Callable[[Origins], Floats]]:
        """Who forecasts from given origins, by the end of the names of their figures."""
        values, horizon = self.split.values, self.horizon
        return {
            "": lambda origins: forecast(model, self.split, origins),
            "_ar": lambda origins: self._autoregression.forecast(values, origins, horizon),
            "_persistence": lambda origins: forecasting.persistence(values, origins, horizon),
            "_before": lambda origins: forecast(self._untrained(), self.split, origins),
        }

    # --- learning ---

    def model(self) -> Forecaster:
        """An LSTM and its output, from values to values."""
        lstm = LSTM(1, self.hidden, self.layers, cell=self.cell)
        model = Forecaster(lstm, self.split, changes=self.changes, scaled=self.scaled)
        if self.start == "tensorflow":
            model.start_as_tensorflow()
        return model

    def batch(self, step: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Windows [T, B, 1] of the training part and what followed them [horizon, B]."""
        windows, targets = self._training
        chosen = torch.randint(windows.shape[1], (self.batch_size,), generator=generator)
        return windows[:, chosen], targets[:, chosen]

    def loss(self, model: Forecaster, batch: tuple[Tensor, ...], state: Any) -> tuple[Tensor, Any]:
        """The mean squared error; 1 is as good as no change, where changes are scaled."""
        windows, targets = batch
        error = (model(windows) - targets) / model.target_scale[:, None]
        return error.square().mean(), None

    # --- judging ---

    def metrics(self, model: Forecaster) -> dict[str, float]:
        """RMSE on the test part, in the series' own units."""
        return self._errors(forecast(model, self.split, self.split.test_origins))

    def _errors(self, forecasts: Floats) -> dict[str, float]:
        errors = {"rmse": rmse(forecasts[0], self._truth[0])}
        if self.horizon > 1:
            errors["rmse_horizon"] = rmse(forecasts, self._truth)
        return errors

    def _untrained(self) -> Forecaster:
        """The model as this run's training began with it."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return self.model().eval()

    def result(self, model: Forecaster) -> dict[str, Any]:
        """RMSE after training, before it, and of the rivals: same origins, own units."""
        figures: dict[str, Any] = {}
        origins = self.split.test_origins
        for end, forecaster in self._forecasters(model).items():
            errors = self._errors(forecaster(origins))
            figures |= {f"{metric}{end}": error for metric, error in errors.items()}
        return {**figures, "ar_order": self._autoregression.order, "origins": len(origins)}

    @property
    def _names(self) -> dict[str, str]:
        """The words for each forecast, by the end of its figures' names."""
        ar = f"AR({self._autoregression.order})"
        return {"": "LSTM", "_ar": ar, "_persistence": "persistence", "_before": "untrained"}

    @cached_property
    def _subject(self) -> str:
        if self.data is None:
            return "cosine"
        return self.timed.table.find(self.column, besides=(self.time,))

    def summary(self, model: Forecaster) -> str:
        """The table of rivals: on the way, loss and metrics say it all."""
        figures = self.result(model)
        heads = {"rmse": "one step", "rmse_horizon": f"{self.horizon} steps"}
        heads = {metric: head for metric, head in heads.items() if metric in figures}
        title = f"RMSE of {self._subject}, {figures['origins']:,} forecasts"
        lines = [title + "".join(f"{head:>12}" for head in heads.values())]
        for end, name in self._names.items():
            row = "".join(f"{figures[metric + end]:>12.4g}" for metric in heads)
            lines.append(f"{name:<{len(title)}}{row}")
        return "\n".join(lines if self.data is None else [self.reading, *lines])

    @property
    def reading(self) -> str:
        """One line that says how the file was read."""
        numbers = self.timed.table.told_numbers(self._subject)[1]
        return self.timed.summary(numbers)

    # --- showing ---

    def draw(self, model: Forecaster, history: list[dict[str, Any]], folder: Path) -> list[Path]:
        """How it learned, what it forecasts, how good that is, and what its gates do."""
        from unrolled.pictures import plots
        from unrolled.recipes._gates import draw_gates
        from unrolled.recipes._series.pictures import draw_forecasts

        figures, names = self.result(model), self._names
        trained = {end: who for end, who in self._forecasters(model).items() if end != "_before"}
        forecasters = {names[end]: who for end, who in trained.items()}
        metric = "rmse_horizon" if self.horizon > 1 else "rmse"
        far = f"over {self.horizon} steps ahead" if self.horizon > 1 else "one step ahead"
        return [
            plots.learning_curve(
                history,
                folder / "learning.png",
                metric="rmse",
                published=PUBLISHED[0].value if self.comparable else None,
                levels={names[end]: figures[f"rmse{end}"] for end in ("_ar", "_persistence")},
                title=f"{self._subject}: learning",
            ),
            draw_forecasts(
                self.split, self.timeline, forecasters, self._subject, folder / "forecast.png"
            ),
            plots.bars(
                list(names.values()),
                [figures[metric + end] for end in names],
                folder / "errors.png",
                title=f"{self._subject}: RMSE {far}",
                ylabel="RMSE",
                ours=[0],
            ),
            draw_gates(
                model.lstm,
                model.scaled(window_of(self.split, np.array([len(self.split.values) - 1]))),
                folder / "gates.png",
                # A third of the labels: dates are long words.
                steps=[
                    label if n % max(self.window // 3, 1) == 0 else ""
                    for n, label in enumerate(self.timeline.labels[-self.window :])
                ],
                title=f"{self._subject}: the gates over the last {self.window} values",
                xlabel=self.timeline.name,
            ),
        ]

    def explorer(self, model: Forecaster) -> list[Explorable]:
        """What the explorer shows: where the judged part begins, and what comes after."""
        first = self.split.border - self.window
        seen = slice(first, first + 400)
        inputs = Window(
            self.split.values[seen].tolist(),
            list(self.timeline.labels[seen]),
            self.window,
            None if self.changes else model.mean.item(),
            model.scale.item(),
            self._subject,
        )
        ahead = [f"{n} ahead" for n in range(1, self.horizon + 1)]
        output = Output("linear", ahead, "last", model.target_scale.tolist())
        return [Explorable([model.lstm], model.readout, inputs, output)]

    def attempt(self, model: Forecaster, arguments: list[str]) -> str:
        """What comes after the end of the series: the horizon, or as many values as asked."""
        count = _count(arguments, self.horizon)
        labels = [*self.timeline.labels[-3:], *self.timeline.ahead(count)]
        values = [*self.split.values[-3:], *extend(model, self.split, count)]
        heads = [f"{self.timeline.name:>12}  {self._subject:>12}"]
        lines = [
            f"{label:>12}  {value:>12.6g}" for label, value in zip(labels, values, strict=True)
        ]
        answer = [*heads, *lines[:3], *(f"{line}  forecast" for line in lines[3:])]
        if count > self.horizon:
            own = "from its own forecasts"
            answer.append(f"it forecasts {self.horizon} at once; what lies beyond is {own}")
        return "\n".join(answer)

    def look(self, model: Forecaster) -> list[Passage]:
        """The test part's last windows."""
        return [last_windows(model, self.split, self.timeline)]


def _count(arguments: list[str], horizon: int) -> int:
    """How many values are asked for."""
    if not arguments:
        return horizon
    return whole_number(" ".join(arguments), "how many values to forecast", 1, 99_999, such_as=12)
