"""Learn what an effect does to a signal, sample by sample: an amplifier, rain to flow.

An LSTM reads what goes in and gives what comes out at the same step (Wright, Damskägg, Juvela and
Välimäki 2020).  It learns by truncated backpropagation, its state carried from window to window,
after a warm-up that is not learnt from.  It is judged on the last part of the signal by the energy
of its error, beside a linear filter by least squares.  Without a file it learns a made-up drive: a
filter, a tanh, a filter.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from unrolled import training
from unrolled.errors import InvalidValueError
from unrolled.errors.expected import Count, Expected, Layers, at_least, only, share
from unrolled.explorer import Explorable
from unrolled.files.tables import Reading
from unrolled.inside.passage import Passage
from unrolled.layer.lstm import LSTM
from unrolled.recipes._signal import keeping
from unrolled.recipes._signal.answers import judged_anew
from unrolled.recipes._signal.delay import delay_between, shifted
from unrolled.recipes._signal.judging import error_to_signal, steps_told, table
from unrolled.recipes._signal.linear import LinearFilter
from unrolled.recipes._signal.made_up import RATE, drive, played
from unrolled.recipes._signal.network import SignalNetwork, State, predict
from unrolled.recipes._signal.parts import (
    Parts,
    Scales,
    Windows,
    divide,
    drawn,
    scales_of,
    windows_of,
)
from unrolled.recipes._signal.reading import Asked, Numbers, Signal, read_signal
from unrolled.steps.batches import Batches
from unrolled.steps.losses import Loss
from unrolled.steps.program import Native
from unrolled.training.recipe import CellName

SOURCE = "Wright, Damskägg, Juvela & Välimäki 2020 (loss and windows: Automated-GuitarAmpModelling)"

# Its figures are of recordings that are not ours to give: what it is held against is the filter.
PUBLISHED = None

TAPS = 512  # of the linear filter, over all that goes in
SECONDS = 0.5  # how far apart two recordings may lie
OFFSET = 1 / 3  # the published 0.25 of the offset beside 0.75 of the rest
MOST_FITTED = 2**22  # steps that the filter is fitted to, the last ones: 87 seconds at 48,000 Hz

_MAYBE = Expected("1 or more", lambda value: value is None or value >= 1)
_MAYBE_NONE = Expected("0 or more", lambda value: value is None or value >= 0)
_EMPHASIS = Expected("0 or more and below 1", lambda value: value is None or 0 <= value < 1)


@dataclass(frozen=True)
class Recipe(training.Recipe, Reading):
    """The hyperparameters of an effect."""

    seed: int = 0
    """Draws the weights, the batches and the made-up sound."""
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
    data: Path | None = None
    """What goes in: sound (.wav, .flac, .aiff, .ogg), a table (.csv, .parquet, …) or NumPy (.npy,
    .npz); none: a made-up sound and drive."""
    target: Path | None = None
    """What comes out, in a file of its own of the same kind."""
    inputs: tuple[str, ...] = ()
    """The columns that go in; empty: all but those that come out."""
    outputs: tuple[str, ...] = ()
    """The columns that come out; empty: all of --target."""
    delay: int | None = None
    """By how many steps the target comes after what goes in, which is undone; not given: of sound
    it is found and undone, of a table it is left to be learnt."""
    validation_share: Annotated[float, share] = 0.1
    """The share of steps, before the test part, that chooses which weights are kept."""
    test_share: Annotated[float, share] = 0.1
    """The share of steps, the last ones, that only judges."""
    length: Annotated[int, at_least(1_000)] = 960_000
    """Of the made-up sound: samples at 48,000 Hz."""
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
    """What is made small: the error's energy, with pre-emphasis, by the target's; or the mean
    squared error."""
    emphasis: Annotated[float | None, _EMPHASIS] = None
    """Of esr: how much of the error of the step before is taken away, so that high tones count; not
    given: 0.95 of sound, 0 of a table."""
    window: Annotated[int | None, _MAYBE] = None
    """Steps in one update; not given: 2,048, or of a short signal a 64th of what is learnt from."""
    windows: Count = 12
    """Windows that follow each other; the state is carried from each to the next."""
    warm_up: Annotated[int | None, _MAYBE_NONE] = None
    """Steps at the begin of the first window that are heard and not learnt from; not given: 1,000,
    or half a window."""
    batch_size: Count = 50
    """Places in the signal that are read side by side."""

    carry_state = True

    def check(self) -> None:
        """Raise ValueError where fields do not fit each other, or the data."""
        if self.data is None:
            self._check_made_up()
        if self.criterion == "mse" and self.emphasis:
            raise InvalidValueError(
                f"emphasis = {self.emphasis} is of criterion = esr: leave it out with mse."
            )
        _ = self.windowed  # which reads, and so looks over, the whole of the files

    def _check_made_up(self) -> None:
        named = ("target", "inputs", "outputs", "delay")
        for name in named:
            if getattr(self, name) not in (None, ()):
                raise InvalidValueError(
                    f"{name} = {getattr(self, name)!r} is of no file: add --data FILE."
                )

    @property
    def comparable(self) -> bool:
        """No figure was published of this."""
        return False

    # --- the data ---

    def digest(self) -> str:
        """What tells this data from other data: a run goes on with its own alone."""
        told = hashlib.sha256()
        for array in (self.signal.inputs, self.signal.outputs):
            told.update(np.ascontiguousarray(array).data)
        return told.hexdigest()

    @cached_property
    def signal(self) -> Signal:
        """The whole of it, without a delay."""
        if self.data is None:
            x = played(self.length, self.seed)
            pair = (x.astype(np.float32)[:, None], drive(x).astype(np.float32)[:, None])
            return Signal(*pair, (("0",), ("0",)), RATE, "32-bit float")
        return self._undelayed(self.read(self.data, self.target))

    def read(self, data: Path, target: Path | None) -> Signal:
        """Other files, read as this run's own."""
        return read_signal(Asked(data, target, self.inputs, self.outputs, self))

    def _undelayed(self, signal: Signal) -> Signal:
        found = self.delay
        if found is None:
            most = round(SECONDS * signal.rate) or len(signal) // 8
            found = delay_between(signal.inputs[:, 0], signal.outputs[:, 0], most)
            if not signal.is_sound:
                told = f"the target comes {_late(found)}, which is left to be learnt (--delay)"
                return signal.telling(told) if found else signal
        if abs(found) > len(signal) // 2:
            raise InvalidValueError(
                f"delay = {found} leaves less than half of the {len(signal):,} steps: expected a "
                "smaller one."
            )
        x, y = shifted(signal.inputs, signal.outputs, found)
        why = "found; --delay says another" if self.delay is None else "as was said"
        undone = f"the target comes {_late(found)}, which is undone ({why})"
        shorter = dataclasses.replace(signal, inputs=x, outputs=y)
        return shorter.telling(undone if found else f"no delay ({why})")

    @cached_property
    def parts(self) -> Parts:
        """The signal, cut in time."""
        return divide(self.signal, self.validation_share, self.test_share)

    @cached_property
    def windowed(self) -> Windows:
        """How long what one update learns from is."""
        return windows_of(self.parts.first, self.window, self.windows, self.warm_up)

    @cached_property
    def scales(self) -> Scales:
        """Those of the training part."""
        return scales_of(self.parts.training)

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
        filtered = target[1:] - self._loss_emphasis * target[:-1]
        return model.scaled(x), model.wanted(x, y), filtered.square().mean()

    @property
    def _loss_emphasis(self) -> float:
        if self.criterion == "mse":
            return 0.0
        return (0.95 if self.signal.is_sound else 0.0) if self.emphasis is None else self.emphasis

    @cached_property
    def _loss(self) -> Loss:
        if self.criterion == "mse":
            return Loss("emphasised_squared_error")
        p = self._loss_emphasis
        factor = 1 / float(self._learnt[2])
        offset = OFFSET if p else 0.0
        return Loss("emphasised_squared_error", factor=factor, emphasis=p, offset=offset)

    def batches(self, step: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Windows that follow each other: what is read [K, T, B, C], what is wanted, who begins.

        Of the steps of the warm-up nothing is wanted: they are NaN.
        """
        x, wanted, _ = self._learnt
        windows = self.windowed
        last = len(x) - windows.reach
        begins = torch.randint(last + 1, (self.batch_size,), generator=generator)
        read, target = drawn(x, begins, windows), drawn(wanted, begins, windows)
        target[0, : windows.warm_up] = torch.nan
        return read, target, torch.arange(windows.count) == 0

    def native(self, model: SignalNetwork) -> Native | str:
        """How the kernel makes whole updates."""
        return Native(
            model.network, self._loss, lambda block: Batches(block[0], block[1], begins=block[2])
        )

    def loss(
        self, model: SignalNetwork, batch: tuple[Tensor, ...], state: State | None
    ) -> tuple[Tensor, Any]:
        """The error's energy by the target's, of a window; and the state that is carried on."""
        read, wanted, begins = batch
        output, state = model.network(read, None if bool(begins) else state)
        return self._loss(output, wanted), state

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

        return showing.drawn(self, model, history, folder)

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


def _late(delay: int) -> str:
    return f"{abs(delay):,} steps {'later' if delay >= 0 else 'earlier'} than what goes in"
