"""A run's folder: what a training leaves behind, and what it needs to go on.

===================  ==============================================================================
config.json          the recipe, its fields, the versions, when it began
weights.safetensors  the model's weights, by the names of its ``state_dict``
metrics.jsonl        one line a report: step, loss, seconds and the recipe's figures
data.safetensors     of some recipes: what they need of their data to be of use without it
result.json          the final figures and the names of the pictures; there when the run is done
resume.safetensors   everything that going on needs, in one file that is replaced whole
===================  ==============================================================================

Nothing here is ever pickled, so a run from a stranger can be opened; a file is the old one or the
new one, at any moment, never half of one (`unrolled.files.whole`); and each carries a seal that is
verified when it is read (`unrolled.training.documents`).
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from unrolled.errors.expected import whole
from unrolled.files.whole import open_unlinked
from unrolled.training import documents
from unrolled.training.declared import DICTIONARY, NAMES, SECONDS, Some
from unrolled.training.documents import (
    CONFIG,
    DATA,
    FILES,
    METRICS,
    RESULT,
    RESUME,
    WEIGHTS,
    DamagedError,
    RunError,
    finite,
)
from unrolled.training.fields import completed
from unrolled.training.history import append_metrics, cut_metrics, read_metrics

__all__ = [
    "CONFIG",
    "DATA",
    "FILES",
    "METRICS",
    "RESULT",
    "RESUME",
    "TRUST",
    "WEIGHTS",
    "Config",
    "DamagedError",
    "RunError",
    "append_metrics",
    "create",
    "cut_metrics",
    "decode_fields",
    "encode_fields",
    "finite",
    "free_folder",
    "is_empty",
    "latest_folder",
    "locked",
    "new_config",
    "printable",
    "read_config",
    "read_metrics",
    "read_result",
    "write_config",
    "write_result",
]

TRUST = "of a run whose recipe is a .py file: run that file, which may do anything"  # --trust

R = TypeVar("R")


class Config(NamedTuple):
    """What `config.json` holds.

    ``recipe`` is a built-in name or the path of a recipe's file; ``threads`` are torch's, of which
    the bits of a result depend.
    """

    recipe: str
    fields: dict[str, Any]
    versions: dict[str, str]
    created: str
    threads: int


# --- the folder -----------------------------------------------------------------------------


def free_folder(root: Path, name: str) -> Path:
    """Make and return the first of ``root/name``, ``root/name-2``, … that is not there yet."""
    number = 1
    while True:
        folder = root / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            number += 1
        else:
            return folder


def latest_folder(root: Path, name: str) -> Path | None:
    """The run among ``root/name``, ``root/name-2``, … with the highest number; None: no run."""
    found = {
        int(path.name[len(name) + 1 :] or 1): path
        for path in (root.iterdir() if root.is_dir() else ())
        if (path.name == name or path.name.removeprefix(f"{name}-").isdecimal())
        and (path / CONFIG).is_file()
    }
    return found[max(found)] if found else None


def create(folder: Path) -> None:
    """Make a folder for a new run.

    Raises
    ------
    RunError
        If there is a run already, or anything else that is not ours to write among.
    """
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder} is a file: --out takes a folder.")
    if (folder / CONFIG).exists():
        raise RunError(
            f"{folder} holds a run already: add --resume to go on with it, or take another --out."
        )
    if folder.is_dir() and not is_empty(folder):
        raise RunError(f"{folder} is not empty and holds no run: take another --out.")
    folder.mkdir(parents=True, exist_ok=True)


def is_empty(folder: Path) -> bool:
    """Whether there is nothing but what a run killed in its first moment leaves."""
    return all(path.name.startswith(".") for path in folder.iterdir())


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep a second process from writing the same run; the lock goes with the process.

    Raises
    ------
    RunError
        If another process has it.
    OSError
        If the lock is a link.
    """
    try:
        import fcntl
    except ImportError:  # not POSIX: no lock
        yield
        return
    # Not truncated: what a stranger's hard link points to keeps what it holds.
    with open(folder / ".lock", "a", opener=open_unlinked) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RunError(f"another process is training in {folder}: wait for it.") from error
        yield


# --- config.json ----------------------------------------------------------------------------


def write_config(folder: Path, config: Config) -> None:
    """Write `config.json`; a run that has a seal keeps it."""
    value = config._asdict()
    whose = documents.owner(folder) if (folder / CONFIG).is_file() else None
    run = (whose or documents.owner_named(value)).run
    documents.write_json(folder / CONFIG, value, run)


def read_config(folder: Path) -> Config:
    """Read `config.json`.

    Raises
    ------
    RunError
        If the folder is no run, or the file is damaged.
    """
    path = folder / CONFIG
    if not path.is_file():
        there = (
            "has no config.json"
            if folder.is_dir()
            else "is a file"
            if folder.exists()
            else "does not exist"
        )
        raise RunError(f"{folder} is not a run: it {there}; `unrolled train` makes runs.")
    value = documents.read_json(path, documents.CONFIG_FIELDS)
    return Config(**value)


def new_config(recipe: str, fields: dict[str, Any]) -> Config:
    """The configuration of a run that begins now."""
    import platform
    from importlib.metadata import version

    import torch

    versions = {name: version(name) for name in ("unrolled", "torch", "numpy")}
    versions["python"] = platform.python_version()
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return Config(recipe, fields, versions, created, torch.get_num_threads())


def encode_fields(recipe: Any) -> dict[str, Any]:
    """A recipe's fields as JSON; a path is made absolute, so that it holds from anywhere."""

    def encode(value: Any) -> Any:
        if isinstance(value, Path):
            return str(value.resolve())
        return [encode(v) for v in value] if isinstance(value, list | tuple) else value

    return {f.name: encode(getattr(recipe, f.name)) for f in dataclasses.fields(recipe)}


def decode_fields(cls: type[R], fields: Mapping[str, Any]) -> R:
    """The recipe that `encode_fields` was given, if need be before it had all of its fields.

    Raises
    ------
    RunError
        If a field is missing, unknown, or not of its type.
    """
    fields = completed(cls, fields)
    hints = typing.get_type_hints(cls)
    names = [f.name for f in dataclasses.fields(cls)]  # type: ignore[arg-type]
    for name in names:
        if name not in fields:
            raise RunError(f"{CONFIG} has no {name!r}: another version of the recipe wrote it.")
    for name in fields:
        if name not in names:
            raise RunError(f"{CONFIG} has {name!r}, which the recipe does not: versions differ.")
    return cls(**{name: _decode(name, hints[name], fields[name]) for name in names})


def _decode(name: str, hint: Any, value: Any) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return _decode(name, arguments[0], value)
    if origin in (typing.Union, types.UnionType):
        for choice in arguments:
            try:
                return _decode(name, choice, value)
            except RunError:
                continue
    elif origin is typing.Literal:
        if value in arguments:
            return value
    elif origin in (tuple, list) and isinstance(value, list):
        any_length = origin is list or arguments[-1:] == (Ellipsis,)
        kinds = arguments[:1] * len(value) if any_length else arguments
        if len(kinds) == len(value):
            return origin(_decode(name, k, v) for k, v in zip(kinds, value, strict=True))
    elif hint is Path and isinstance(value, str):
        return Path(value)
    elif hint is float and type(value) in (int, float):
        return float(value)
    elif hint in (int, str, bool) and type(value) is hint:
        return value
    elif hint in (None, types.NoneType) and value is None:
        return None
    raise RunError(f"{CONFIG} is damaged: {name} = {value!r} is not what the recipe takes.")


# --- result.json ----------------------------------------------------------------------------


_RESULT = Some(step=whole(0, 2**53), seconds=SECONDS, figures=DICTIONARY, pictures=NAMES)


def write_result(folder: Path, result: Mapping[str, Any]) -> None:
    """Write `result.json`: the run is done."""
    documents.write_json(folder / RESULT, finite(result), documents.owner(folder).run)


def read_result(folder: Path) -> dict[str, Any] | None:
    """Read `result.json`; None where the run is not done.

    Raises
    ------
    RunError
        If the file is damaged.
    """
    path = folder / RESULT
    return documents.read_json(path, _RESULT) if path.is_file() else None


def printable(text: str) -> str:
    r"""A text from a run's files for a terminal: what would steer it is written as ``\x1b``."""
    return "".join(c if c.isprintable() or c == " " else ascii(c)[1:-1] for c in text)
