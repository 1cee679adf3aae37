"""The cells, masks and inputs that the tests run over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product

import torch
from torch import Tensor

from unrolled import _native
from unrolled.engines import Forward, Gradients, Inputs
from unrolled.engines.masks import StateMasks, row_masks, until
from unrolled.equations import Cell

CELLS = [
    Cell(forget, peephole, output)
    for forget, peephole, output in product(
        ("learned", "one", "coupled"), (False, True), ("tanh", "identity")
    )
]
MASKS = (
    "none",
    "lengths",
    "resets",
    "restarts",
    "missing",
    "zoneout",
    "recurrent dropout",
    "update dropout",
    "all",
)
DTYPES = (torch.float64, torch.float32, torch.bfloat16)


def name_of(value: object) -> str:
    """A short name for a test's parameter."""
    if isinstance(value, Cell):
        parts = [value.forget, "peephole" if value.peephole else "", value.output]
        return "-".join(p for p in parts if p)
    return str(value).removeprefix("torch.").replace(" ", "-")


def normal(g: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=g, dtype=torch.float64)


def make_inputs(
    cell: Cell,
    T: int,
    B: int,
    I: int,
    H: int,
    P: int = 0,
    *,
    bias: bool = True,
    dtype: torch.dtype = torch.float64,
    seed: int = 0,
    size: float = 1.0,
) -> Inputs:
    """Random inputs that all want a gradient; at ``size`` 1, weights that keep the gates awake."""
    g = torch.Generator().manual_seed(seed)
    rows, out = len(cell.gates) * H, P or H
    tensors = [
        normal(g, T, B, I),
        normal(g, B, out),
        normal(g, B, H),
        normal(g, rows, I) * (size / I**0.5),
        normal(g, rows, out) * (size / out**0.5),
        normal(g, rows) if bias else None,
        normal(g, rows) if bias else None,
        normal(g, len(cell.peepholes), H) * size if cell.peephole else None,
        normal(g, P, H) / H**0.5 if P else None,
    ]
    return Inputs(*(None if t is None else t.to(dtype).requires_grad_() for t in tensors))


def make_masks(
    name: str, T: int, B: int, H: int, P: int = 0, dtype: torch.dtype = torch.float64
) -> StateMasks:
    """The masks of that name; every one of them does something where T and B allow it."""
    g = torch.Generator().manual_seed(1)

    def flags(p: float) -> Tensor:
        return torch.rand(T, B, generator=g) < p

    def kept(*shape: int) -> Tensor:
        return (torch.rand(*shape, generator=g) < 0.7).to(dtype)

    every = name == "all"
    lengths = torch.linspace(0, T, B).round().long() if B > 1 else torch.tensor([(T + 1) // 2])
    inside = until(lengths, T) if every or name == "lengths" else None
    present = flags(0.7) if every or name == "missing" else None
    resets = flags(0.3) if every or name in ("resets", "restarts") else None
    rows = row_masks(inside, present, resets, to_start=every or name == "restarts")
    return StateMasks(
        rows.carry,
        rows.live,
        kept(B, P or H) / 0.7 if every or name == "recurrent dropout" else None,
        kept(T, B, H) / 0.7 if every or name == "update dropout" else None,
        kept(T, B, P or H) if every or name == "zoneout" else None,
        kept(T, B, H) if every or name == "zoneout" else None,
        rows.to_start,
    )


def make_gradients(out: Forward, seed: int = 2) -> Gradients:
    """Something to send back through every output, gates and cell states included."""
    g = torch.Generator().manual_seed(seed)
    return Gradients(*(None if t is None else normal(g, *t.shape).to(t.dtype) for t in out))


@contextmanager
def native_level(name: str) -> Iterator[None]:
    """The native engine at another level of instruction sets; its own where ``name`` is empty."""
    before = _native.level()
    _native.use_level(name or before)
    yield
    _native.use_level(before)


def error(found: Tensor, exact: Tensor) -> float:
    """The largest difference, relative to the largest entry."""
    assert found.shape == exact.shape
    if not exact.numel():
        return 0.0
    found, exact = found.detach().double(), exact.detach().double()
    return float((found - exact).abs().max()) / max(float(exact.abs().max()), 1e-30)
