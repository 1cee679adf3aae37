"""The files of a run as documents with a seal: who they belong to, and what to do if damaged.

The seal lies inside each file (`unrolled.files.sealed`), so that a run killed at any moment has no
file without its own.  The run is named by what decides its bits, its recipe, fields and versions:
two runs of one recipe with one seed are the same run, byte for byte.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from unrolled.errors import InvalidValueError, UnrolledError
from unrolled.errors.expected import whole
from unrolled.files import sealed
from unrolled.files.bounded import MOST_BYTES, parse_json, read_at_most
from unrolled.files.whole import replace_file
from unrolled.training.declared import DICTIONARY, WORDS, Declared, held

__all__ = [
    "CONFIG",
    "DATA",
    "FILES",
    "METRICS",
    "RESULT",
    "RESUME",
    "WEIGHTS",
    "DamagedError",
    "Owner",
    "RunError",
    "as_json",
    "check_owner",
    "finite",
    "is_sealed",
    "owner",
    "owner_named",
    "read_json",
    "remedy",
    "take_seal",
    "write_json",
    "write_pieces",
]

CONFIG = "config.json"
METRICS = "metrics.jsonl"
DATA = "data.safetensors"
RESULT = "result.json"
RESUME = "resume.safetensors"
WEIGHTS = "weights.safetensors"
FILES = (CONFIG, WEIGHTS, METRICS, RESULT, RESUME)

_REMEDIES = {
    CONFIG: "put back a copy of it, or train again with another --out",
    WEIGHTS: "put back a copy of it, or remove it and train with --resume, which writes it anew",
    DATA: "put back a copy of it, or train again with another --out",
    METRICS: "put back a copy of it, or remove it: the rest of the run needs no history",
    RESULT: "put back a copy of it, or remove it and train with --resume, which writes it anew",
    RESUME: "put back a copy of it, or train again with another --out",
}

CONFIG_FIELDS: Mapping[str, Declared] = {
    "recipe": WORDS,
    "fields": DICTIONARY,
    "versions": DICTIONARY,
    "created": WORDS,
    "threads": whole(1, 2**31 - 1),
}


class RunError(UnrolledError, ValueError):
    """A folder that is no run, or a run that cannot be read, in one sentence."""


class DamagedError(RunError):
    """A file of a run that is not as it was written.

    Parameters
    ----------
    path : Path
    what : str
        What is wrong with it, such as "it is not JSON".
    """

    def __init__(self, path: Path, what: object) -> None:
        self.path = path
        self.what = f"{str(what).rstrip('.')}; {remedy(path)}."
        super().__init__(f"{path} is damaged: {self.what}")


def remedy(path: Path) -> str:
    """What to do about a file of a run that cannot be used."""
    return _REMEDIES.get(path.name, "put back a copy of it")


# --- whose a file is ---


class Owner(NamedTuple):
    """A run's name in the seals of its files, and whether its config.json has one."""

    run: str
    sealed: bool


def owner(folder: Path) -> Owner:
    """Whose files lie in a folder.

    Raises
    ------
    DamagedError
        If its config.json cannot tell.
    """
    path = folder / CONFIG
    if not path.is_file():
        return Owner(sealed.NOBODY, False)
    value, seal = _document(path, CONFIG_FIELDS)
    return owner_named(value) if seal is None else Owner(seal.run, True)


def owner_named(config: Mapping[str, Any]) -> Owner:
    """The run that a config.json makes: what may change when it is gone on with does not count."""
    fields = {name: value for name, value in config["fields"].items() if name != "steps"}
    word = json.dumps([config["recipe"], fields, config["versions"]], sort_keys=True).encode()
    return Owner(hashlib.sha256(word).hexdigest()[: len(sealed.NOBODY)], False)


def check_owner(path: Path, seal: sealed.Seal | None, whose: Owner) -> None:
    """Refuse a file that another run's folder sealed, or nobody where others are sealed.

    Raises
    ------
    DamagedError
    """
    if seal is None and whose.sealed:
        raise DamagedError(path, "it has no seal, and the run has one")
    if seal is not None and whose.run not in (seal.run, sealed.NOBODY):
        raise DamagedError(path, "it belongs to another run")


def is_sealed(path: Path) -> bool:
    """Whether a file that was read without a word has a seal; one of no bytes needs none."""
    with open(path, "rb") as file:
        data = file.read(MOST_BYTES)
    return not data or sealed.has_seal(data)


# --- JSON ---


def write_json(path: Path, value: Mapping[str, Any], run: str) -> None:
    """Write an object with the seal of that run."""
    write_pieces(path, sealed.stamped(as_json(value, run, indent=2)))


def as_json(value: Mapping[str, Any], run: str, indent: int | None = None) -> bytes:
    """A line, or several, with a seal that is still blank."""
    signed = {**value, sealed.KEY: sealed.blank(run)}
    text = json.dumps(signed, indent=indent, ensure_ascii=False) + "\n"
    return text.encode("utf-8", "backslashreplace")  # half a character is "\udc80" in JSON too


def read_json(path: Path, declared: Declared) -> dict[str, Any]:
    """What `write_json` was given.

    Raises
    ------
    DamagedError
        If the file is damaged, or another run's, or says what is not declared.
    """
    value, seal = _document(path, declared)
    if path.name != CONFIG:
        check_owner(path, seal, owner(path.parent))
    return value


def _document(path: Path, declared: Declared) -> tuple[dict[str, Any], sealed.Seal | None]:
    try:
        data = read_at_most(path)
        value = parse_json(data)
        if not isinstance(value, dict):
            raise InvalidValueError("it holds no JSON object")
        seal = sealed.examined(data)
        take_seal(value, seal)
        held(value, declared)
    except InvalidValueError as error:
        raise DamagedError(path, error) from error
    return value, seal


def take_seal(value: dict[str, Any], seal: sealed.Seal | None) -> None:
    """Leave in an object that was read what is not its seal."""
    if (value.pop(sealed.KEY, None) is None) != (seal is None):
        raise InvalidValueError("its seal cannot be read")


def write_pieces(path: Path, pieces: list[bytes | memoryview]) -> None:
    """Write a file whole, beside its place and then into it."""

    def write(beside: Path) -> None:
        with open(beside, "wb") as file:
            file.writelines(pieces)

    replace_file(path, write)


def finite(value: Any) -> Any:
    """The same value for JSON: a number that is not finite is None, which JSON has."""
    if isinstance(value, Mapping):
        return {key: finite(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
