"""Recipes are found because their files lie there, and a file that is none is told."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from any_recipe import FILE
from unrolled import recipes, training
from unrolled.recipes import Published, RecipeError
from unrolled.training import runs
from unrolled.training.session import Session

NAMES = recipes.names()
# Each recipe's own fields, but for the size of what it judges itself by.
LESS: dict[str, dict[str, Any]] = {
    "text": {"validation_most": 2000},
    "pairs": {"numbers": 4000},
    "events": {"length": 16_000},
    "signal": {"length": 16_000, "windows": 4, "batch_size": 4},
    "labels": {"count": 60},
}


def small(name: str, **fields: Any) -> Any:
    return recipes.find(name).recipe(**LESS.get(name, {}), **fields)


def test_the_folder_is_the_list() -> None:
    folder = Path(recipes.__file__).parent
    files = {path.stem for path in folder.glob("*.py")}
    assert set(NAMES) >= {name for name in files if not name.startswith("_")}
    assert "adder" in NAMES


# --- what holds for every recipe ---


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_says_what_it_is(name: str) -> None:
    file = recipes.find(name)
    assert file.summary.endswith(".")
    assert file.source
    for published in file.published:
        assert published.metric
    assert dataclasses.fields(file.recipe)
    assert file.recipe.__dataclass_params__.frozen


@pytest.mark.parametrize("name", NAMES)
def test_its_own_and_the_published_fields_make_sense_and_come_back(name: str) -> None:
    file = recipes.find(name)
    for recipe in (file.recipe(), file.recipe().published()):
        training.check(recipe)
        assert runs.decode_fields(file.recipe, runs.encode_fields(recipe)) == recipe
    assert file.recipe(seed=5).published().seed == 5


@pytest.mark.parametrize("name", NAMES)
def test_a_step_is_drawn_from_the_generator_alone(name: str) -> None:
    recipe = small(name)
    batches = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        batches.append(recipe.batch(0, torch.Generator().manual_seed(7)))
        assert torch.equal(torch.rand(2), torch.manual_seed(seed) and torch.rand(2))
    assert all(map(torch.equal, *batches))


@pytest.mark.parametrize("name", NAMES)
def test_two_steps_change_every_weight_that_learns(name: str) -> None:
    recipe = small(name)
    session = Session(recipe)
    before = [p.detach().clone() for p in session.parameters]
    session.advance()
    session.advance()
    assert not any(torch.equal(a, b) for a, b in zip(before, session.parameters, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_follows_a_schedule_and_goes_on_with_the_same_bits(name: str) -> None:
    recipe = small(name, steps=4, schedule="one-cycle")
    straight, stopped, constant = (
        Session(given)
        for given in (recipe, recipe, dataclasses.replace(recipe, schedule="constant"))
    )
    made = advanced(straight, 4)
    before = advanced(stopped, 2)
    on = Session(recipe)
    on.restore(stopped.snapshot())
    assert before + advanced(on, 4) == made != advanced(constant, 4)
    ours, theirs = (session.model.state_dict() for session in (on, straight))
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def advanced(session: Session, until: int) -> list[float]:
    """The losses of the updates up to that one."""
    losses: list[float] = []
    while session.step < until:
        losses += session.advance_many(until - session.step)
    return losses


@pytest.mark.parametrize("name", NAMES)
def test_a_run_of_two_steps_has_figures_and_pictures(name: str, tmp_path: Path) -> None:
    recipe = small(name, steps=2)
    last = list(training.train(recipe, tmp_path))[-1]
    result = runs.read_result(tmp_path)
    assert result is not None
    assert set(last.metrics) <= set(result["figures"])
    assert result["pictures"]
    assert all((tmp_path / picture).is_file() for picture in result["pictures"])


# --- anybody's file ---


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "one.py"
    path.write_text(FILE)
    return path


def test_a_path_is_a_recipe(file: Path) -> None:
    found = recipes.find(str(file))
    assert found.summary == "One number."
    assert found.published == [Published("loss", 0.5)]
    assert len(list(training.train(found.recipe()))) == 3


def test_two_files_of_one_name_are_two_recipes(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "one.py"
    other.parent.mkdir()
    shutil.copy(file, other)
    other.write_text(FILE.replace("steps: int = 3", "steps: int = 4"))
    assert [recipes.find(str(path)).recipe().steps for path in (file, other, file)] == [3, 4, 3]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "defines no dataclass called Recipe"),
        ("class Recipe: pass", "defines no dataclass"),
        ("\n1 / 0", r"bad\.py, line 2: ZeroDivisionError: division by zero"),
        ("def (", "SyntaxError"),
        ("import no_such_module", r"bad\.py, line 1: ModuleNotFoundError"),
        (FILE.replace("def loss", "def other"), r"its Recipe has no loss\."),
        (FILE.replace("def batch", "def other"), r"its Recipe has no batch\."),
        (FILE.replace("(training.Recipe)", ""), r"write `class Recipe\(training\.Recipe\):`"),
        (FILE.replace("@dataclass(frozen=True)", ""), "defines no dataclass"),
        ("from unrolled.training import Recipe", "its Recipe has no loss, metrics, model, batch"),
        (FILE.replace('{"metric": "loss", "value": 0.5}', "3"), "expected a metric and a value"),
    ],
)
def test_a_file_that_is_no_recipe_is_told(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.py"
    path.write_text(text)
    with pytest.raises(RecipeError, match=message):
        _ = recipes.find(str(path)).published


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ader", "did you mean 'adder'"),
        ("", "is no recipe"),
        ("../adder", "is no recipe"),
        ("__init__", "is no recipe"),
        ("nowhere.py", "does not exist"),
    ],
)
def test_an_unknown_recipe_is_told(name: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        recipes.find(name)


def test_published_may_be_a_named_tuple_or_several() -> None:
    from types import ModuleType

    def given(value: Any) -> list[Published]:
        module = ModuleType("m")
        module.PUBLISHED = value  # type: ignore[attr-defined]
        return recipes.RecipeFile("m", module).published

    one = Published("rmse", 0.1, 5)
    assert given(one) == [one]
    assert given((one, {"metric": "rmse", "value": 0.1, "steps": 5})) == [one, one]
    assert given([one]) == [one]
    assert given(None) == []
