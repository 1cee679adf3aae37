"""`unrolled check`: whether each file of a run is as it was written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from unrolled.cli.refusals import Parser, need
from unrolled.training import checkpoint, documents, runs

__all__ = ["check"]

DESCRIPTION = (
    "Say of each file of a run whether it is whole, by the seal that lies in it. The exit status "
    "is 0 where all are, 1 where one is damaged or gone, 2 where DIR is no run."
)

READERS: dict[str, Callable[[Path], Any]] = {
    runs.CONFIG: lambda path: runs.read_config(path.parent),
    runs.WEIGHTS: checkpoint.read_weights,
    runs.METRICS: lambda path: runs.read_metrics(path.parent),
    runs.RESULT: lambda path: runs.read_result(path.parent),
    runs.RESUME: checkpoint.read_tree,
    runs.DATA: checkpoint.read_tree,
}

LACKS = {  # what a finished run may be without
    runs.METRICS: "the run has no history",
    runs.RESUME: "the run can be looked at, but not gone on with",
}


def check(arguments: list[str]) -> int:
    """`unrolled check`."""
    parser = Parser(prog="unrolled check", description=DESCRIPTION)
    parser.add_argument("folder", metavar="DIR", type=Path, help="the run's folder")
    folder = parser.parse_args(arguments).folder
    need("safetensors")
    if not any((folder / name).is_file() for name in runs.FILES):
        runs.read_config(folder)  # which says what the folder is instead
    names = [*runs.FILES, *([runs.DATA] if (folder / runs.DATA).is_file() else [])]
    found = [_state(folder / name) for name in names]
    for name, (words, _) in zip(names, found, strict=True):
        print(f"{name:<19}  {runs.printable(words)}")
    return 0 if all(good for _, good in found) else 1


def _state(path: Path) -> tuple[str, bool]:
    """What there is to say of a file, and whether that is good."""
    if not path.is_file():
        return _absent(path)
    try:
        READERS[path.name](path)
    except runs.DamagedError as error:
        if error.path != path:
            return f"not known until {error.path.name} is put right", False
        return f"damaged: {error.what}", False
    if documents.is_sealed(path):
        return "whole", True
    return "no seal: it was written before there were any", True


def _absent(path: Path) -> tuple[str, bool]:
    """A run that has no result yet may lack any file but its config.json."""
    if path.name == runs.CONFIG:
        return "damaged: it is gone; put back a copy of it.", False
    if not (path.parent / runs.RESULT).is_file():
        return "not there: the run is not finished", True
    if path.name == runs.WEIGHTS:
        return "damaged: it is gone; train with --resume, which writes it anew.", False
    return f"not there: {LACKS[path.name]}", True
