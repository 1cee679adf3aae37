"""A trained run, opened again: its recipe, and its model with the weights that were learnt."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from torch import Tensor, nn

from unrolled import recipes, training
from unrolled.training import Recipe, checkpoint, runs
from unrolled.training.state import fit

if TYPE_CHECKING:
    from unrolled.recipes._series.forecaster import Forecaster
    from unrolled.recipes._series.panel import Panel
    from unrolled.recipes._series.predicting import Ahead
    from unrolled.recipes._signal.network import SignalNetwork
    from unrolled.recipes.series import Recipe as Series
    from unrolled.recipes.signal import Recipe as Signal

__all__ = [
    "OpenedForecaster",
    "OpenedRun",
    "OpenedSignal",
    "open_forecaster",
    "open_signal",
    "open_trained",
]


Kind = TypeVar("Kind", bound=Recipe)


class OpenedRun(NamedTuple):
    """What a folder holds; ``data``: the files that the run names and reads, wherever they lie."""

    config: runs.Config
    recipe: Recipe
    model: nn.Module
    data: Sequence[Path]


def open_trained(folder: Path, trust: bool = False) -> OpenedRun:
    """Read a run's folder; the model is in ``eval()``.

    A run may come from a stranger, and names its recipe: code of our own is run to read it, and
    a file's only where ``trust`` says so.  A finished run of `series` holds the end of its series,
    and the file itself is not asked for.

    Raises
    ------
    RunError, RecipeError
        If the folder is no run, its recipe is a file that is not trusted, its recipe or data is
        not there, or its weights do not fit.
    """
    config = runs.read_config(folder)
    if config.recipe == "series" and (folder / runs.DATA).is_file():
        opened = open_forecaster(folder)
        settings = [member.setting for member in opened.model.each]
        return OpenedRun(config, opened.recipe.remembering(opened.kept, settings), opened.model, ())
    if config.recipe == "signal" and (folder / runs.DATA).is_file():
        signal = open_signal(folder)
        return OpenedRun(config, signal.recipe, signal.model, ())
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
    return OpenedRun(config, recipe, model.eval(), _named(recipe))


class OpenedForecaster(NamedTuple):
    """A run of `series`, opened without the file that it was trained on."""

    recipe: Series
    kept: Panel
    model: Forecaster

    def panel(self, data: Path | None = None, beyond: Path | None = None) -> Panel:
        """The series to go on with: the run's own, or a new file's, read alike.

        Raises
        ------
        ValueError
            If the new file has not what the network reads.
        """
        return self.recipe.panel_of(self.kept, self.model.context, data, beyond)

    def ahead(self, panel: Panel, steps: int) -> list[Ahead]:
        """What comes after the end of each series."""
        from unrolled.recipes._series.predicting import ahead_of

        return ahead_of(self.model, panel, self.model.context, steps)


def open_forecaster(folder: Path) -> OpenedForecaster:
    """Read a run of `series`, and what it holds of its data; the file itself is not asked for.

    Raises
    ------
    RunError
        If the folder is no such run, or it is not finished, or damaged.
    """
    from unrolled.recipes._series import keeping, settings
    from unrolled.recipes.series import Recipe as Series

    recipe = _recipe_of(folder, "series", Series, "which forecasts no series")
    path = folder / runs.DATA
    if not path.is_file():
        lacks = (
            "it is of the cosine, for which there is `unrolled try`"
            if recipe.data is None
            else "finish it with `unrolled train series --resume`, or train again"
        )
        raise runs.RunError(f"{folder} holds nothing of its series to go on from: {lacks}.")
    weights, tree = _held(folder, recipe)
    try:
        kept = keeping.revived(tree, recipe.horizon)
        each = [settings.revived(one) for one in tree["settings"]]
        if any(s.hidden > _largest(weights) for s in each) or not 0 < len(each) <= len(weights):
            raise ValueError("its networks are not those that there are weights of")
        model = recipe.model_like(kept, each)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise runs.DamagedError(path, "what it says of the series makes no sense") from error
    except (MemoryError, RuntimeError) as error:
        raise runs.RunError(f"{folder / runs.CONFIG} asks for too much memory.") from error
    fit(folder / runs.WEIGHTS, weights, model)
    return OpenedForecaster(recipe, kept, model.eval())


class OpenedSignal(NamedTuple):
    """A run of `signal`, opened without the files that it was trained on."""

    recipe: Signal
    model: SignalNetwork


def open_signal(folder: Path) -> OpenedSignal:
    """Read a run of `signal`, and what it holds of its data; the files are not asked for.

    Raises
    ------
    RunError
        If the folder is no such run, or it is not finished, or damaged.
    """
    from unrolled.recipes.signal import Recipe as Signal

    recipe = _recipe_of(folder, "signal", Signal, "through which no signal goes")
    path = folder / runs.DATA
    if not path.is_file():
        raise runs.RunError(
            f"{folder} is not finished, so it does not say what it reads: finish it with `unrolled "
            "train signal --resume`."
        )
    weights, tree = _held(folder, recipe)
    try:
        recipe = recipe.remembering(tree)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise runs.DamagedError(path, "what it says of the signal makes no sense") from error
    try:
        model = training.build(recipe)
    except (MemoryError, RuntimeError) as error:
        raise runs.RunError(f"{folder / runs.CONFIG} asks for too much memory.") from error
    fit(folder / runs.WEIGHTS, weights, model)
    return OpenedSignal(recipe, cast("SignalNetwork", model.eval()))


def _recipe_of(folder: Path, name: str, kind: type[Kind], what: str) -> Kind:
    """The recipe of a run, which has to be of that name."""
    config = runs.read_config(folder)
    if config.recipe != name:
        raise runs.RunError(
            f"{folder} is a run of {runs.printable(config.recipe)}, {what}: expected a run of "
            f"`unrolled train {name}`."
        )
    return runs.decode_fields(kind, config.fields)


def _held(folder: Path, recipe: Recipe) -> tuple[dict[str, Tensor], Any]:
    """The weights of a run, of sizes that the recipe can have, and what it holds of its data."""
    weights = checkpoint.read_weights(folder / runs.WEIGHTS)
    _check_sizes(folder, recipe, weights)
    return weights, checkpoint.read_tree(folder / runs.DATA)


def _named(recipe: Recipe) -> list[Path]:
    given = [getattr(recipe, field.name) for field in dataclasses.fields(recipe)]
    values = [one for value in given for one in (value if isinstance(value, tuple) else (value,))]
    return [value for value in dict.fromkeys(values) if isinstance(value, Path)]


def _largest(weights: Mapping[str, Tensor]) -> int:
    return max((size for tensor in weights.values() for size in tensor.shape), default=0)


def _check_sizes(folder: Path, recipe: Recipe, weights: Mapping[str, Tensor]) -> None:
    """Refuse sizes that the weights cannot have, before a model of them takes the memory."""
    largest = _largest(weights)
    bounds = {"hidden": largest, "embedding": largest, "layers": len(weights)}
    bounds["search"] = len(weights)
    sizes = {name: value for name, value in vars(recipe).items() if name in bounds}
    for name, value in sizes.items():
        if value > (most := bounds[name]):
            raise runs.RunError(
                f"{folder / runs.CONFIG} says {name} = {value}, which the run's weights do not "
                f"fit: they allow {most} at most."
            )
