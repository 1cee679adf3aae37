"""A trained run, opened again: its recipe, and its model with the weights that were learnt."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from unrolled import checkpoint, recipes, runs, training

__all__ = ["Trained", "open_run"]


class Trained(NamedTuple):
    """What a folder holds."""

    config: runs.Config
    recipe: Any
    model: nn.Module


def open_run(folder: Path, trust: bool = False) -> Trained:
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
            f"{folder} is a run of {config.recipe}, whose code would be run to read it: "
            "add --trust if it is yours."
        )
    recipe = runs.decode_fields(recipes.find(config.recipe).recipe, config.fields)
    try:
        training.check(recipe)
        model = training.build(recipe)
    except ValueError as error:
        raise runs.RunError(f"{folder / runs.CONFIG}: {error}") from error
    weights = checkpoint.read_weights(folder / runs.WEIGHTS)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        first = str(error).splitlines()[-1].strip()
        raise runs.RunError(f"the weights in {folder} do not fit the recipe: {first}") from error
    return Trained(config, recipe, model.eval())
