"""Label every step of a signal of several channels: is the event, say a seizure, there or not.

Document 004 learned the LSTM for events in EEG, document 001 names speech; neither gives data, a
network or a figure.  Here an LSTM reads all channels step by step and gives how probable each event
is now.  It is judged on the last part of the signal, in one pass, beside a logistic regression that
reads the last few steps of all channels.  Without a file, the signal is a made-up one: six channels
of coloured noise with bursts that are events only where the right cue came before them.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor, nn

from unrolled import training
from unrolled.errors import InvalidValueError
from unrolled.errors.expected import Count, Layers, at_least, below_one, only, share
from unrolled.files.columns import Floats
from unrolled.files.tables import Reading
from unrolled.files.timeline import Timeline
from unrolled.inside.passage import Passage
from unrolled.layer.lstm import LSTM
from unrolled.recipes._events import answers
from unrolled.recipes._events.bursts import CHANNELS, bursts
from unrolled.recipes._events.labeller import DividedSignal, Labeller, divide, probabilities, scores
from unrolled.recipes._events.linear import LinearLabeller
from unrolled.recipes._events.signals import Bools, Signal, read_signal, thin, widen
from unrolled.steps.network import Network
from unrolled.training.recipe import CellName

SOURCE = "documents 004 (EEG events) and 001 (speech), which name the use and give no figure"

PUBLISHED = None  # neither document has one

FRESH = 2_000  # steps of the built-in signal that `unrolled try` labels
PICTURED, TRACED = 400, 160  # steps in the picture of the signal, and in that of the gates


@dataclass(frozen=True)
class Recipe(training.Recipe, Reading):
    """The hyperparameters of a labeller of events."""

    seed: int = 0
    """Draws the weights, the batches and the made-up signal."""
    steps: int = 2000
    """Updates: about half a minute for the made-up signal."""
    learning_rate: float = 0.005
    """How far an update goes; 0.01 needs fewer updates, and ends less evenly."""
    steps_per_update: Annotated[int, only(0, "each window begins from a state of zeros")] = 0
    """Only 0 makes sense: a window is short, and each begins from a state of zeros."""
    report_every: int = 100
    """Updates from one report to the next; each labels the held-out part."""
    data: Path | None = None
    """A table (.csv, .tsv, .txt, .gz, .zip, .xlsx, .parquet), NumPy (.npy, .npz) or, with the extra
    'eeg', an EDF, BDF, FIF or BrainVision (.vhdr) file; none: a made-up signal."""
    event: str = ""
    """The event's column: every value but 0, no, none and false is an event; COLUMN=VALUE: that
    value alone. Of a recording: one annotation, or value of the stim channel; empty: all."""
    channels: tuple[str, ...] = ()
    """The channels to read, in this order; empty: every column but the event's and the time's."""
    time: str = ""
    """The column that says when each row was, for pictures and answers; it is no channel."""
    every: Count = 1
    """Make one step of so many: their mean, and the event if it is in any of them. The last steps,
    where they are fewer, make none."""
    around: Annotated[int, at_least(0)] = 0
    """Count so many steps before and after each event as the event too, as for brief markers."""
    test_share: Annotated[float, share] = 0.25
    """The share of steps, the last ones, that nothing is learned from."""
    length: Count = 64_000
    """Of the made-up signal: steps. With 24,000 the network learns its training part by heart."""
    both_directions: bool = False
    """Read forwards and backwards: better where the whole signal is there, useless while it is
    being recorded. Without, the probability at a step knows nothing of what comes after it."""
    cell: CellName = "vanilla"
    """The LSTM's cell: vanilla, carousel, peephole, coupled or linear."""
    hidden: Count = 16
    """Hidden units (in each direction); 32 learn the made-up signal by heart the sooner."""
    layers: Layers = 1
    """Layers of the LSTM, one on the other; document 004 chains several."""
    dropout: Annotated[float, below_one] = 0.0
    """The share of numbers set to 0 in training, between layers, of two or more."""
    window: Count = 128
    """Steps in a training window, each of which begins from a state of zeros."""
    warm_up: Annotated[int, at_least(0)] = 32
    """Steps at a window's begin (and end, with both directions) that are read and not judged: what
    belongs to them may lie outside."""
    batch_size: Count = 32
    """Windows in one update."""

    def check(self) -> None:
        """Raise ValueError where fields do not fit each other, or the data."""
        if importlib.util.find_spec("sklearn") is None:
            raise InvalidValueError(
                "events are scored with scikit-learn: pip install 'unrolled[cli]' brings it."
            )
        if self.dropout and self.layers == 1:
            raise InvalidValueError(
                f"dropout = {self.dropout} with layers = {self.layers} makes no sense: it lies "
                "between layers; use 0, or 2 or more layers."
            )
        if not self._judged_steps:
            raise InvalidValueError(
                f"warm_up = {self.warm_up} leaves nothing of window = {self.window} to judge: "
                "lower --warm-up or raise --window."
            )
        if self.data is None:
            named = {"event": self.event, "channels": self.channels, "time": self.time}
            for name, value in named.items():
                if value:
                    raise InvalidValueError(f"{name} = {value!r} is of no file: add --data FILE.")
        _ = self.parts  # which reads, and so looks over, the whole file

    @property
    def comparable(self) -> bool:
        """No figure was published."""
        return False

    @property
    def _judged_steps(self) -> range:
        end = self.window - self.warm_up if self.both_directions else self.window
        return range(self.warm_up, end)

    # --- the data ---

    def digest(self) -> str:
        """What tells this data from other data: a run goes on with its own alone."""
        told = hashlib.sha256("\n".join((*self.signal.channels, "", *self.parts.events)).encode())
        for array in (self.parts.values, self.parts.flags):
            told.update(np.ascontiguousarray(array).tobytes())
        return told.hexdigest()

    @cached_property
    def signal(self) -> Signal:
        """The whole signal, as it is labelled."""
        if self.data is None:
            return self._prepared(_made_up(self.length, [self.seed, 0]))
        return self._prepared(
            read_signal(self.data, self.event, self.channels, self.time, reading=self)
        )

    def _prepared(self, signal: Signal) -> Signal:
        return thin(widen(signal, self.around), self.every)

    @cached_property
    def parts(self) -> DividedSignal:
        """The signal, cut in time."""
        return divide(self.signal, self.test_share, self.window)

    @cached_property
    def _training(self) -> tuple[Tensor, Tensor]:
        known = slice(self.parts.border)
        flags = torch.from_numpy(self.parts.flags[known]).float()
        return torch.from_numpy(self.parts.values[known]), flags

    @cached_property
    def _linear(self) -> LinearLabeller:
        return LinearLabeller.fit(
            self.parts, self.window, both_directions=self.both_directions, seed=self.seed
        )

    @cached_property
    def _linear_odds(self) -> Floats:
        return self._linear.decide(self.parts.values)[self.parts.border :]

    # --- learning ---

    def model(self) -> Labeller:
        """An LSTM and its output, from values to a logit for each event and step."""
        lstm = LSTM(
            len(self.signal.channels),
            self.hidden,
            self.layers,
            dropout=self.dropout,
            bidirectional=self.both_directions,
            cell=self.cell,
        )
        return Labeller(lstm, self.parts)

    def batch(self, step: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Windows [T, B, C] of the training part, and the events at each of their steps."""
        values, flags = self._training
        begins = torch.randint(
            len(values) - self.window + 1, (self.batch_size,), generator=generator
        )
        places = begins + torch.arange(self.window)[:, None]
        return values[places], flags[places]

    def loss(self, model: Labeller, batch: tuple[Tensor, ...], state: Any) -> tuple[Tensor, Any]:
        """The weighted cross-entropy; 1.386 (2·ln 2) is as good as knowing nothing."""
        values, flags = batch
        logits, _ = model(values)
        judged = slice(self._judged_steps.start, self._judged_steps.stop)
        return model.loss(logits[judged], flags[judged]), None

    # --- judging ---

    def metrics(self, model: Labeller) -> dict[str, float]:
        """ROC-AUC and average precision on the held-out part."""
        return scores(self.parts.heldout, self._heldout(model))

    def _heldout(self, model: Labeller) -> Floats:
        """The probabilities on the held-out part."""
        return probabilities(model, self.parts.values[self.parts.border :])

    def summary(self, model: Labeller) -> str:
        """The table of scores: on the way, loss and metrics say it all."""
        return self._table(self.result(model))

    def result(self, model: Labeller) -> dict[str, Any]:
        """Scores on the held-out part, of the network and of the linear labeller."""
        parts = self.parts
        ours = scores(parts.heldout, self._heldout(model), parts.events)
        linear = scores(parts.heldout, self._linear_odds)
        return {
            **ours,
            **{f"{metric}_linear": value for metric, value in linear.items()},
            "linear_window": self._linear.window,
            "event_share": float(parts.heldout.mean()),
            "heldout_steps": len(parts.heldout),
        }

    def _table(self, figures: Mapping[str, Any]) -> str:
        parts = self.parts
        title = f"held-out part, {figures['heldout_steps']:,} steps"
        names = {"": "LSTM", "_linear": f"linear, {self._linear.window} steps"}
        wide = max(len(title), *map(len, names.values())) + 2
        lines = [f"{title:<{wide}}{'ROC-AUC':>9}{'average precision':>20}"]
        for end, name in names.items():
            roc, precision = figures[f"roc_auc{end}"], figures[f"average_precision{end}"]
            lines.append(f"{name:<{wide}}{roc:>9.4f}{precision:>20.4f}")
        lines.append(f"{'chance':<{wide}}{0.5:>9.4f}{figures['event_share']:>20.4f}")
        if len(parts.events) > 1:
            lines[0] += f"   (mean of {len(parts.events)}, each against the rest)"
            lines += [
                f"  {event:<{wide - 2}}{figures[f'roc_auc of {event}']:>9.4f}"
                f"{figures[f'average_precision of {event}']:>20.4f}"
                for event in parts.events
            ]
        often = parts.flags[: parts.border].mean(0)
        told = ", ".join(
            f"{event} is in {share:.2%} of the training part and weighs {(1 - share) / share:.3g}"
            for event, share in zip(parts.events, often, strict=True)
        )
        return "\n".join([*lines, f"weights in the loss: {told}"])

    # --- showing ---

    @cached_property
    def _busiest(self) -> tuple[slice, slice]:
        """The stretch that is pictured, in the held-out part and in the whole signal."""
        from unrolled.recipes._events.pictures import busiest

        shown, border = busiest(self.parts.heldout, PICTURED), self.parts.border
        return shown, slice(shown.start + border, shown.stop + border)

    def draw(self, model: Labeller, history: list[dict[str, Any]], folder: Path) -> list[Path]:
        """How it learned, what it gives for a stretch, how good that is, and what its gates do."""
        from unrolled.pictures import plots
        from unrolled.recipes._events.pictures import draw_curves, draw_stretch
        from unrolled.recipes._gates import draw_gates

        parts, heldout = self.parts, self._heldout(model)
        linear = f"linear, {self._linear.window} steps"
        times = self.signal.times
        shown, steps = self._busiest
        near = slice(steps.start, steps.start + TRACED)
        return [
            plots.learning_curve(
                history,
                folder / "learning.png",
                metric="roc_auc",
                levels={linear: scores(parts.heldout, self._linear_odds)["roc_auc"]},
                title="Events: learning (ROC-AUC on the held-out part)",
            ),
            draw_stretch(
                self.signal,
                steps,
                parts.events,
                heldout[shown],
                parts.heldout[shown],
                folder / "stretch.png",
            ),
            draw_curves(
                parts.heldout,
                {"LSTM": heldout, linear: self._linear_odds},
                parts.events,
                folder / "curves.png",
            ),
            draw_gates(
                model.lstm,
                model.scaled(torch.from_numpy(parts.values[near])[:, None]),
                folder / "gates.png",
                # Every second of the ticks, since times are long words.
                steps=[
                    label if n % (TRACED // 4) == 0 else ""
                    for n, label in enumerate(times.labels[near])
                ],
                title="Events: the first layer's gates as the stretch of stretch.png begins",
                xlabel=times.name,
            ),
        ]

    def look(self, model: Labeller) -> list[Passage]:
        """The busiest stretch of the held-out part; at each step, which event there is."""
        parts = self.parts
        _, steps = self._busiest
        values = torch.from_numpy(parts.values[steps])[:, None]
        return [
            Passage(
                call=lambda: model(values),
                inputs=self.signal.times.labels[steps],
                followed=lambda: model(values[:TRACED])[0][-1].sum(),
                following="the last step's logits",
                properties={
                    event: torch.from_numpy(parts.flags[steps, k])[:, None]
                    for k, event in enumerate(parts.events)
                },
            )
        ]

    def exported(self, model: Labeller) -> dict[str, nn.Module]:
        """The LSTM and its logits; the values that it reads are scaled before."""
        return {"network": Network(model.lstm, model.readout)}

    def attempt(self, model: Labeller, arguments: list[str]) -> str:
        """Where events are in a file, or in a fresh made-up signal, and a CSV file that says so."""
        asked = answers.read_question(arguments, built_in=self.data is None)
        if asked.file is None:
            signal = self._prepared(_made_up(FRESH, [self.seed, 1]))
        else:
            signal = self._prepared(
                read_signal(
                    asked.file,
                    self.event,
                    self.signal.channels,
                    self.time,
                    labelled=False,
                    reading=self,
                )
            )
        events, found = self.parts.events, probabilities(model, signal.values)
        if asked.threshold is None:
            learned = probabilities(model, self.parts.values[: self.parts.border])
            flags = self.parts.flags[: self.parts.border]
            thresholds = [*map(answers.best_threshold, flags.T, learned.T)]
        else:
            thresholds = [asked.threshold] * len(events)
        lines = answers.found_events(signal, events, found, thresholds)
        lines[:0] = [f"{asked.file.name if asked.file else 'a fresh made-up signal'}:"]
        if signal.events:
            # What was learned from is no judge.
            border = self.parts.border
            same = np.array_equal(signal.values[:border], self.parts.values[:border])
            first = border if same and len(found) > border else 0
            judged = {event: flags[first:] for event, flags in signal.events.items()}
            only = f", over the last {len(found) - first:,} steps: the others were learned from"
            lines.append(_agreement(judged, events, found[first:]) + (only if first else ""))
        if asked.out is not None:
            answers.write_csv(asked.out, signal, events, found)
            lines.append(f"the probability at every step is in {asked.out}")
        return "\n".join(lines)


def _made_up(length: int, seed: list[int]) -> Signal:
    values, events = bursts(length, np.random.default_rng(seed))
    steps = np.arange(float(length))
    times = Timeline([str(step) for step in range(length)], steps, "step")
    return Signal(values, CHANNELS, {"event": events}, times)


def _agreement(truth: Mapping[str, Bools], events: tuple[str, ...], found: Floats) -> str:
    """How well the probabilities agree with what the file itself says."""
    nowhere = np.zeros(len(found), dtype=bool)
    flags = np.column_stack([truth.get(event, nowhere) for event in events])
    figures = scores(flags, found)
    return (
        f"beside the events that the signal itself names: ROC-AUC {figures['roc_auc']:.4f}, "
        f"average precision {figures['average_precision']:.4f}"
    )
