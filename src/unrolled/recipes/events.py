"""Label every step of a signal of several channels: is the event, say a seizure, there or not.

Document 004 learned the LSTM for events in EEG, document 001 names speech; neither gives data, a
network or a figure.  Here an LSTM reads all channels step by step and says how probable each event
is now.  It is judged on the last part of the signal, in one pass, beside a logistic regression that
reads the last few steps of all channels.  Without a file, the signal is a made-up one: six channels
of coloured noise with bursts that are events only where the right cue came before them.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unrolled.equations import CELLS
from unrolled.files.columns import Floats
from unrolled.files.timeline import Timeline
from unrolled.inside.passage import Passage
from unrolled.layer.lstm import LSTM
from unrolled.recipes._events import answers
from unrolled.recipes._events.bursts import CHANNELS, bursts
from unrolled.recipes._events.labeller import Labeller, Parts, divide, probabilities, scores
from unrolled.recipes._events.linear import LinearLabeller
from unrolled.recipes._events.signals import Bools, Signal, read_signal, thin, widen

SOURCE = "documents 004 (EEG events) and 001 (speech), which name the use and give no figure"

PUBLISHED = None  # neither document has one

FRESH = 2_000  # steps of the built-in signal that `unrolled try` labels
PICTURED, TRACED = 400, 160  # steps in the picture of the signal, and in that of the gates


@dataclass(frozen=True)
class Recipe:
    """The hyperparameters of a labeller of events."""

    data: Path | None = None
    """A CSV (.csv, .tsv, .txt), NumPy (.npy, .npz) or, with the extra 'eeg', an EDF, BDF, FIF or
    BrainVision (.vhdr) file; none: a made-up signal."""
    event: str = ""
    """The event's column: every value but 0, no, none and false is an event; COLUMN=VALUE: that
    value alone. Of a recording: one annotation, or value of the stim channel; empty: all."""
    channels: tuple[str, ...] = ()
    """The channels to read, in this order; empty: every column but the event's and the time's."""
    time: str = ""
    """The column that says when each row was, for pictures and answers; it is no channel."""
    every: int = 1
    """Make one step of so many: their mean, and the event if it is in any of them. The last steps,
    where they are fewer, make none."""
    around: int = 0
    """Count so many steps before and after each event as the event too, as for brief markers."""
    test_share: float = 0.25
    """The share of steps, the last ones, that nothing is learned from."""
    length: int = 64_000
    """Of the made-up signal: steps. With 24,000 the network learns its training part by heart."""
    both_directions: bool = False
    """Read forwards and backwards: better where the whole signal is there, useless while it is
    being recorded. Without, what is said of a step knows nothing of what comes after it."""
    cell: str = "vanilla"
    """The LSTM's cell: vanilla, carousel, peephole, coupled or linear."""
    hidden: int = 16
    """Hidden units (in each direction); 32 learn the made-up signal by heart the sooner."""
    layers: int = 1
    """Layers of the LSTM; document 004 chains several."""
    dropout: float = 0.0
    """Between layers, of two or more."""
    window: int = 128
    """Steps in a training window, each of which begins from a state of zeros."""
    warm_up: int = 32
    """Steps at a window's begin (and end, with both directions) that are read and not judged: what
    belongs to them may lie outside."""
    batch_size: int = 32
    """Windows in one update."""
    seed: int = 0
    """Weights, batches and the made-up signal are drawn from it."""
    steps: int = 2000
    """Updates: about half a minute for the made-up signal."""
    optimizer: str = "Adam"
    """Any class of torch.optim by name."""
    learning_rate: float = 0.005
    """0.01 needs fewer updates, and ends less evenly."""
    clip: float = 1.0
    """Largest norm of the gradient; 0 is no limit."""
    steps_per_update: int = 0
    """Only 0 makes sense: a window is short, and each begins from a state of zeros."""
    report_every: int = 100
    """Updates from one report to the next; each labels the held-out part."""

    def check(self) -> None:
        """Raise ValueError where a field, or the data, makes no sense."""
        if importlib.util.find_spec("sklearn") is None:
            raise ValueError(
                "events are scored with scikit-learn: pip install 'unrolled[cli]' brings it."
            )
        if self.cell not in CELLS:
            near = difflib.get_close_matches(self.cell, CELLS, n=1)
            hint = f"did you mean {near[0]!r}? there" if near else "there"
            raise ValueError(f"cell = {self.cell!r} is not known: {hint} are {', '.join(CELLS)}.")
        least = {"every": 1, "around": 0, "length": 1, "hidden": 1, "layers": 1, "window": 1}
        for name, lowest in (least | {"warm_up": 0, "batch_size": 1}).items():
            if getattr(self, name) < lowest:
                raise ValueError(
                    f"{name} = {getattr(self, name)} makes no sense: expected {lowest} or more."
                )
        if not 0 < self.test_share < 1:
            raise ValueError(
                f"test_share = {self.test_share} makes no sense: expected a share between 0 and 1, "
                "such as 0.25."
            )
        if not 0 <= self.dropout < 1 or (self.dropout and self.layers == 1):
            raise ValueError(
                f"dropout = {self.dropout} with layers = {self.layers} makes no sense: expected 0, "
                "or less than 1 between 2 or more layers."
            )
        if not self._judged_steps:
            raise ValueError(
                f"warm_up = {self.warm_up} leaves nothing of window = {self.window} to judge: "
                "lower --warm-up or raise --window."
            )
        if self.steps_per_update:
            raise ValueError(
                f"steps_per_update = {self.steps_per_update} makes no sense for events: each "
                "window begins from a state of zeros; use 0."
            )
        if self.data is None:
            for name in ("event", "channels", "time"):
                if value := getattr(self, name):
                    raise ValueError(f"{name} = {value!r} is of no file: add --data FILE.")
        _ = self.parts  # which reads, and so looks over, the whole file

    def published(self) -> Recipe:
        """The recipe as it is: no document gives hyperparameters for events."""
        return self

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
        return self._prepared(read_signal(self.data, self.event, self.channels, self.time))

    def _prepared(self, signal: Signal) -> Signal:
        return thin(widen(signal, self.around), self.every)

    @cached_property
    def parts(self) -> Parts:
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
    def _linear_said(self) -> Floats:
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
        return scores(self.parts.heldout, self._said(model))

    def _said(self, model: Labeller) -> Floats:
        return probabilities(model, self.parts.values[self.parts.border :])

    def report(self, model: Labeller, step: int, batch: tuple[Tensor, ...]) -> str:
        """Nothing on the way, where loss and metrics say it all; at the end the table."""
        return self._table(self.result(model)) if step == self.steps else ""

    def result(self, model: Labeller) -> dict[str, Any]:
        """Scores on the held-out part, of the network and of the linear labeller."""
        parts = self.parts
        ours = scores(parts.heldout, self._said(model), parts.events)
        linear = scores(parts.heldout, self._linear_said)
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

    def draw(self, model: Labeller, history: list[dict[str, Any]], folder: Path) -> list[Path]:
        """How it learned, what it says of a stretch, how good that is, and what its gates do."""
        from unrolled.pictures import plots
        from unrolled.recipes._events.pictures import busiest, draw_curves, draw_stretch

        parts, said, signal = self.parts, self._said(model), self.signal
        linear = f"linear, {self._linear.window} steps"
        shown = busiest(parts.heldout, PICTURED)
        steps = slice(shown.start + parts.border, shown.stop + parts.border)
        near = slice(steps.start, steps.start + TRACED)
        with torch.no_grad():
            seen = model.scaled(torch.from_numpy(parts.values[near])[:, None])
            gates = model.lstm.trace(seen)["l0"]
        return [
            plots.learning_curve(
                history,
                folder / "learning.png",
                metric="roc_auc",
                levels={linear: scores(parts.heldout, self._linear_said)["roc_auc"]},
                title="Events: learning (ROC-AUC on the held-out part)",
            ),
            draw_stretch(
                signal,
                steps,
                parts.events,
                said[shown],
                parts.heldout[shown],
                folder / "stretch.png",
            ),
            draw_curves(
                parts.heldout,
                {"LSTM": said, linear: self._linear_said},
                parts.events,
                folder / "curves.png",
            ),
            plots.gates(
                {gate: values[:, 0] for gate, values in gates._asdict().items()},
                folder / "gates.png",
                # Every second of the ticks, since times are long words.
                steps=[
                    label if n % (TRACED // 4) == 0 else ""
                    for n, label in enumerate(signal.times.labels[near])
                ],
                title="Events: the first layer's gates as the stretch of stretch.png begins",
                xlabel=signal.times.name,
            ),
        ]

    def look(self, model: Labeller) -> list[Passage]:
        """The busiest stretch of the held-out part; at each step, which event there is."""
        from unrolled.recipes._events.pictures import busiest

        parts = self.parts
        shown = busiest(parts.heldout, PICTURED)
        steps = slice(shown.start + parts.border, shown.stop + parts.border)
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

    def attempt(self, model: Labeller, arguments: list[str]) -> str:
        """Where events are in a file, or in a fresh made-up signal, and a CSV file that says so."""
        asked = answers.read_question(arguments, built_in=self.data is None)
        if asked.file is None:
            signal = self._prepared(_made_up(FRESH, [self.seed, 1]))
        else:
            signal = self._prepared(
                read_signal(asked.file, self.event, self.signal.channels, self.time, labelled=False)
            )
        events, said = self.parts.events, probabilities(model, signal.values)
        if asked.threshold is None:
            learned = probabilities(model, self.parts.values[: self.parts.border])
            known = self.parts.flags[: self.parts.border]
            thresholds = [*map(answers.best_threshold, known.T, learned.T)]
        else:
            thresholds = [asked.threshold] * len(events)
        lines = answers.found_events(signal, events, said, thresholds)
        lines[:0] = [f"{asked.file.name if asked.file else 'a fresh made-up signal'}:"]
        if signal.events:
            # What was learned from is no judge.
            border = self.parts.border
            same = np.array_equal(signal.values[:border], self.parts.values[:border])
            first = border if same and len(said) > border else 0
            judged = {event: flags[first:] for event, flags in signal.events.items()}
            only = f", over the last {len(said) - first:,} steps: the others were learned from"
            lines.append(_agreement(judged, events, said[first:]) + (only if first else ""))
        if asked.out is not None:
            answers.write_csv(asked.out, signal, events, said)
            lines.append(f"the probability at every step is in {asked.out}")
        return "\n".join(lines)


def _made_up(length: int, seed: list[int]) -> Signal:
    values, events = bursts(length, np.random.default_rng(seed))
    steps = np.arange(float(length))
    times = Timeline([str(step) for step in range(length)], steps, "step")
    return Signal(values, CHANNELS, {"event": events}, times)


def _agreement(known: Mapping[str, Bools], events: tuple[str, ...], said: Floats) -> str:
    """How well what was said agrees with what the file itself says."""
    nowhere = np.zeros(len(said), dtype=bool)
    flags = np.column_stack([known.get(event, nowhere) for event in events])
    figures = scores(flags, said)
    return (
        f"beside the events that the signal itself names: ROC-AUC {figures['roc_auc']:.4f}, "
        f"average precision {figures['average_precision']:.4f}"
    )
