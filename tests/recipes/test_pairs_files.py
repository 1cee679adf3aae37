"""Files of pairs as other programs write them."""

from __future__ import annotations

import csv
import random
from pathlib import Path

from unrolled.recipes.pairs import Recipe


def test_any_tsv_that_others_write_is_read(tmp_path: Path) -> None:
    """What Python's own csv module writes, with the line ends of Windows."""
    path = tmp_path / "written.tsv"
    pairs = [(f"q {n}", str(random.Random(n).random())) for n in range(9)]
    with open(path, "w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file, delimiter="\t").writerows(pairs)
    parts = Recipe(data=path, hidden=8, embedding=4, batch_size=10).parts
    assert sorted(parts.training + parts.held_out) == pairs
