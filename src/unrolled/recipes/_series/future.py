"""What comes after the end of series: as a table, as a CSV file, as a picture."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unrolled.files.columns import Floats
from unrolled.files.whole import replace_file
from unrolled.recipes._series.panel import Panel
from unrolled.recipes._series.predicting import Ahead, known_ahead

__all__ = ["as_far", "draw", "frame", "table", "write_csv"]

Levels = tuple[float, ...]

MOST_LINES = 60  # of a table that is printed


def as_far(panel: Panel, steps: int) -> int:
    """How many of those steps can be forecast with what is known ahead."""
    known = known_ahead(panel)
    return steps if known is None else min(steps, known)


def heads(panel: Panel, levels: Levels) -> list[str]:
    """The names of the columns: when, whose, and each target with its intervals."""
    first = [panel.timelines[0].name, *(["group"] if len(panel.groups) > 1 else [])]
    return [*first, *(name for target in panel.targets for name in _of(target, levels))]


def _of(target: str, levels: Levels) -> list[str]:
    names = [f"{100 * (1 - 2 * level):g}" for level in levels[: len(levels) // 2]]
    low, high = ([f"{target} {end} {name}" for name in names] for end in ("low", "high"))
    return [target, *(name for pair in zip(low, high, strict=True) for name in pair)]


def _row(values: Floats) -> list[float]:
    """Median, then both ends of each interval, for each target in turn."""
    row: list[float] = []
    for quantiles in values.tolist():
        half = len(quantiles) // 2
        row.append(quantiles[half])
        for place in range(half):
            row += [quantiles[place], quantiles[-1 - place]]
    return row


def rows(panel: Panel, ahead: Sequence[Ahead]) -> list[list[str | float]]:
    """A row for each step of each series."""
    several = len(panel.groups) > 1
    return [
        [label, *([one.group] if several else []), *_row(values)]
        for one in ahead
        for label, values in zip(one.labels, one.values, strict=True)
    ]


def table(panel: Panel, ahead: Sequence[Ahead], levels: Levels) -> list[str]:
    """Lines to print; of very many, the first."""
    names = heads(panel, levels)
    every = rows(panel, ahead)
    shown = every[:MOST_LINES]
    cells = [[cell if isinstance(cell, str) else f"{cell:.6g}" for cell in row] for row in shown]
    widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)]
    lines = [
        "  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True))
        for row in (names, *cells)
    ]
    left = len(every) - len(shown)
    return [*lines, *([f"and {left:,} more: --out FILE.csv takes all"] if left else [])]


def frame(panel: Panel, ahead: Sequence[Ahead], levels: Levels) -> Any:
    """Every row as a DataFrame, whose index is when, or whose and when."""
    import pandas as pd

    names = heads(panel, levels)
    several = len(panel.groups) > 1
    places = [place for one in ahead for place in one.places]
    if several:
        whose = [one.group for one in ahead for _ in one.places]
        index = pd.MultiIndex.from_arrays([whose, places], names=["group", names[0]])
    else:
        index = pd.Index(places, name=names[0])
    values = [_row(values) for one in ahead for values in one.values]
    return pd.DataFrame(values, index, columns=names[1 + several :])


def write_csv(panel: Panel, ahead: Sequence[Ahead], levels: Levels, path: Path) -> None:
    """Write every row, with all digits."""

    def write(beside: Path) -> None:
        with open(beside, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(heads(panel, levels))
            writer.writerows(rows(panel, ahead))

    replace_file(path, write)


def draw(panel: Panel, ahead: Sequence[Ahead], levels: Levels, path: Path) -> Path:
    """Draw the last stretch of the series and what comes after it; of many, the first three."""
    from unrolled.pictures import future as pictures

    panels = []
    for number, one in enumerate(ahead[:3]):
        line = panel.timelines[number]
        last = slice(-max(3 * len(one.labels), 40), None)
        for column, target in enumerate(panel.targets[:3]):
            values = one.values[:, column]
            bands = [
                (f"{100 * (1 - 2 * level):g} %", values[:, place], values[:, -1 - place])
                for place, level in enumerate(levels[: len(levels) // 2])
            ]
            title = ", ".join(filter(None, (target, one.group)))
            before = panel.series(number, column)[last]
            places = np.asarray(line.places)[last]
            middle = values[:, len(levels) // 2]
            panels.append(pictures.Future(title, places, before, one.places, middle, bands))
    return pictures.futures(panels, path, title=f"{panel.subject}: what comes next")
