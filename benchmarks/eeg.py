"""A real EEG, subject by subject: which picture is seen, and which key pressed, told as it happens.

    python benchmarks/eeg.py FOLDER [--steps 600] [--seeds 3]

FOLDER holds recordings as the Brain Imaging Data Structure lays them, `sub-*/eeg/*_eeg.edf` with
`*_events.tsv` beside them, such as the two subjects of 128 channels that the package pylossless
0.2.0 ships as test data (faces, houses and checkerboards, and a key for each).  An event lasts
0.4 s from its onset on.  Everybody is causal, learns from all subjects but one and is judged on
that one: an LSTM, logistic regression on at most the last second (`unrolled train events` has
both), and a linear discriminant with shrinkage on the last second (Blankertz et al., NeuroImage 56,
2011).  Nothing is chosen by the subject that is held out.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from unrolled import training
from unrolled.recipes._events import linear
from unrolled.recipes._events.labeller import probabilities, scores
from unrolled.recipes.events import Recipe

KINDS = ("face", "house", "checker", "press")
LASTS = 0.4  # seconds from the onset on: what a picture evokes is over then
EVERY = 8  # of 256 samples a second: 32 steps, since the recordings end at 30 Hz
SECOND = 32  # steps
MOST_NUMBERS = 32_000_000  # in one fit of the regression: a third of all rows with a whole second


def main() -> None:
    """Hold out each subject in turn, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    linear.MOST_NUMBERS = MOST_NUMBERS
    with tempfile.TemporaryDirectory() as folder:
        recordings = sorted(asked.folder.glob("sub-*/eeg/*_eeg.edf"))
        marks = [intervals(path, Path(folder)) for path in recordings]
        print(f"| held out | who | {' | '.join(('mean', *KINDS))} |\n|---|---|" + "---|" * 5)
        for held in recordings:
            hold_out(recordings, marks, held, asked.steps, range(asked.seeds))


def intervals(recording: Path, folder: Path) -> Path:
    """Write when each kind of event was, from its onset on, as `--events-file` takes it."""
    beside = Path(str(recording).replace("_eeg.edf", "_events.tsv"))
    about = Path(str(recording).replace("_eeg.edf", "_eeg.json")).read_text(encoding="utf-8-sig")
    lasts = json.loads(about)["RecordingDuration"]
    path = folder / f"{recording.stem}.csv"
    with open(beside, encoding="utf-8-sig", newline="") as read, open(path, "w") as written:
        print("start,end,label", file=written)
        for row in csv.DictReader(read, delimiter="\t"):
            kind = row["trial_type"].partition("-")[0]
            if kind in KINDS:
                onset = float(row["onset"])
                print(f"{onset:.9g},{min(onset + LASTS, lasts):.9g},{kind}", file=written)
    return path


def hold_out(
    recordings: Sequence[Path], marks: Sequence[Path], held: Path, steps: int, seeds: range
) -> None:
    """Train on all subjects but one, and print what everybody makes of that one."""
    recipe = Recipe(
        data=tuple(recordings),
        events_file=tuple(marks),
        hold_out=(held,),
        every=EVERY,
        window=4 * SECOND,
        warm_up=SECOND,
        hidden=32,
        learning_rate=0.002,
        steps=steps,
        report_every=50,
    )
    training.check(recipe)
    for who, found in contestants(recipe, seeds):
        figures = scores(recipe.parts.heldout, found, recipe.parts.events)
        told = [figures["roc_auc"], *(figures[f"roc_auc of {kind}"] for kind in KINDS)]
        cells = " | ".join(f"{value:.3f}" for value in told)
        print(f"| {held.name.partition('_')[0]} | {who} | {cells} |", flush=True)


def contestants(recipe: Recipe, seeds: range) -> Iterator[tuple[str, np.ndarray]]:
    """Everybody's numbers for the held-out subject, higher where an event is likelier."""
    parts = recipe.parts
    found = []
    for seed in seeds:
        one = Recipe(**{**vars_of(recipe), "seed": seed})
        for cached in ("signals", "parts"):  # the files were read already, and do not change
            vars(one)[cached] = getattr(recipe, cached)
        *_, last = training.train(one)
        model = last.model.eval()
        found.append(parts.over(parts.tested, partial(probabilities, model)))
        kept = one.metrics(model)["validation_roc_auc"]
        yield f"LSTM, seed {seed} ({kept:.3f} where its weights were chosen)", found[-1]
    if len(found) > 1:
        yield f"LSTM, mean of {len(found)}", np.mean(found, axis=0)
    rival = linear.LinearLabeller.fit(parts, SECOND, both_directions=False, seed=0)
    yield f"logistic, last {rival.window} steps", parts.over(parts.tested, rival.decide)
    yield "discriminant, last second", discriminant(recipe)


def vars_of(recipe: Recipe) -> dict[str, object]:
    """A recipe's fields alone."""
    return {name: getattr(recipe, name) for name in recipe.__dataclass_fields__}


def discriminant(recipe: Recipe) -> np.ndarray:
    """A linear discriminant for each kind, on pairs of steps of the last second."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    parts = recipe.parts
    known = parts.over(parts.learnt, last_second)[::2]
    flags = parts.flags[parts.learnt][::2]
    tested = parts.over(parts.tested, last_second)
    found = []
    for k in range(flags.shape[1]):
        fitted = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(known, flags[:, k])
        found.append(fitted.decision_function(tested))
    return np.column_stack(found)


def last_second(values: np.ndarray) -> np.ndarray:
    """What every channel was in the last second, as means of two steps: [T, C * 16]."""
    padded = np.pad(values.astype(np.float32), ((SECOND - 1, 0), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, SECOND, axis=0)
    pairs = windows.reshape(*windows.shape[:2], SECOND // 2, 2).mean(-1)
    return pairs.reshape(len(values), -1)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
