"""How often labels of whole sequences are right: the recipe beside what needs no LSTM.

    python benchmarks/labels.py FOLDER [--only NAME ...] [--ensemble 5] [--seeds 5] [--dropout .5 …]

FOLDER holds the archive's sets as sktime ships them, NAME/NAME_TRAIN.ts and NAME/NAME_TEST.ts, each
with its own split.  Everybody learns from the training file alone.  Without flags the
hyperparameters are the recipe's defaults.  Validation within the training file says at which report
the weights were best, and the network learns anew from all of that file.

Five-fold cross-validation within JapaneseVowels' training file, drawn twice, gave .963 for the
defaults, and for other sizes, poolings and rates .956 to .967; with --dropout .5 --input-noise .3
.972, and with --label-smoothing .1 beside them .980, which were taken for that set.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from unrolled import training
from unrolled.recipes.labels import Recipe
from unrolled.training.session import Session

SETS = ("JapaneseVowels", "BasicMotions", "ItalyPowerDemand", "ArrowHead")
FIELDS = ("steps", "dropout", "input_noise", "label_smoothing")
RIVALS = ("dtw", "ridge", "constant")


def judged(
    folder: Path, name: str, seed: int, ensemble: int, fields: dict[str, Any]
) -> dict[str, Any]:
    """The figures of one run, and its seconds."""
    files = [folder / name / f"{name}_{part}.ts" for part in ("TRAIN", "TEST")]
    recipe = Recipe(data=files[0], test_data=files[1], seed=seed, ensemble=ensemble, **fields)
    training.check(recipe)
    began = time.perf_counter()
    session = Session(recipe)
    while session.step < recipe.steps:
        session.advance()
        if session.step % recipe.report_every == 0:
            session.look()
    session.settle()
    seconds = time.perf_counter() - began
    with session.looking():
        return {**recipe.result(session.model), "seconds": seconds}


def told(name: str, who: str, runs: list[dict[str, Any]]) -> str:
    """One line: the mean, and each."""
    each = [100 * run["accuracy"] for run in runs]
    others = "  ".join(
        f"{rival} {100 * runs[0][f'accuracy_{rival}']:.1f}"
        for rival in RIVALS
        if f"accuracy_{rival}" in runs[0]
    )
    return (
        f"{name:<18}{who:<14}{np.mean(each):6.2f} %  ({', '.join(f'{one:.1f}' for one in each)})"
        f"  calibration {np.mean([run['calibration_error'] for run in runs]):.3f}"
        f"  {np.mean([run['seconds'] for run in runs]):.0f} s   {others}"
    )


def main() -> None:
    """Print two lines for each set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="+", default=SETS)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--ensemble", type=int, default=5)
    for field in FIELDS:
        kind, flag = type(getattr(Recipe, field)), "--" + field.replace("_", "-")
        parser.add_argument(flag, type=kind, default=getattr(Recipe, field))
    asked = parser.parse_args()
    fields = {name: getattr(asked, name) for name in FIELDS}
    print(f"{os.cpu_count()} cores, OMP_NUM_THREADS {os.environ.get('OMP_NUM_THREADS', 'unset')}")
    for name in asked.only:
        runs = [judged(asked.folder, name, seed, 1, fields) for seed in range(asked.seeds)]
        print(told(name, "one LSTM", runs), flush=True)
        runs = [judged(asked.folder, name, 0, asked.ensemble, fields)]
        print(told(name, f"{asked.ensemble} LSTMs", runs), flush=True)


if __name__ == "__main__":
    main()
