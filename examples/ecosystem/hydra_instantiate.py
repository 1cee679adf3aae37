"""Hydra: a layer and a recipe out of a configuration, with overrides as on a command line.

python examples/ecosystem/hydra_instantiate.py layer.cell=peephole recipe.steps=40
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from unrolled import LSTM
from unrolled.training import Recipe, train


def made(overrides: Sequence[str]) -> tuple[LSTM, Recipe]:
    """What config.yaml says, but for the overrides."""
    with initialize_config_dir(str(Path(__file__).parent.resolve()), version_base=None):
        config = compose("config", overrides=list(overrides))
    return instantiate(config.layer), instantiate(config.recipe)


def main(overrides: Sequence[str] = ("layer.cell=peephole", "recipe.steps=40")) -> tuple[LSTM, int]:
    layer, recipe = made(overrides)
    print(layer)
    *_, last = train(recipe)
    print(f"{type(recipe).__module__}: step {last.step}, loss {last.loss:.3f}")
    return layer, last.step


if __name__ == "__main__":
    main(sys.argv[1:])
