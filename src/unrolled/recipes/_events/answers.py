"""What `unrolled try` prints of a signal: where events are, in words and in a CSV file."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from unrolled.errors import InvalidValueError
from unrolled.errors.expected import check_flag, share
from unrolled.files.columns import Bools, Floats
from unrolled.files.whole import check_place, replace_file
from unrolled.recipes._asked import TryParser
from unrolled.recipes._events.alarms import runs_of
from unrolled.recipes._events.asked import Signal

__all__ = [
    "LabelRequest",
    "best_threshold",
    "found_events",
    "read_question",
    "runs_of",
    "write_csv",
]

MOST_LINES = 20


class LabelRequest(NamedTuple):
    """What is asked: a file, where the answer goes, and from which probability on it is an event.

    ``file`` None: a fresh signal of the built-in kind.  ``out`` None: no file is written.
    ``threshold`` None: the best one on the training part.
    """

    file: Path | None
    out: Path | None
    threshold: float | None


def read_question(words: Sequence[str], *, built_in: bool) -> LabelRequest:
    """Read the words after `unrolled try DIR`.

    Raises
    ------
    ValueError
        In one sentence: words that make no sense, or a file to write that is there already.
    """
    parser = TryParser(
        prog="unrolled try DIR",
        description="Label every step of a signal.",
        allow_abbrev=False,
        epilog="see `unrolled try DIR --help`",
    )
    parser.add_argument(
        "file",
        metavar="FILE",
        nargs="?",
        type=Path,
        help="a file of the kind, and with the channels, that was learned from; may lack the "
        "event. A run of the built-in signal needs none: it labels a fresh one",
    )
    parser.add_argument(
        "--out", metavar="CSV", type=Path, help="where the probabilities go; FILE.events.csv, here"
    )
    parser.add_argument(
        "--threshold",
        metavar="P",
        type=float,
        help="the probability from which on it is an event; the one with the best F1 on the "
        "training part",
    )
    asked = parser.parse_args(list(words))
    if asked.file is None and not built_in:
        raise InvalidValueError("what is to be labelled? `unrolled try DIR FILE` names a file.")
    if asked.file is not None and built_in:
        raise InvalidValueError(
            f"this run learned from the built-in signal, so there is nothing in {asked.file.name} "
            "for it to find: leave it out, or train on a file with --data."
        )
    if asked.threshold is not None:
        check_flag("--threshold", asked.threshold, share)
    out = asked.out
    if out is None and asked.file is not None:
        out = Path(f"{asked.file.stem}.events.csv")
    if out is not None:
        check_place(out, new=True)
    return LabelRequest(asked.file, out, asked.threshold)


def best_threshold(flags: Bools, probabilities: Floats) -> float:
    """The probability from which on calling it an event gives the best F1; both [T].

    In the three digits that are printed: what is printed is what was done.
    """
    from sklearn.metrics import precision_recall_curve

    precision, recall, thresholds = precision_recall_curve(flags, probabilities)
    both = precision + recall
    f1 = np.where(both > 0, 2 * precision * recall / np.where(both > 0, both, 1), 0)
    return float(f"{thresholds[int(np.argmax(f1[:-1]))]:.3g}")


def found_events(
    signal: Signal, events: Sequence[str], probabilities: Floats, thresholds: Sequence[float]
) -> list[str]:
    """Tell where each event is found: a table, in the file's own time."""
    found = sorted(
        (begin, end, k)
        for k, threshold in enumerate(thresholds)
        for begin, end in runs_of(probabilities[:, k] >= threshold)
    )
    steps, name = len(probabilities), signal.times.name.partition(" (")[0]
    least = " and ".join(
        f"{threshold:.3g} ({event})" if len(events) > 1 else f"{threshold:.3g}"
        for event, threshold in zip(events, thresholds, strict=True)
    )
    lines = [f"{len(found):,} found in {steps:,} steps, where the probability is {least} or more"]
    if not found:
        return lines
    at = signal.times.labels
    rows = [[f"from {name}", f"to {name}", "steps", "highest", "event"]]
    rows += [
        [at[a], at[b - 1], f"{b - a:,}", f"{probabilities[a:b, k].max():.3f}", events[k]]
        for a, b, k in found[:MOST_LINES]
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for *cells, event in rows:
        told = (f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=False))
        lines.append("  ".join((*told, event)))
    if len(found) > MOST_LINES:
        lines.append(f"and {len(found) - MOST_LINES:,} more")
    return lines


def write_csv(path: Path, signal: Signal, events: Sequence[str], probabilities: Floats) -> None:
    """Write the probability of each event at each step, in a file that is not there yet."""

    def write(beside: Path) -> None:
        with open(beside, "w", encoding="utf-8", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow([signal.times.name, *(f"probability of {event}" for event in events)])
            for label, row in zip(signal.times.labels, probabilities, strict=True):
                table.writerow([label, *(f"{value:.6f}" for value in row)])

    replace_file(path, write, new=True)
