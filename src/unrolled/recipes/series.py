"""Forecast a series of numbers from its last values: a cosine, or a column of anybody's table.

Document 003 reads ten values of a cosine and forecasts the next.  As printed it hands them to the
network as one step of ten features, so the recurrent weights are never used; here, as its text
intends, they are ten steps of one feature.  Its forecasts are judged beside two forecasts
that need no network: that nothing changes, and an autoregression.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from unrolled import training
from unrolled.errors import InvalidValueError
from unrolled.explorer import Explorable
from unrolled.files.columns import Floats, Integers
from unrolled.inside.passage import Passage
from unrolled.layer.lstm import LSTM
from unrolled.recipes import Published
from unrolled.recipes._asked import whole_number
from unrolled.recipes._series import (
    future,
    honest,
    inside,
    keeping,
    predicting,
    reading,
    showing,
    told,
)
from unrolled.recipes._series import search as searching
from unrolled.recipes._series.data import Data
from unrolled.recipes._series.forecaster import Forecaster
from unrolled.recipes._series.member import Member, inputs_of
from unrolled.recipes._series.panel import Panel, Parts
from unrolled.recipes._series.scaling import scales_of, unscaled
from unrolled.recipes._series.settings import Setting
from unrolled.steps.program import Native
from unrolled.training.optimizers import make_optimizer

SOURCE = (
    "document 003 (a cosine, TensorFlow 1; after Bao Ziyang, Neural Networks and Deep Learning)"
)

# The document's figures are pictures; this is from running it as its text intends.
PUBLISHED = (Published("rmse", 0.0242, 1000, "document 003's cosine, the worst of 5 runs"),)


# The defaults were chosen on the sunspots' training part alone: the mean RMSE on three folds of 40
# years, each forecast from the years before it, 1827 to 1946.  Beside it what AR(9) has there:
# one step 13.0 (15.7), 11 steps 23.4 (24.7).  Nothing was chosen by a test part.


@dataclass(frozen=True)
class Recipe(Data):
    """The hyperparameters of a forecast."""

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
            search=1,
            ensemble=1,
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

    # --- learning ---

    @property
    def chosen_by(self) -> str:
        """The loss on the validation part, where there is one."""
        return "validation_loss" if len(self.parts.validation_origins) else ""

    def model(self) -> Forecaster:
        """LSTMs and their outputs, from values to values."""
        return self.model_of(self.panel, self.settings, self.parts if self.scaled else None)

    def model_of(
        self, panel: Panel, settings: Sequence[Setting], parts: Parts | None = None
    ) -> Forecaster:
        """The same for any panel with such columns and groups; without parts it has no scales."""
        members = [self._member(panel, setting, parts) for setting in settings]
        if self.start == "tensorflow":
            for member in members:
                member.start_as_tensorflow()
        return Forecaster(members)

    def _member(self, panel: Panel, setting: Setting, parts: Parts | None) -> Member:
        how = {"changes": self.changes}
        scales = unscaled(panel, self.horizon)
        if parts is not None:
            scales = scales_of(panel, parts, setting, self.horizon, **how)
        inputs = inputs_of(panel, setting.season)
        lstm = LSTM(inputs, setting.hidden, self.layers, cell=self.cell)
        return Member(lstm, panel, self.horizon, scales, setting, quantiles=self.quantiles, **how)

    def native(self, model: Forecaster) -> Native | str:
        """How the kernel makes whole updates."""
        return Native(model.first.network, model.first.criterion, model.first.batches)

    def loss(self, model: Forecaster, batch: tuple[Tensor, ...], state: Any) -> tuple[Tensor, Any]:
        """That of quantiles, or the mean squared error; of changes, as multiples of their size."""
        return model.first.loss_of(batch), None

    # --- judging ---

    def metrics(self, model: Forecaster) -> dict[str, float]:
        """The error on the validation part; of the cosine, the RMSE on the test part."""
        if self.data is None:
            return told.errors(self.judge, self._forecasts(model))
        part = "validation" if self.chosen_by else "training"
        origins = self._some(getattr(self.parts, f"{part}_origins"))
        loss = model.first.loss_of(self.at(origins)).item()
        middle = predicting.predict(model, self.panel, origins, self.context)
        off = middle[..., 0, len(self.quantiles) // 2]
        off = off - self.panel.following(origins, self.horizon)[..., 0].numpy()
        return {f"{part}_loss": loss, f"{part}_rmse": float(np.sqrt(np.nanmean(off**2)))}

    def _some(self, origins: Integers) -> Integers:
        """As many of them as can be looked at again and again, evenly spread."""
        most = max(LOOKED_AT // self.context, FEWEST)
        chosen: Integers = origins[:: -(-len(origins) // most) or 1]
        return chosen

    @torch.no_grad()
    def settle(self, model: Forecaster, step: int) -> None:
        """Search for more networks, make the intervals honest, and learn anew from more."""
        if self.data is None:
            return
        plan = self._plan()
        made = searching.search(model, plan, self.ensemble, step)
        interval = honest.Intervals(model, self.panel, self.parts, self.context)
        interval.calibrate()
        if self.refit and self.chosen_by and len(self.parts.training_origins) < ENOUGH:
            origins = [self.parts.training_origins, self.parts.validation_origins]
            searching.refit(model, self._untrained(), plan, np.concatenate(origins), made)
            interval.keep_width()

    def _plan(self) -> searching.Search:
        origins = self._some(self.parts.validation_origins)
        return searching.Search(
            at=self.at,
            depth=self.panel.depth,
            origins=self.parts.training_origins,
            judge=self.at(origins) if len(origins) else None,
            make=lambda p, rate: make_optimizer(self.optimizer, p, rate, self.optimizer_options()),
            steps=self.steps,
            batch_size=self.batch_size,
            clip=self.clip,
            seed=self.seed,
            schedule=self.schedule,
            minutes=self.minutes,
        )

    def _forecasts(self, model: Forecaster) -> Floats:
        """Every quantile of the test part: [horizon, origins, targets, quantiles]."""
        return predicting.predict(model, self.panel, self.parts.test_origins, self.context)

    def _untrained(self) -> Forecaster:
        """The model as this run's training began with it."""
        model = training.build(self).eval()
        assert isinstance(model, Forecaster)
        return model

    def result(self, model: Forecaster) -> dict[str, Any]:
        """The errors on the test part, and those of the rivals: same origins, own units."""
        if not self.judged:
            return {"missing": self.panel.missing()[0], "origins": 0}
        found = {"": self._forecasts(model)}
        if self.data is None:
            found["_before"] = self._forecasts(self._untrained())
        return told.result(self.judge, found, self.quantiles, cosine=self.data is None)

    def summary(self, model: Forecaster) -> str:
        """The table of rivals, who won, and what comes next."""
        forecasts = self._forecasts(model) if self.judged else None
        if self.data is None and forecasts is not None:
            untrained = self._forecasts(self._untrained())
            return told.cosine(self.judge, forecasts, untrained)
        lines = [*told.read(self.panel), *self.thinned]
        if forecasts is not None:
            lines += told.summary(self.judge, forecasts, self.quantiles)
        lines += [*told.networks(model.heard.tolist(), self.settings), *model.notes]
        steps = future.as_far(self.panel, self.horizon)
        if not steps:
            lines += [
                f"What comes next is not forecast here: {' and '.join(self.future)} would have to "
                "be known beyond the last value; give unrolled forecast --data-future FILE."
            ]
        else:
            ahead = predicting.ahead_of(model, self.panel, self.context, steps)
            lines += ["", *future.table(self.panel, ahead, self.quantiles)]
        return "\n".join(lines)

    @property
    def reading(self) -> str:
        """One line that says how the file was read."""
        return self.panel.said[0]

    def kept(self, model: Forecaster) -> Any:
        """The end of every series, so that it can be gone on with without the file."""
        if self.data is None:
            return None
        return keeping.kept(self.panel, self.context, self.settings)

    def model_like(self, panel: Panel, settings: Sequence[Setting]) -> Forecaster:
        """A model that weights can be given."""
        with torch.random.fork_rng(devices=[]):
            return self.model_of(panel, settings)

    def remembering(self, kept: Panel, settings: Sequence[Setting]) -> Recipe:
        """The recipe on what a run kept of its series, in place of the file."""
        found = dataclasses.replace(self)
        vars(found).update(panel=kept, settings=list(settings))
        return found

    def panel_of(self, kept: Panel, context: int, data: Path | None, beyond: Path | None) -> Panel:
        """What a run kept, or a new file read alike; ``beyond`` has what is known ahead."""
        asked = self._asks(data, beyond, kept.targets)
        if data is None:
            return kept if beyond is None else reading.with_ahead(kept, asked)
        return reading.read_again(asked, kept, context, self.horizon)

    def _asks(self, data: Path | None, beyond: Path | None, column: tuple[str, ...]) -> Recipe:
        file = data or self.data
        asked = dataclasses.replace(self, data=file, data_future=beyond, column=column)
        asked.check_file()
        return asked

    # --- showing ---

    def draw(self, model: Forecaster, history: list[dict[str, Any]], folder: Path) -> list[Path]:
        """How it learned, what it forecasts, how good that is, what its gates do; the future."""
        drawn: list[Path] = []
        ahead = []
        if self.data is not None and (steps := future.as_far(self.panel, self.horizon)):
            ahead = predicting.ahead_of(model, self.panel, self.context, steps)
            drawn.append(folder / "forecast.csv")  # also where nothing can be drawn
            future.write_csv(self.panel, ahead, self.quantiles, drawn[0])
        figures = self.result(model)
        published = PUBLISHED[0].value if self.comparable else None
        drawn.append(showing.learning(self.judge, figures, history, folder, published))
        if self.judged:
            found = self._forecasts(model)
            drawn.append(showing.forecasts(self.judge, found, self.quantiles, folder))
            drawn.append(showing.errors(self.judge, figures, folder))
        drawn.append(showing.gates(model.first, self.panel, self.context, folder))
        if ahead:
            place = folder / "future.png"
            drawn.append(future.draw(self.panel, ahead, self.quantiles, place))
        return drawn

    def further(self, folder: str) -> list[str]:
        """Other steps, a new file, and a look inside."""
        if self.data is None:
            return [f"unrolled explore {folder} --open"]
        known = " --data-future FILE" if self.future else ""
        return [
            f"unrolled forecast {folder} --data NEW{self.data.suffix} --steps {2 * self.horizon}"
            f"{known}",
            f"unrolled explore {folder} --open",
        ]

    def explorer(self, model: Forecaster) -> list[Explorable]:
        """What the explorer shows: one network, over the end of the series."""
        member, name = inside.shown(model)
        return [inside.explorable(member, self.panel, name)]

    def exported(self, model: Forecaster) -> dict[str, nn.Module]:
        """The LSTM and its output of each network that is heard, on the scale that it sees."""
        return {f"{n}": member.network for n, member in enumerate(model.speaking, 1)}

    def attempt(self, model: Forecaster, arguments: list[str]) -> str:
        """What comes after the end of the series: the horizon, or as many values as asked."""
        count = _count(arguments, self.horizon)
        ahead = predicting.ahead_of(model, self.panel, self.context, count)
        if not self.plain:
            return "\n".join(future.table(self.panel, ahead, self.quantiles))
        values = [*self.panel.series(0)[-3:], *ahead[0].values[:, 0, len(self.quantiles) // 2]]
        return told.attempt(self.panel, values, ahead[0].labels, self.horizon)

    def look(self, model: Forecaster) -> list[Passage]:
        """The last windows of the series."""
        member, name = inside.shown(model)
        return [inside.passage(member, self.panel, name)]


LOOKED_AT = 100_000  # steps of the validation part's windows that a report looks at
FEWEST = 250  # windows of it, at the least
ENOUGH = 10_000  # windows to learn from, to which the validation part adds nothing that tells


def _count(arguments: list[str], horizon: int) -> int:
    """How many values are asked for."""
    if not arguments:
        return horizon
    return whole_number(" ".join(arguments), "how many values to forecast", 1, 99_999, such_as=12)
