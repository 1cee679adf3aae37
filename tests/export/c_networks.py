"""Random networks for the C file, and the stepper's own numbers for them."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from c_compilers import Loaded, compiled
from cases import CELLS, name_of
from unrolled import LSTM, Network
from unrolled.engines import cpu
from unrolled.equations import Cell
from unrolled.export import to_c

__all__ = [
    "Case",
    "cases",
    "differ",
    "engine_fuses",
    "inputs",
    "loaded",
    "random_lstm",
    "stepped",
]

BITS = ("-O3", "-march=native", "-ffp-contract=off")
SHARED = ("-shared", "-fPIC")
Floats = npt.NDArray[np.float32]

# I, H, layers, bias, outputs of the head or 0: tiles of one width and of two, tails, one unit.
SHAPES = (
    (1, 8, 1, True, 1),
    (3, 17, 2, False, 0),
    (2, 5, 3, True, 4),
    (7, 32, 1, True, 0),
    (1, 40, 2, False, 70),
    (1, 1, 1, True, 1),
    (9, 33, 1, True, 9),
    (4, 13, 3, False, 2),
    (17, 2, 2, True, 0),
    (1, 20, 1, True, 1),
    (5, 24, 2, True, 3),
    (2, 48, 1, False, 0),
)


class Case(NamedTuple):
    """A network, and the C file that was made of it."""

    name: str
    lstm: LSTM
    head: nn.Linear | None
    source: Path

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Of x, of y, and of the state."""
        lstm = self.lstm
        outputs = self.head.out_features if self.head is not None else lstm.hidden_size
        return lstm.input_size, outputs, 2 * lstm.num_layers * lstm.hidden_size


def random_lstm(
    cell: Cell, inputs: int, units: int, layers: int, bias: bool, *, seed: int, zoneout: float = 0
) -> LSTM:
    """Weights of the size at which gates are anywhere and nothing grows for ever."""
    torch.manual_seed(seed)
    lstm = LSTM(inputs, units, layers, bias=bias, cell=cell, zoneout=zoneout)
    with torch.no_grad():
        for weight in lstm.parameters():
            weight.normal_().mul_(2 / (units + inputs) ** 0.5)
    return lstm


def cases(folder: Path) -> list[Case]:
    """One for each cell."""
    found = []
    for n, (cell, shape) in enumerate(zip(CELLS, SHAPES, strict=True)):
        name = f"net_{name_of(cell).replace('-', '_')}"
        lstm = random_lstm(cell, *shape[:4], seed=n)
        head = nn.Linear(shape[1], shape[4], bias=shape[3]) if shape[4] else None
        source, _ = to_c(Network(lstm, head), folder / f"{name}.c")
        found.append(Case(name, lstm, head, source))
    return found


def stepped(lstm: LSTM, x: Tensor) -> tuple[Floats, Floats]:
    """The stepper's y [T, H], and its last h and c [2, L, H]."""
    stepper = lstm.stepper()
    y = torch.empty(len(x), lstm.hidden_size)
    for row, value in zip(y, x, strict=True):
        stepper.x[0] = value
        stepper.step()
        row.copy_(stepper.y[0])
    return y.numpy(), torch.stack([stepper.h[:, 0], stepper.c[:, 0]]).numpy()


def loaded(case: Case, compiler: str, flags: tuple[str, ...] = BITS) -> Loaded:
    library = case.source.with_suffix(f".{compiler}.{len(flags)}.so")
    return Loaded(
        compiled(compiler, library, [case.source], [*flags, *SHARED]), case.name, case.sizes
    )


def inputs(case: Case, steps: int) -> Tensor:
    return torch.randn(steps, case.sizes[0], generator=torch.Generator().manual_seed(1))


def differ(a: Floats, b: Floats) -> bool:
    """Whether a bit is not the same."""
    return a.tobytes() != b.tobytes()


def engine_fuses() -> bool:
    """Whether the native engine is there and its level has fused multiply-add."""
    arm = platform.machine().lower() in ("arm64", "aarch64")
    return cpu.built() and (arm or cpu.level() in ("v3", "v4"))
