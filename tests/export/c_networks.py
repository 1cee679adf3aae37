"""Random networks for the C file, and the stepper's own numbers for them."""

from __future__ import annotations

import platform
import re
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
    "as_this_engine",
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


# --- what the engine's compiler made of a * b + c ---

# Of E1, E2 and E4 the compiler of the engine chooses which product is rounded: the file has one
# way, and these are the others.
_PEEPHOLES = (r"NET\w*_FMA\((p\[[^]]*\]), c_in, (a\[[^]]*\])\)", r"(\1 * c_in + \2)")
_CELL = (
    (r"(NET\w*_FMA)\(f, c_in, i \* g\)", r"\1(i, g, f * c_in)"),
    (r"NET\w*_FMA\(i, g, c_in\)", r"i * g + c_in"),
)
WAYS = ((), (_PEEPHOLES,), _CELL, (_PEEPHOLES, *_CELL))
PLAIN = ("learned", "coupled")  # of these, without peepholes and zoneout, compilers agree


def engine_fuses() -> bool:
    """Whether the native engine is there and its level has fused multiply-add."""
    arm = platform.machine().lower() in ("arm64", "aarch64")
    return cpu.built() and (arm or cpu.level() in ("v3", "v4"))


def rounded_otherwise(source: Path, way: tuple[tuple[str, str], ...]) -> Path:
    """A copy of a C file in which some sums of E1, E2 and E4 are rounded another way."""
    text = source.read_text(encoding="utf-8")
    for pattern, other in way:
        text = re.sub(pattern, other, text)
    copy = source.with_name(f"{source.stem}_way{WAYS.index(way)}.c")
    copy.write_text(text, encoding="utf-8")
    return copy


def as_this_engine(case: Case) -> Case:
    """The file whose sums are rounded as this engine's compiler has them; itself if none is."""
    lstm = case.lstm
    if lstm.cell.forget in PLAIN and not lstm.cell.peephole and not lstm.noise.zoneout_h:
        return case
    x = inputs(case, 40)
    _, state = stepped(case.lstm, x)
    for way in WAYS:
        other = case._replace(source=rounded_otherwise(case.source, way))
        c = loaded(other, "gcc", ("-O1", *BITS[1:]))
        c.run(x.numpy())
        if not differ(c.state, state):
            return other
    return case
