"""Sigmoid and tanh of every float32 there is, at every level: the largest error in ulp, and where.

Fails where it is above 4.  A few minutes on two cores; `tests/test_cpu.py` takes a sample.
"""

import os
import sys
from concurrent.futures import ProcessPoolExecutor
from itertools import product

import torch

from unrolled import _native

MOST = 4.0
NAMES = ("sigmoid", "tanh")
INFINITY = 0x7F800000  # its bit pattern: all finite ones lie below it, with the sign or without
PART = 1 << 23  # one task: one exponent
CHUNK = 1 << 16  # so that all of a chunk's tensors stay in the cache

Worst = tuple[float, float]  # an error, and the input that has it


def worst_of(name: str, first: int) -> dict[str, Worst]:
    """The worst at each level among the ``PART`` bit patterns from ``first`` on."""
    torch.set_num_threads(1)
    worst = dict.fromkeys(_native.levels(), (-1.0, 0.0))
    steps, exponent = torch.arange(CHUNK, dtype=torch.int32), torch.tensor(torch.inf).double()
    y, error = torch.empty(CHUNK), torch.empty(CHUNK, dtype=torch.float64)
    for at in range(first, first + PART, CHUNK):
        x = (steps + at).view(torch.float32)
        exact = getattr(torch, name)(x.double())
        # The ulp of the exact value's own binade; below the normal numbers, the smallest there is.
        power = (exact.view(torch.int64) & exponent.view(torch.int64)).view(torch.float64)
        per_ulp = power.mul_(2.0**-23).clamp_(min=2.0**-149).reciprocal_()
        for level, (most, _) in worst.items():
            _native.use_level(level)
            getattr(_native, f"{name}_f32")(x.data_ptr(), y.data_ptr(), CHUNK)
            error.copy_(y).sub_(exact).abs_().mul_(per_ulp)
            here = float(error.max().nan_to_num(nan=torch.inf))
            if here > most:
                worst[level] = (here, float(x[error.argmax()]))
    return worst


def main() -> int:
    parts = [
        (name, sign + first)
        for name, sign, first in product(NAMES, (0, -(1 << 31)), range(0, INFINITY, PART))
    ]
    worst: dict[tuple[str, str], Worst] = {}
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(worst_of, *zip(*parts, strict=True))
        for k, ((name, _), levels) in enumerate(zip(parts, found, strict=True)):
            print(f"\r{k + 1}/{len(parts)}", end="", file=sys.stderr, flush=True)
            for level, here in levels.items():
                worst[level, name] = max(worst.get((level, name), here), here)
    print(file=sys.stderr)
    for (level, name), (error, x) in sorted(worst.items()):
        print(f"{level:9} {name:8} {error:.3f} ulp at {x!r} ({x.hex()})")
    return int(any(error > MOST for error, _ in worst.values()))


if __name__ == "__main__":
    sys.exit(main())
