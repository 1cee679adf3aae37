"""`unrolled reproduce`: every published figure, run over several seeds, in one table.

A row passes if every run keeps to its bound; the exit status says whether all rows do.
"""

from __future__ import annotations

import argparse
import difflib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch

from unrolled.files.whole import check_place
from unrolled.recipes import RecipeError
from unrolled.reproduce.experiments import EXPERIMENTS, Experiment
from unrolled.reproduce.tables import FILES, FigureRow, as_text, save
from unrolled.training.runs import free_folder

__all__ = ["command", "rows_of"]


def command(arguments: list[str], parser: argparse.ArgumentParser, runs: Path) -> int:
    """Run what is asked for; ``runs`` is the folder for folders that are not named."""
    names = ", ".join(one.name for one in EXPERIMENTS)
    parser.add_argument("names", metavar="NAME", nargs="*", help=f"all, or some of {names}")
    parser.add_argument("--seeds", type=int, default=5, help="runs of each figure (5)")
    parser.add_argument("--out", type=Path, help="folder for the table (runs/reproduce)")
    parser.add_argument(
        "--full",
        action="store_true",
        help="adders: all of the documents' steps, not only until every sum is right",
    )
    found = parser.parse_args(arguments)
    if not 1 <= found.seeds <= 1000:
        parser.error(f"--seeds {found.seeds} makes no sense: expected 1 to 1000")
    chosen = _chosen(found.names)
    if found.out is not None:
        check_place(found.out, folder=True, files=FILES)
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # the same bits everywhere, and small networks gain nothing from more
    try:
        rows = [
            row
            for one in chosen
            for row in rows_of(one, found.seeds, found.full, lambda line: print(line, flush=True))
        ]
    finally:
        torch.set_num_threads(before)
    folder = found.out or free_folder(runs, "reproduce")
    files = save(rows, found.seeds, folder)
    print(f"\n{as_text(rows)}\n")
    print("as written: the document's own system, run faithfully.")
    print("written to:", *(f"  {file}" for file in files), sep="\n")
    missed = [row.figure.what for row in rows if not row.passed]
    if missed:
        print(f"{len(missed)} of {len(rows)} missed: {'; '.join(missed)}.")
        return 1
    print(f"all {len(rows)} rows pass.")
    return 0


def _chosen(names: Sequence[str]) -> list[Experiment]:
    known = {one.name: one for one in EXPERIMENTS}
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}? There" if near else "there"
            raise RecipeError(f"{name!r} is not a published figure: {hint} are {', '.join(known)}.")
    return [one for one in EXPERIMENTS if not names or one.name in names]


def rows_of(
    experiment: Experiment, seeds: int, full: bool, tell: Callable[[str], None]
) -> Iterator[FigureRow]:
    """The rows of one experiment, run with the seeds 0, 1, …; ``tell`` is told of each run."""
    runs, times = [], []
    for seed in range(1 if experiment.alone else seeds):
        began = time.perf_counter()
        run = experiment.run(seed, full)
        times.append(time.perf_counter() - began)
        runs.append(run)
        figures = ", ".join(f"{run.figures[f.metric]:.5g}" for f in experiment.figures)
        after = f" after {run.steps:,} steps" if run.steps else ""
        tell(f"{experiment.name}, seed {seed}: {figures}{after}, {times[-1]:.1f} s")
    for figure in experiment.figures:
        values = tuple(run.figures[figure.metric] for run in runs)
        steps = tuple(figure.at or run.steps for run in runs)
        yield FigureRow(experiment.name, figure, values, steps, sum(times))
