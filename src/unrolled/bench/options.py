"""What `unrolled bench` may be asked for, and the sentence where that makes no sense."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from unrolled.bench.timing import BenchError
from unrolled.files.whole import check_place

__all__ = [
    "NUMBERS",
    "PICTURE",
    "SECTIONS",
    "TABLE",
    "USUAL",
    "BenchOptions",
    "Size",
    "memory",
    "options_from",
]

TABLE, NUMBERS, PICTURE = "bench.md", "bench.csv", "bench.png"

SECTIONS = {
    "inference": "forward, against torch.nn.LSTM",
    "training": "forward and backward with the gradient of x, against torch.nn.LSTM",
    "variants": "other cells, against loops over time and torchrecurrent",
    "lengths": "ragged rows, against PackedSequence",
    "resets": "new episodes inside a row, against loops over time",
    "stream": "one step at a time, against torch, NumPy and ONNX Runtime",
    "masks": "every cell with every mask, against our vanilla cell without any",
    "steps": "whole training steps, forward to update, against nn.LSTM with torch.optim.SGD",
    "trace": "all gates at every step, against the forward pass of training",
    "threads": "two threads, against one and against two of torch.nn.LSTM",
    "grid": "80 sizes, inference and training, against torch.nn.LSTM",
}
USUAL = tuple(name for name in SECTIONS if name not in ("threads", "grid"))
EPILOG = """Without --only and --grid: all but threads and grid.
A ratio is the other's time over ours: above 1, we are faster."""
# With more threads than this, OpenMP ends the process without a word.
MOST_THREADS = 1024


class Size(NamedTuple):
    """Steps, rows, input size, hidden size."""

    T: int
    B: int
    I: int
    H: int

    def __str__(self) -> str:
        return ",".join(map(str, self))

    @property
    def bytes(self) -> int:
        """Roughly what the training of two layers needs at this size, in float32."""
        sequences = self.T * self.B * (3 * self.I + 10 * self.H)
        return 2 * 4 * (sequences + 4 * 4 * self.H * (self.I + self.H))


@dataclass(frozen=True)
class BenchOptions:
    """What was asked for.

    Parameters
    ----------
    sections : tuple of str
        Names in `SECTIONS`.
    sizes : tuple of Size
        Instead of each section's own; empty: those.
    seconds : float
        For each contest.
    threads : int
    out : Path
        The folder for the table, the CSV file and the picture.
    compile : bool
        Whether torch.compile of the loops takes part.
    """

    sections: tuple[str, ...] = USUAL
    sizes: tuple[Size, ...] = ()
    seconds: float = 1.0
    threads: int = 1
    out: Path = Path("runs/bench")
    compile: bool = False


def memory() -> int:
    """The bytes of memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def options_from(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> BenchOptions:
    """Add the flags to ``parser`` and read them.

    Raises
    ------
    BenchError
        For a value that makes no sense.
    """
    usual = BenchOptions()
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    sections = "\n".join(f"  {name:<10} {what}" for name, what in SECTIONS.items())
    parser.epilog = f"sections:\n{sections}\n\n{EPILOG}"
    parser.add_argument(
        "--only",
        metavar="SECTION",
        nargs="+",
        choices=[*SECTIONS],
        help="these sections alone; see below",
    )
    parser.add_argument("--grid", action="store_true", help="the section grid: 80 sizes")
    parser.add_argument(
        "--sizes", metavar="T,B,I,H", nargs="+", help="these sizes instead of each section's own"
    )
    parser.add_argument(
        "--seconds",
        metavar="S",
        type=float,
        default=usual.seconds,
        help="seconds for each contest (1)",
    )
    parser.add_argument(
        "--threads",
        metavar="N",
        type=int,
        default=usual.threads,
        help="threads for all who take part (1)",
    )
    parser.add_argument(
        "--compile",
        action="store_true",
        help="time torch.compile of the loops too; to compile one takes minutes",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        default=usual.out,
        help=f"the folder for the table, the figures and the picture ({usual.out})",
    )
    found = parser.parse_args(arguments)
    if not (math.isfinite(found.seconds) and found.seconds > 0):
        raise BenchError(f"--seconds {found.seconds} makes no sense: expected a number above 0.")
    if not 1 <= found.threads <= MOST_THREADS:
        raise BenchError(f"--threads {found.threads} makes no sense: expected 1 to {MOST_THREADS}.")
    check_place(found.out, folder=True, files=(TABLE, NUMBERS, PICTURE))
    asked = [*(found.only or ()), *(["grid"] if found.grid else [])]
    return BenchOptions(
        tuple(name for name in SECTIONS if name in (asked or USUAL)),
        tuple(_size(word) for word in found.sizes or ()),
        found.seconds,
        found.threads,
        found.out,
        found.compile,
    )


def _size(word: str) -> Size:
    numbers = word.split(",")
    if len(numbers) != 4 or not all(n.isdecimal() and int(n) > 0 for n in numbers):
        raise BenchError(
            f"--sizes {word} is not a size: expected T,B,I,H, four whole numbers from 1 on, "
            "such as 100,32,64,128."
        )
    size = Size(*map(int, numbers))
    if size.bytes > (there := memory()):
        raise BenchError(
            f"--sizes {word} is too large: it needs some {size.bytes / 1e9:,.0f} GB and this "
            f"machine has {there / 1e9:,.0f}; make one of the four smaller."
        )
    return size
