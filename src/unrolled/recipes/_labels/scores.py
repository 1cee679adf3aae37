"""How good probabilities of classes are: how many are right, how well told apart, how honest."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from unrolled.files.columns import Floats, Integers
from unrolled.recipes._labels.learning import log_loss

__all__ = ["Bin", "bins_of", "confusion", "scores"]

BINS = 10


class Bin(NamedTuple):
    """Sequences whose label was given with about one probability.

    ``said`` is the mean of that probability, ``right`` the share that is right, of ``many``.
    """

    said: float
    right: float
    many: int


def confusion(probabilities: Floats, classes: Integers) -> Integers:
    """Count [true, said]."""
    count = probabilities.shape[1]
    table = np.zeros((count, count), dtype=np.int64)
    np.add.at(table, (classes, probabilities.argmax(1)), 1)
    return table


def bins_of(probabilities: Floats, classes: Integers, count: int = BINS) -> list[Bin]:
    """Sequences by the probability of the label that was said, in bins of one width."""
    said, right = probabilities.max(1), probabilities.argmax(1) == classes
    places = np.minimum((said * count).astype(int), count - 1)
    return [
        Bin(float(said[held].mean()), float(right[held].mean()), int(held.sum()))
        for held in (places == number for number in range(count))
        if held.any()
    ]


def scores(probabilities: Floats, classes: Integers) -> dict[str, float]:
    """Accuracy, balanced accuracy, AUC, log loss and expected calibration error.

    Balanced accuracy and AUC (each class against the rest) are means over the classes that occur,
    and for AUC do not fill everything.
    """
    table = confusion(probabilities, classes)
    often = table.sum(1)
    there = often > 0
    return {
        "accuracy": float(np.diag(table).sum() / len(classes)),
        "balanced_accuracy": float((np.diag(table)[there] / often[there]).mean()),
        "auc": _auc(probabilities, classes),
        "log_loss": log_loss(probabilities, classes),
        "calibration_error": sum(
            found.many / len(classes) * abs(found.said - found.right)
            for found in bins_of(probabilities, classes)
        ),
    }


def _auc(probabilities: Floats, classes: Integers) -> float:
    from sklearn.metrics import roc_auc_score

    found = [
        float(roc_auc_score(classes == number, probabilities[:, number]))
        for number in range(probabilities.shape[1])
        if 0 < (classes == number).mean() < 1
    ]
    return sum(found) / len(found) if found else math.nan
