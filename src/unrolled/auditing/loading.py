"""A learner's file, run, and read as its declarations say."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from unrolled.auditing.layouts import AuditError
from unrolled.auditing.learner import DEFAULT_PARAMS, Learner, raised
from unrolled.auditing.passes import passes_of
from unrolled.auditing.systems import System

__all__ = ["Declaration", "declared_in", "learner_of", "load", "run_file"]


class Declaration(NamedTuple):
    """What a file declares, or would have to; the names are those that stand in it."""

    params: Mapping[str, str]
    gates: str = "ifgo"
    axes: str = "TBI"
    output: str = "tanh"
    library: str = "numpy"
    loss: str = "every"
    head: str | None = None
    target: str = "index"
    call: str = "sequence"
    name: str | None = None  # of the class

    def __str__(self) -> str:
        lines = ["PARAMS = {", *(f'    "{k}": "{v}",' for k, v in self.params.items()), "}"]
        usual = Declaration({})
        for field, word in _WORDS.items():
            value = getattr(self, field)
            if value != getattr(usual, field):
                lines.append(f'{word} = "{value}"')
        return "\n".join(lines)

    def system(self) -> System:
        """The names and shapes alone."""
        return System(dict(self.params), self.gates, self.axes, self.output, self.head)  # type: ignore[arg-type]


_WORDS = {
    "gates": "GATES",
    "axes": "X",
    "output": "OUTPUT",
    "library": "LIBRARY",
    "loss": "LOSS",
    "head": "HEAD",
    "target": "TARGET",
    "call": "CALL",
    "name": "CLASS",
}


def load(path: Path) -> Learner:
    """The functions and the layout that a learner's file declares.

    Raises
    ------
    AuditError
        If the file is missing, cannot be run, or lacks a function or a declaration.
    """
    module = run_file(path)
    return learner_of(module, path, declared_in(module, path))


def declared_in(module: ModuleType, path: Path) -> Declaration:
    """What a file declares.

    Raises
    ------
    AuditError
        If PARAMS is no dict.
    """
    params = getattr(module, "PARAMS", DEFAULT_PARAMS)
    if not isinstance(params, Mapping):
        raise AuditError(f"PARAMS in {path} is a {type(params).__name__}: expected a dict.")
    usual = Declaration(dict(params))
    given = {field: getattr(module, word, getattr(usual, field)) for field, word in _WORDS.items()}
    given["gates"], given["axes"] = str(given["gates"]), str(given["axes"])
    return usual._replace(**given)


def learner_of(module: ModuleType, path: Path, declared: Declaration) -> Learner:
    """The functions of a file, as such a declaration reads them."""
    system = declared.system()
    found = passes_of(module, path, system, declared.library, declared.call, declared.name)
    return Learner(
        found.forward,
        found.backward,
        system,
        declared.library,
        path,
        declared.loss,
        found.states,
        declared.target,
    )


def run_file(path: Path) -> ModuleType:
    """Their file, run anew each time, with its folder on the path as when Python runs it.

    Raises
    ------
    AuditError
        If it is missing, or cannot be run.
    """
    if not path.is_file():
        raise AuditError(
            f"there is no file {path}: `unrolled audit --template {path}` writes one to fill in."
        )
    # A place in sys.modules, where dataclasses look.
    name = f"audited_{path.stem}"
    module = sys.modules[name] = ModuleType(name)
    module.__file__ = str(path)
    sys.path.insert(0, str(path.resolve().parent))
    try:
        exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
    except SyntaxError as error:
        raise AuditError(f"{path}, line {error.lineno}: {error.msg}.") from error
    except ValueError as error:  # bytes that are no source at all
        raise AuditError(f"{path} is not a Python file: {error}.") from error
    except (Exception, SystemExit) as error:
        raise AuditError(raised(None, error, path)) from error
    finally:
        sys.path.pop(0)
    return module
