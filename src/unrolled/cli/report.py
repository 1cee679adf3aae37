"""What `unrolled show` says of a run: figures, the published ones beside ours, the pictures."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from unrolled import recipes
from unrolled.training import Recipe, runs

__all__ = ["describe"]


def describe(folder: Path, *, trained: bool = False) -> str:
    """A run in words; ``trained``: right after its summary was printed, which says its figures.

    Raises
    ------
    RunError, RecipeError
        If the folder is no run, or cannot be read.
    """
    config = runs.read_config(folder)
    result = runs.read_result(folder)
    history = runs.read_metrics(folder)
    lines = [f"{config.recipe}, begun {config.created}, torch {config.versions.get('torch', '?')}"]
    # A run may come from a stranger: only a recipe of our own is imported to be shown.
    file = recipes.find(config.recipe) if config.recipe in recipes.names() else None
    if file is not None:
        lines.append(file.summary)
    lines += _fields(config.fields, file)
    if result is None:
        lines += _unfinished(folder, config, history)
        figures = history[-1] if history else {}
    else:
        figures = _mapping(folder, result, "figures")
        lines.append(f"finished: {result.get('step')} steps in {_number(result.get('seconds'))} s")
        if trained and file is not None and file.recipe.summary is not Recipe.summary:
            shown = shlex.quote(str(folder))
            lines.append(f"{len(figures)} figures: unrolled show {shown}")
        else:
            lines += ["", *_table([[name, _number(value)] for name, value in figures.items()])]
    if file is not None and file.published and _comparable(file, config):
        lines += ["", *_published(file.published, figures, history)]
    drawn = [folder / name for name in (result or {}).get("pictures", [])]
    for kind, files in (
        ("tables", [path for path in drawn if path.suffix == ".csv"]),
        ("pictures", [path for path in drawn if path.suffix != ".csv"]),
    ):
        if files:
            lines += ["", f"{kind}:", *(f"  {path}" for path in files)]
    if trained and result is not None and file is not None:
        recipe = runs.decode_fields(file.recipe, config.fields)
        further = recipe.further(shlex.quote(str(folder)))
        lines += ["", "next:", *(f"  {command}" for command in further)] if further else []
    return "\n".join(runs.printable(line) for line in lines)


def _mapping(folder: Path, result: dict[str, Any], key: str) -> dict[str, Any]:
    if key not in result:
        raise runs.DamagedError(folder / runs.RESULT, f"{key!r} is missing")
    value: dict[str, Any] = result[key]
    return value


def _fields(fields: dict[str, Any], file: recipes.RecipeFile | None) -> list[str]:
    """The hyperparameters, and of those of our own recipes only what is not the default."""
    usual = runs.encode_fields(file.recipe()) if file is not None else {}
    told = [f"{k} = {v}" for k, v in fields.items() if k not in usual or usual[k] != v]
    return [f"with {', '.join(told)}"] if told else ["with the recipe's own hyperparameters"]


def _unfinished(folder: Path, config: runs.Config, history: list[dict[str, Any]]) -> list[str]:
    reached = f"the last report is of step {history[-1]['step']}" if history else "no report yet"
    lines = [
        f"not finished: {reached} of {config.fields.get('steps')}; to go on:",
        f"  unrolled train {config.recipe} --resume --out {folder}",
    ]
    if history:
        rows = [[name, _number(value)] for name, value in history[-1].items()]
        lines += ["", *_table(rows)]
    return lines


def _comparable(file: recipes.RecipeFile, config: runs.Config) -> bool:
    """Whether the run is of what was published: a recipe may say no, of other data say."""
    try:
        return runs.decode_fields(file.recipe, config.fields).comparable
    except runs.RunError:
        return True


def _published(
    published: list[recipes.Published], figures: dict[str, Any], history: list[dict[str, Any]]
) -> list[str]:
    """Their figure, ours after as many steps, and ours in the end."""
    rows = [["metric", "published", "ours then", "ours at the end", "theirs"]]
    for one in published:
        then = [row for row in history if one.steps is not None and row["step"] <= one.steps]
        seen = then[-1] if then else {}
        ours = f"{_number(seen[one.metric])} (step {seen['step']})" if one.metric in seen else "-"
        after = f"after {one.steps:,} steps, " if one.steps is not None else ""
        end = figures.get(one.metric, "-")
        rows.append([one.metric, _number(one.value), ours, _number(end), f"{after}{one.what}"])
    return _table(rows)


def _number(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.5g}"
    if isinstance(value, list):  # a figure for each step ahead
        return " ".join(map(_number, value))
    return "not finite" if value is None else str(value)


def _table(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  " + "  ".join(f"{c:<{w}}" for c, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
