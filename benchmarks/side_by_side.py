"""`make bench`: this library and its peers in one process, one thread, taking turns.

For each size the two are first checked against each other, then called alternately; the time is the
median, the spread the middle half of the measurements.  A ratio above 1 means that we are faster.
Times on a machine that does other work are noise: read the ratios.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from unrolled import LSTM, _native
from unrolled.engines import cpu

SIZES = [
    (1, 1, 64, 64),
    (8, 1, 2, 32),
    (10, 1, 50, 100),
    (50, 1, 64, 64),
    (2048, 1, 1, 32),
    (1000, 1, 64, 256),
    (50, 64, 64, 128),
    (1000, 32, 1, 40),
    (365, 256, 5, 64),
    (100, 32, 256, 256),
    (100, 64, 512, 512),
]
Call = Callable[[], object]


class Row(NamedTuple):
    """One comparison; times in microseconds."""

    what: str
    size: str
    peer: str
    theirs: float
    ours: float
    spread: float
    peak: float

    @property
    def ratio(self) -> float:
        """Their time over ours."""
        return self.theirs / self.ours


def measure(theirs: Call, ours: Call, seconds: float) -> tuple[float, float, float]:
    """Both medians in microseconds, and the middle half of ours relative to its median."""
    for call in (theirs, ours):
        call()
        call()
    times: tuple[list[float], list[float]] = ([], [])
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times[0]) < 7:
        for call, into in zip((theirs, ours), times, strict=True):
            began = time.perf_counter()
            call()
            into.append((time.perf_counter() - began) * 1e6)
    low, middle, high = statistics.quantiles(times[1], n=4)
    return statistics.median(times[0]), middle, (high - low) / middle


def agree(a: Tensor, b: Tensor) -> None:
    """Stop where the two do not compute the same."""
    torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)


def peak() -> float:
    """Multiplications and additions a second of one core in registers, the best of 20."""
    best = 0.0
    for _ in range(20):
        began = time.perf_counter()
        operations = _native.busy_f32(300_000)
        best = max(best, operations / (time.perf_counter() - began))
    return best


def pair(steps: int, rows: int, width: int, hidden: int) -> tuple[torch.nn.LSTM, LSTM, Tensor]:
    torch.manual_seed(0)
    theirs, ours = torch.nn.LSTM(width, hidden), LSTM(width, hidden)
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours, torch.randn(steps, rows, width)


def trained(module: torch.nn.Module, x: Tensor, d_y: Tensor) -> Call:
    """Forward and backward with the gradient of x, as in training."""
    leaf, parameters = x.clone().requires_grad_(), list(module.parameters())

    def call() -> None:
        module(leaf)[0].backward(d_y)
        for tensor in (leaf, *parameters):
            tensor.grad = None

    return call


def inferred(module: torch.nn.Module, x: Tensor) -> Call:
    def call() -> None:
        with torch.no_grad():
            module(x)

    return call


def against_torch(seconds: float, most: float) -> list[Row]:
    """`torch.nn.LSTM`, at sizes from a step of one row to large matrices."""
    found = []
    for steps, rows, width, hidden in SIZES:
        theirs, ours, x = pair(steps, rows, width, hidden)
        d_y = torch.randn(steps, rows, hidden)
        agree(theirs(x)[0], ours(x)[0])
        size = f"{steps},{rows},{width},{hidden}"
        work = 8.0 * steps * rows * hidden * (width + hidden)
        for what, make, times in (
            ("inference", inferred, 1),
            ("training", lambda m, x, d=d_y: trained(m, x, d), 3),
        ):
            a, b, spread = measure(make(theirs, x), make(ours, x), seconds)
            found.append(
                Row(what, size, "torch.nn.LSTM", a, b, spread, times * work / b * 1e6 / most)
            )
    return found


def ragged(seconds: float) -> Row:
    """Lengths from 1 to T against PackedSequence, forward and backward."""
    theirs, ours, x = pair(200, 64, 32, 64)
    lengths = torch.linspace(1, 200, 64).long()

    def packed() -> Tensor:
        y, _ = theirs(pack_padded_sequence(x, lengths, enforce_sorted=False))
        return pad_packed_sequence(y)[0]

    agree(packed(), ours(x, lengths=lengths)[0])
    a, b, spread = measure(
        lambda: packed().sum().backward(),
        lambda: ours(x, lengths=lengths)[0].sum().backward(),
        seconds,
    )
    return Row("ragged, training", "200,64,32,64", "PackedSequence", a, b, spread, 0)


def rollout(seconds: float) -> Row:
    """Resets inside a rollout against the loop over time that people write."""
    theirs, ours, x = pair(128, 64, 64, 128)
    goes_on = torch.rand(128, 64) > 0.05

    def looped() -> Tensor:
        h = c = torch.zeros(1, 64, 128)
        ys = []
        for t in range(128):
            keep = goes_on[t][None, :, None]
            y, (h, c) = theirs(x[t : t + 1], (h * keep, c * keep))
            ys.append(y)
        return torch.cat(ys)

    agree(looped(), ours(x, resets=~goes_on)[0])
    a, b, spread = measure(
        lambda: looped().sum().backward(),
        lambda: ours(x, resets=~goes_on)[0].sum().backward(),
        seconds,
    )
    return Row("resets, training", "128,64,64,128", "loop over nn.LSTM", a, b, spread, 0)


def variant(cell: str, seconds: float) -> Row:
    """A variant against our own vanilla cell, training."""
    _, vanilla, x = pair(100, 32, 64, 128)
    other, d_y = LSTM(64, 128, cell=cell), torch.randn(100, 32, 128)
    a, b, spread = measure(trained(vanilla, x, d_y), trained(other, x, d_y), seconds)
    return Row(f"{cell}, training", "100,32,64,128", "our vanilla", a, b, spread, 0)


def stepped(seconds: float) -> list[Row]:
    """One step of one row: the stepper against what torch has."""
    theirs, ours, x = pair(1, 1, 64, 64)
    one = torch.nn.LSTMCell(64, 64)
    stepper, state = ours.stepper(), (torch.zeros(1, 64), torch.zeros(1, 64))
    agree(theirs(x)[0][0], stepper(x[0]))
    found = []
    for peer, call in (
        ("torch.nn.LSTM", lambda: theirs(x)),
        ("torch.nn.LSTMCell", lambda: one(x[0], state)),
    ):
        with torch.no_grad():
            a, b, spread = measure(call, stepper.step, seconds)
        found.append(Row("one step", "1,1,64,64", peer, a, b, spread, 0))
    return found


def main() -> int:
    """Measure, print a Markdown table, and write it as CSV."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each comparison")
    parser.add_argument("--out", type=Path, default=Path("runs/bench.csv"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    most = peak()
    print(f"torch {torch.__version__}, level {cpu.level()}, one thread; ", end="")
    print(f"this core's peak in float32: {most / 1e9:.0f} GFLOP/s\n")
    rows = against_torch(arguments.seconds, most)
    rows += [*stepped(arguments.seconds), ragged(arguments.seconds), rollout(arguments.seconds)]
    rows += [variant(c, arguments.seconds) for c in ("carousel", "peephole", "coupled", "linear")]
    print("| | T,B,I,H | peer | peer µs | ours µs | ± | ratio | of peak |")
    print("|---|---|---|---|---|---|---|---|")
    for r in rows:
        share = f"{r.peak:.0%}" if r.peak else ""
        print(
            f"| {r.what} | {r.size} | {r.peer} | {r.theirs:.1f} | {r.ours:.1f} "
            f"| {r.spread:.0%} | **{r.ratio:.2f}** | {share} |"
        )
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    with open(arguments.out, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*Row._fields, "ratio"])
        writer.writerows([*r, r.ratio] for r in rows)
    print(f"\n{arguments.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
