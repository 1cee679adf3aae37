"""What a learner's file calls its parameters, and how its functions may be called."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from unrolled.auditing.classes import class_in, made_with, parameters_of
from unrolled.auditing.layouts import AuditError
from unrolled.auditing.systems import Sizes

__all__ = ["Named", "named_in_file"]

Head = tuple[str, str]  # what it is, and what a class is told by


class Named(NamedTuple):
    """The names in one way of reading a file.

    ``calls`` are the ways in which its functions may be called, ``heads`` the heads that these can
    have, ``inside`` whether the loss is inside; ``kind`` is the class's name, and ``shapes`` are
    those that an object of it has.
    """

    names: Sequence[str]
    libraries: Sequence[str]
    calls: Sequence[str]
    heads: Sequence[Head]
    inside: bool = False
    kind: str | None = None
    shapes: Mapping[str, tuple[int, ...]] | None = None


def named_in_file(module: ModuleType, path: Path, sizes: Sizes) -> list[Named]:
    """The ways of reading a file, by what is in it: functions, those of one step, or a class.

    Raises
    ------
    AuditError
        If the names of its parameters cannot be seen.
    """
    source = path.read_text(encoding="utf-8", errors="replace")
    libraries = [one for one in ("numpy", "torch") if f"import {one}" in source]
    functions = [getattr(module, name, None) for name in ("forward", "step")]
    function = next((one for one in functions if callable(one)), None)
    if function is not None:
        found = [Named(_names(source), libraries or ["numpy"], *_called(function, 1))]
    else:
        found = _of_class(module, sizes, libraries or ["numpy"])
    if not any(named.names for named in found):
        raise AuditError(
            f'{path}: no params["…"] stands in its functions, so their names are not known: '
            "declare PARAMS yourself, as `unrolled audit --template` shows."
        )
    return found


def _of_class(module: ModuleType, sizes: Sizes, libraries: Sequence[str]) -> list[Named]:
    kind = class_in(module, None)
    if kind is None:
        return []
    how = _called(getattr(kind, "forward"), 1)  # noqa: B009
    found: list[Named] = []
    for own in (sizes._replace(outputs=0), sizes):
        shapes = parameters_of(made_with(kind, *own))
        if not found or list(shapes) != found[0].names:
            found.append(Named(list(shapes), libraries, *how, kind.__name__, shapes))
        else:
            found[0] = found[0]._replace(shapes=shapes)
    return found


def _called(function: object, own: int) -> tuple[Sequence[str], Sequence[Head], bool]:
    """The ways in which it can be called, by how many arguments it takes beside ``own``."""
    taken = [
        one
        for one in inspect.signature(function).parameters.values()  # type: ignore[arg-type]
        if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)
    ]
    beside = len(taken) - own
    if beside == 2 and taken[-1].default is None:  # states that may be left out: no target
        return ("sequence",), (("linear", "index"),), False
    if beside == 2:  # x, and a target
        inside = (("softmax", "index"), ("softmax", "one-hot"))
        return ("sequence",), inside, True
    if beside >= 3:  # x, h and c: of all steps or of one
        return ("sequence", "step"), (("linear", "index"),), False
    return ("sequence",), (("linear", "index"),), False


def _names(source: str) -> list[str]:
    """What the functions take out of their parameters by name, in the order of the text."""
    tree = ast.parse(source)
    found: dict[str, None] = {}
    nodes = sorted(
        (n for n in ast.walk(tree) if isinstance(n, ast.Subscript)),
        key=lambda n: (n.lineno, n.col_offset),
    )
    firsts = {
        f.args.args[0].arg for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) and f.args.args
    }
    for node in nodes:
        key = node.slice
        of_params = isinstance(node.value, ast.Name) and node.value.id in firsts
        if of_params and isinstance(key, ast.Constant) and isinstance(key.value, str):
            found[key.value] = None
    return list(found)
