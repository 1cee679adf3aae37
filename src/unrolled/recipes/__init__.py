"""The recipes: one file each, found because they lie in this folder.

A recipe's file defines a frozen dataclass ``Recipe``, derived from `unrolled.training.Recipe`,
``SOURCE``, who published it, and ``PUBLISHED``, the figures that it is held against.  Anybody's
file of that kind can be trained by its path.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import importlib.util
import inspect
import pkgutil
import sys
import typing
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, cast

from unrolled.errors import UnrolledError
from unrolled.errors.expected import ending
from unrolled.errors.mistakes import Place, mistake, place_of
from unrolled.training.recipe import Recipe, missing

__all__ = ["Published", "RecipeError", "RecipeFile", "find", "names"]


class RecipeError(UnrolledError, ValueError):
    """There is no such recipe, or its file is not one, in one sentence."""


class Published(NamedTuple):
    """A figure that a recipe is held against: ``metric`` was ``value`` after ``steps``."""

    metric: str
    value: float
    steps: int | None = None
    what: str = "published"


class RecipeFile(NamedTuple):
    """A recipe's file, read."""

    name: str
    module: ModuleType

    @property
    def recipe(self) -> type[Recipe]:
        """The dataclass whose fields are the hyperparameters."""
        return cast(type[Recipe], self.module.Recipe)

    @property
    def summary(self) -> str:
        """The first line of the file's docstring."""
        return (inspect.getdoc(self.module) or "").split("\n", 1)[0]

    @property
    def source(self) -> str:
        """Who published it."""
        return str(getattr(self.module, "SOURCE", "") or "")

    @property
    def published(self) -> list[Published]:
        """The figures that it is held against; a file may give one, several, or None."""
        given = getattr(self.module, "PUBLISHED", None)
        if given is None:
            return []
        several = given if isinstance(given, list) or _is_plain_tuple(given) else [given]
        return [_published(self.name, one) for one in several]


def _is_plain_tuple(value: Any) -> bool:
    return isinstance(value, tuple) and not hasattr(value, "_fields")


def _published(name: str, given: Any) -> Published:
    fields = given._asdict() if hasattr(given, "_asdict") else given
    if not isinstance(fields, Mapping) or not {"metric", "value"} <= fields.keys():
        raise RecipeError(f"PUBLISHED of {name} is {given!r}: expected a metric and a value.")
    return Published(**{key: fields[key] for key in Published._fields if key in fields})


def names() -> list[str]:
    """The built-in recipes: the files in this folder whose names do not begin with ``_``."""
    found = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(name for name in found if not name.startswith("_"))


def find(name: str) -> RecipeFile:
    """The built-in recipe of that name, or the one in the file at that path.

    Raises
    ------
    RecipeError
        If there is none, or it is not a recipe.
    """
    if name in names():
        module = importlib.import_module(f"{__name__}.{name}")
        return RecipeFile(name, _checked(name, module))
    if name.endswith(".py"):
        return RecipeFile(name, _checked(name, _load(Path(name))))
    raise RecipeError(
        f"{name!r} is no recipe: expected {', '.join(names())}, or the path of a .py file that "
        f"defines Recipe{ending(name, names())}"
    )


def _load(path: Path) -> ModuleType:
    path = path.resolve()
    if not path.is_file():
        raise RecipeError(f"{path} does not exist: expected a .py file that defines Recipe.")
    # A name of its own for each path, and a place in sys.modules, where dataclasses look.
    unique = f"{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    if unique in sys.modules:
        return sys.modules[unique]
    spec = importlib.util.spec_from_file_location(unique, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[unique] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[unique]
        place = place_of(error) or Place(str(path), 1)  # bytes that are no source have no line
        raise RecipeError(mistake(error, place)) from error
    return module


def _checked(name: str, module: ModuleType) -> ModuleType:
    recipe = getattr(module, "Recipe", None)
    if not (isinstance(recipe, type) and _is_dataclass(recipe)):
        raise RecipeError(f"{name} is no recipe: it defines no dataclass called Recipe.")
    if not issubclass(recipe, Recipe):
        raise RecipeError(
            f"{name} is no recipe: its Recipe does not come from unrolled.training.Recipe; write "
            "`class Recipe(training.Recipe):` and, above it, `from unrolled import training`: the "
            "fields and methods that it has may stay as they are."
        )
    if lacking := missing(recipe):
        raise RecipeError(f"{name} is no recipe: its Recipe has no {', '.join(lacking)}.")
    try:
        typing.get_type_hints(recipe)
    except Exception as error:
        raise RecipeError(
            f"{name} is no recipe: the type of a field of its Recipe cannot be read ("
            f"{type(error).__name__}: {error}); use int, float, str or bool, or import it."
        ) from error
    return module


def _is_dataclass(recipe: type) -> bool:
    """Whether its own fields are fields: a subclass of a dataclass is one only if it says so."""
    own = vars(recipe)
    return dataclasses.is_dataclass(recipe) and (
        "__dataclass_params__" in own or not own.get("__annotations__")
    )
