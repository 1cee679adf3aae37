"""The table of published figures beside ours, as text, Markdown, CSV, JSON and a picture."""

from __future__ import annotations

import csv
import io
import json
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from unrolled.files.whole import make_folder, replace_file
from unrolled.reproduce.experiments import Figure

__all__ = ["FILES", "FigureRow", "as_markdown", "as_text", "save"]

FILES = ("reproduce.md", "reproduce.csv", "reproduce.json", "reproduce.png")

HEADS = ("figure", "published", "as written", "ours", "bound", "steps", "seconds", "")


@dataclass(frozen=True)
class FigureRow:
    """A figure and what each seed gave for it."""

    experiment: str
    figure: Figure
    values: tuple[float, ...]
    steps: tuple[int, ...]
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether every run keeps to the bound."""
        return all(map(self.figure.held, self.values))

    def cells(self) -> tuple[str, ...]:
        """What stands in the table."""
        f = self.figure
        return (
            f.what,
            f.published,
            f.written,
            self._ours(),
            f.bound,
            _range([f"{step:,}" for step in sorted(self.steps)]),
            f"{self.seconds:.1f}",
            "pass" if self.passed else "MISSED",
        )

    def _ours(self) -> str:
        if len(self.values) == 1:
            return f"{self.values[0]:.5g}"
        held = sum(map(self.figure.held, self.values))
        spread = _range([f"{value:.3g}" for value in sorted(self.values)])
        middle = f", median {median(self.values):.3g}" if " to " in spread else ""
        return f"{spread}{middle}; {held} of {len(self.values)}"

    def record(self) -> dict[str, Any]:
        """Everything, for JSON."""
        f = self.figure
        return {
            "experiment": self.experiment,
            "figure": f.what,
            "published": f.published,
            "as_written": f.written,
            "bound": f.bound,
            "values": list(self.values),
            "steps": list(self.steps),
            "seconds": self.seconds,
            "passed": self.passed,
        }


def _range(words: Sequence[str]) -> str:
    return words[0] if words[0] == words[-1] else f"{words[0]} to {words[-1]}"


def as_text(rows: Sequence[FigureRow], width: int = 26) -> str:
    """The table for a terminal, its long cells folded."""
    lines = [_folded(HEADS, width), *(_folded(row.cells(), width) for row in rows)]
    widths = [max(len(word) for row in lines for word in row[n]) for n in range(len(HEADS))]
    out = []
    for row in lines:
        for place in range(max(map(len, row))):
            words = [cell[place] if place < len(cell) else "" for cell in row]
            out.append("  ".join(f"{w:<{n}}" for w, n in zip(words, widths, strict=True)).rstrip())
        if row is lines[0]:
            out.append("-" * (sum(widths) + 2 * len(widths) - 2))
    return "\n".join(out)


def _folded(cells: Sequence[str], width: int) -> list[list[str]]:
    return [textwrap.wrap(cell, width) or [""] for cell in cells]


def as_markdown(rows: Sequence[FigureRow]) -> str:
    """The table in Markdown."""
    lines = [HEADS, ("---",) * len(HEADS), *(row.cells() for row in rows)]
    return "".join("| " + " | ".join(cells) + " |\n" for cells in lines)


def save(rows: Sequence[FigureRow], seeds: int, folder: Path) -> list[Path]:
    """Write `reproduce.md`, `.csv`, `.json` and `.png` into a folder."""
    sheet = io.StringIO()
    csv.writer(sheet, lineterminator="\n").writerows([HEADS, *(row.cells() for row in rows)])
    record = {"seeds": seeds, "rows": [row.record() for row in rows]}
    texts = [
        as_markdown(rows),
        sheet.getvalue(),
        json.dumps(record, indent=2, ensure_ascii=False) + "\n",
    ]
    make_folder(folder)
    *files, picture = (folder / name for name in FILES)
    for file, text in zip(files, texts, strict=True):
        _write(file, text)
    return [*files, _picture(rows, seeds, picture)]


def _write(path: Path, text: str) -> None:
    replace_file(path, lambda beside: beside.write_text(text, encoding="utf-8"))


def _picture(rows: Sequence[FigureRow], seeds: int, path: Path) -> Path:
    """The table as a picture; what is missed stands out in colour and in words."""
    from matplotlib.figure import Figure as Picture

    from unrolled.pictures.toolkit import INK, ORANGE, save

    shares = (0.25, 0.10, 0.19, 0.17, 0.10, 0.08, 0.06, 0.05)
    letters = [int(190 * share) for share in shares]
    table = [
        ["\n".join(textwrap.wrap(c, n)) for c, n in zip(cells, letters, strict=True)]
        for cells in [HEADS, *(row.cells() for row in rows)]
    ]
    heights = [max(cell.count("\n") + 1 for cell in cells) * 0.17 + 0.14 for cells in table]
    total = sum(heights) + 0.6
    picture = Picture(figsize=(13, total))
    title = f"Published figures and ours, {seeds} seed{'s' if seeds > 1 else ''}"
    picture.text(0.01, 1 - 0.12 / total, title, va="top", fontsize=13, color=INK)
    top = total - 0.5
    for number, (cells, height) in enumerate(zip(table, heights, strict=True)):
        missed = number > 0 and not rows[number - 1].passed
        left = 0.01
        for cell, share in zip(cells, shares, strict=True):
            bold = "bold" if number == 0 or missed else "normal"
            y = (top - 0.07) / total
            picture.text(left, y, cell, va="top", fontsize=8.5, color=INK, fontweight=bold)
            left += share * 0.98
        colour, width = (ORANGE, 2.0) if missed else ("#CCCCCC", 0.8)
        top -= height
        line = ([0.01, 0.99], [top / total] * 2)
        picture.add_artist(_line(*line, color=colour, linewidth=width))
    return save(picture, path)


def _line(x: list[float], y: list[float], **look: Any) -> Any:
    from matplotlib.lines import Line2D

    return Line2D(x, y, **look)
