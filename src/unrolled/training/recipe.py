"""What a recipe is: its hyperparameters as fields, and how it makes, judges and draws a model."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from unrolled.training.optimizers import optimizer_named

__all__ = ["Batch", "Recipe", "check"]

Batch = tuple[Tensor, ...]


class Recipe(Protocol):
    """What `train` asks of a recipe: a frozen dataclass whose fields are the hyperparameters.

    It may also have ``carry_state = True`` (the state goes from one batch to the next), a method
    ``optimizer_options()`` (a dictionary of what the optimiser's class takes beside the rate),
    ``comparable = False`` (what was published is of something else, other data say), a method
    ``digest()`` (a word for the data, that a run may not go on with other data), a method
    ``look(model)`` (what to look at the model by: see `unrolled.inside.passage`), a method
    ``batches(step, generator)`` (many batches drawn at once, tensors [K, T, B, …], from which they
    are taken in order; ``batch`` is then not asked), and a method ``native(model)`` (an
    `unrolled.steps.program.Native` by which the kernel makes whole updates, or why there is none).
    """

    @property
    def seed(self) -> int:
        """Seeds the weights, the batches and every dropout mask."""

    @property
    def steps(self) -> int:
        """How many updates."""

    @property
    def optimizer(self) -> str:
        """The name of a class in `torch.optim`."""

    @property
    def learning_rate(self) -> float:
        """What the optimiser is given as ``lr``."""

    @property
    def clip(self) -> float:
        """The largest norm that the gradient may have; 0: any."""

    @property
    def steps_per_update(self) -> int:
        """Truncated backpropagation: time steps in one update; 0: the whole sequence."""

    @property
    def report_every(self) -> int:
        """Updates from one report to the next."""

    def check(self) -> None:
        """Raise ValueError, in one sentence, where a field makes no sense."""

    def published(self) -> Any:
        """The same recipe with the hyperparameters of the document it comes from."""

    def model(self) -> nn.Module:
        """A fresh model; torch's generator is seeded with ``seed``."""

    def batch(self, step: int, generator: torch.Generator) -> Batch:
        """Tensors [T, B, …]; every random choice comes from ``generator``."""

    def loss(self, model: Any, batch: Batch, state: Any) -> tuple[Tensor, Any]:
        """The loss of a batch, or of a stretch of it, and the state after it."""

    def metrics(self, model: Any) -> dict[str, float]:
        """Figures on held-out data, cheap enough for every report."""

    def report(self, model: Any, step: int, batch: Batch) -> str:
        """The lines that the document prints; empty where it prints none."""

    def result(self, model: Any) -> dict[str, Any]:
        """The final figures."""

    def draw(self, model: Any, history: list[dict[str, Any]], folder: Path) -> list[Path]:
        """The pictures."""

    def attempt(self, model: Any, arguments: list[str]) -> str:
        """What ``unrolled try`` prints."""


def check(recipe: Recipe) -> None:
    """Look over the fields that every recipe has, and then those of its own.

    Raises
    ------
    ValueError
        In one sentence: the value, what was expected, how to mend it.
    """
    expected: dict[str, tuple[bool, str]] = {
        "seed": (0 <= recipe.seed < 2**32, "a whole number from 0 to 4294967295"),
        "steps": (recipe.steps >= 0, "0 or more"),
        "learning_rate": (0 < recipe.learning_rate < math.inf, "a number above 0, such as 0.01"),
        "clip": (0 <= recipe.clip < math.inf, "0 (no clipping) or a norm above 0, such as 1"),
        "steps_per_update": (recipe.steps_per_update >= 0, "0 (the whole sequence) or more"),
        "report_every": (recipe.report_every >= 1, "1 or more"),
    }
    for name, (right, what) in expected.items():
        if not right:
            raise ValueError(f"{name} = {getattr(recipe, name)!r} makes no sense: expected {what}.")
    optimizer_named(recipe.optimizer)
    recipe.check()
