"""What is printed of a reader of sequences: the table of rivals, who won, and the slips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from unrolled.files.columns import Integers

__all__ = ["confusion_table", "table", "winner"]

MOST_CLASSES = 12
COLUMNS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced",
    "auc": "AUC",
    "calibration_error": "calibration error",
}
TRUE = "true, then said"
SHARES = ("accuracy", "balanced_accuracy")


def table(title: str, figures: Mapping[str, Any], names: Mapping[str, str]) -> list[str]:
    """A line for each of ``names``, by the ending of its figures."""
    wide = max(len(title), *map(len, names.values())) + 2
    lines = [f"{title:<{wide}}" + "".join(f"{word:>{_wide(word)}}" for word in COLUMNS.values())]
    for end, name in names.items():
        cells = [
            f"{_cell(key, figures.get(key + end)):>{_wide(word)}}" for key, word in COLUMNS.items()
        ]
        lines.append((f"{name:<{wide}}" + "".join(cells)).rstrip())
    return lines


def _wide(word: str) -> int:
    return max(len(word), 7) + 2


def _cell(key: str, value: Any) -> str:
    if value is None:
        return ""
    return f"{100 * value:.1f} %" if key in SHARES else f"{value:.4f}"


def winner(figures: Mapping[str, Any], names: Mapping[str, str], count: int) -> str:
    """One line that says who is right most often."""
    by = {end: figures[f"accuracy{end}"] for end in names if f"accuracy{end}" in figures}
    best = max(by.values())
    first = [names[end] for end, value in by.items() if value == best]
    right = f"{round(best * count):,} of {count:,} right"
    if len(first) > 1:
        return f"{' and '.join(first)} are equal: {right}."
    second = max(value for value in by.values() if value < best)
    ahead = round((best - second) * count)
    return f"{first[0]} is best: {right}, {ahead:,} more than the next."


def confusion_table(found: Integers, words: Sequence[str]) -> list[str]:
    """How often each label (a row) was given each (a column); of many labels, the slips."""
    if len(words) > MOST_CLASSES:
        return _slips(found, words)
    first = max(len(TRUE), *map(len, words)) + 2
    wide = [max(len(word), len(str(found.max()))) + 2 for word in words]
    head = "".join(f"{word:>{size}}" for word, size in zip(words, wide, strict=True))
    lines = [f"{TRUE:<{first}}{head}"]
    for word, row in zip(words, found, strict=True):
        cells = "".join(f"{n or '·':>{size}}" for n, size in zip(row.tolist(), wide, strict=True))
        lines.append(f"{word:<{first}}{cells}")
    return lines


def _slips(found: Integers, words: Sequence[str], most: int = 8) -> list[str]:
    pairs = [
        (int(found[true, said]), true, said)
        for true in range(len(words))
        for said in range(len(words))
        if true != said and found[true, said]
    ]
    return [
        f"{words[true]} taken for {words[said]}: {count:,}"
        for count, true, said in sorted(pairs, key=lambda slip: -slip[0])[:most]
    ]
