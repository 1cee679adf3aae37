"""Label every step of a signal of several channels: is the event, say a seizure, there or not.

Document 004 learned the LSTM for events in EEG, document 001 names speech; neither gives data, a
network or a figure.  Here an LSTM reads all channels step by step and gives how probable each event
is now.  It is judged on the last part of the signal, in one pass, beside a logistic regression that
reads the last few steps of all channels.  Without a file, the signal is a made-up one: six channels
of coloured noise with bursts that are events only where the right cue came before them.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from unrolled.errors import InvalidValueError
from unrolled.files.columns import Bools, Floats
from unrolled.inside.passage import Passage
from unrolled.layer.lstm import LSTM
from unrolled.recipes._events import answers
from unrolled.recipes._events.alarms import Clock
from unrolled.recipes._events.asked import Signal
from unrolled.recipes._events.data import FRESH, Data, made_up
from unrolled.recipes._events.labeller import Labeller, probabilities, scores
from unrolled.recipes._events.linear import LinearLabeller
from unrolled.recipes._events.told import Judge, Opinion
from unrolled.steps.network import Network

SOURCE = "documents 004 (EEG events) and 001 (speech), which name the use and give no figure"

PUBLISHED = None  # neither document has one

PICTURED, TRACED = 400, 160  # steps in the picture of the signal, and in that of the gates
LOOKED_AT = 20_000  # of the steps that are learned from, at a report, where there is no other part


@dataclass(frozen=True)
class Recipe(Data):
    """The hyperparameters of a labeller of events."""

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
        self.check_files()
        _ = self.parts  # which reads, and so looks over, the whole file

    @property
    def comparable(self) -> bool:
        """No figure was published."""
        return False

    @property
    def _judged_steps(self) -> range:
        end = self.window - self.warm_up if self.both_directions else self.window
        return range(self.warm_up, end)

    # --- learning ---

    @cached_property
    def _training(self) -> tuple[Tensor, Tensor]:
        learnt = self.parts.learnt
        flags = torch.from_numpy(self.parts.flags[learnt]).float()
        return torch.from_numpy(self.parts.values[learnt]), flags

    @cached_property
    def _begins(self) -> Tensor:
        """Where a window may begin, so that it lies in one piece of one recording."""
        rooms = [
            torch.arange(piece.start, piece.stop - self.window + 1)
            for piece in self.parts.stretches(self.parts.learnt)
        ]
        return torch.cat(rooms)

    @property
    def chosen_by(self) -> str:
        """The share of pairs in the wrong order, on the validation part, where that has an event.

        The loss there has its least value long before: it grows with how sure a network is, while
        the order, which is what is judged, still gets better.
        """
        return "validation_misranked" if self.parts.chooses else ""

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
        begins = self._begins[
            torch.randint(len(self._begins), (self.batch_size,), generator=generator)
        ]
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
        """ROC-AUC, and what it lacks of 1, on the validation part or what is learnt from."""
        parts = self.parts
        name, part = "validation", parts.chosen
        if not parts.chooses:
            name, part = "training", slice(max(0, parts.learnt.stop - LOOKED_AT), parts.learnt.stop)
        found = parts.over(part, lambda values: probabilities(model, values))
        roc = scores(parts.flags[part], found)["roc_auc"]
        return {f"{name}_roc_auc": roc, f"{name}_misranked": 1 - roc}

    @cached_property
    def _judge(self) -> Judge:
        return Judge(self.parts, Clock(self.signal.rate))

    @cached_property
    def _linear(self) -> LinearLabeller:
        return LinearLabeller.fit(
            self.parts, self.window, both_directions=self.both_directions, seed=self.seed
        )

    @cached_property
    def _rival(self) -> Opinion:
        name = f"linear, {self._linear.window} steps"
        return self._opinion(name, "_linear", self._linear.decide)

    def _opinion(self, name: str, end: str, label: Callable[[Floats], Floats]) -> Opinion:
        parts = self.parts
        return Opinion(name, end, parts.over(parts.tested, label), parts.over(parts.chosen, label))

    def _opinions(self, model: Labeller) -> list[Opinion]:
        """What the network and its rival say of the parts that nothing is learned from."""
        ours = self._opinion("LSTM", "", lambda values: probabilities(model, values))
        return [ours, self._rival]

    def summary(self, model: Labeller) -> str:
        """The tables of scores: on the way, loss and metrics say it all."""
        opinions, parts = self._opinions(model), self.parts
        lines = self._judge.table(opinions, self._judge.figures(opinions))
        often = parts.flags[parts.learnt].mean(0)
        told = ", ".join(
            f"{event} is in {share:.2%} of the training part and weighs {(1 - share) / share:.3g}"
            for event, share in zip(parts.events, often, strict=True)
        )
        kept = (
            "the validation part chose the weights"
            if self.chosen_by
            else ("the last weights are kept: there is no validation part with an event in it")
        )
        said = [line for signal in self.signals for line in signal.said]
        return "\n".join([*lines, *said, f"weights in the loss: {told}", kept])

    def result(self, model: Labeller) -> dict[str, Any]:
        """Scores on the held-out part, of the network and of the linear labeller."""
        figures = self._judge.figures(self._opinions(model)) | self.metrics(model)
        return figures | {"linear_window": self._linear.window}

    # --- showing ---

    @cached_property
    def _busiest(self) -> tuple[Signal, slice, slice]:
        """The stretch that is pictured: its signal, its steps there, and in the parts."""
        from unrolled.recipes._events.pictures import busiest_of

        shown = busiest_of(self.parts, PICTURED)
        recording, begin = self.parts.place(shown.start)
        steps = slice(begin, begin + shown.stop - shown.start)
        return self.signals[recording], steps, shown

    def draw(self, model: Labeller, history: list[dict[str, Any]], folder: Path) -> list[Path]:
        """How it learned, what it gives for a stretch, how good that is, and what its gates do."""
        from unrolled.pictures import plots
        from unrolled.recipes._events.pictures import draw_curves, draw_stretch
        from unrolled.recipes._gates import draw_gates

        parts, opinions = self.parts, self._opinions(model)
        signal, steps, shown = self._busiest
        times, near = signal.times, slice(shown.start, min(shown.start + TRACED, shown.stop))
        part = "validation" if parts.chooses else "training"
        inside = slice(shown.start - parts.border, shown.stop - parts.border)
        return [
            plots.learning_curve(
                history,
                folder / "learning.png",
                metric=f"{part}_roc_auc",
                title=f"Events: learning (ROC-AUC on the {part} part)",
            ),
            draw_stretch(
                signal,
                steps,
                parts.events,
                opinions[0].tested[inside],
                parts.heldout[inside],
                folder / "stretch.png",
            ),
            draw_curves(self._judge, opinions, folder / "curves.png"),
            draw_gates(
                model.lstm,
                model.scaled(torch.from_numpy(parts.values[near])[:, None]),
                folder / "gates.png",
                # Every second of the ticks, since times are long words.
                steps=[
                    label if n % (TRACED // 4) == 0 else ""
                    for n, label in enumerate(times.labels[steps][:TRACED])
                ],
                title="Events: the first layer's gates as the stretch of stretch.png begins",
                xlabel=times.name,
            ),
        ]

    def look(self, model: Labeller) -> list[Passage]:
        """The busiest stretch of the held-out part; at each step, which event there is."""
        parts = self.parts
        signal, steps, shown = self._busiest
        values = torch.from_numpy(parts.values[shown])[:, None]
        return [
            Passage(
                call=lambda: model(values),
                inputs=signal.times.labels[steps],
                followed=lambda: model(values[:TRACED])[0][-1].sum(),
                following="the last step's logits",
                properties={
                    event: torch.from_numpy(parts.flags[shown, k])[:, None]
                    for k, event in enumerate(parts.events)
                },
            )
        ]

    def exported(self, model: Labeller) -> dict[str, nn.Module]:
        """The LSTM and its logits; the values that it reads are scaled before."""
        return {"network": Network(model.lstm, model.readout)}

    def attempt(self, model: Labeller, arguments: list[str]) -> str:
        """Where events are in a file, or in a fresh made-up signal, and a CSV file that says so."""
        asked = answers.read_question(arguments, built_in=not self.files)
        events = self.parts.events
        if asked.file is None:
            signal = self.prepared(made_up(FRESH, [self.seed, 1]))
        else:
            signal = self.reread(asked.file, events)
        found = probabilities(model, signal.values)
        thresholds = (
            self._thresholds(model) if asked.threshold is None else [asked.threshold] * len(events)
        )
        lines = answers.found_events(signal, events, found, thresholds)
        lines[:0] = [f"{asked.file.name if asked.file else 'a fresh made-up signal'}:"]
        if signal.events:
            lines.append(self._agreement(signal, signal.events, found))
        if asked.out is not None:
            answers.write_csv(asked.out, signal, events, found)
            lines.append(f"the probability at every step is in {asked.out}")
        return "\n".join(lines)

    def _thresholds(self, model: Labeller) -> list[float]:
        """Of each event, the best threshold on the training part."""
        known = slice(0, self.parts.border)
        learned = self.parts.over(known, lambda values: probabilities(model, values))
        return [*map(answers.best_threshold, self.parts.flags[known].T, learned.T)]

    def _agreement(self, signal: Signal, truth: Mapping[str, Bools], found: Floats) -> str:
        """How well the probabilities agree with what a file itself says, where it is no judge."""
        first = self._learned_of(signal)
        if first == len(found):
            return "all of it was learned from: it is no judge"
        flags = np.column_stack([truth[event][first:] for event in self.parts.events])
        figures = scores(flags, found[first:])
        told = (
            f"beside the events that the signal itself names: ROC-AUC {figures['roc_auc']:.4f}, "
            f"average precision {figures['average_precision']:.4f}"
        )
        only = f", over the last {len(found) - first:,} steps: the others were learned from"
        return told + (only if first else "")

    def _learned_of(self, signal: Signal) -> int:
        """How many of a signal's first steps had a part in what was learned."""
        for number, known in enumerate(self.signals):
            ends = [piece.end for piece in self.parts.learned if piece.recording == number]
            end = max(ends, default=0)
            if end and np.array_equal(signal.values[:end], known.values[:end]):
                return end
        return 0
