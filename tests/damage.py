"""Flip bits in the files of a run, and see whether a reader is told: `python tests/damage.py 500`.

A flip may be refused in one sentence that names the file, or change nothing of what a reader gets.
"""

from __future__ import annotations

import dataclasses
import random
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import torch

from echo import Small
from processes import one_sentence
from unrolled.training import checkpoint, runs, train
from unrolled.training.runs import RunError

__all__ = ["RECIPE", "Flip", "campaign", "everything", "flipped"]

RECIPE = Small(steps=4, report_every=2, optimizer="Adam", learning_rate=0.01)


class Flip(NamedTuple):
    """One bit of one file, and what came of it: the sentence, or "" where nothing was said."""

    name: str
    bit: int
    said: str
    same: bool


def campaign(folder: Path, count: int, seed: int = 0, names: tuple[str, ...] = ()) -> list[Flip]:
    """Flip ``count`` bits, one in each copy of a finished run of `RECIPE`, and read it.

    Parameters
    ----------
    names
        The files that are hit; none: all of a run's, each as often as it is long.
    """
    chosen = [folder / name for name in names or runs.FILES]
    sizes = [path.stat().st_size * 8 for path in chosen]
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as place:
        right = everything(Path(shutil.copytree(folder, Path(place) / "right")))
        found = []
        for k in range(count):
            (path,) = draw.choices(chosen, weights=sizes)
            bit = draw.randrange(path.stat().st_size * 8)
            found.append(_tried(folder, Path(place) / str(k), path.name, bit, right))
    return found


def _tried(folder: Path, copy: Path, name: str, bit: int, right: str) -> Flip:
    shutil.copytree(folder, copy)
    flipped(copy / name, bit)
    try:
        same = everything(copy) == right
    except RunError as error:
        return Flip(name, bit, one_sentence(error), False)
    finally:
        shutil.rmtree(copy)
    return Flip(name, bit, "", same)


def everything(folder: Path) -> str:
    """What a reader gets to know of a run, and what going on with it makes."""
    found: list[Any] = [runs.read_config(folder), runs.read_metrics(folder)]
    found += [runs.read_result(folder), _listed(checkpoint.read_weights(folder / runs.WEIGHTS))]
    last = list(train(dataclasses.replace(RECIPE, steps=6), folder, True))[-1]
    return repr([*found, last.step, last.losses, _listed(dict(last.model.state_dict()))])


def _listed(weights: dict[str, torch.Tensor]) -> list[Any]:
    return [(name, t.dtype, t.tolist()) for name, t in weights.items()]


def flipped(path: Path, bit: int) -> None:
    """Flip one bit of a file."""
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << (bit % 8)
    path.write_bytes(data)


def main() -> None:
    """Train, flip as many bits as were asked for, and say what was silent."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "run"
        list(train(RECIPE, folder))
        found = campaign(folder, count, seed)
    silent = [(flip.name, flip.bit) for flip in found if not flip.said and not flip.same]
    unnamed = [flip for flip in found if flip.said and flip.name not in flip.said]
    told = sum(bool(flip.said) for flip in found)
    print(f"{count} flips: {told} told, {len(silent)} silent {silent}, unnamed {unnamed}")
    sys.exit(bool(silent or unnamed))


if __name__ == "__main__":
    main()
