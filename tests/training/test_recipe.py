"""The base class of recipes: what it gives, what it asks for, what is expected of fields."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
import torch
from torch import Tensor, nn

from unrolled import training
from unrolled.errors.expected import at_least, between, one_of, share
from unrolled.training.recipe import missing
from unrolled.training.session import Session


@dataclass(frozen=True)
class Least(training.Recipe):
    """All that a recipe must have."""

    steps: Annotated[int, between(0, 10)] = 2
    size: Annotated[int, at_least(1)] = 1
    share: Annotated[float, share] = 0.5  # a field that is called as its rule is
    way: Annotated[str, one_of(("up", "down"))] = "up"

    def model(self) -> nn.Module:
        return nn.Linear(self.size, 1)

    def batch(self, step: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        return (torch.randn(4, 2, self.size, generator=generator),)

    def loss(self, model: Any, batch: tuple[Tensor, ...], state: Any) -> tuple[Tensor, Any]:
        return model(batch[0]).square().mean(), None

    def metrics(self, model: Any) -> dict[str, float]:
        return {"bias": model.bias.item()}


@dataclass(frozen=True)
class Further(Least):
    """Another default, and a rule more."""

    steps: int = 3
    size: Annotated[int, between(0, 4)] = 2


def test_what_is_left_out_is_there(tmp_path: Path) -> None:
    *_, last = training.train(Least(), tmp_path)
    recipe, model = Least(), last.model
    assert last.report == recipe.summary(model) == ""
    assert recipe.result(model) == recipe.metrics(model) == last.metrics
    assert recipe.draw(model, [], tmp_path) == recipe.explorer(model) == []
    assert recipe.published() is recipe
    assert Session(recipe).why_plain == "the recipe has no native()"
    (passage,) = recipe.look(model)
    assert passage.followed is not None
    assert torch.equal(passage.followed(), passage.followed())
    with pytest.raises(ValueError, match="has no method attempt"):
        recipe.attempt(model, [])


def test_batch_and_batches_are_each_made_of_the_other() -> None:
    @dataclass(frozen=True)
    class Many(Least):
        def batch(self, step: int, generator: torch.Generator) -> tuple[Tensor, ...]:
            return training.Recipe.batch(self, step, generator)

        def batches(self, step: int, generator: torch.Generator) -> tuple[Tensor, ...]:
            return (torch.arange(12.0).view(3, 4, 1, 1) + step,)

    (one,) = Least().batches(0, torch.Generator().manual_seed(1))
    assert torch.equal(one[0], Least().batch(0, torch.Generator().manual_seed(1))[0])
    (first,) = Many().batch(5, torch.Generator())
    assert first.flatten().tolist() == [5, 6, 7, 8]


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (Least(size=0), "size = 0 makes no sense: expected 1 or more"),
        (Least(share=1.0), "share = 1.0 makes no sense"),
        (Least(way="dwn"), "way = 'dwn' .* did you mean 'down'"),
        (Least(steps=11), "steps = 11 .* expected 0 to 10"),
        (Least(steps=-1), "steps = -1 .* expected 0 or more"),  # the base class's rule
        (Further(steps=11), "steps = 11 .* expected 0 to 10"),  # kept beside another default
        (Further(size=0), "size = 0 .* expected 1 or more"),  # kept beside another rule
        (Further(size=5), "size = 5 .* expected 0 to 4"),
        (Further(seed=-1), "seed = -1 .* expected 0 to 4294967295"),
    ],
)
def test_what_is_expected_is_inherited_and_added_to(recipe: Least, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        training.check(recipe)
    training.check(dataclasses.replace(recipe, size=2, share=0.5, way="up", steps=1, seed=0))


def test_the_common_fields_come_first() -> None:
    names = [field.name for field in dataclasses.fields(Further)]
    assert names[:2] == ["seed", "steps"]
    assert names[8:] == ["size", "share", "way"]


def test_what_is_missing_is_named() -> None:
    @dataclass(frozen=True)
    class Half(training.Recipe):
        def batches(self, step: int, generator: torch.Generator) -> tuple[Tensor, ...]:
            return ()

    assert missing(Least) == []
    assert missing(Half) == ["loss", "metrics", "model"]
    assert missing(training.Recipe) == ["loss", "metrics", "model", "batch"]


def test_what_is_no_recipe_is_told() -> None:
    with pytest.raises(TypeError, match=r"object is no recipe: derive it from unrolled\.training"):
        training.train(object())  # type: ignore[arg-type]
