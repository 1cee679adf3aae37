"""A real hand-written pass, `examples/my_lstm.py`, with some of its source replaced."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from unrolled.faults import Fault

__all__ = ["EXAMPLES", "SOURCE", "keys", "write"]

EXAMPLES = Path(__file__).parents[1] / "examples"
SOURCE = (EXAMPLES / "my_lstm.py").read_text(encoding="utf-8")
TO_TORCH = (
    ("import numpy as np\n", 'import torch\nLIBRARY = "torch"\n'),
    ("np.zeros((x.shape[1], H))", "torch.zeros(x.shape[1], H, dtype=x.dtype)"),
    ("np.split", "torch.chunk"),
    ("4, axis=1", "4, 1"),
    ("np.concatenate", "torch.cat"),
    ("np.", "torch."),
)


def write(folder: Path, *changes: tuple[str, str], torch_too: bool = False) -> Path:
    """The example with some of its source replaced, in NumPy or in torch."""
    source = SOURCE
    for old, new in changes:
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    if torch_too:
        for old, new in TO_TORCH:
            source = source.replace(old, new)
    path = folder / "mine.py"
    path.write_text(source, encoding="utf-8")
    return path


def keys(sets: Sequence[Sequence[Fault]]) -> list[set[str]]:
    return [{wrong.key for wrong in found} for found in sets]
