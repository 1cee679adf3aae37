"""Sixty-four configurations drawn: ONNX Runtime gives the layer's numbers, at sizes of any kind."""

from __future__ import annotations

import os
import random
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from ecosystem_needs import needed
from exported import example, hold, nodes, ran
from unrolled import LSTM, Cell
from unrolled.export import to_onnx

# Each takes seconds: an eighth of them, or with UNROLLED_EVERY_CONFIGURATION=1 all.
EVERY = os.environ.get("UNROLLED_EVERY_CONFIGURATION") == "1"
GROUPS = range(0, 64, 4 if EVERY else 32)

for name in ("onnx", "onnxscript", "onnxruntime"):
    needed(name)


def configuration(k: int) -> dict[str, Any]:
    """The k-th of 64: each cell in turn, all else drawn."""
    draw = random.Random(1997 + k)
    cells = list(product(("learned", "one", "coupled"), (False, True), ("tanh", "identity")))
    hidden = draw.randint(2, 5)
    return {
        "cell": Cell(*cells[k % len(cells)]),
        "input_size": draw.randint(1, 4),
        "hidden_size": hidden,
        "num_layers": draw.choice((1, 1, 1, 2)),
        "bidirectional": draw.random() < 0.25,
        "bias": draw.random() < 0.7,
        "batch_first": draw.random() < 0.4,
        "proj_size": hidden - 1 if draw.random() < 0.2 else 0,
        "zoneout": draw.choice((0.0, 0.0, 0.0, 0.2, (0.1, 0.3))),
    }


class Member(nn.Module):
    """One configuration: an LSTM, and a head on some."""

    def __init__(self, k: int) -> None:
        super().__init__()
        torch.manual_seed(k)
        self.lstm = LSTM(**configuration(k))
        width = (self.lstm.proj_size or self.lstm.hidden_size) * (1 + self.lstm.bidirectional)
        self.head = nn.Linear(width, 2) if k % 2 else nn.Identity()

    def forward(self, given: dict[str, Any]) -> Any:
        y, state = self.lstm(given["input"], given["hx"], lengths=given.get("lengths"))
        return self.head(y), state


class Together(nn.Module):
    """Some configurations as one module: an export takes seconds, whatever is in it."""

    def __init__(self, members: range) -> None:
        super().__init__()
        self.members = nn.ModuleList(map(Member, members))

    def examples(self, steps: int, rows: int) -> list[dict[str, Any]]:
        pairs = enumerate(self.members)
        return [example(one.lstm, steps, rows, k % 4 > 1) for k, one in pairs]  # type: ignore[arg-type]

    def shapes(self) -> list[dict[str, Any]]:
        time, batch = torch.export.Dim("time"), torch.export.Dim("batch")
        found = []
        for k, one in enumerate(self.members):
            turned = one.lstm.batch_first  # type: ignore[union-attr]
            first = {0: batch, 1: time} if turned else {0: time, 1: batch}
            own: dict[str, Any] = {"input": first, "hx": ({1: batch}, {1: batch})}
            found.append(own | ({"lengths": {0: batch}} if k % 4 > 1 else {}))
        return found

    def forward(self, cases: list[dict[str, Any]]) -> list[Any]:
        return [one(case) for one, case in zip(self.members, cases, strict=True)]


@pytest.mark.parametrize("first", GROUPS)
def test_random_configurations(first: int, tmp_path: Path) -> None:
    module = Together(range(first, first + 4)).eval()
    given, shapes = (module.examples(5, 2),), {"cases": module.shapes()}
    path = to_onnx(module, given, tmp_path / "all.onnx", dynamic_shapes=shapes)
    for steps, rows in ((9, 3), (1, 1)):
        torch.manual_seed(steps)
        cases = module.examples(steps, rows)
        hold(ran(path, cases), module(cases))
    known = 0
    for one in module.members:
        lstm: Any = one.lstm  # type: ignore[union-attr]
        cell = lstm.cell.forget != "one" and lstm.cell.output == "tanh"
        plain = not lstm.proj_size and not lstm.noise.zoneout_h and not lstm.noise.zoneout_c
        known += lstm.num_layers if cell and plain else 0
    assert nodes(path).count("LSTM") == known
