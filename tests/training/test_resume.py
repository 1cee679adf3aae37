"""Going on: a run that was stopped or killed ends with the same bits."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from echo import LONG, Recipe, finish, weights
from fresh import FreshPython
from stopped import Killed, kill, moments
from unrolled.training import checkpoint, runs, train
from unrolled.training.runs import RunError
from unrolled.training.session import Session


def usable() -> list[str]:
    found = []
    for name in vars(torch.optim):
        try:
            Session(Recipe(optimizer=name))
        except ValueError:
            continue
        found.append(name)
    return found


def test_most_optimisers_are_usable() -> None:
    assert {"SGD", "Adam", "AdamW", "Adagrad", "Adadelta", "Adamax", "ASGD", "NAdam", "RAdam"} | {
        "RMSprop",
        "Rprop",
        "Adafactor",
    } <= set(usable())


@pytest.mark.parametrize("name", usable())
def test_every_optimiser_goes_on_with_the_same_bits(tmp_path: Path, name: str) -> None:
    recipe = Recipe(optimizer=name, steps_per_update=3, carry_state=True, clip=0.1)
    finish(recipe, out=tmp_path / "straight")
    for stop in (4, 9):  # in the middle of a batch, and of another
        for step in train(recipe, tmp_path / "halting", resume=stop != 4):
            if step.step == stop:
                break
        del step
    finish(recipe, out=tmp_path / "halting", resume=True)
    assert weights(tmp_path / "halting") == weights(tmp_path / "straight")
    for row, other in zip(
        *(runs.read_metrics(tmp_path / run) for run in ("straight", "halting")), strict=True
    ):
        assert row | {"seconds": 0} == other | {"seconds": 0}


def test_killed_at_any_moment_the_run_ends_with_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe(steps=5, steps_per_update=3, report_every=2)
    finish(recipe, out=tmp_path / "straight")
    for count in moments(monkeypatch):
        run = tmp_path / f"killed-{count}"
        try:
            finish(recipe, out=run, save_every=0)
        except Killed:
            pass
        else:
            break
        list(train(recipe, run, resume=True))
        assert weights(run) == weights(tmp_path / "straight"), count
        assert [row["step"] for row in runs.read_metrics(run)] == [2, 4, 5]
        assert runs.read_result(run) is not None
    assert count > 15


def test_kill_9_and_resume_end_with_the_same_bits(
    tmp_path: Path, fresh_python: FreshPython
) -> None:
    killed = kill(fresh_python, "LONG", tmp_path / "killed", (37, 61, 83), save_every=0)
    assert len(killed) == 3
    assert killed == sorted(killed)
    finish(LONG, out=tmp_path / "killed", resume=True, save_every=0)
    finish(LONG, out=tmp_path / "straight")
    assert weights(tmp_path / "killed") == weights(tmp_path / "straight")
    steps = [row["step"] for row in runs.read_metrics(tmp_path / "killed")]
    assert steps == list(range(10, 241, 10))


def test_more_steps_go_further(tmp_path: Path) -> None:
    finish(Recipe(steps=20), out=tmp_path / "straight")
    finish(Recipe(steps=12), out=tmp_path / "longer")
    steps = [step.step for step in train(Recipe(steps=20), tmp_path / "longer", resume=True)]
    assert steps == list(range(13, 21))
    assert weights(tmp_path / "longer") == weights(tmp_path / "straight")
    assert runs.read_config(tmp_path / "longer").fields["steps"] == 20
    assert list(train(Recipe(steps=20), tmp_path / "longer", resume=True)) == []


def test_a_run_that_goes_further_is_not_done_meanwhile(tmp_path: Path) -> None:
    finish(Recipe(steps=4), out=tmp_path)
    steps = train(Recipe(steps=8), tmp_path, resume=True)
    next(steps)
    assert runs.read_result(tmp_path) is None
    steps.close()


def test_what_contradicts_the_run_is_refused(tmp_path: Path) -> None:
    finish(Recipe(), out=tmp_path)
    with pytest.raises(RunError, match=r"--learning-rate 0\.5 contradicts .* which has 0\.01"):
        train(Recipe(learning_rate=0.5), tmp_path, resume=True)
    with pytest.raises(RunError, match="--steps 11 contradicts"):
        train(Recipe(steps=11), tmp_path, resume=True)
    with pytest.raises(RunError, match="holds a run already"):
        train(Recipe(), tmp_path)
    with pytest.raises(RunError, match="does not exist"):
        train(Recipe(), tmp_path / "nowhere", resume=True)
    with pytest.raises(ValueError, match="needs out"):
        train(Recipe(), resume=True)


def test_another_recipes_run_is_refused(tmp_path: Path) -> None:
    config = runs.new_config("adder", runs.encode_fields(Recipe()))
    runs.write_config(tmp_path, config)
    with pytest.raises(RunError, match="is a run of adder"):
        train(Recipe(), tmp_path, resume=True)


def test_a_run_is_trained_by_one_at_a_time(tmp_path: Path) -> None:
    steps = train(Recipe(), tmp_path)
    next(steps)
    with pytest.raises(RunError, match="another process"):
        train(Recipe(), tmp_path, resume=True)
    steps.close()
    finish(Recipe(), out=tmp_path, resume=True)


def test_a_checkpoint_of_another_model_is_told(tmp_path: Path) -> None:
    finish(Recipe(), out=tmp_path)
    path = tmp_path / runs.RESUME
    checkpoint.write_tree(path, checkpoint.read_tree(path) | {"model": {}})
    with pytest.raises(RunError, match="does not fit the recipe"):
        train(Recipe(), tmp_path, resume=True)
