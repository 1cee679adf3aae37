"""A run's folder in Python: what was trained, how good it is, and what comes next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from unrolled.errors import InvalidValueError
from unrolled.estimators.opened import open_forecaster, open_trained
from unrolled.files.whole import check_place
from unrolled.recipes._series import future
from unrolled.training import Recipe, runs

__all__ = ["Run", "open_run"]


class Run:
    """A trained run, opened again by `open_run`.

    Attributes
    ----------
    folder : Path
    recipe : Recipe
        Its hyperparameters.
    model : torch.nn.Module
        With the weights that were learnt, in ``eval()``.
    figures : dict
        What it came to on data that it had not learnt from; empty before its end.
    history : list of dict
        A row for each report of its training.
    """

    def __init__(self, folder: Path, recipe: Recipe, model: nn.Module, opened: Any = None) -> None:
        self.folder, self.recipe, self.model, self._opened = folder, recipe, model, opened
        self.figures: dict[str, Any] = (runs.read_result(folder) or {}).get("figures", {})
        self.history = runs.read_metrics(folder) if (folder / runs.METRICS).is_file() else []

    def __repr__(self) -> str:
        """The folder, and which recipe it is a run of."""
        return f"<Run {str(self.folder)!r} of {type(self.recipe).__module__}>"

    def forecast(
        self,
        steps: int | None = None,
        *,
        data: str | Path | None = None,
        data_future: str | Path | None = None,
        out: str | Path | None = None,
    ) -> Any:
        """What comes after the end of the series: a DataFrame, as ``unrolled forecast`` prints it.

        Parameters
        ----------
        steps : int, optional
            The horizon, if left out.
        data : path, optional
            A file to go on from the end of, read as the run's own was.
        data_future : path, optional
            A file with the columns that are known ahead.
        out : path, optional
            A CSV file to write all rows into.

        Raises
        ------
        ValueError
            If the run forecasts no series, or the file has not what it needs.
        """
        if self._opened is None:
            raise InvalidValueError(
                f"{self.folder} forecasts no series: expected a run of `unrolled train series`."
            )
        if out is not None:
            check_place(Path(out))
        panel = self._opened.panel(
            *(None if file is None else Path(file) for file in (data, data_future))
        )
        count = steps or future.as_far(panel, self._opened.recipe.horizon) or 1
        ahead = self._opened.ahead(panel, count)
        levels = self._opened.recipe.quantiles
        if out is not None:
            future.write_csv(panel, ahead, levels, Path(out))
        return future.frame(panel, ahead, levels)


def open_run(folder: str | Path, *, trust: bool = False) -> Run:
    """Open a run's folder: its recipe, its model, its figures, and of a series its future.

    Parameters
    ----------
    folder : path
        As ``unrolled train`` or `Forecaster.save` wrote it.  A run of ``series`` holds what it
        needs of its file, which may be gone.
    trust : bool
        Whether the code of a recipe that is a file may be run.

    Raises
    ------
    RunError
        If it is no run, not finished, or damaged.

    Examples
    --------
    >>> run = open_run("runs/sales")  # doctest: +SKIP
    >>> run.forecast(14, out="next.csv")  # doctest: +SKIP
    """
    path = Path(folder)
    if runs.read_config(path).recipe == "series" and (path / runs.DATA).is_file():
        opened = open_forecaster(path)
        return Run(path, opened.recipe, opened.model, opened)
    config = open_trained(path, trust)
    return Run(path, config.recipe, config.model)
