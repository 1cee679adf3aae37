"""TensorBoard, fed from the steps of `unrolled.training.train`.

python examples/ecosystem/tensorboard_training.py runs/board
tensorboard --logdir runs/board
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from unrolled.recipes.adder import Recipe
from unrolled.training import train


def logged(folder: Path, steps: int = 60) -> int:
    """Train the adder; the loss of every update, and the recipe's own metrics where it reports."""
    updates = 0
    with SummaryWriter(folder) as writer:
        for step in train(Recipe(steps=steps)):
            first = step.step - len(step.losses) + 1
            for number, loss in enumerate(step.losses, first):
                writer.add_scalar("loss", loss, number)
                updates += 1
            for name, value in step.metrics.items():
                writer.add_scalar(f"metrics/{name}", value, step.step)
    return updates


def main(folder: str | None = None) -> int:
    with tempfile.TemporaryDirectory() as own:
        updates = logged(Path(folder or own))
    print(f"the losses of {updates} updates, written to {folder or 'a folder that is gone again'}")
    return updates


if __name__ == "__main__":
    main(*sys.argv[1:2])
