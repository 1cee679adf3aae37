"""What a recipe is: its hyperparameters as fields, and how it makes, judges and draws a model."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import torch
from torch import Tensor, nn

from unrolled.equations import CELLS
from unrolled.errors import InvalidTypeError, InvalidValueError
from unrolled.errors.expected import Expected, at_least, between, check_field, one_of, positive
from unrolled.inside.passage import Passage
from unrolled.steps.program import Native
from unrolled.training.fields import Before, beside
from unrolled.training.optimizers import optimizer_named
from unrolled.training.returned import checked
from unrolled.training.schedules import CONSTANT, NAMES, check_schedule

if TYPE_CHECKING:
    from unrolled.explorer import Explorable

__all__ = ["Batch", "CellName", "Recipe", "check", "missing"]

Batch = tuple[Tensor, ...]

CellName = Annotated[str, one_of(CELLS)]
"""An LSTM's cell by its name, as a recipe's field."""


@dataclass(frozen=True, kw_only=True)
class Recipe(ABC):
    """What is learnt, and how: a frozen dataclass whose fields are the hyperparameters.

    A recipe is a subclass with fields of its own, each of which is a flag on the command line, and
    with the methods `model`, `batch` (or `batches`), `loss` and `metrics`.  Everything else may be
    left as it is here.  What a field has to be stands beside it, as ``Annotated[int, at_least(1)]``
    (`unrolled.errors.expected`); a subclass that gives a field another default adds to what is
    expected of it, and takes nothing away.
    """

    seed: Annotated[int, between(0, 2**32 - 1)] = 0
    """Draws the weights, the batches and every dropout mask: the same seed, the same run."""
    steps: Annotated[int, at_least(0)] = 1000
    """Updates of the weights."""
    optimizer: str = "Adam"
    """Makes the updates: any class of torch.optim by name."""
    learning_rate: Annotated[float, positive] = 0.01
    """How far an update goes: what the optimiser is given as its rate."""
    schedule: Annotated[str, one_of(NAMES), Before(CONSTANT)] = CONSTANT
    """How the rate goes over the steps, as torch has it: constant; linear and cosine fall to 0;
    exponential falls to a hundredth; one-cycle rises to learning_rate, then falls; warmup rises for
    a twentieth of the steps, then stays. With more steps a run goes on as one that had them all
    along."""
    clip: Annotated[float, at_least(0)] = 1.0
    """Largest norm that the gradient may have, or it is scaled down to it; 0 is no limit."""
    steps_per_update: Annotated[int, at_least(0)] = 0
    """Time steps in one update (truncated backpropagation); 0 is the whole sequence."""
    report_every: Annotated[int, at_least(1)] = 100
    """Updates from one report to the next."""

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        checked(cls)

    def check(self) -> None:  # noqa: B027
        """Raise ValueError, in one sentence, where fields do not fit each other, or the data."""

    def published(self) -> Recipe:
        """The same recipe with the hyperparameters of the document it comes from."""
        return self

    @property
    def comparable(self) -> bool:
        """Whether what was published is of this task: other data, or another size, say no."""
        return True

    # --- learning ---

    @property
    def carry_state(self) -> bool:
        """Whether the state goes from one batch to the next."""
        return False

    @abstractmethod
    def model(self) -> nn.Module:
        """A fresh model; torch's generator is seeded with ``seed``."""

    def batch(self, step: int, generator: torch.Generator) -> Batch:
        """Tensors [T, B, …]; every random choice comes from ``generator``."""
        return tuple(tensor[0] for tensor in self.batches(step, generator))

    def batches(self, step: int, generator: torch.Generator) -> Batch:
        """Batches drawn at once, [K, T, B, …], which are taken in order; here it is one `batch`."""
        return tuple(tensor[None] for tensor in self.batch(step, generator))

    @abstractmethod
    def loss(self, model: Any, batch: Batch, state: Any) -> tuple[Tensor, Any]:
        """The loss of a batch, or of a stretch of it, and the state after it."""

    def native(self, model: Any) -> Native | str:
        """What the kernel needs to make whole updates, or why it cannot."""
        return "the recipe has no native()"

    def optimizer_options(self) -> dict[str, Any]:
        """What the optimiser's class is given beside the learning rate."""
        return {}

    def digest(self) -> str:
        """A word that tells this data from other data: a run goes on with its own alone."""
        return ""

    # --- judging ---

    @abstractmethod
    def metrics(self, model: Any) -> dict[str, float]:
        """Figures on held-out data, cheap enough for every report."""

    @property
    def chosen_by(self) -> str:
        """The figure of `metrics` whose least value tells which weights are kept; "": the last."""
        return ""

    def settle(self, model: Any, step: int) -> None:  # noqa: B027
        """Set what a model holds beside its weights, once all steps are made and these chosen.

        ``step`` is the one after which the weights were as they are now.
        """

    def kept(self, model: Any) -> Any:
        """What of its data a run holds, to be of use without it: a tree of tensors, or None."""
        return None

    def report(self, model: Any, step: int, batch: Batch) -> str:
        """Lines that are printed at a report: none on the way, and at the end the `summary`."""
        return self.summary(model) if step == self.steps else ""

    def summary(self, model: Any) -> str:
        """What is printed at the end."""
        return ""

    def result(self, model: Any) -> dict[str, Any]:
        """The final figures."""
        return dict(self.metrics(model))

    # --- showing ---

    def draw(self, model: Any, history: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Draw the pictures into ``folder``, write tables beside them, and say which they are."""
        return []

    def further(self, folder: str) -> list[str]:
        """Commands that go on from a finished run in that folder, for whoever asks what next."""
        return []

    def look(self, model: Any) -> list[Passage]:
        """What the model is looked at by (`unrolled.inside.passage`): here a batch, without words.

        Parameters
        ----------
        model
            In ``eval()``.
        """
        batch = self.batch(0, torch.Generator().manual_seed(self.seed))

        def loss() -> Tensor:
            return self.loss(model, batch, None)[0]

        return [Passage(call=loss, followed=loss)]

    def explorer(self, model: Any) -> list[Explorable]:
        """The networks that `unrolled explore` shows: here none."""
        return []

    def exported(self, model: Any) -> dict[str, nn.Module]:
        """The networks that `unrolled export` can write, by name: here the model, or each of its.

        Each reads numbers and gives numbers; what is done to them before and behind is not written.
        """
        if isinstance(model, nn.ModuleDict):
            return dict(model.items())
        return {"network": model}

    def attempt(self, model: Any, arguments: list[str]) -> str:
        """What ``unrolled try`` prints of the words after it."""
        raise InvalidValueError("this recipe answers nothing: its Recipe has no method attempt().")


def missing(recipe: type[Recipe]) -> list[str]:
    """The methods that a recipe needs and does not have."""
    found = sorted(getattr(recipe, "__abstractmethods__"))  # noqa: B009
    draws = recipe.batch is not Recipe.batch or recipe.batches is not Recipe.batches
    return found if draws else [*found, "batch"]


@functools.cache
def _expected(recipe: type[Recipe]) -> list[tuple[str, Expected]]:
    """What is expected of each field, by the recipe's class and by those that it comes from."""
    return [(name, given) for name, given in beside(recipe) if isinstance(given, Expected)]


def check(recipe: Recipe) -> None:
    """Look over each field by itself, then all of them together and the data.

    Raises
    ------
    TypeError
        If it is no `Recipe`.
    ValueError
        In one sentence: the value, what was expected, how to mend it.
    """
    if not isinstance(recipe, Recipe):
        raise InvalidTypeError(
            f"{type(recipe).__name__} is no recipe: derive it from unrolled.training.Recipe."
        )
    for name, expected in _expected(type(recipe)):
        check_field(name, getattr(recipe, name), expected)
    optimizer_named(recipe.optimizer)
    check_schedule(recipe.schedule, recipe.optimizer)
    recipe.check()
