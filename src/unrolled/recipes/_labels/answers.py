"""What `unrolled try` says of sequences: a label for each, in words and in a CSV file."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from unrolled.errors import InvalidValueError
from unrolled.files.columns import Floats
from unrolled.files.whole import check_place, replace_file
from unrolled.recipes._asked import TryParser
from unrolled.recipes._labels.collection import Collection, counted

__all__ = ["LabelQuestion", "answer_lines", "read_label_question", "write_labels"]

MOST_LINES = 20


class LabelQuestion(NamedTuple):
    """Which files are to be labelled, and where the answers go."""

    files: list[Path]
    out: Path | None


def read_label_question(words: Sequence[str], *, built_in: bool) -> LabelQuestion:
    """Read the words after `unrolled try DIR`.

    Raises
    ------
    ValueError
        In one sentence: words that make no sense, or a file to write that is there already.
    """
    parser = TryParser(
        prog="unrolled try DIR",
        description="Give each sequence a label.",
        allow_abbrev=False,
        epilog="see `unrolled try DIR --help`",
    )
    parser.add_argument(
        "files",
        metavar="FILE",
        nargs="*",
        type=Path,
        help="files (or a folder of sound) of the kind, and with the channels, that was learned "
        "from; they may lack labels. A run of the made-up task needs none: it labels fresh ones",
    )
    parser.add_argument(
        "--out", metavar="CSV", type=Path, help="where the labels and all probabilities go"
    )
    asked = parser.parse_args(list(words))
    if not asked.files and not built_in:
        raise InvalidValueError("what is to be labelled? `unrolled try DIR FILE…` names files.")
    if asked.files and built_in:
        raise InvalidValueError(
            f"this run learned from made-up sequences, so there is nothing in "
            f"{asked.files[0].name} for it to find: leave it out, or train on a file with --data."
        )
    if asked.out is not None:
        check_place(asked.out, new=True)
    return LabelQuestion(asked.files, asked.out)


def answer_lines(collection: Collection, words: Sequence[str], probabilities: Floats) -> list[str]:
    """A line for each sequence, and, where the labels are known, how many are right."""
    said = [words[place] for place in probabilities.argmax(1)]
    known = list(collection.labels) or [""] * len(said)
    wide = max(map(len, collection.names)) + 2
    label = max(map(len, said)) + 2
    lines = [
        f"{name:<{wide}}{answer:<{label}}{probability:.3f}"
        + (f"  (truly {true})" if true and true != answer else "")
        for name, answer, probability, true in zip(
            collection.names, said, probabilities.max(1), known, strict=True
        )
    ]
    if len(lines) > MOST_LINES:
        lines = [*lines[:MOST_LINES], f"and {len(said) - MOST_LINES:,} more"]
    judged = [answer == true for answer, true in zip(said, known, strict=True) if true]
    if judged:
        right = f"{np.sum(judged):,} of {counted(len(judged), 'label')} are right"
        lines.append(f"{right} ({100 * np.mean(judged):.1f} %)")
    return lines


def write_labels(
    path: Path, collections: Sequence[Collection], words: Sequence[str], found: Sequence[Floats]
) -> None:
    """Write each sequence's label and all probabilities, in a file that is not there yet."""

    def write(beside: Path) -> None:
        with open(beside, "w", encoding="utf-8", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            head = ["file", "sequence", "label", *(f"probability of {word}" for word in words)]
            table.writerow(head)
            for collection, probabilities in zip(collections, found, strict=True):
                for name, row in zip(collection.names, probabilities, strict=True):
                    answer = words[int(row.argmax())]
                    odds = [f"{value:.6f}" for value in row]
                    table.writerow([collection.file, name, answer, *odds])

    replace_file(path, write, new=True)
