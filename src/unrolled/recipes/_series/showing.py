"""Pictures of a trained forecaster: how it learned, what it forecasts, how good that is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from unrolled.files.columns import Floats
from unrolled.recipes._series.judging import Judge
from unrolled.recipes._series.member import Member
from unrolled.recipes._series.panel import Panel
from unrolled.recipes._series.predicting import batch_at

__all__ = ["errors", "forecasts", "gates", "learning"]

MOST = 1000  # rows of the test part that are drawn: more cannot be told apart


def learning(
    judge: Judge,
    figures: dict[str, Any],
    history: list[dict[str, Any]],
    folder: Path,
    published: float | None,
) -> Path:
    """How it learned: on the validation part, or the cosine beside its rivals."""
    from unrolled.pictures import plots

    rows = history[-1] if history else {}
    known = ("rmse", "validation_rmse", "training_rmse")
    metric = next((name for name in known if name in rows), "rmse")
    levels = {}
    if metric == "rmse":
        levels = {judge.names[key]: figures[f"rmse_{key}"] for key in ("ar", "persistence")}
    return plots.learning_curve(
        history,
        folder / "learning.png",
        metric=metric,
        published=published,
        levels=levels,
        title=f"{judge.panel.subject}: learning",
    )


def forecasts(judge: Judge, found: Floats, levels: tuple[float, ...], folder: Path) -> Path:
    """What is forecast over the end of the first series' test part."""
    from unrolled.recipes._series.pictures import draw_forecasts

    return draw_forecasts(judge, found, levels, MOST, folder / "forecast.png")


def errors(judge: Judge, figures: dict[str, Any], folder: Path) -> Path:
    """The RMSE of everybody."""
    from unrolled.pictures import plots

    far = f"over {judge.horizon} steps ahead" if judge.horizon > 1 else "one step ahead"
    metric = "rmse_horizon" if judge.horizon > 1 else "rmse"
    of = f"_{judge.panel.targets[0]}" if judge.panel.width > 1 else ""
    order = sorted(judge.names, key=["ar", "smoothing", "seasonal_naive", "persistence"].index)
    names = {"": "LSTM", **{f"_{key}": judge.names[key] for key in order}}
    names |= {"_before": "untrained"} if f"{metric}{of}_before" in figures else {}
    return plots.bars(
        list(names.values()),
        [figures[f"{metric}{of}{end}"] for end in names],
        folder / "errors.png",
        title=f"{judge.panel.targets[0]}: RMSE {far}",
        ylabel="RMSE",
        ours=[0],
    )


def gates(model: Member, panel: Panel, context: int, folder: Path) -> Path:
    """What the gates do over the first series' last window."""
    from unrolled.recipes._gates import draw_gates

    end = int(panel.starts[0] + panel.counts[0])
    origin = np.array([end - 1 - (model.horizon if model.reads_on else 0)])
    x = model.inputs(*batch_at(panel, origin, context, model.horizon))[0]
    line = panel.timelines[0]
    # A third of the labels: dates are long words.
    words = line.labels[len(line) - len(x) :]
    shown = [w if n % max(len(x) // 3, 1) == 0 else "" for n, w in enumerate(words)]
    return draw_gates(
        model.lstm,
        x,
        folder / "gates.png",
        steps=shown,
        title=f"{panel.subject}: the gates over the last {len(x)} values",
        xlabel=line.name,
    )
