"""Sequences out of sound: a folder for each label with files in it, or files of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from unrolled.errors import InvalidValueError
from unrolled.files.columns import Floats
from unrolled.files.sound import SOUNDS, SoundFile, read_sound
from unrolled.recipes._labels.collection import Collection, counted
from unrolled.recipes._labels.melody import log_mel

__all__ = ["is_sound", "read_sound_files", "read_sound_folder", "sound_files"]


class _Sound(NamedTuple):
    path: Path
    label: str
    group: str


def is_sound(path: Path) -> bool:
    """Whether a file's name ends as a sound's does."""
    return path.suffix.lower() in SOUNDS


def read_sound_folder(folder: Path, mark: str, bands: int, rate: int = 0) -> Collection:
    """Read a folder in which a folder for each label has files of sound, or folders of them.

    Parameters
    ----------
    folder
    mark
        Who speaks is what stands in a file's name before its first mark; empty: it is not known,
        but where the files lie in folders within a label's, these are who speaks.
    bands
        Mel bands.
    rate
        What the samples in a second have to be; 0: as many as in the first file.

    Raises
    ------
    ValueError
        In one sentence.
    """
    found = [_sound(folder, path, mark) for path in sound_files(folder)]
    nested = {bool(one.group) for one in found}
    if len(nested) > 1:
        raise InvalidValueError(
            f"some sounds of {folder.name} lie in a folder within their label's and some do not: "
            "expected LABEL/FILE.wav or LABEL/WHO/FILE.wav for all of them."
        )
    collection = _read([one.path for one in found], folder, bands, rate)
    said = "; ".join([collection.said, *_left_out(folder)])
    return Collection(
        folder.name,
        collection.sequences,
        [one.label for one in found],
        collection.names,
        collection.channels,
        [one.group for one in found] if nested == {True} else (),
        said,
        collection.rate,
    )


def read_sound_files(paths: Sequence[Path], folder: Path, bands: int, rate: int) -> Collection:
    """Read files of sound in a folder, whose labels are not known."""
    return _read(paths, folder, bands, rate)


def sound_files(folder: Path) -> list[Path]:
    """The files of sound in a folder, however deep."""
    found = sorted(path for path in folder.rglob("*") if _counts(path) and is_sound(path))
    if not found:
        raise InvalidValueError(
            f"{folder} holds no sound: expected a folder for each label, with files in it that end "
            f"in {', '.join(SOUNDS)}."
        )
    return found


def _counts(path: Path) -> bool:
    """Whether it is a file that somebody put there: those whose names begin with . are not."""
    return path.is_file() and not path.name.startswith(".")


def _left_out(folder: Path) -> list[str]:
    """What is said of files that are no sound, and of folders without one."""
    others = [path for path in folder.rglob("*") if _counts(path) and not is_sound(path)]
    said = (
        [f"{counted(len(others), 'file')} left out, such as {min(others).name}"] if others else []
    )
    folders = [path for path in folder.iterdir() if path.is_dir() and path.name[0] != "."]
    empty = [
        path.name for path in folders if not any(map(is_sound, filter(_counts, path.rglob("*"))))
    ]
    return [*said, *([f"no sound in {', '.join(sorted(empty))}"] if empty else [])]


def _sound(folder: Path, path: Path, mark: str) -> _Sound:
    label, *between, name = path.relative_to(folder).parts if path.parent != folder else ("", "")
    if not label or len(between) > 1:
        raise InvalidValueError(
            f"{path.relative_to(folder)} does not lie in a label's folder: expected "
            "LABEL/FILE.wav or LABEL/WHO/FILE.wav."
        )
    if mark:
        who, found, _ = name.partition(mark)
        if not (found and who):
            raise InvalidValueError(
                f"{path.relative_to(folder)} does not say who speaks: --group {mark} expects names "
                f"such as anna{mark}1.wav."
            )
        return _Sound(path, label, who)
    return _Sound(path, label, between[0] if between else "")


def _read(paths: Sequence[Path], folder: Path, bands: int, rate: int) -> Collection:
    sequences: list[Floats] = []
    kinds: Counter[str] = Counter()
    seconds, mixed = 0.0, 0
    for path in paths:
        sound, samples = read_sound(path)
        rate = rate or sound.rate
        _check_rate(sound, rate)
        try:
            sequences.append(log_mel(samples.mean(1), rate, bands).astype(np.float64))
        except InvalidValueError as error:
            raise InvalidValueError(f"{path.name}: {error}") from None
        kinds[f"{sound.depth} {sound.format}"] += 1
        mixed += sound.channels > 1
        seconds += sound.seconds
    said = " and ".join(f"{count:,} of {kind}" for kind, count in kinds.most_common())
    said += f"; {mixed:,} of them of several channels, averaged" if mixed else ""
    return Collection(
        folder.name,
        sequences,
        (),
        [str(path.relative_to(folder)) for path in paths] if paths else [],
        tuple(f"mel {band + 1}" for band in range(bands)),
        said=f"{counted(len(paths), 'sound')} ({said}, {rate:,} Hz, {seconds:.0f} s in all)",
        rate=rate,
    )


def _check_rate(sound: SoundFile, rate: int) -> None:
    if sound.rate != rate:
        raise InvalidValueError(
            f"{sound.path.name} has {sound.rate:,} samples in a second, the others {rate:,}: "
            "expected one rate; resample it."
        )
