"""What a run says of its forecasts: figures, tables of rivals, who won."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from unrolled.files.columns import Floats
from unrolled.recipes._series.judging import Judge
from unrolled.recipes._series.panel import Panel
from unrolled.recipes._series.settings import Setting, described

__all__ = ["attempt", "cosine", "errors", "networks", "read", "result", "summary"]

Levels = tuple[float, ...]


def middle(forecasts: Floats) -> Floats:
    """The point forecast, the median where there are quantiles: [horizon, origins, targets]."""
    values: Floats = forecasts[..., forecasts.shape[-1] // 2]
    return values


def errors(judge: Judge, forecasts: Floats) -> dict[str, float]:
    """The RMSE one step ahead, and over the whole horizon where that is longer."""
    return _errors(judge, middle(forecasts)[..., 0])


def _errors(judge: Judge, values: Floats) -> dict[str, float]:
    rmse = judge.judge(values).rmse
    found = {"rmse": float(rmse.by_step[0])}
    return found | ({"rmse_horizon": rmse.overall} if judge.horizon > 1 else {})


def result(
    judge: Judge, found: Mapping[str, Floats], levels: Levels, *, cosine: bool
) -> dict[str, Any]:
    """Every figure of the test part by its name."""
    counted = {"ar_order": judge.order, "origins": len(judge.origins)}
    if cosine:
        said = {end: middle(values)[..., 0] for end, values in found.items()}
        said |= {f"_{key}": judge.rival(key) for key in judge.names}
        return {
            f"{name}{end}": error
            for end, values in said.items()
            for name, error in _errors(judge, values).items()
        } | counted
    figures = judge.figures({end: middle(values) for end, values in found.items()})
    for column, target in enumerate(judge.panel.targets if len(levels) > 1 else ()):
        of = f"_{target}" if judge.panel.width > 1 else ""
        intervals = judge.intervals(found[""][:, :, column], levels, column)
        figures |= {f"{name}{of}": value for name, value in intervals.items()}
    return {**figures, "missing": judge.panel.missing()[0], **counted}


# --- at the end ---


def cosine(judge: Judge, forecasts: Floats, untrained: Floats) -> str:
    """The table of the cosine's rivals."""
    said = {"LSTM": middle(forecasts)[..., 0]}
    said |= {judge.names[key]: judge.rival(key) for key in ("ar", "persistence")}
    said["untrained"] = middle(untrained)[..., 0]
    rows = {name: _errors(judge, values) for name, values in said.items()}
    heads = {"rmse": "one step", "rmse_horizon": f"{judge.horizon} steps"}
    title = f"RMSE of {judge.panel.subject}, {len(judge.origins):,} forecasts"
    shown = {heads[name]: name for name in rows["LSTM"]}
    table = {who: [row[name] for name in shown.values()] for who, row in rows.items()}
    return "\n".join(_table(title, list(shown), table))


def summary(judge: Judge, forecasts: Floats, levels: Levels) -> list[str]:
    """The rivals of each column, and who won."""
    lines: list[str] = []
    values = middle(forecasts)
    for column, target in enumerate(judge.panel.targets):
        lines += _rivals(judge, values[..., column], target, column)
        lines += _by_step(judge, values[..., column], column)
        if len(levels) > 1:
            lines += [_intervals(judge.intervals(forecasts[:, :, column], levels, column))]
    return [*lines, *judge.notes, judge.verdict(values)]


def networks(heard: Sequence[bool], settings: Sequence[Setting]) -> list[str]:
    """Which of the networks that were tried are averaged."""
    if len(settings) == 1:
        return []
    chosen = [described(s) for s, is_heard in zip(settings, heard, strict=True) if is_heard]
    many = f"{len(chosen)} of {len(settings)} networks are averaged"
    return [f"{many}, the best on the validation part: {'; '.join(chosen)}."]


def read(panel: Panel) -> list[str]:
    """How the file was read, and what is missing of it."""
    return [*panel.said, *_missing(panel)]


def _missing(panel: Panel) -> list[str]:
    count, first = panel.missing()
    if not count:
        return []
    many = "1 value is" if count == 1 else f"{count:,} values are"
    return [
        f"{many} missing of {int(panel.counts.sum()) * panel.width:,}, the first at {first}: the "
        "network holds over such a step, and is judged at none."
    ]


def _rivals(judge: Judge, values: Floats, target: str, column: int) -> list[str]:
    said = {"LSTM": values}
    said |= {name: judge.rival(key, column) for key, name in judge.names.items()}
    judged = {name: judge.judge(one, column) for name, one in said.items()}
    far = f"{judge.horizon} steps ahead" if judge.horizon > 1 else "one step ahead"
    title = f"{target}, test part: {len(judge.origins):,} forecasts, {far}"
    table = {
        name: [one.mae.overall, one.rmse.overall, one.mase.overall] for name, one in judged.items()
    }
    return _table(title, ["MAE", "RMSE", "MASE"], table)


def _by_step(judge: Judge, values: Floats, column: int) -> list[str]:
    if judge.horizon == 1:
        return []
    by_step = judge.judge(values, column).mae.by_step
    shown = _few(len(by_step))
    return [
        "MAE of the LSTM by step ahead: "
        + ", ".join(f"{step + 1}: {by_step[step]:.4g}" for step in shown)
    ]


def _few(count: int, most: int = 12) -> list[int]:
    places = np.linspace(0, count - 1, min(count, most)).round().astype(int)
    return sorted(set(places.tolist()))


def _intervals(figures: Mapping[str, float]) -> str:
    names = [name.partition("_")[2] for name in figures if name.startswith("coverage_")]
    held = [
        f"that of {name} % held {figures[f'coverage_{name}']:.1f} % of what came "
        f"(width {figures[f'width_{name}']:.4g})"
        for name in names
    ]
    return f"Intervals: {', '.join(held)}; pinball loss {figures['pinball']:.4g}."


def _table(title: str, heads: Sequence[str], rows: Mapping[str, Sequence[float]]) -> list[str]:
    wide = max(len(title), *(len(name) for name in rows))
    lines = [f"{title:<{wide}}" + "".join(f"{head:>12}" for head in heads)]
    for name, values in rows.items():
        figures = ["none" if value != value else f"{value:.4g}" for value in values]
        lines.append(f"{name:<{wide}}" + "".join(f"{figure:>12}" for figure in figures))
    return lines


# --- when asked ---


def attempt(panel: Panel, values: Sequence[float], ahead: list[str], horizon: int) -> str:
    """The last three values of a series, and what comes after them."""
    line = panel.timelines[0]
    labels = [*line.labels[-3:], *ahead]
    answer = [f"{line.name:>12}  {panel.subject:>12}"]
    for number, (label, value) in enumerate(zip(labels, values, strict=True)):
        word = "missing" if value != value else f"{value:.6g}"
        answer.append(f"{label:>12}  {word:>12}" + ("  forecast" if number > 2 else ""))
    if len(ahead) > horizon:
        own = "from its own forecasts"
        answer.append(f"it forecasts {horizon} at once; what lies beyond is {own}")
    return "\n".join(answer)
