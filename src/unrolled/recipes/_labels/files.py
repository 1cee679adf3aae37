"""A collection of sequences out of whatever path was given, and two of them side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from unrolled.errors import InvalidValueError
from unrolled.errors.expected import ending
from unrolled.files.columns import Integers
from unrolled.files.tables import Reading
from unrolled.recipes._labels.archive import read_archive_file
from unrolled.recipes._labels.collection import Collection, channel_names, counted, labelled
from unrolled.recipes._labels.sounds import (
    is_sound,
    read_sound_files,
    read_sound_folder,
    sound_files,
)
from unrolled.recipes._labels.tabled import Columns, read_long_table, read_padded

__all__ = ["Asked", "classes_of", "fitting", "joined", "read_collection"]


@dataclass(frozen=True)
class Asked:
    """What is known of a file before it is read; ``labelled``: whether it must say its labels."""

    columns: Columns
    reading: Reading
    bands: int
    labelled: bool = True


def read_collection(path: Path, asked: Asked, rate: int = 0) -> Collection:
    """Read a folder of sound, a .ts file, a .npz file, a file of sound, or else a long table.

    Raises
    ------
    ValueError
        In one sentence.
    """
    if not path.exists():
        raise InvalidValueError(f"there is no file or folder {path}.")
    columns = asked.columns
    if path.is_dir():
        _none(path, "is a folder of sound", columns._replace(group=""), asked.labelled)
        if not asked.labelled:
            return read_sound_files(sound_files(path), path, asked.bands, rate)
        return read_sound_folder(path, columns.group, asked.bands, rate)
    if is_sound(path):
        return read_sound_files([path], path.parent, asked.bands, rate)
    if path.suffix.lower() == ".ts":
        _none(path, "is a .ts file", columns, asked.labelled)
        return read_archive_file(path)
    if path.suffix.lower() == ".npz":
        _none(path, "is a .npz file", columns, asked.labelled)
        return read_padded(path)
    return read_long_table(path, columns, asked.reading, labelled=asked.labelled)


def _none(path: Path, what: str, columns: Columns, labelled: bool) -> None:
    """Raise where a column is named of what has none; a run that was trained named its own."""
    if not labelled and columns.sequence:
        raise InvalidValueError(
            f"this run learned from a table, and {path.name} {what}: expected a table too."
        )
    for name, value in columns._asdict().items():
        if value:
            flag = "channels" if name == "channels" else name
            told = " ".join(value) if isinstance(value, tuple) else value
            raise InvalidValueError(
                f"--{flag} {told} names a column, and {path.name} {what}, which has none: leave it "
                "out."
            )


def fitting(other: Collection, known: Collection) -> Collection:
    """The other collection, with the channels of what is known, in their order.

    Channels are found by their names, where both files name them.

    Raises
    ------
    ValueError
        If it has others.
    """
    if len(other.channels) != len(known.channels):
        raise InvalidValueError(
            f"{other.file} has {len(other.channels)} channels, {', '.join(other.channels[:6])}: "
            f"expected the {len(known.channels)} of {known.file}, "
            f"{', '.join(known.channels[:6])}."
        )
    if other.channels == known.channels or _unnamed(other) or _unnamed(known):
        return other
    if strange := sorted(set(other.channels) - set(known.channels)):
        raise InvalidValueError(
            f"{other.file} has a channel {strange[0]!r}, which {known.file} has not: expected "
            f"{', '.join(known.channels[:6])}."
        )
    order = [other.channels.index(name) for name in known.channels]
    sequences = [values[:, order] for values in other.sequences]
    return replace(other, sequences=sequences, channels=known.channels)


def _unnamed(collection: Collection) -> bool:
    """Whether a file names no channels, so that they are counted."""
    return collection.channels == channel_names(len(collection.channels))


def joined(known: Collection, test: Collection) -> Collection:
    """Both, one behind the other.

    Raises
    ------
    ValueError
        If they do not fit each other, or a group is in both.
    """
    test = fitting(test, known)
    held = {values.tobytes() for values in known.sequences}
    both = sum(values.tobytes() in held for values in test.sequences)
    if both == len(test):
        raise InvalidValueError(
            f"every sequence of {test.file} is in {known.file} too, so that it can judge nothing: "
            "give another file, or leave --test-data out."
        )
    said = known.said + (f"; {counted(both, 'test sequence')} learned from too" if both else "")
    if bool(known.groups) != bool(test.groups):
        without = test if known.groups else known
        raise InvalidValueError(f"{without.file} does not say its groups, and the other file does.")
    if shared := sorted(set(known.groups) & set(test.groups)):
        raise InvalidValueError(
            f"{shared[0]!r} is in {known.file} and in {test.file}: expected every group on one "
            "side, so that what was learned of it cannot help to judge."
        )
    return Collection(
        known.file,
        [*known.sequences, *test.sequences],
        [*known.labels, *test.labels],
        [*known.names, *test.names],
        known.channels,
        [*known.groups, *test.groups],
        said,
        known.rate,
    )


def classes_of(collection: Collection, words: Sequence[str]) -> Integers:
    """The labels of a collection by their numbers.

    Raises
    ------
    ValueError
        If there is one that is not known.
    """
    numbers = {word: number for number, word in enumerate(words)}
    for name, label in zip(collection.names, labelled(collection).labels, strict=True):
        if label not in numbers:
            few = f"{', '.join(words[:9])}{ending(label, words)}"
            raise InvalidValueError(
                f"{name} of {collection.file} has the label {label!r}, which is in nothing that is "
                f"learned from: expected {few}"
            )
    return np.array([numbers[label] for label in collection.labels], dtype=np.int64)
