"""What the gates of a recipe's first layer do, as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unrolled.layer.lstm import LSTM
from unrolled.pictures import plots

__all__ = ["draw_gates"]


@torch.no_grad()
def draw_gates(lstm: LSTM, x: Tensor, path: Path, **words: Any) -> Path:
    """Draw the gates as the LSTM reads x [T, 1, I]; ``words`` are those of `plots.gates`."""
    gates = lstm.trace(x)["l0"]
    return plots.gates(
        {name: values[:, 0] for name, values in gates._asdict().items()}, path, **words
    )
