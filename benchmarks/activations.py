"""Sigmoid and tanh of every float32 there is, at every level: the largest error in ulp.

Takes some minutes.  `tests/test_cpu.py` takes a sample.
"""

import torch

from unrolled import _native

torch.set_num_threads(1)
CHUNK = 1 << 24


def largest_error(name: str) -> float:
    """Over all finite bit patterns, against float64."""
    worst = 0.0
    for first in range(-(1 << 31), 1 << 31, CHUNK):
        x = torch.arange(first, first + CHUNK, dtype=torch.int64).to(torch.int32)
        x = x.view(torch.float32)
        x = x[x.isfinite()]
        y = torch.empty_like(x)
        getattr(_native, f"{name}_f32")(x.data_ptr(), y.data_ptr(), x.numel())
        exact = getattr(torch, name)(x.double())
        rounded = exact.float().abs()
        unit = torch.nextafter(rounded, torch.full_like(rounded, torch.inf)).double() - rounded
        if x.numel():
            worst = max(worst, float(((y.double() - exact).abs() / unit).max()))
    return worst


for level in _native.levels():
    _native.use_level(level)
    for name in ("sigmoid", "tanh"):
        print(f"{level:9} {name:8} {largest_error(name):.2f} ulp", flush=True)
