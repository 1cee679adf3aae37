"""What a recipe's methods return is held to what they have to, and the method is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from any_recipe import FILE
from processes import one_sentence
from unrolled import recipes, training
from unrolled.recipes.adder import Recipe as Adder

WRONG = {
    "model": ("return nn.Linear(1, 1)", "pass", "returned None: expected an nn.Module"),
    "batch": ("return (torch.randn(4", "return [3] or (torch.randn(4", r"a tuple of tensors"),
    "loss": (".mean(), None", ".mean()", r"a tensor of the shape \[\]: expected a tensor of one"),
    "loss of many": (".mean(), None", ", None", "expected a tensor of one number"),
    "metrics": ("model.bias.item()", "'high'", "expected a dictionary of numbers by their names"),
    "result": ("[1:]", "[1:]\n    def result(self, model): return 3", "expected a dictionary"),
    "draw": ("[1:]", "[1:]\n    def draw(self, *_): return 'a.png'", "expected a list of paths"),
    "report": ("[1:]", "[1:]\n    def report(self, *_): return None", "expected a text"),
    "digest": ("[1:]", "[1:]\n    def digest(self): return b'a'", "expected a text"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_method_that_returns_another_kind_is_named(name: str, tmp_path: Path) -> None:
    old, new, words = WRONG[name]
    text = FILE.replace('" ".join(arguments)', '" ".join(arguments)[1:]')
    assert old in text
    text = text.replace(old, new)
    (tmp_path / "mine.py").write_text(text)
    method = name.split()[0]
    line = next(n for n, code in enumerate(text.splitlines(), 1) if f"def {method}(" in code)
    recipe = recipes.find(str(tmp_path / "mine.py")).recipe()
    with pytest.raises(TypeError, match=words) as caught:
        list(training.train(recipe, tmp_path / "run"))
    assert f"mine.py, line {line}: {method} returned " in one_sentence(caught.value)


@pytest.mark.parametrize("method", ["loss", "metrics", "model"])
def test_a_method_that_takes_something_else_is_named(method: str, tmp_path: Path) -> None:
    lines = FILE.splitlines()
    line = next(n for n, code in enumerate(lines) if f"def {method}(" in code)
    lines[line] = re.sub(r"\(self.*?\)", "(self, one, two, three, four)", lines[line], count=1)
    (tmp_path / "mine.py").write_text("\n".join(lines))
    recipe = recipes.find(str(tmp_path / "mine.py")).recipe()
    with pytest.raises(TypeError, match=rf"what unrolled.training.Recipe.{method} takes") as caught:
        list(training.train(recipe, tmp_path / "run"))
    assert f"mine.py, line {line + 1}: " in one_sentence(caught.value)


def test_what_is_right_passes_through() -> None:
    recipe = Adder(hidden=2, bits=3, steps=1)
    model = training.build(recipe)
    batch = recipe.batch(0, torch.Generator())
    loss, _ = recipe.loss(model, batch, None)
    assert loss.requires_grad
    assert Adder.loss.__doc__ == Adder.loss.__wrapped__.__doc__
