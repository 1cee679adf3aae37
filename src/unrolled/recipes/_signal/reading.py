"""A pair of signals out of files: what goes in and what comes out, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unrolled.errors import InvalidValueError
from unrolled.errors.expected import ending, flagged
from unrolled.files.columns import Floats
from unrolled.files.sound import SOUNDS, read_sound
from unrolled.files.tables import Reading, Table, read_table
from unrolled.recipes._events.arrays import Arrays, read_arrays

__all__ = ["ARRAYS", "Asked", "Signal", "columns_of", "kind_of", "read_inputs", "read_signal"]

ARRAYS = (".npy", ".npz")
DEPTH = "32-bit float"
FEWEST = 64

Numbers = npt.NDArray[Any]  # float32 of sound, else float64


@dataclass(frozen=True)
class Signal:
    """What goes in [T, C] and what comes out [T, D], of one length.

    ``rate`` is in Hz, 0 where the file does not tell; ``depth`` is how sound was stored, "" of what
    is no sound; ``names`` are those of the columns that go in, and of those that come out.
    """

    inputs: Numbers
    outputs: Numbers
    names: tuple[tuple[str, ...], tuple[str, ...]]
    rate: int = 0
    depth: str = ""
    said: tuple[str, ...] = ()

    def __len__(self) -> int:
        """How many steps there are."""
        return len(self.inputs)

    @property
    def is_sound(self) -> bool:
        """Whether its full scale is 1 and nothing is to be said of its mean."""
        return bool(self.depth)

    def part(self, begin: int, end: int) -> Signal:
        """Some of its steps."""
        chosen = slice(begin, end)
        return replace(self, inputs=self.inputs[chosen], outputs=self.outputs[chosen])

    def telling(self, *lines: str) -> Signal:
        """The same, about which more is said."""
        return replace(self, said=(*self.said, *lines))


@dataclass(frozen=True)
class Asked:
    """Which files, and what of them."""

    data: Path
    target: Path | None
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    reading: Reading


def kind_of(path: Path) -> str:
    """What a file is by its name: "sound", "array" or "table".

    Raises
    ------
    ValueError
        If there is no such file.
    """
    if path.is_dir():
        raise InvalidValueError(f"{path} is a folder: expected a file.")
    if not path.is_file():
        raise InvalidValueError(f"there is no file {path}: check the path.")
    kind = path.suffix.lower()
    return "sound" if kind in SOUNDS else "array" if kind in ARRAYS else "table"


def read_signal(asked: Asked) -> Signal:
    """Read the two, and look them over.

    Raises
    ------
    ValueError
        In one sentence: the files are not of one kind or rate, a column is not there, a signal is
        constant, or there is too little of it.
    """
    kind = kind_of(asked.data)
    if asked.target is not None and kind_of(asked.target) != kind:
        raise InvalidValueError(
            f"{asked.data.name} is of another kind than {asked.target.name}: expected both as "
            "sound, both as tables, or both as NumPy files."
        )
    signal = _of_sound(asked) if kind == "sound" else _of_columns(asked, kind)
    _check(signal)
    return signal


def _check(signal: Signal) -> None:
    if len(signal) < FEWEST:
        raise InvalidValueError(
            f"there are {len(signal)} steps: expected {FEWEST} or more to learn from."
        )
    for values, names, what in zip(
        (signal.inputs, signal.outputs), signal.names, ("what goes in", "the target"), strict=True
    ):
        spread = np.ptp(values, axis=0)
        if not spread.all():
            place = int(np.argmin(spread))
            if signal.is_sound:
                raise InvalidValueError(
                    f"channel {place + 1} of {what} is {values[0, place]:g} at every step: there "
                    "is nothing to learn of it; write the file again without that channel."
                )
            raise InvalidValueError(
                f"{names[place]!r} of {what} is {values[0, place]:g} at every step: there is "
                "nothing to learn of it; leave it out, or record it again."
            )


# --- sound ---


def _of_sound(asked: Asked) -> Signal:
    for flag, names in (("--inputs", asked.inputs), ("--outputs", asked.outputs)):
        if names:
            raise InvalidValueError(
                f"{flag} {' '.join(names)} names columns, and {asked.data.name} is sound: leave "
                "it out."
            )
    if asked.target is None:
        raise InvalidValueError(
            f"{asked.data.name} is what goes in: add --target FILE, the same as it comes out."
        )
    (one, x), (other, y) = read_sound(asked.data), read_sound(asked.target)
    if one.rate != other.rate:
        raise InvalidValueError(
            f"{asked.data.name} has {one.rate:,} Hz and {asked.target.name} {other.rate:,} Hz: "
            "expected one rate; write one of them again at the rate of the other."
        )
    said = [f"{asked.data.name}: {one.told}", f"{asked.target.name}: {other.told}"]
    x, y, more = _shorter(x, y, (asked.data.name, asked.target.name))
    ins, outs = (tuple(map(str, range(values.shape[1]))) for values in (x, y))
    return Signal(x, y, (ins, outs), one.rate, other.depth, (*said, *more))


def _shorter(
    x: Numbers, y: Numbers, files: tuple[str, str]
) -> tuple[Numbers, Numbers, tuple[str, ...]]:
    """Both in the length of the shorter, and what is to be said of that."""
    if len(x) == len(y):
        return x, y, ()
    count = min(len(x), len(y))
    longer = files[0] if len(x) > len(y) else files[1]
    told = f"{longer} is longer by {abs(len(x) - len(y)):,} steps, which are left out"
    return x[:count], y[:count], (told,)


# --- tables and arrays ---


def _of_columns(asked: Asked, kind: str) -> Signal:
    source = _source(asked.data, kind, asked.reading)
    said = [f"{asked.data.name}: {len(source.rows):,} steps, columns {', '.join(source.names)}"]
    if asked.target is None:
        _name_both(asked, source)
        names = asked.inputs or tuple(n for n in source.names if n not in asked.outputs)
        x = columns_of(source, names, "--inputs")
        y = columns_of(source, asked.outputs, "--outputs")
        return Signal(x, y, (names, asked.outputs), said=tuple(said))
    other = _source(asked.target, kind, asked.reading)
    ins, outs = asked.inputs or tuple(source.names), asked.outputs or tuple(other.names)
    if len(source.rows) != len(other.rows):
        raise InvalidValueError(
            f"{asked.data.name} has {len(source.rows):,} rows and {asked.target.name} "
            f"{len(other.rows):,}: expected a row of each for every step; put both into one table."
        )
    _check_times(source, other, (asked.data.name, asked.target.name))
    x, y = columns_of(source, ins, "--inputs"), columns_of(other, outs, "--outputs")
    return Signal(x, y, (ins, outs), said=tuple(said))


def _check_times(one: Table | Arrays, other: Table | Arrays, files: tuple[str, str]) -> None:
    """Refuse two tables whose columns of one name and no numbers, such as days, are not alike."""
    if not (isinstance(one, Table) and isinstance(other, Table)):
        return
    for name in one.names:
        if name not in other.names or one.columns[name].dtype == np.float64:
            continue
        words = one.words(name), other.words(name)
        row = next((k for k, (a, b) in enumerate(zip(*words, strict=True)) if a != b), None)
        if row is not None and not _is_numeric(one, name):
            raise InvalidValueError(
                f"row {one.rows[row]} of column {name!r} is {words[0][row]!r} in {files[0]} and "
                f"{words[1][row]!r} in {files[1]}: expected the same in each row; put both into "
                "one table."
            )


def _is_numeric(source: Table, name: str) -> bool:
    try:
        source.numbers(name)
    except InvalidValueError:
        return False
    return True


def read_inputs(path: Path, names: Sequence[str], reading: Reading) -> Floats:
    """What goes in alone, out of a table or a NumPy file: [T, len(names)].

    Raises
    ------
    ValueError
        In one sentence.
    """
    source = _source(path, kind_of(path), reading)
    if not len(source.rows):
        raise InvalidValueError(f"{path.name} has no row: there is nothing to go in.")
    return columns_of(source, names, "--inputs")


def _source(path: Path, kind: str, reading: Reading) -> Table | Arrays:
    return read_arrays(path) if kind == "array" else read_table(path, reading)


def _name_both(asked: Asked, source: Table | Arrays) -> None:
    if not asked.outputs:
        raise InvalidValueError(
            f"{asked.data.name} has the columns {', '.join(source.names)}: say which come out with "
            "--outputs COLUMN, and which go in with --inputs, or give a second file with --target."
        )
    both = [name for name in asked.inputs if name in asked.outputs]
    if both:
        raise InvalidValueError(
            f"column {both[0]!r} is among --inputs and --outputs: expected it in one of them."
        )


def columns_of(source: Table | Arrays, names: Sequence[str], flag: str) -> Floats:
    """Columns of numbers [T, len(names)], every one of which is there.

    Raises
    ------
    ValueError
        Naming the column, and the row.
    """
    if not names:
        raise InvalidValueError(f"there is no column left: say which with {flag}.")
    for name in names:
        if name not in source.names:
            raise InvalidValueError(
                f"{source.file} has no column {name!r}: its columns are {', '.join(source.names)}"
                f"{ending(name, source.names)}"
            )
    return np.column_stack([_whole(source, name, flag) for name in names])


def _whole(source: Table | Arrays, name: str, flag: str) -> Floats:
    if isinstance(source, Table) and source.columns[source.find(name)].dtype.kind == "M":
        raise InvalidValueError(
            f"column {name!r} of {source.file} holds times, not numbers: name the others with "
            f"{flag}."
        )
    try:
        values = source.numbers(name)
    except InvalidValueError as error:
        said = str(error).replace("naming the others with --channels", f"naming others: {flag}")
        raise InvalidValueError(
            f"{said.rstrip('.')}; a column that is no signal is left out by naming the others with "
            f"{flag}."
            if flag not in said
            else said
        ) from None
    missing = np.flatnonzero(~np.isfinite(values))
    if len(missing):
        raise InvalidValueError(
            f"row {source.rows[missing[0]]} of column {name!r} has no value, and so have "
            f"{len(missing):,} of {len(values):,} rows: expected a number in each; fill them in, "
            f"or take another column than {flagged(flag, name)}."
        )
    return values
