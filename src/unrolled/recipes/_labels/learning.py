"""Learning to say one thing of each sequence, wherever the sequences come from.

`Learning` is a training recipe without data: who derives from it gives a `Lesson`.  The recipe
`labels` makes one from files; whoever has arrays makes one from these.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from unrolled import training
from unrolled.errors.expected import Count, Expected, Layers, at_least, below_one, between, only
from unrolled.files.columns import Floats, Integers
from unrolled.recipes._labels.reader import PoolingName, Reader, Readers, Shape, Targets, predict
from unrolled.recipes._labels.sequences import Changes, Padded, Scaling, check_sequences, pad
from unrolled.training.optimizers import make_optimizer
from unrolled.training.recipe import CellName
from unrolled.training.schedules import Schedule

__all__ = ["Fold", "Learning", "Lesson", "log_loss", "part"]

part = Expected("a share above 0 and at most 0.5, such as 0.2", lambda value: 0 < value <= 0.5)

Answers = npt.NDArray[Any]  # classes by number [N], or numbers [N, K]


class Fold(NamedTuple):
    """The places of the sequences that a network learns from, and of those that it is chosen by."""

    training: Integers
    validation: Integers


@dataclass(frozen=True)
class Lesson:
    """Sequences, what is to be said of each, and for each network of the ensemble its fold.

    ``answers`` are classes by number [N], of ``classes`` in all; or, where that is 0, numbers
    [N, K].  There may be sequences that are in no fold.
    """

    sequences: Sequence[Floats]
    answers: Answers
    classes: int
    folds: Sequence[Fold]

    @property
    def known(self) -> Integers:
        """The places of all that is learned from or chosen by."""
        return np.unique(np.concatenate([np.concatenate(fold) for fold in self.folds]))


def log_loss(probabilities: Floats, classes: Integers) -> float:
    """The mean of -log of the probability that the true class was given."""
    given = probabilities[np.arange(len(classes)), classes]
    return float(-np.log(np.maximum(given, 1e-12)).mean())


@dataclass(frozen=True, kw_only=True)
class Learning(training.Recipe):
    """The hyperparameters of a reader of sequences, and how it learns from a `Lesson`."""

    steps: Annotated[int, at_least(0)] = 600
    """Updates of the weights."""
    learning_rate: float = 0.003
    """How far an update goes."""
    schedule: str = "cosine"
    """How the rate goes over the steps; falling to 0 makes the last weights steadier."""
    steps_per_update: Annotated[int, only(0, "a sequence is read as a whole")] = 0
    """Only 0 makes sense: a sequence is read as a whole."""
    ensemble: Annotated[int, between(1, 100)] = 1
    """Networks that learn side by side, each with validation sequences of its own; what they say
    is averaged."""
    cell: CellName = "vanilla"
    """The LSTM's cell: vanilla, carousel, peephole, coupled or linear."""
    hidden: Count = 64
    """Hidden units, in each direction."""
    layers: Layers = 1
    """Layers of the LSTM, one on the other."""
    both_directions: bool = True
    """Read forwards and backwards."""
    pooling: PoolingName = "mean"
    """What is made of the steps: their mean, their max, or the last state (of each direction)."""
    dropout: Annotated[float, below_one] = 0.3
    """The share of numbers set to 0 in training, between layers and before the readout."""
    input_noise: Annotated[float, at_least(0)] = 0.1
    """Noise added to every value in training, in multiples of its channel's spread."""
    label_smoothing: Annotated[float, below_one] = 0.0
    """The share of each label's probability that is to lie on all classes alike, in training."""
    stretch: Annotated[float, below_one] = 0.0
    """In training, a sequence is made slower or faster by up to this share."""
    cut: Annotated[float, between(0, 0.4)] = 0.0
    """In training, up to this share is taken off a sequence's begin, and off its end."""
    mask: Annotated[float, below_one] = 0.0
    """In training, a stretch of up to this share of a sequence is made the channels' mean."""
    balanced: bool = False
    """Whether every class weighs alike, however rare: for balanced accuracy, at the cost of the
    probabilities' calibration."""
    batch_size: Count = 32
    """Sequences in one update, for each network."""
    validation_share: Annotated[float, part] = 0.2
    """The share of what is learned from that chooses which weights are kept; as one over the
    nearest whole number, so that .2 is every fifth."""
    refit: bool = True
    """Once validation has chosen the number of updates, learn anew from all but the test part."""

    @property
    @abstractmethod
    def lesson(self) -> Lesson:
        """What is learned from; look the sequences over with `check_sequences`."""

    def digest(self) -> str:
        """What tells this data from other data: a run goes on with its own alone."""
        told = hashlib.sha256()
        for values in (*self.lesson.sequences, self.lesson.answers):
            told.update(str(values.shape).encode() + np.ascontiguousarray(values).tobytes())
        return told.hexdigest()

    # --- learning ---

    @property
    def chosen_by(self) -> str:
        """The loss on the validation parts, where there are some."""
        return "validation_loss" if all(len(f.validation) for f in self.lesson.folds) else ""

    def model(self) -> Readers:
        """The networks, with scaling and weights of the sequences that each learns from."""
        return self._readers([fold.training for fold in self.lesson.folds])

    def _readers(self, parts: Sequence[Integers]) -> Readers:
        shape = Shape(
            self.hidden,
            self.layers,
            self.cell,
            self.both_directions,
            self.pooling,
            self.dropout,
            self.input_noise,
            self.label_smoothing,
        )
        lesson = self.lesson
        check_sequences(lesson.sequences)
        known = [lesson.sequences[place] for place in lesson.known]
        missing = any(bool(np.isnan(values).any()) for values in known)
        members = []
        for places in parts:
            scaling = Scaling.of([lesson.sequences[place] for place in places])
            scaling = Scaling(scaling.mean, scaling.scale, missing)
            members.append(Reader(shape, scaling, self._targets(places)))
        return Readers(members)

    def _targets(self, places: Integers) -> Targets:
        known = self.lesson.answers[places]
        if self.lesson.classes:
            return Targets.classes(known, self.lesson.classes, balanced=self.balanced)
        return Targets.numbers(known)

    def batch(self, step: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """For each network its sequences, changed: values, lengths, answers, side by side."""
        return self._drawn([fold.training for fold in self.lesson.folds], generator)

    def _drawn(self, parts: Sequence[Integers], generator: torch.Generator) -> tuple[Tensor, ...]:
        size, chosen = self.batch_size, []
        for places in parts:
            few = torch.randint(len(places), (size,), generator=generator)
            if len(places) >= size:
                few = torch.randperm(len(places), generator=generator)[:size]
            chosen.append(places[few.numpy()])
        places = np.concatenate(chosen)
        batch = pad([self.lesson.sequences[place] for place in places])
        batch = Changes(self.stretch, self.cut, self.mask)(batch, self._middle, generator)
        return (*batch, torch.from_numpy(self.lesson.answers[places]))

    @property
    def _middle(self) -> Tensor:
        if "_mean" not in vars(self):
            known = [self.lesson.sequences[place] for place in self.lesson.folds[0].training]
            vars(self)["_mean"] = torch.from_numpy(Scaling.of(known).mean)
        middle: Tensor = vars(self)["_mean"]
        return middle

    def loss(self, model: Readers, batch: tuple[Tensor, ...], state: Any) -> tuple[Tensor, Any]:
        """The mean of the networks' losses."""
        values, lengths, answers = batch
        return model.loss(Padded(values, lengths), answers), None

    # --- judging ---

    def metrics(self, model: Readers) -> dict[str, float]:
        """The loss on each network's own validation part, and of classes how many are right."""
        found = [
            self._judged(member, fold.validation if self.chosen_by else fold.training)
            for member, fold in zip(model.each, self.lesson.folds, strict=True)
        ]
        part = "validation" if self.chosen_by else "training"
        names = ("loss", "accuracy") if self.lesson.classes else ("loss",)
        return {
            f"{part}_{name}": float(np.mean(values))
            for name, values in zip(names, zip(*found, strict=True), strict=True)
        }

    def _judged(self, member: Reader, places: Integers) -> tuple[float, ...]:
        said = predict(member, [self.lesson.sequences[place] for place in places])
        answers = self.lesson.answers[places]
        if self.lesson.classes:
            return log_loss(said, answers), float((said.argmax(1) == answers).mean())
        off = (said - answers) / member.target_scale.numpy()
        return (float((off**2).mean()),)

    def settle(self, model: Readers, step: int) -> None:
        """Learn anew, as many updates as were best, from the validation part too."""
        if not (self.refit and self.chosen_by and step):
            return
        with torch.enable_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            fresh = self._refitted(step)
        model.load_state_dict(fresh.state_dict())

    def _refitted(self, steps: int) -> Readers:
        whole = [self.lesson.known] * self.ensemble
        model, generator = self._readers(whole), torch.Generator().manual_seed(self.seed)
        parameters = list(model.parameters())
        rate, options = self.learning_rate, self.optimizer_options()
        optimizer = make_optimizer(self.optimizer, parameters, rate, options)
        schedule = Schedule(self.schedule, optimizer, self.steps)
        for step in range(steps):
            loss, _ = self.loss(model, self._drawn(whole, generator), None)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            if self.clip:
                torch.nn.utils.clip_grad_norm_(parameters, self.clip, error_if_nonfinite=True)
            with schedule.during(step):
                optimizer.step()
        return model.eval()
