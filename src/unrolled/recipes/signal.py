"""Learn what an effect does to a signal, sample by sample: an amplifier, rain to flow.

An LSTM reads what goes in and gives what comes out at the same step (Wright, Damskägg, Juvela and
Välimäki 2020).  It learns by truncated backpropagation, its state carried from window to window,
after a warm-up that is not learnt from.  It is judged on the last part of the signal by the energy
of its error, beside a linear filter by least squares.  Without a file it learns a made-up drive: a
filter, a tanh, a filter.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn

from unrolled.errors import InvalidValueError
from unrolled.errors.expected import Count, Layers, below_one, only
from unrolled.explorer import Explorable
from unrolled.inside.passage import Passage
from unrolled.layer.lstm import LSTM
from unrolled.recipes._signal import keeping
from unrolled.recipes._signal.answers import judged_anew
from unrolled.recipes._signal.data import Data
from unrolled.recipes._signal.judging import error_to_signal, steps_told, table
from unrolled.recipes._signal.linear import LinearFilter
from unrolled.recipes._signal.network import SignalNetwork, State, predict
from unrolled.recipes._signal.parts import Parts, drawn
from unrolled.recipes._signal.reading import Numbers
from unrolled.steps.batches import Batches
from unrolled.steps.losses import Loss
from unrolled.steps.program import Native
from unrolled.training.recipe import CellName

SOURCE = "Wright, Damskägg, Juvela & Välimäki 2020 (loss and windows: Automated-GuitarAmpModelling)"

# Its figures are of recordings that are not ours to give: what it is held against is the filter.
PUBLISHED = None

TAPS = 512  # of the linear filter, over all that goes in
OFFSET = 1 / 3  # the published 0.25 of the offset beside 0.75 of the rest
MOST_FITTED = 2**22  # steps that the filter is fitted to, the last ones: 87 seconds at 48,000 Hz


@dataclass(frozen=True)
class Recipe(Data):
    """The hyperparameters of an effect."""

    steps: int = 1000
    """Updates: of sound about two minutes of one core."""
    learning_rate: float = 0.005
    """How far an update goes: what the optimiser is given as its rate."""
    schedule: str = "cosine"
    """How the rate goes over the steps; falling to 0 it ends at half the error and less."""
    steps_per_update: Annotated[int, only(0, "--window says how long one is")] = 0
    """Only 0 makes sense: --window says how many steps make an update."""
    report_every: int = 50
    """Updates from one report to the next; each runs over the validation part."""
    cell: CellName = "vanilla"
    """The LSTM's cell: vanilla, carousel, peephole, coupled or linear."""
    hidden: Count = 32
    """Hidden units; 20 to 40 run in a plug-in."""
    layers: Layers = 1
    """Layers of the LSTM, one on the other."""
    skip: bool = False
    """Add the input to the output, as GuitarML's networks do: what is learnt is the difference.
    The targets c and nam cannot say it."""
    criterion: Literal["esr", "mse"] = "esr"
    """What is made small: the error's energy, with --emphasis, by the target's; or the mean
    squared error."""
    emphasis: Annotated[float, below_one] = 0.0
    """Of esr: how much of the error of the step before is taken away, so that high tones count:
    GuitarML's is 0.85. It is what it is judged by that suffers."""
    batch_size: Count = 50
    """Places in the signal that are read side by side."""

    carry_state = True

    def check(self) -> None:
        """Raise ValueError where fields do not fit each other, or the data."""
        self.check_files()
        if self.criterion == "mse" and self.emphasis:
            raise InvalidValueError(
                f"emphasis = {self.emphasis} is of criterion = esr: leave it out with mse."
            )
        _ = self.windowed  # which reads, and so looks over, the whole of the files

    @property
    def comparable(self) -> bool:
        """No figure was published of this."""
        return False

    @cached_property
    def _linear(self) -> LinearFilter:
        known, width = self.parts.training, self.signal.inputs.shape[1]
        known = known.part(max(len(known) - MOST_FITTED, 0), len(known))
        taps = max(min(TAPS // width, len(known) // 10), 1)
        return LinearFilter.fit(known.inputs, known.outputs, taps)

    # --- learning ---

    def model(self) -> SignalNetwork:
        """An LSTM and its output, in the signal's own units."""
        lstm = LSTM(self.signal.inputs.shape[1], self.hidden, self.layers, cell=self.cell)
        outputs = self.signal.outputs.shape[1]
        return SignalNetwork(lstm, outputs, self.scales, self.skip, self.signal.rate)

    @cached_property
    def _learnt(self) -> tuple[Tensor, Tensor, Tensor]:
        """Of the training part: what the LSTM reads, what the head is to give, its energy.

        The energy is that of the whole part, with pre-emphasis: divided by their own, quiet windows
        would count as much as loud ones, and silent ones without end.
        """
        known = self.parts.training
        with torch.random.fork_rng(devices=[]):
            model = self.model()
        x, y = torch.from_numpy(known.inputs), torch.from_numpy(known.outputs)
        target = (y.double() - model.mean_out) / model.size_out
        filtered = target[1:] - self.emphasis * target[:-1]
        return model.scaled(x), model.wanted(x, y), filtered.square().mean()

    @cached_property
    def _loss(self) -> Loss:
        kind = "emphasised_squared_error"
        if self.criterion == "mse":
            return Loss(kind)
        offset = OFFSET if self.emphasis else 0.0
        return Loss(kind, "mean", 1 / float(self._learnt[2]), emphasis=self.emphasis, offset=offset)

    def batches(self, step: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Windows that follow each other: what is read [K, T, B, C], what is wanted, who begins."""
        x, wanted, _ = self._learnt
        windows = self.windowed
        last = len(x) - windows.reach
        begins = torch.randint(last + 1, (self.batch_size,), generator=generator)
        read, target = drawn(x, begins, windows), drawn(wanted, begins, windows)
        return read, target, torch.arange(windows.count) == 0

    def _judged(self, wanted: Tensor, begins: Tensor) -> Tensor:
        """What is wanted of windows [K, T, B, D]: of the warm-up of those that begin, nothing."""
        found = wanted.clone()
        found[begins, : self.windowed.warm_up] = torch.nan
        return found

    def native(self, model: SignalNetwork) -> Native | str:
        """How the kernel makes whole updates."""

        def read(block: tuple[Tensor, ...]) -> Batches:
            x, wanted, begins = block
            return Batches(x, self._judged(wanted, begins), begins=begins)

        return Native(model.network, self._loss, read)

    def loss(
        self, model: SignalNetwork, batch: tuple[Tensor, ...], state: State | None
    ) -> tuple[Tensor, Any]:
        """The error's energy by the target's, of a window; and the state that is carried on."""
        read, wanted, begins = batch
        output, state = model.network(read, None if bool(begins) else state)
        return self._loss(output, self._judged(wanted[None], begins[None])[0]), state

    # --- judging ---

    @property
    def chosen_by(self) -> str:
        """The error on the validation part: the test part is not looked at."""
        return "validation_esr"

    def metrics(self, model: SignalNetwork) -> dict[str, float]:
        """The error-to-signal ratio on the validation part."""
        return {"validation_esr": self._esr(model, self.parts.first, self.parts.second)}

    def _esr(self, model: SignalNetwork, begin: int, end: int) -> float:
        found = self.output(model, begin, end)
        return error_to_signal(found, self.signal.outputs[begin:end], self.scales.mean_out)

    def output(self, model: SignalNetwork, begin: int, end: int) -> Numbers:
        """What the network makes of some steps [end − begin, D]; it has heard those before."""
        return predict(model, self.signal.inputs, begin, end, self.windowed.reach)

    def linear_output(self, begin: int, end: int) -> Numbers:
        """What the linear filter makes of them."""
        first = max(begin - len(self._linear.taps), 0)
        return self._linear(self.signal.inputs[first:end])[begin - first :]

    def result(self, model: SignalNetwork) -> dict[str, Any]:
        """The errors on the validation and the test part, of the network and of the filter."""
        begin, end = self.parts.test
        target, silence = self.signal.outputs[begin:end], self.scales.mean_out
        x = self.signal.inputs[begin:end]
        alike = self.signal.is_sound and x.shape == target.shape
        return {
            **self.metrics(model),
            "test_esr": self._esr(model, begin, end),
            "test_esr_linear": error_to_signal(self.linear_output(begin, end), target, silence),
            "test_esr_input": error_to_signal(x, target, silence) if alike else None,
            "test_steps": end - begin,
            "rate": self.signal.rate,
        }

    def summary(self, model: SignalNetwork) -> str:
        """What was read, and the table."""
        figures: Mapping[str, Any] = self.result(model)
        told = steps_told(figures["test_steps"], self.signal.rate)
        name = f"LSTM, {self.layers}×{self.hidden}"
        return "\n".join(
            [*self.signal.said, self._cut_told(), "", *table(figures, name, self.taps, told)]
        )

    @property
    def taps(self) -> int:
        """How many the linear filter has."""
        return len(self._linear.taps)

    def _cut_told(self) -> str:
        parts, rate, windows = self.parts, self.signal.rate, self.windowed
        first, second = steps_told(parts.first, rate), steps_told(parts.second - parts.first, rate)
        return (
            f"learnt from the first {first}, in {windows.count} windows of {windows.size:,} steps "
            f"after {windows.warm_up:,} of warm-up; the weights chosen by the {second} after them"
        )

    # --- showing ---

    def draw(self, model: SignalNetwork, history: list[dict[str, Any]], folder: Path) -> list[Path]:
        """How it learned; both waves and the error; its spectrum; and of sound the sounds."""
        from unrolled.recipes._signal import showing

        begin, end = self.parts.test
        outputs = {
            "LSTM": self.output(model, begin, end),
            f"linear filter, {self.taps} taps": self.linear_output(begin, end),
        }
        linear = self.result(model)["test_esr_linear"]
        return showing.drawn(self.signal.part(begin, end), outputs, linear, history, folder)

    def kept(self, model: SignalNetwork) -> Any:
        """What the signal is, and the end of it: enough to go on without the files."""
        return keeping.kept(self.signal, self.windowed)

    def remembering(self, tree: Mapping[str, Any]) -> Recipe:
        """The recipe on what a run kept, in place of its files.

        Raises
        ------
        KeyError, TypeError, ValueError, AttributeError
            If that is no such tree.
        """
        found = dataclasses.replace(self)
        signal, windows = keeping.revived(tree)
        vars(found).update(signal=signal, windowed=windows)
        vars(found).update(parts=Parts(signal, 0, 0), scales=keeping.no_scales(signal))
        return found

    def further(self, folder: str) -> list[str]:
        """Put it to use: on a file of any length, and as a plug-in's model."""
        suffix = ".wav" if self.data is None else self.data.suffix
        apply = f"unrolled apply {folder} NEW{suffix} --out PLAYED{suffix}"
        export = [f"unrolled export {folder} --to rtneural"] if self.signal.is_sound else []
        return [apply, *export, f"unrolled explore {folder} --open"]

    def look(self, model: SignalNetwork) -> list[Passage]:
        """A short stretch of the end of the signal."""
        return [keeping.passage(model, self.signal)]

    def explorer(self, model: SignalNetwork) -> list[Explorable]:
        """The network over short stretches."""
        return [keeping.explorable(model, self.signal)]

    def exported(self, model: SignalNetwork) -> dict[str, nn.Module]:
        """The network with its scales in its weights: it reads and gives the signal as it is."""
        return {"network": model.effect()}

    def attempt(self, model: SignalNetwork, arguments: list[str]) -> str:
        """How far it is from the target on another pair of files, or on a fresh made-up sound."""
        return judged_anew(self, model, arguments)
