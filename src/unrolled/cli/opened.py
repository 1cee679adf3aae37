"""A trained run, opened again: its recipe, and its model with the weights that were learnt."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from torch import Tensor, nn

from unrolled import recipes, training
from unrolled.training import Recipe, checkpoint, runs
from unrolled.training.state import fit

__all__ = ["OpenedRun", "open_run"]


class OpenedRun(NamedTuple):
    """What a folder holds."""

    config: runs.Config
    recipe: Recipe
    model: nn.Module

    @property
    def data(self) -> list[Path]:
        """The files and folders that the run names, wherever they lie."""
        return _named(self.recipe)


def open_run(folder: Path, trust: bool = False) -> OpenedRun:
    """Read a run's folder; the model is in ``eval()``.

    A run may come from a stranger, and names its recipe: code of our own is run to read it, and
    a file's only where ``trust`` says so.

    Raises
    ------
    RunError, RecipeError
        If the folder is no run, its recipe is a file that is not trusted, its recipe or data is
        not there, or its weights do not fit.
    """
    config = runs.read_config(folder)
    if config.recipe not in recipes.names() and config.recipe.endswith(".py") and not trust:
        raise runs.RunError(
            f"{folder} is a run of {runs.printable(config.recipe)}, whose code would be run to "
            "read it: add --trust if it is yours."
        )
    recipe = runs.decode_fields(recipes.find(config.recipe).recipe, config.fields)
    for path in _named(recipe):
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise runs.RunError(
                f"{folder} names {runs.printable(str(path))}, which is no file to read: see its "
                "config.json."
            )
    weights = checkpoint.read_weights(folder / runs.WEIGHTS)
    if config.recipe in recipes.names():
        _check_sizes(folder, recipe, weights)
    try:
        training.check(recipe)
        model = training.build(recipe)
    except ValueError as error:
        raise runs.RunError(f"{folder / runs.CONFIG}: {error}") from error
    except (MemoryError, RuntimeError, ArithmeticError) as error:
        first = str(error).splitlines()[0] if str(error) else "not enough memory"
        raise runs.RunError(f"{folder / runs.CONFIG} asks for too much: {first}.") from error
    fit(folder / runs.WEIGHTS, weights, model)
    return OpenedRun(config, recipe, model.eval())


def _named(recipe: Recipe) -> list[Path]:
    values = (getattr(recipe, field.name) for field in dataclasses.fields(recipe))
    return [value for value in values if isinstance(value, Path)]


def _check_sizes(folder: Path, recipe: Recipe, weights: Mapping[str, Tensor]) -> None:
    """Refuse sizes that the weights cannot have, before a model of them takes the memory."""
    largest = max((size for tensor in weights.values() for size in tensor.shape), default=0)
    bounds = {"hidden": largest, "embedding": largest, "layers": len(weights)}
    sizes = {name: value for name, value in vars(recipe).items() if name in bounds}
    for name, value in sizes.items():
        if value > (most := bounds[name]):
            raise runs.RunError(
                f"{folder / runs.CONFIG} says {name} = {value}, which the run's weights do not "
                f"fit: they allow {most} at most."
            )
