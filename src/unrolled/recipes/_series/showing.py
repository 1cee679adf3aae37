"""Pictures of a trained forecaster, and what the explorer and `show --plots` look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from unrolled.explorer import Explorable, Output, Window
from unrolled.files.columns import Floats
from unrolled.files.timeline import Timeline
from unrolled.inside.passage import Passage
from unrolled.recipes._series.forecaster import window_of
from unrolled.recipes._series.forecasting import Split
from unrolled.recipes._series.judging import Judge
from unrolled.recipes._series.member import Member
from unrolled.recipes._series.panel import Panel
from unrolled.recipes._series.predicting import batch_at

__all__ = ["errors", "explorable", "forecasts", "gates", "last_windows", "learning"]

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


# --- the explorer, and `show --plots` ---


def explorable(model: Member, split: Split, line: Timeline, subject: str) -> Explorable:
    """Where the judged part begins, and what comes after; of quantiles, the median."""
    first = split.border - split.window
    seen = _whole(split.values[first : first + 400], split.window)
    seen = slice(first + seen.start, first + seen.stop)
    inputs = Window(
        split.values[seen].tolist(),
        list(line.labels[seen]),
        split.window,
        None if model.changes else model.mean.item(),
        model.scale.item(),
        subject,
    )
    ahead = [f"{n} ahead" for n in range(1, split.horizon + 1)]
    output = Output("linear", ahead, "last", model.target_scale.tolist())
    return Explorable([model.lstm], median_of(model), inputs, output)


def _whole(values: Floats, window: int) -> slice:
    """The longest stretch without a gap."""
    gaps = np.flatnonzero(np.isnan(values))
    edges = np.concatenate(([-1], gaps, [len(values)]))
    place = int(np.diff(edges).argmax())
    return slice(int(edges[place]) + 1, int(edges[place + 1]))


def median_of(model: Member) -> nn.Linear:
    """The output's rows that forecast the median."""
    many = len(model.quantiles)
    if many < 2:
        return model.readout
    rows = slice(many // 2, None, many)
    head = nn.Linear(model.readout.in_features, model.readout.out_features // many)
    with torch.no_grad():
        head.weight.copy_(model.readout.weight[rows])
        head.bias.copy_(model.readout.bias[rows])
    return head


def last_windows(model: Member, split: Split, line: Timeline, most: int = 200) -> Passage:
    """Hand over the test part's last windows; behind each step, the value just read, the change."""
    values = window_of(split, split.test_origins[::-1][:most].copy())
    with torch.no_grad():
        read = model.scaled(values)[..., 0]
        ahead = _said(model, values[:, :1]).item()
    end = int(split.test_origins[-1]) + 1
    return Passage(
        call=lambda: model.spread(values),
        inputs=line.labels[end - split.window : end],
        outputs=[*[""] * (split.window - 1), f"{ahead:.4g}"],
        followed=lambda: _said(model, values[:, :1]),
        following="the forecast",
        properties={"the value": read, "its change": read.diff(dim=0, prepend=read[:1])},
    )


def _said(model: Member, values: Tensor) -> Tensor:
    """The first forecast of one window: of quantiles, the median."""
    return model.spread(values)[0, 0, 0, len(model.quantiles) // 2]
