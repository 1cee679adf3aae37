"""Sequences with a label each, out of any of the kinds of files that people keep them in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from unrolled.errors import InvalidValueError
from unrolled.errors.expected import flagged
from unrolled.files.columns import Floats
from unrolled.recipes._labels.sequences import check_sequences

__all__ = ["Collection", "channel_names", "counted", "labelled"]


@dataclass(frozen=True)
class Collection:
    """Sequences [T_i, C], in the file's order.

    Parameters
    ----------
    file
        Where they come from.
    sequences
    labels
        One for each; empty: the file has none.
    names
        What each is called.
    channels
        What each channel is called.
    groups
        For each, who or what it comes from; empty: it is not known.
    said
        How the file was read, in a few words.
    rate
        Of sound: samples in a second.
    """

    file: str
    sequences: Sequence[Floats]
    labels: Sequence[str]
    names: Sequence[str]
    channels: tuple[str, ...]
    groups: Sequence[str] = field(default=())
    said: str = ""
    rate: int = 0

    def __post_init__(self) -> None:
        """Look all of it over, whichever reader it comes from."""
        for name, values in zip(self.names, self.sequences, strict=True):
            if np.isinf(values).any():
                raise InvalidValueError(
                    f"{name} of {self.file} holds an infinite value: expected finite numbers."
                )
            if np.isnan(values).all():
                raise InvalidValueError(
                    f"every value of {name} of {self.file} is missing: take it out."
                )
        check_sequences(self.sequences, len(self.channels))

    def __len__(self) -> int:
        """How many sequences there are."""
        return len(self.sequences)

    @property
    def told(self) -> str:
        """One line that says what there is."""
        lengths = [len(values) for values in self.sequences]
        least, most = min(lengths), max(lengths)
        steps = f"{least:,}" if least == most else f"{least:,} to {most:,}"
        return (
            f"{self.file}: {self.said}, {counted(len(self), 'sequence')} of {steps} steps and "
            f"{counted(len(self.channels), 'channel')}"
        )


def channel_names(count: int) -> tuple[str, ...]:
    """What channels are called where a file does not name them."""
    return tuple(f"channel {k + 1}" for k in range(count))


def counted(count: int, what: str) -> str:
    """A count with its word."""
    return f"{count:,} {what}" + ("" if count == 1 else "s")


def labelled(collection: Collection) -> Collection:
    """The same, where every sequence has a label.

    Raises
    ------
    ValueError
        Naming the first that has none.
    """
    if not collection.labels:
        raise InvalidValueError(
            f"{collection.file} has no labels: {flagged('--label', 'COLUMN')} names the column of "
            "a table; a .npz file needs an array called labels."
        )
    for name, label in zip(collection.names, collection.labels, strict=True):
        if not label:
            raise InvalidValueError(
                f"{name} of {collection.file} has no label: fill it in or take the sequence out."
            )
    return collection
