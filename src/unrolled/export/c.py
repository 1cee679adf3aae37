"""The target `c`: a .h and a .c file in C99 that take the network's steps, with no dependency."""

from __future__ import annotations

import re
from pathlib import Path

from torch import nn

from unrolled.export.c_source import Sources, sources
from unrolled.export.c_tables import WEIGHTS, Weights, drawn
from unrolled.export.parts import ExportError, parts_of
from unrolled.files.whole import check_place, replace_file

__all__ = ["to_c", "write"]

# What a file beside a program would hide, where its folder is searched for headers.
_STANDARD = (
    "assert", "complex", "ctype", "errno", "fenv", "float", "inttypes", "iso646", "limits",
    "locale", "math", "setjmp", "signal", "stdalign", "stdarg", "stdatomic", "stdbool", "stddef",
    "stdint", "stdio", "stdlib", "stdnoreturn", "string", "tgmath", "threads", "time", "uchar",
    "wchar", "wctype",
)  # fmt: skip


def write(module: nn.Module, path: Path) -> list[Path]:
    """Write the .c file and, beside it, the .h file; returns both."""
    return to_c(module, path)


def to_c(
    module: nn.Module, path: Path | str, *, name: str | None = None, weights: Weights = "float"
) -> list[Path]:
    """Write a network as a .h and a .c file: C99, no dependency, no allocation, no changing global.

    They have ``NAME_state``, ``NAME_reset``, ``NAME_step`` and ``NAME_run``; the .h file says what
    they take and which flags give the stepper's bits.  The network is the one in ``eval()``:
    zoneout at its expected value, no dropout.

    Parameters
    ----------
    module : nn.Module
        An `unrolled.LSTM` or an `unrolled.Network`: one direction, no projection, float32.
    path : Path or str
        Of the .c file; the .h file is put beside it.
    name : str, optional
        What all names in the files begin with; the file's own name if left out.
    weights : {"float", "int8"}
        With ``"int8"``, whole numbers with a scale for each row: a quarter of the size, and not the
        same outputs.

    Returns
    -------
    list of Path
        The .c file and the .h file.

    Raises
    ------
    ExportError
        For what the files cannot say, in one sentence.
    OSError
        If they cannot be written.
    """
    path = Path(path)
    _check(path, name, weights)
    net = drawn(parts_of(module), weights)
    return _put(path, sources(net, path.stem if name is None else name, path.stem))


def _check(path: Path, name: str | None, weights: str) -> None:
    if weights not in WEIGHTS:
        raise ExportError(f"weights={weights!r} is not known: use 'float' or 'int8'.")
    if path.suffix != ".c":
        raise ExportError(f"{path.name} cannot be a C file: expected a name that ends in .c.")
    if path.stem in _STANDARD:
        raise ExportError(
            f"{path.stem}.h would hide C's own <{path.stem}.h>: give the file another name."
        )
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", path.stem if name is None else name):
        found = f"{path.stem!r}, the file's name," if name is None else f"name={name!r}"
        raise ExportError(
            f"{found} cannot begin the names of C: expected letters, digits and _ with a letter "
            "first; give the file such a name, or, from Python, name=."
        )
    if set(path.stem) & set('"\\\r\n'):
        raise ExportError(f"{path.name!r} cannot be included from C: give the file another name.")


def _put(path: Path, texts: Sources) -> list[Path]:
    """Both files or none: the .h file is moved to its place once the .c file is there."""
    header = path.with_suffix(".h")
    check_place(path)

    def both(beside: Path) -> None:
        _fill(beside, texts.header)
        replace_file(path, lambda place: _fill(place, texts.source))

    replace_file(header, both)
    return [path, header]


def _fill(beside: Path, text: str) -> None:
    beside.write_text(text, encoding="utf-8", newline="\n")
