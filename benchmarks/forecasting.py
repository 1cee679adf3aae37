"""How good forecasts are, and how long they take: ours by default beside others', on real series.

    python benchmarks/forecasting.py [--only NAME ...] [--without-networks [NAME ...]]

Everybody is trained once on what lies before a series' test part, its last fifth, forecasts from
every origin in it, and is held against what came by one scale (MASE).  All run on one core and one
thread.  Nobody's settings are chosen here: ours are the recipe's defaults, the others' are theirs.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unrolled import training
from unrolled.recipes.series import Recipe

sys.path.insert(0, str(Path(__file__).parent))

from other_networks import NETWORKS, Task, get_ready
from series_data import SERIES, Sample, write

OURS = "unrolled"
NAIVE = "naive forecast"  # as a season ago, or, where there is none, as the last value
COVERAGES = (80, 95)
HEADS = f"{'MASE':>8}{'seconds':>10}{'CPU':>10}"


@dataclass
class Outcome:
    """What came of one series."""

    sample: Sample
    mase: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    busy: dict[str, float] = field(default_factory=dict)  # of these, what the processor worked
    coverage: dict[int, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Count what is done within as one's training and forecasting."""
        began, worked = time.perf_counter(), time.process_time()
        yield
        self.seconds[name] = time.perf_counter() - began
        self.busy[name] = time.process_time() - worked


# --- one series ---


def measure(sample: Sample, folder: Path, networks: Sequence[str]) -> Outcome:
    """Have everybody forecast one series, and say at once what came of it."""
    path = write(sample, folder)
    recipe = Recipe(data=path, time="time", column="value", horizon=sample.horizon)
    outcome = Outcome(sample)
    _say_what(sample, recipe)
    _plain(recipe, outcome)
    _ours(recipe, outcome)
    for name in networks:
        forecast = NETWORKS[name]
        with outcome.timed(name):
            found = forecast(_task(recipe))
        outcome.mase[name] = recipe.judge.judge(found).mase.overall
        _say(name, outcome)
    return outcome


def _plain(recipe: Recipe, outcome: Outcome) -> None:
    """Those that need no network: they are fitted here, so that our own time is without them."""
    judge = recipe.judge
    with outcome.timed(NAIVE):
        names = judge.names
        found = {key: judge.rival(key) for key in names}
    for key, name in names.items():
        outcome.mase[name] = judge.judge(found[key]).mase.overall
        print(f"  {name:24}{outcome.mase[name]:8.3f}", flush=True)
    key = "seasonal_naive" if "seasonal_naive" in names else "persistence"
    outcome.mase[NAIVE] = outcome.mase[names[key]]


def _ours(recipe: Recipe, outcome: Outcome) -> None:
    with outcome.timed(OURS):
        model = _trained(recipe)
        figures = recipe.result(model)
    outcome.mase[OURS] = figures["mase_horizon" if recipe.horizon > 1 else "mase"]
    outcome.coverage = {level: figures[f"coverage_{level}"] for level in COVERAGES}
    held = ", ".join(f"{level} % held {value:.1f} %" for level, value in outcome.coverage.items())
    _say(OURS, outcome, held)


def _trained(recipe: Recipe) -> Any:
    *_, last = training.train(recipe)
    return last.model.eval()


def _task(recipe: Recipe) -> Task:
    border = recipe.split.border
    origins = recipe.parts.test_origins
    return Task(recipe.panel.series(0), border, origins, recipe.read, recipe.horizon)


# --- what is said ---


def _say_what(sample: Sample, recipe: Recipe) -> None:
    count, _ = recipe.panel.missing()
    missing = f", {count} missing" if count else ""
    rows = f"{int(recipe.panel.counts[0]):,} {sample.steps}{missing}"
    print(
        f"\n{sample.name}: {rows}, {sample.horizon} ahead from "
        f"{len(recipe.parts.test_origins):,} origins, window {recipe.read} ({sample.source})"
    )
    print(f"  {'':24}{HEADS}", flush=True)


def _say(name: str, outcome: Outcome, more: str = "") -> None:
    print(_row(name, [outcome], name) + f"  {more}".rstrip(), flush=True)


def _row(title: str, outcomes: Sequence[Outcome], name: str) -> str:
    """One's geometric means over some series."""
    figures = [
        _mean([of[name] for of in each])
        for each in zip(*((one.mase, one.seconds, one.busy) for one in outcomes), strict=True)
    ]
    return "  {:24}{:8.3f}{:10.1f}{:10.1f}".format(title, *figures)


def summary(title: str, outcomes: Sequence[Outcome], networks: Sequence[str]) -> list[str]:
    """Geometric means, how often ours is better, and how honest the intervals are."""
    if not outcomes:
        return []
    lines = ["", f"{title}, {len(outcomes)} series", f"  {'geometric means':24}{HEADS}"]
    lines += [_row(name, outcomes, name) for name in (OURS, *networks, NAIVE)]
    for name in (NAIVE, *networks):
        won = sum(outcome.mase[OURS] < outcome.mase[name] for outcome in outcomes)
        lines.append(f"  ours is better than {name} on {won} of {len(outcomes)}")
    for level in COVERAGES:
        held = [outcome.coverage[level] for outcome in outcomes]
        lines.append(
            f"  intervals of {level} % held {np.mean(held):.1f} % in the mean, "
            f"{min(held):.1f} to {max(held):.1f} %"
        )
    return lines


def _mean(values: Sequence[float]) -> float:
    """The geometric mean."""
    return float(np.exp(np.mean(np.log(values))))


# --- the command ---


def _asked(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    names = [sample.name for sample in SERIES]
    parser.add_argument(
        "--only",
        nargs="+",
        choices=names,
        default=names,
        metavar="NAME",
        help=f"these series alone, of {', '.join(names)}",
    )
    parser.add_argument(
        "--without-networks",
        nargs="*",
        choices=list(NETWORKS),
        metavar="NAME",
        help=f"leave out these networks, of {', '.join(NETWORKS)}; no name: all of them",
    )
    return parser.parse_args(words)


def _check_there(samples: Sequence[Sample], networks: Sequence[str]) -> None:
    needed = [sample.package for sample in samples]
    needed += networks
    missing = sorted({name for name in needed if importlib.util.find_spec(name) is None})
    if missing:
        raise SystemExit(
            f"forecasting.py: {' and '.join(missing)} cannot be imported, and the series or "
            "networks that were asked for need it: pip install '.[ecosystem]' brings it."
        )


def _on_one_core() -> None:
    """Let nobody have more than one thread at work."""
    torch.set_num_threads(1)
    if hasattr(os, "sched_setaffinity"):  # not on macOS
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def main(words: Sequence[str] | None = None) -> None:
    """Measure the series that were asked for, and sum up."""
    asked = _asked(words)
    left_out = asked.without_networks
    networks = [] if left_out == [] else [name for name in NETWORKS if name not in (left_out or ())]
    samples = [sample for sample in SERIES if sample.name in asked.only]
    _check_there(samples, networks)
    _on_one_core()
    if networks:
        get_ready()
    with tempfile.TemporaryDirectory() as folder:
        outcomes = [measure(sample, Path(folder), networks) for sample in samples]
    apart = {"Series that nothing was developed on": False, "Series of the development": True}
    for title, development in apart.items():
        chosen = [outcome for outcome in outcomes if outcome.sample.development == development]
        print("\n".join(summary(title, chosen, networks)), flush=True)


if __name__ == "__main__":
    main()
