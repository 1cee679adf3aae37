"""A forecaster that follows scikit-learn's conventions; the recipe `series` does the work."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path
from typing import Any

import numpy as np

from unrolled import training
from unrolled.errors import InvalidStateError, InvalidTypeError, InvalidValueError
from unrolled.errors.expected import at_least, check_argument
from unrolled.estimators import frames
from unrolled.estimators.opened import OpenedForecaster, open_forecaster
from unrolled.recipes._series import keeping, reading
from unrolled.recipes._series.panel import joined
from unrolled.recipes._series.predicting import Ahead
from unrolled.recipes.series import Recipe
from unrolled.training import checkpoint, runs

__all__ = ["Forecaster"]

MEMORY = Path("in memory")
"""Where a run's file would stand: its series was handed over from Python."""


class Forecaster:
    """Forecasts one series or many, with intervals, by networks that a validation part chooses.

    As `unrolled train series` does it, of arrays, Series and DataFrames: several LSTMs of other
    windows, sizes and first weights are trained side by side, those that are best on the last part
    of `y` are averaged and trained anew on all of it, and its errors make the intervals honest.

    Parameters
    ----------
    horizon : int
        How many steps ahead are forecast at once.
    window : int
        How many values a network reads; 0: a season, but 10 at the least and 60 at the most.
    hidden, layers, cell
        The first network's size and cell; the search tries others of the size.
    steps, learning_rate, batch_size
        Updates of each network at most, how far each goes, and windows in it.
    search : int
        Networks that are tried; 0: as many as take some seconds, 10 at the most.
    ensemble : int
        The best of them that are averaged.
    refit : bool
        Whether those are trained anew once the validation part has chosen them.
    coverage : tuple of float
        Of how many per cent each interval is; () for the mean alone.
    validation_share : float
        The last part of each series that chooses, as a share of its rows.
    calendar : bool
        Whether the networks are told the hour, weekday and month of dates.
    seed : int
        The same seed gives the same forecasts.

    Attributes
    ----------
    model_ : torch.nn.Module
        After `fit`: the networks, each an `unrolled.LSTM` with its output.
    groups_ : tuple of str
        After `fit`: the names of the series, in the order in which arrays of forecasts have them.

    Examples
    --------
    >>> import numpy as np
    >>> y = 10 + np.sin(np.arange(120) * 2 * np.pi / 12)
    >>> forecaster = Forecaster(horizon=6, search=2, steps=100).fit(y)
    >>> forecaster.predict().shape
    (6,)
    >>> low, high = forecaster.predict_interval(coverage=80)
    >>> bool((low <= high).all())
    True
    """

    def __init__(
        self,
        horizon: int = 1,
        *,
        window: int = 0,
        hidden: int = 16,
        layers: int = 1,
        cell: str = "vanilla",
        steps: int = 1500,
        learning_rate: float = 0.002,
        batch_size: int = 32,
        search: int = 0,
        ensemble: int = 5,
        refit: bool = True,
        coverage: tuple[float, ...] = (80.0, 95.0),
        validation_share: float = 0.15,
        calendar: bool = False,
        seed: int = 0,
    ) -> None:
        self.horizon, self.window = horizon, window
        self.hidden, self.layers, self.cell = hidden, layers, cell
        self.steps, self.learning_rate, self.batch_size = steps, learning_rate, batch_size
        self.search, self.ensemble, self.refit = search, ensemble, refit
        self.coverage, self.validation_share = coverage, validation_share
        self.calendar, self.seed = calendar, seed

    # --- scikit-learn's ---

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The arguments that it was made with."""
        return {name: getattr(self, name) for name in _names()}

    def set_params(self, **params: Any) -> Forecaster:
        """Change arguments; they count from the next `fit` on.

        Raises
        ------
        ValueError
            If there is no argument of that name.
        """
        for name, value in params.items():
            if name not in _names():
                raise InvalidValueError(
                    f"{name} is no argument of Forecaster: expected one of {', '.join(_names())}."
                )
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        """The arguments that are not at their defaults."""
        defaults = inspect.signature(type(self)).parameters
        params = self.get_params().items()
        words = [f"{name}={v!r}" for name, v in params if v != defaults[name].default]
        return f"Forecaster({', '.join(words)})"

    def fit(self, y: Any, X: Any = None, groups: Any = None) -> Forecaster:
        """Learn from series.

        Parameters
        ----------
        y : array [T] or [T, targets], Series or DataFrame
            Oldest first; NaN is a value that is missing.  With an index of times or periods, steps
            that have no row are missing too, and forecasts have times.  An index of two levels,
            the second of times, holds several series.
        X : array [T, K], Series or DataFrame, optional
            Columns that are known ahead, such as a price: `predict` wants them for the steps to
            come.
        groups : sequence of T names, optional
            Whose each row of `y` is: one network learns all series, each scaled by itself.

        Raises
        ------
        ValueError, TypeError
            In one sentence, if an argument makes no sense, or the data is too short or no numbers.
        """
        strands, shape, names = frames.strands_of(y, X, groups)
        recipe = self._recipe(shape, names)
        if recipe.calendar:
            strands = [reading.with_calendar(strand, recipe, bool(names)) for strand in strands]
            names = (*names, *reading.calendar(recipe, strands[0].timeline))
        beyond = max(len(strand.known) - len(strand.values) for strand in strands)
        room = max(recipe.horizon, beyond)
        targets = shape.targets or ("y",)
        panel = joined(strands, targets, (), names, room, " and ".join(targets), ("",))
        vars(recipe)["panel"] = panel  # where a recipe keeps what it has read
        training.check(recipe)
        *_, last = training.train(recipe)
        model: Any = last.model.eval()
        tree = keeping.kept(panel, model.context, recipe.settings)
        kept = keeping.revived(tree, recipe.horizon)
        plain = dataclasses.replace(recipe)  # without what it has read
        self._fitted = (OpenedForecaster(plain, kept, model), tree, shape)
        return self

    def _recipe(self, shape: frames.Shape, names: tuple[str, ...]) -> Recipe:
        dated = shape.index not in ("rows", "number")
        if self.calendar and not dated:
            raise InvalidValueError(
                "calendar = True needs to know when each row was: give y an index of dates."
            )
        own = self.get_params() | {"column": shape.targets or ("y",), "future": names}
        own |= {"time": "time" if dated else "", "report_every": max(self.steps, 1)}
        return Recipe(data=MEMORY, test_share=0.0, **own)

    # --- forecasts ---

    def predict(self, X: Any = None, steps: int | None = None, groups: Any = None) -> Any:
        """What comes after the end of each series: the median, or without intervals the mean.

        Parameters
        ----------
        X : array [steps, K], Series or DataFrame, optional
            What is known of the steps to come, if `fit` had an X: for several series with an index
            of two levels, or with ``groups``.
        steps : int, optional
            The horizon, if left out; what lies beyond is forecast from its own forecasts.
        groups : sequence of names, optional
            Whose each row of X is.

        Returns
        -------
        array, Series or DataFrame
            As `y` was: [steps] or [steps, targets], with [groups, …] in front for several series;
            with times where `y` had them.

        Raises
        ------
        ValueError
            If nothing was fitted, or X has not what is needed.
        """
        ahead, levels = self._ahead(X, steps, groups)
        half = len(levels) // 2
        return frames.shaped(ahead, [one.values[..., half] for one in ahead], self._shape)

    def predict_interval(
        self,
        X: Any = None,
        steps: int | None = None,
        groups: Any = None,
        *,
        coverage: float = 80.0,
    ) -> tuple[Any, Any]:
        """The lower and the upper ends of the intervals of one coverage, each as from `predict`.

        Raises
        ------
        ValueError
            If the forecaster was not made with that coverage, or as `predict`.
        """
        ahead, levels = self._ahead(X, steps, groups)
        widths = [round(100 * (1 - 2 * level), 6) for level in levels[: len(levels) // 2]]
        if coverage not in widths:
            known = ", ".join(f"{width:g}" for width in widths) or "none"
            raise InvalidValueError(
                f"coverage={coverage!r} was not learnt: expected one of {known}; make the "
                "forecaster with coverage=(…,) and fit it again."
            )
        place = widths.index(coverage)
        low, high = ([one.values[..., at] for one in ahead] for at in (place, -1 - place))
        return frames.shaped(ahead, low, self._shape), frames.shaped(ahead, high, self._shape)

    def _ahead(self, X: Any, steps: int | None, whose: Any) -> tuple[list[Ahead], Any]:
        opened, _, _ = self._known()
        recipe, panel = opened.recipe, opened.kept
        if steps is not None:
            check_argument("steps", steps, at_least(1))
        count = steps or recipe.horizon
        if recipe.future:
            if X is None:
                raise InvalidValueError(
                    f"X is missing: fit had {', '.join(recipe.future)}, which has to be known for "
                    "the steps to come."
                )
            rows = frames.ahead_of(X, panel.groups, recipe.future, whose, count)
            panel = reading.lengthened(panel, rows, recipe)
        elif X is not None:
            steps_meant = f"; for so many steps say predict(steps={X!r})" if np.ndim(X) == 0 else ""
            raise InvalidValueError(f"X was given, and fit had none: leave it out{steps_meant}.")
        return opened.ahead(panel, count), recipe.quantiles

    def _known(self) -> tuple[OpenedForecaster, Any, frames.Shape]:
        if not hasattr(self, "_fitted"):
            raise InvalidStateError("this Forecaster has learnt nothing yet: call fit(y) first.")
        return self._fitted

    @property
    def _shape(self) -> frames.Shape:
        return self._known()[2]

    @property
    def model_(self) -> Any:
        """The networks."""
        return self._known()[0].model

    @property
    def groups_(self) -> tuple[str, ...]:
        """The names of the series."""
        return self._known()[0].kept.groups

    @property
    def reads_ahead(self) -> bool:
        """Whether `fit` had an X, so that `predict` wants one."""
        return bool(self._known()[0].recipe.future)

    # --- to disk and back ---

    def save(self, folder: str | Path) -> None:
        """Write a folder that `load`, `open_run` and ``unrolled forecast`` read.

        Raises
        ------
        RunError
            If something is there already that is no empty folder.
        """
        opened, tree, shape = self._known()
        path = Path(folder)
        runs.create(path)
        kept = {**tree, "shape": dataclasses.asdict(shape) | {"targets": list(shape.targets)}}
        runs.write_config(path, runs.new_config("series", runs.encode_fields(opened.recipe)))
        checkpoint.write_weights(path / runs.WEIGHTS, opened.model.state_dict())
        checkpoint.write_tree(path / runs.DATA, kept)
        runs.write_result(path, {"step": self.steps, "seconds": 0.0, "figures": {}, "pictures": []})

    @classmethod
    def load(cls, folder: str | Path) -> Forecaster:
        """Read what `save` wrote, or a run of `unrolled train series`.

        Raises
        ------
        RunError
            If there is no such run, or it is damaged.
        """
        path = Path(folder)
        opened = open_forecaster(path)
        tree = checkpoint.read_tree(path / runs.DATA)
        made = cls(**{name: getattr(opened.recipe, name) for name in _names()})
        made._fitted = (opened, tree, _revived(tree, opened))
        return made


def _revived(tree: Any, opened: OpenedForecaster) -> frames.Shape:
    """What forecasts look like: as they did, or as a table of the file's columns."""
    shape = tree.get("shape")
    if shape is None:
        dates = opened.kept.timelines[0].places.dtype.kind == "M"
        several = len(opened.kept.groups) > 1
        return frames.Shape(
            "frame", "datetime" if dates else "number", opened.kept.targets, several
        )
    try:
        kind, index = str(shape["kind"]), str(shape["index"])
        return frames.Shape(kind, index, tuple(map(str, shape["targets"])), bool(shape["several"]))
    except (KeyError, TypeError) as error:
        raise InvalidTypeError(
            "what the folder says of y makes no sense: save it again."
        ) from error


def _names() -> list[str]:
    return list(inspect.signature(Forecaster).parameters)
