"""An LSTM that reads whole sequences and says one thing of each: a class, or numbers.

What it knows of its data beside the weights (scaling, the classes' weights, the targets' scale)
are its buffers.  It knows nothing of files, recipes or the command line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, cast

import numpy as np
import torch
from torch import Tensor, nn

from unrolled.errors import InvalidValueError
from unrolled.errors.expected import one_of
from unrolled.files.columns import Floats, Integers
from unrolled.layer.lstm import LSTM
from unrolled.recipes._labels.sequences import Padded, Scaling, check_sequences, in_batches, pad

__all__ = ["POOLINGS", "PoolingName", "Reader", "Readers", "Shape", "Targets", "predict"]

POOLINGS = ("mean", "max", "last")
PoolingName = Annotated[str, one_of(POOLINGS)]


@dataclass(frozen=True)
class Shape:
    """How a network is built, whatever it reads."""

    hidden: int = 64
    layers: int = 1
    cell: str = "vanilla"
    both_directions: bool = True
    pooling: str = "mean"
    dropout: float = 0.0
    input_noise: float = 0.0
    label_smoothing: float = 0.0


@dataclass(frozen=True)
class Targets:
    """What is to be said: K classes, with a weight for each, or K numbers, with mean and scale."""

    outputs: int
    weights: Floats | None = None
    mean: Floats | None = None
    scale: Floats | None = None

    @classmethod
    def classes(
        cls, places: Sequence[int] | Integers, count: int, *, balanced: bool = False
    ) -> Targets:
        """Classes by their numbers, 0 to ``count`` - 1; balanced: all count alike together."""
        often = np.bincount(np.asarray(places), minlength=count)
        weights = len(places) / (count * np.maximum(often, 1)) if balanced else np.ones(count)
        return cls(count, weights=weights.astype(np.float64))

    @classmethod
    def numbers(cls, values: Floats) -> Targets:
        """Numbers [N, K], which are learned as multiples of their spread."""
        spread = values.std(0)
        return cls(values.shape[1], mean=values.mean(0), scale=np.where(spread > 0, spread, 1.0))


class Reader(nn.Module):
    """Sequences in, a logit for each class (or a number for each target) out.

    Parameters
    ----------
    shape
    scaling
        Of the channels, learned from the training part.
    targets
    """

    mean: Tensor
    scale: Tensor
    weights: Tensor
    target_mean: Tensor
    target_scale: Tensor

    def __init__(self, shape: Shape, scaling: Scaling, targets: Targets) -> None:
        super().__init__()
        self.pooling, self.missing = shape.pooling, scaling.missing
        self.input_noise, self.label_smoothing = shape.input_noise, shape.label_smoothing
        self.classifies = targets.weights is not None
        inputs = len(scaling.mean) * (2 if scaling.missing else 1)
        self.lstm = LSTM(
            inputs,
            shape.hidden,
            shape.layers,
            dropout=shape.dropout if shape.layers > 1 else 0.0,
            bidirectional=shape.both_directions,
            cell=shape.cell,
        )
        self.dropout = nn.Dropout(shape.dropout)
        width = shape.hidden * (2 if shape.both_directions else 1)
        self.readout = nn.Linear(width, targets.outputs)
        empty = np.zeros(0)
        for name, value in (
            ("mean", scaling.mean),
            ("scale", scaling.scale),
            ("weights", targets.weights),
            ("target_mean", targets.mean),
            ("target_scale", targets.scale),
        ):
            kept = np.asarray(empty if value is None else value, dtype=np.float64)
            self.register_buffer(name, torch.from_numpy(kept.copy()))

    @property
    def channels(self) -> int:
        """How many values a step has."""
        return len(self.mean)

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        """Logits [B, K] of values [T, B, C] in their own units; what lies beyond is not read."""
        return self.heard(self.scaled(values), lengths)

    def scaled(self, values: Tensor) -> Tensor:
        """What the LSTM sees: multiples of each channel's spread, and where a value is missing.

        A missing value is the mean, and says so in a channel of its own.

        Raises
        ------
        ValueError
            If one is missing, and none was in what was learned from.
        """
        found = (values - self.mean) / self.scale
        absent = found.isnan()
        if self.missing:
            return torch.cat([found.nan_to_num(0.0), absent.to(found.dtype)], -1).to(self._dtype)
        if bool(absent.any()):
            raise InvalidValueError(
                "a value is missing, and none was in what was learned from: fill it in, or learn "
                "from sequences in which some are."
            )
        return found.to(self._dtype)

    @property
    def _dtype(self) -> torch.dtype:
        return self.readout.weight.dtype

    def heard(self, scaled: Tensor, lengths: Tensor) -> Tensor:
        """Logits [B, K] of what the LSTM sees [T, B, I]."""
        if self.training and self.input_noise:
            scaled = scaled + self.input_noise * torch.randn_like(scaled)
        y, (h, _) = self.lstm(scaled, lengths=lengths)
        logits: Tensor = self.readout(self.dropout(self._pooled(y, h, lengths)))
        return logits

    def _pooled(self, y: Tensor, h: Tensor, lengths: Tensor) -> Tensor:
        if self.pooling == "last":
            directions = 2 if self.lstm.bidirectional else 1
            return torch.cat(list(h[-directions:]), -1)
        if self.pooling == "mean":
            return y.sum(0) / lengths[:, None].to(y.dtype)
        beyond = torch.arange(len(y))[:, None] >= lengths
        return y.masked_fill(beyond[..., None], -torch.inf).amax(0)

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The weighted cross-entropy, or the mean squared error in multiples of the spread."""
        if self.classifies:
            weights = self.weights.to(logits.dtype)
            return nn.functional.cross_entropy(
                logits, targets, weights, label_smoothing=self.label_smoothing
            )
        wanted = (targets - self.target_mean) / self.target_scale
        return nn.functional.mse_loss(logits, wanted.to(logits.dtype))

    def said(self, logits: Tensor) -> Tensor:
        """Probabilities of the classes [B, K], or numbers in their own units; float64."""
        if self.classifies:
            return torch.softmax(logits.double(), -1)
        return logits.double() * self.target_scale + self.target_mean


class Readers(nn.Module):
    """Several readers of the same sequences, whose answers are averaged."""

    def __init__(self, members: Sequence[Reader]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    @property
    def each(self) -> list[Reader]:
        """The readers."""
        return cast(list[Reader], list(self.members))

    @property
    def first(self) -> Reader:
        """The one that is looked into."""
        return self.each[0]

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        """What they say on average, [B, K]: probabilities, or numbers in their own units."""
        said = [member.said(member(values, lengths)) for member in self.each]
        return torch.stack(said).mean(0)

    def loss(self, batch: Padded, targets: Tensor) -> Tensor:
        """The mean of the members' losses, of a batch that has so many columns for each."""
        size = len(batch.lengths) // len(self.members)
        losses = []
        for number, member in enumerate(self.each):
            own = slice(number * size, (number + 1) * size)
            lengths = batch.lengths[own]
            logits = member(batch.values[: int(lengths.max()), own], lengths)
            losses.append(member.loss(logits, targets[own]))
        return torch.stack(losses).mean()


@torch.no_grad()
def predict(model: Reader | Readers, sequences: Sequence[Floats]) -> Floats:
    """What a model says of sequences: probabilities [N, K], or numbers in their own units.

    The model must be in ``eval()``.

    Raises
    ------
    ValueError
        If the sequences do not fit it.
    """
    one = model if isinstance(model, Reader) else model.first
    check_sequences(sequences, one.channels)
    found = np.empty((len(sequences), one.readout.out_features))
    for places in in_batches(sequences):
        batch = pad([sequences[place] for place in places])
        said = model(*batch) if isinstance(model, Readers) else model.said(model(*batch))
        found[places] = said.numpy()
    return found
