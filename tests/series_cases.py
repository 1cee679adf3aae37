"""Small files of days with a weekly wave, and recipes that learn them in a second."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from unrolled import training
from unrolled.recipes.series import Recipe


def written(
    path: Path, values: Any, skip: tuple[int, ...] = (), blank: tuple[int, ...] = ()
) -> Path:
    """A file of days, of which some have no row, and some no value."""
    rows = [
        f"{date(2020, 1, 1) + timedelta(n)},{'' if n in blank else f'{value:.6f}'}"
        for n, value in enumerate(values)
        if n not in skip
    ]
    path.write_text("day,x\n" + "\n".join(rows) + "\n")
    return path


def waves(count: int, seed: int = 0) -> Any:
    noise = np.random.default_rng(seed).normal(0, 0.2, count)
    return 10 + 3 * np.sin(2 * np.pi * np.arange(count) / 7) + noise


def small(path: Path, **fields: Any) -> Recipe:
    given = {"steps": 300, "hidden": 8, "report_every": 50, "horizon": 3, "window": 10}
    given |= {"search": 1, "ensemble": 1, "refit": False, **fields}
    return Recipe(data=path, time="day", **given)


def trained(recipe: Recipe, out: Path | None = None) -> tuple[Any, str]:
    *_, last = training.train(recipe, out)
    return last.model.eval(), last.report
