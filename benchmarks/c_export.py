"""The C file beside the stepper: nanoseconds a step, and bytes.

    .venv/bin/python benchmarks/c_export.py

The stepper's time is a call of `Stepper.step` from Python, the C file's that of a step within
`NAME_run`.  They take turns on one core; the median of the turns, and of their ratios.  Bytes are
what `size` calls text: code and tables.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from unrolled import LSTM
from unrolled.engines import cpu
from unrolled.export import to_c

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from c_compilers import CORTEX_M4, HOSTS, M4, Loaded, compiled

SHAPES = ((1, 8, 1), (1, 20, 1), (1, 40, 1), (64, 64, 1), (1, 96, 1), (8, 128, 2))
WEIGHTS = ("float", "int8")
TURNS, STEPS = 150, 200
FAST = ("-O3", "-march=native", "-ffp-contract=off")


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    compilers = [name for name in HOSTS if shutil.which(name)]
    print(f"engine level: {cpu.level()}; {', '.join(map(version, compilers))}")
    columns = [f"{name}, {weights}" for name in compilers for weights in WEIGHTS]
    heads = ["I, H, layers", "stepper, ns", *columns]
    bytes_of = [f"{where}, {weights}" for where in ("x86-64", "Cortex-M4") for weights in WEIGHTS]
    print(f"| {' | '.join([*heads, *bytes_of])} |")
    print("|" + "---|" * (len(heads) + len(bytes_of)))
    for shape in SHAPES:
        with tempfile.TemporaryDirectory() as folder:
            print(f"| {' | '.join(row(shape, compilers, Path(folder)))} |", flush=True)


def row(shape: tuple[int, int, int], compilers: list[str], folder: Path) -> list[str]:
    """One network: the times and ratios, and then the bytes."""
    torch.manual_seed(0)
    lstm = LSTM(*shape)
    sources = {w: to_c(lstm, folder / f"net_{w}.c", weights=w)[0] for w in WEIGHTS}
    runs = [timed_c(lstm, source, name) for name in compilers for source in sources.values()]
    ours, others = in_turns(timed_stepper(lstm), runs)
    sizes = [bytes_of(source, compilers[0], FAST) for source in sources.values()]
    if shutil.which(CORTEX_M4):
        sizes += [bytes_of(source, CORTEX_M4, ("-Os", *M4)) for source in sources.values()]
    return [", ".join(map(str, shape)), f"{ours:,.0f}", *others, *(f"{n:,}" for n in sizes)]


def timed_stepper(lstm: LSTM) -> Callable[[], float]:
    """Nanoseconds of one of the stepper's steps."""
    stepper = lstm.stepper()

    def turn() -> float:
        step = stepper.step
        began = time.perf_counter_ns()
        for _ in range(STEPS):
            step()
        return (time.perf_counter_ns() - began) / STEPS

    return turn


def timed_c(lstm: LSTM, source: Path, compiler: str) -> Callable[[], float]:
    """Nanoseconds of one of the C file's steps."""
    library = source.with_suffix(f".{compiler}.so")
    compiled(compiler, library, [source], [*FAST, "-shared", "-fPIC"])
    sizes = lstm.input_size, lstm.hidden_size, 2 * lstm.num_layers * lstm.hidden_size
    c = Loaded(library, source.stem, sizes)
    x, y = (np.zeros((STEPS, n), np.float32) for n in sizes[:2])

    def turn() -> float:
        began = time.perf_counter_ns()
        c.run_into(x, y)
        return (time.perf_counter_ns() - began) / STEPS

    return turn


def in_turns(
    ours: Callable[[], float], others: list[Callable[[], float]]
) -> tuple[float, list[str]]:
    """The median of ours, and of each other its median with the ratio to ours."""
    turns = np.array([[one() for one in (ours, *others)] for _ in range(TURNS)])
    medians = [statistics.median(column) for column in turns.T]
    ratios = [statistics.median(column / turns[:, 0]) for column in turns.T]
    words = [f"{m:,.0f} ({r:.2f})" for m, r in zip(medians, ratios, strict=True)]
    return medians[0], words[1:]


def bytes_of(source: Path, compiler: str, flags: tuple[str, ...]) -> int:
    """Code and tables of an object file."""
    made = compiled(compiler, source.with_suffix(".o"), [source], ["-c", *flags])
    out = subprocess.run(["size", made], capture_output=True, text=True, check=True).stdout
    return int(out.splitlines()[1].split()[0])


def version(compiler: str) -> str:
    """A compiler's name and version."""
    done = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[0]


if __name__ == "__main__":
    main()
