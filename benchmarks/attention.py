"""Copy strings of 20 to 40 letters, with attention and without: what `--attention` is for.

Run as ``python benchmarks/attention.py [UPDATES]``; it takes some minutes on one thread.  The
strings are of 8 letters, drawn at random, and nothing can be told from a part of one: all of it has
to pass through the state of 64 units, unless the decoder may look back.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from pathlib import Path

import torch

from unrolled import training
from unrolled.recipes.pairs import Recipe


def write(path: Path, pairs: int = 5000) -> None:
    """Write pairs of a string and itself."""
    draw = random.Random(0)
    texts = ("".join(draw.choices("abcdefgh", k=draw.randint(20, 40))) for _ in range(pairs))
    path.write_text("".join(f"{text}\t{text}\n" for text in texts), encoding="utf-8")


def main(updates: int) -> None:
    """Train both, and print what is right to the last letter."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "copy.tsv"
        write(data)
        for attention in (False, True):
            for seed in (0, 1):
                recipe = Recipe(
                    data=data,
                    attention=attention,
                    seed=seed,
                    steps=updates,
                    report_every=max(1, updates // 3),
                    hidden=64,
                    batch_size=32,
                    reverse=False,
                    test_share=0.04,
                    header="no",
                )
                begun = time.perf_counter()
                for step in training.train(recipe):
                    if step.metrics:
                        print(attention, seed, step.step, step.metrics, flush=True)
                print(f"  {time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 900)
