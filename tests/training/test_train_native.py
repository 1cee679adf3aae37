"""`train()` by the kernel's whole steps: the same outcomes, and the same bits when stopped."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from echo import KILLED, Small, bits, equal, finish, weights
from echo import Recipe as Echo
from fresh import FreshPython
from stopped import Killed, kill, moments
from unrolled import recipes
from unrolled.steps.program import TrainingError
from unrolled.training import checkpoint, runs, train
from unrolled.training.session import Session


def adder(**fields: Any) -> Any:
    """The document's adder, a little shorter."""
    network = fields.pop("network", "vanilla")
    recipe = recipes.find("adder").recipe(network=network).published()
    return dataclasses.replace(recipe, **{"steps": 2500, "report_every": 1000, **fields})


def published(name: str, **fields: Any) -> Any:
    return dataclasses.replace(recipes.find(name).recipe(), **fields).published()


NATIVE = {
    "small": Small(),
    "adder": adder(),
    "adder elman": adder(network="elman"),
    "adder default": recipes.find("adder").recipe(),
    "adder peephole": recipes.find("adder").recipe(network="peephole"),
    "sequence": published("sequence"),
    "primes": published("primes"),
    "memory": published("memory", networks=("vanilla",)),
    "memory elman": published("memory", networks=("elman",)),
}


@pytest.mark.parametrize("name", NATIVE)
def test_the_documents_are_made_by_the_kernel_and_learn_what_autograd_learns(name: str) -> None:
    recipe = dataclasses.replace(NATIVE[name], steps=60, report_every=25)
    assert Session(recipe).why_plain == ""
    found = []
    for plain in (False, True):
        steps = list(train(recipe, plain=plain))
        found.append([loss for step in steps for loss in step.losses])
        assert [step.step for step in steps if step.metrics] == [25, 50, 60]
        assert steps[-1].loss == found[-1][-1]
    ours, theirs = map(torch.tensor, found)
    assert len(ours) == 60
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("recipe", "reason"),
    [
        (Echo(), "the recipe has no native()"),
        (published("memory", networks=("vanilla", "elman")), "several learn"),
        (published("memory", networks=("002",)), "not that of document 002"),
        (recipes.find("sequence").recipe(), "several learn"),
        (recipes.find("primes").recipe(count=3000), "embedding"),
        (adder(steps_per_update=3), "from one update to the next"),
        (adder(optimizer="NAdam"), "not NAdam"),
    ],
)
def test_what_is_not_is_plain_and_says_why(recipe: Any, reason: str) -> None:
    assert reason in Session(recipe).why_plain


def test_a_call_goes_no_further_than_a_report() -> None:
    steps = [step.step for step in train(adder())]
    assert {1000, 2000, 2500} <= set(steps)
    assert steps == sorted(steps)
    assert len(steps) < 20


@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "RMSprop"])
@pytest.mark.parametrize("clip", [0.0, 0.1])
def test_stopped_anywhere_it_ends_with_the_same_bits(
    tmp_path: Path, optimizer: str, clip: float
) -> None:
    recipe = Small(optimizer=optimizer, learning_rate=0.01, clip=clip, steps=50, report_every=9)
    assert Session(recipe).why_plain == ""
    finish(recipe, out=tmp_path / "straight")
    for often, last in ((0.0, 3), (1.0, 10), (0.0, 11), (1.0, 30)):  # within a block of 4, or not
        halting = tmp_path / "halting"
        steps = train(recipe, halting, resume=halting.exists(), save_every=often)
        for step in steps:
            if step.step >= last:
                break
        steps.close()
    finish(recipe, out=tmp_path / "halting", resume=True)
    assert weights(tmp_path / "halting") == weights(tmp_path / "straight")
    rows = [runs.read_metrics(tmp_path / run) for run in ("straight", "halting")]
    for row, other in zip(*rows, strict=True):
        assert row | {"seconds": 0} == other | {"seconds": 0}


def test_a_batch_of_a_block_cut_along_time_is_gone_on_with(tmp_path: Path) -> None:
    recipe = Small(steps=40, steps_per_update=3)
    finish(recipe, out=tmp_path / "straight")
    for last in (5, 14, 31):  # in the midst of the block's second batch, and of later ones
        halting = tmp_path / "halting"
        steps = train(recipe, halting, resume=halting.exists())
        for step in steps:
            if step.step == last:
                break
        steps.close()
    finish(recipe, out=tmp_path / "halting", resume=True)
    assert weights(tmp_path / "halting") == weights(tmp_path / "straight")


def test_killed_at_any_moment_the_run_ends_with_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Small(steps=7, report_every=3)
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
        assert [row["step"] for row in runs.read_metrics(run)] == [3, 6, 7]
    assert count > 15


def test_kill_9_and_resume_end_with_the_same_bits(
    tmp_path: Path, fresh_python: FreshPython
) -> None:
    assert len(kill(fresh_python, "KILLED", tmp_path / "killed", (45,), save_every=0.01)) == 1
    finish(KILLED, out=tmp_path / "killed", resume=True)
    finish(KILLED, out=tmp_path / "straight")
    assert weights(tmp_path / "killed") == weights(tmp_path / "straight")


@pytest.mark.parametrize("plain", [False, True])
def test_a_loss_that_is_not_finite_keeps_good_weights(tmp_path: Path, plain: bool) -> None:
    recipe = Small(steps=30, spoil_at=12, report_every=100)
    with pytest.raises(TrainingError, match=r"step 12: the loss is nan.*keeps the weights of step"):
        finish(recipe, out=tmp_path, save_every=0, plain=plain)
    saved = checkpoint.read_tree(tmp_path / runs.RESUME)
    assert saved["step"] == 10
    assert all(value.isfinite().all() for value in saved["model"].values())
    with pytest.raises(TrainingError, match="step 12"):
        finish(recipe, out=tmp_path, resume=True, plain=plain)
    assert runs.read_result(tmp_path) is None


def test_a_block_is_what_the_same_batches_are_one_by_one() -> None:
    """What the kernel is given and what `report` is shown is what autograd learns from."""
    for name in ("small", "adder", "memory", "sequence", "primes"):
        ours, theirs = Session(NATIVE[name]), Session(NATIVE[name], plain=True)
        for most in (1, 4, 2):
            for _ in ours.advance_many(most):
                theirs.advance()
            assert ours.step == theirs.step
            assert equal(list(ours.batch), list(theirs.batch))
        near = zip(bits(ours.model), bits(theirs.model), strict=True)
        assert all(torch.allclose(a, b, rtol=1e-3, atol=1e-5) for a, b in near)


def test_the_default_adder_learns_every_sum_with_either() -> None:
    for plain in (False, True):
        *_, last = train(recipes.find("adder").recipe(steps=600), plain=plain)
        assert last.metrics["sums_right"] > 0.99
