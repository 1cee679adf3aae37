"""Sequences of unequal length: looked over, standardised, padded, drawn, and changed in time.

A sequence is an array [T, C] of float64, in its own units; NaN is a value that is missing.  Nothing
here knows what is to be said of a sequence: a label, or a number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from unrolled.errors import InvalidValueError
from unrolled.files.columns import Floats, Integers

__all__ = ["Changes", "Padded", "Scaling", "check_sequences", "in_batches", "pad"]


class Padded(NamedTuple):
    """Sequences side by side: values [T, B, C], zeros beyond each one's length, and lengths [B]."""

    values: Tensor
    lengths: Tensor


def check_sequences(sequences: Sequence[Floats], channels: int | None = None) -> int:
    """Look sequences over, and say how many channels each of them has.

    Parameters
    ----------
    sequences
        [T, C] each, T at least 1.
    channels
        How many there have to be; None: as many as the first has.

    Raises
    ------
    ValueError
        Naming the first sequence, counted from 0, that is none, is empty or infinite, or has
        another number of channels.
    """
    if not len(sequences):
        raise InvalidValueError("there are 0 sequences: expected at least one.")
    for number, values in enumerate(sequences):
        if values.ndim != 2 or not all(values.shape):
            raise InvalidValueError(
                f"sequence {number} has the shape {values.shape}: expected [steps, channels], at "
                "least one of each."
            )
        channels = values.shape[1] if channels is None else channels
        if values.shape[1] != channels:
            raise InvalidValueError(
                f"sequence {number} has {values.shape[1]} channels, expected {channels}: every "
                "sequence needs the same."
            )
        if np.isinf(values).any():
            raise InvalidValueError(
                f"sequence {number} holds an infinite value: expected finite numbers, or NaN where "
                "one is missing."
            )
    assert channels is not None
    return channels


@dataclass(frozen=True)
class Scaling:
    """The mean and the spread of each channel [C], and whether values may be missing."""

    mean: Floats
    scale: Floats
    missing: bool

    @classmethod
    def of(cls, sequences: Sequence[Floats]) -> Scaling:
        """Learn it from the training part, every step of every sequence alike.

        A channel that never changes there is only moved, to 0.

        Raises
        ------
        ValueError
            If a channel is missing everywhere.
        """
        values = np.concatenate(list(sequences))
        if (empty := np.isnan(values).all(axis=0)).any():
            raise InvalidValueError(
                f"channel {int(np.argmax(empty))} (from 0) is missing in every sequence that is "
                "learned from: leave it out."
            )
        with np.errstate(over="ignore", invalid="ignore"):
            mean, spread = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
        if (wild := ~(np.isfinite(mean) & np.isfinite(spread))).any():
            raise InvalidValueError(
                f"channel {int(np.argmax(wild))} (from 0) has values so large that their squares "
                "are not finite: give it in another unit."
            )
        still = spread <= 1e-12 * np.maximum(np.abs(mean), 1e-300)
        return cls(mean, np.where(still, 1.0, spread), bool(np.isnan(values).any()))


def pad(sequences: Sequence[Floats]) -> Padded:
    """Put sequences side by side."""
    lengths = [len(values) for values in sequences]
    padded = np.zeros((max(lengths), len(sequences), sequences[0].shape[1]))
    for number, values in enumerate(sequences):
        padded[: len(values), number] = values
    return Padded(torch.from_numpy(padded), torch.tensor(lengths))


def in_batches(sequences: Sequence[Floats], steps: int = 65_536) -> Iterator[Integers]:
    """Places of sequences of about one length, so many that together they have ``steps`` steps."""
    order = np.argsort([len(values) for values in sequences], kind="stable")
    begin = 0
    while begin < len(order):
        end = begin + 1
        while end < len(order) and (end + 1 - begin) * len(sequences[order[end]]) <= steps:
            end += 1
        yield order[begin:end]
        begin = end


@dataclass(frozen=True)
class Changes:
    """How sequences are changed while they are learned from, each draw anew.

    Parameters
    ----------
    stretch
        The largest share by which one is made slower or faster.
    cut
        The largest share that is taken off its begin, and off its end.
    mask
        The largest share of its steps, in one stretch, that is made the channels' mean.
    """

    stretch: float = 0.0
    cut: float = 0.0
    mask: float = 0.0

    def __call__(self, batch: Padded, mean: Tensor, generator: torch.Generator) -> Padded:
        """Change a batch; a sequence keeps at least one step."""
        if self.stretch or self.cut:
            batch = self._resampled(batch, generator)
        return self._masked(batch, mean, generator) if self.mask else batch

    def _resampled(self, batch: Padded, generator: torch.Generator) -> Padded:
        draws = torch.rand(3, len(batch.lengths), generator=generator, dtype=torch.float64)
        last = batch.lengths.double() - 1
        first, end = last * self.cut * draws[0], last * (1 - self.cut * draws[1])
        rate = 1 + self.stretch * (2 * draws[2] - 1)
        lengths = (((end - first) / rate).round() + 1).long()
        steps = torch.arange(int(lengths.max()), dtype=torch.float64)[:, None]
        places = torch.minimum(first + steps * rate, last)
        return Padded(_between(batch.values, places, lengths), lengths)

    def _masked(self, batch: Padded, mean: Tensor, generator: torch.Generator) -> Padded:
        draws = torch.rand(2, len(batch.lengths), generator=generator, dtype=torch.float64)
        span = batch.lengths * self.mask * draws[0]
        begin = (batch.lengths - span) * draws[1]
        steps = torch.arange(len(batch.values))[:, None]
        hidden = (steps >= begin) & (steps + 1 <= begin + span)
        values = torch.where(hidden[..., None], mean, batch.values)
        return Padded(values, batch.lengths)


def _between(values: Tensor, places: Tensor, lengths: Tensor) -> Tensor:
    """Values at places between steps, by straight lines; zeros beyond the lengths."""
    low = places.long()
    high = (low + 1).clamp(max=len(values) - 1)
    rows = torch.arange(values.shape[1])
    share = (places - low)[..., None]
    # A step that is hit is taken as it is: 0 times what is missing beside it would be missing.
    mixed = values[low, rows] * (1 - share) + values[high, rows] * share
    found = torch.where(share == 0, values[low, rows], mixed)
    inside = torch.arange(len(places))[:, None] < lengths
    return torch.where(inside[..., None], found, 0.0)
