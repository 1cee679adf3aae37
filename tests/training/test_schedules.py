"""Learning-rate schedules: torch's rates, by the kernel and by autograd, and after a stop."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
import torch
from torch.optim import Optimizer, lr_scheduler
from torch.optim.optimizer import register_optimizer_step_pre_hook

from echo import Recipe as Echo
from echo import Small, bits, equal, finish, weights
from stopped import Killed
from unrolled import training
from unrolled.errors.expected import one_of
from unrolled.estimators.opened import open_trained
from unrolled.recipes import find
from unrolled.training import checkpoint, runs, train
from unrolled.training.fields import Before, completed
from unrolled.training.runs import RunError
from unrolled.training.schedules import NAMES, Schedule
from unrolled.training.session import Session

CHANGING = NAMES[1:]
STEPS = 20


@dataclass(frozen=True)
class Momentum(Small):
    """With what OneCycleLR would change beside the rate, if it were let."""

    def optimizer_options(self) -> dict[str, Any]:
        return {"momentum": 0.9} if self.optimizer == "SGD" else {}


def recipe(schedule: str, optimizer: str = "Adam", **more: Any) -> Momentum:
    fields = {"steps": STEPS, "report_every": 7, "learning_rate": 0.05, **more}
    return Momentum(schedule=schedule, optimizer=optimizer, **fields)


# --- the rates ---

# As anybody would write them beside torch's optimiser.
TORCHS: dict[str, Callable[[Optimizer], Any]] = {
    "linear": lambda o: lr_scheduler.LinearLR(o, 1.0, 0.0, STEPS),
    "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=STEPS),
    "one-cycle": lambda o: lr_scheduler.OneCycleLR(
        o, max_lr=0.05, total_steps=STEPS, cycle_momentum=False
    ),
    "exponential": lambda o: lr_scheduler.ExponentialLR(o, 0.01 ** (1 / STEPS)),
    "warmup": lambda o: lr_scheduler.LinearLR(o, 1 / 2, 1.0, 1),
}

# And as the rate's share of learning_rate at each of 200 steps.
FORMULAS: dict[str, Callable[[int], float]] = {
    "constant": lambda k: 1.0,
    "linear": lambda k: 1 - k / 200,
    "cosine": lambda k: (1 + math.cos(math.pi * k / 200)) / 2,
    "exponential": lambda k: 0.01 ** (k / 200),
    "warmup": lambda k: min(1.0, (k + 1) / 11),
}


def schedule_of(name: str, rate: float, steps: int) -> Schedule:
    return Schedule(name, torch.optim.SGD([torch.zeros(1)], lr=rate), steps)


@pytest.mark.parametrize("name", FORMULAS)
def test_the_rate_of_each_update_is_what_its_name_says(name: str) -> None:
    schedule = schedule_of(name, 0.3, 200)
    found = [schedule.rate(k) for k in range(200)]
    assert found == pytest.approx([0.3 * FORMULAS[name](k) for k in range(200)], rel=1e-9)


def test_one_cycle_rises_to_the_rate_and_falls_almost_to_nothing() -> None:
    schedule = schedule_of("one-cycle", 0.3, 200)
    found = [schedule.rate(k) for k in range(200)]
    top = found.index(max(found))
    assert found[top] == pytest.approx(0.3)
    assert found[: top + 1] == sorted(found[: top + 1])
    assert found[top:] == sorted(found[top:], reverse=True)
    assert (top, found[0], found[-1]) == (59, pytest.approx(0.3 / 25), pytest.approx(0.3 / 25e4))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("steps", [1, 2, 3, 7, 19, 21])
def test_any_number_of_steps_has_rates(name: str, steps: int) -> None:
    schedule = schedule_of(name, 0.3, steps)
    assert all(0 < schedule.rate(k) <= 0.3 * (1 + 1e-9) for k in range(steps))
    assert Session(recipe(name, steps=0)).step == 0
    assert [step.step for step in train(recipe(name, steps=steps))][-1] == steps


def test_a_rate_is_the_same_whichever_was_asked_for_before() -> None:
    one, other = (schedule_of("cosine", 0.3, 200) for _ in range(2))
    found = [one.rate(k) for k in range(200)]
    assert [other.rate(k) for k in reversed(range(200))] == found[::-1]


@pytest.mark.parametrize("optimizer", ["Adam", "SGD"])
@pytest.mark.parametrize("name", CHANGING)
def test_updates_have_the_bits_of_torchs_scheduler_beside_its_optimiser(
    name: str, optimizer: str
) -> None:
    ours = Session(recipe(name, optimizer), plain=True)
    theirs = Session(recipe("constant", optimizer), plain=True)
    scheduler = TORCHS[name](theirs.optimizer)
    for _ in range(STEPS):
        assert ours.advance() == theirs.advance()
        scheduler.step()
    assert equal(bits(ours.model), bits(theirs.model))


# --- by the kernel and by autograd ---


@pytest.mark.parametrize("optimizer", ["Adam", "SGD", "AdamW", "Adagrad", "RMSprop"])
@pytest.mark.parametrize("name", CHANGING)
def test_the_kernel_learns_what_autograd_learns(name: str, optimizer: str) -> None:
    found = []
    for plain in (False, True):
        given = recipe(name, optimizer)
        assert bool(Session(given, plain).why_plain) is plain
        found.append([loss for step in train(given, plain=plain) for loss in step.losses])
    ours, theirs = map(torch.tensor, found)
    assert len(ours) == STEPS
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
    constant = recipe("constant", optimizer)
    others = torch.tensor([loss for step in train(constant) for loss in step.losses])
    assert not torch.allclose(ours, others, rtol=1e-3)  # so that to leave it out is told


@pytest.mark.parametrize(
    ("name", "steps", "calls"),
    [
        ("constant", 12, [4, 4, 4]),  # a block is four batches
        ("cosine", 4, [1, 1, 1, 1]),
        ("warmup", 45, [1, 1, *[2, *[4] * 10], 1]),  # in two updates up, and then constant
    ],
)
def test_one_call_makes_as_many_updates_as_have_one_rate(
    name: str, steps: int, calls: list[int]
) -> None:
    assert [len(step.losses) for step in train(recipe(name, steps=steps, report_every=100))] == (
        calls
    )


@pytest.mark.parametrize("plain", [False, True])
def test_between_updates_the_optimiser_is_as_it_was_made(plain: bool) -> None:
    calls: list[Optimizer] = []
    given = recipe("one-cycle")
    session = Session(given, plain)
    before = session.snapshot()["optimizer"]["param_groups"]
    session.advance_many(4)
    assert session.snapshot()["optimizer"]["param_groups"] == before
    hook = register_optimizer_step_pre_hook(lambda optimizer, *_: calls.append(optimizer))
    try:
        session = Session(given, plain)
        for _ in range(3):
            session.advance_many(1)
    finally:
        hook.remove()
    assert calls == [session.optimizer] * 3  # and no other optimiser makes an update


@pytest.mark.parametrize("plain", [False, True])
def test_an_update_that_fails_leaves_the_optimiser_its_rate(plain: bool) -> None:
    session = Session(recipe("linear", spoil_at=3), plain)
    session.advance_many(1)
    session.advance_many(1)
    with pytest.raises(training.TrainingError, match="step 3"):
        session.advance_many(1)
    assert session.optimizer.param_groups[0]["lr"] == 0.05


# --- after a stop ---


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("optimizer", ["Adam", "SGD"])
@pytest.mark.parametrize("name", CHANGING)
def test_stopped_anywhere_it_ends_with_the_same_bits(
    tmp_path: Path, name: str, optimizer: str, plain: bool
) -> None:
    given = recipe(name, optimizer)
    finish(given, out=tmp_path / "straight", plain=plain)
    halting = tmp_path / "halting"
    for last in (1, 6, 13):
        steps = train(given, halting, resume=halting.exists(), plain=plain)
        for step in steps:
            if step.step >= last:
                break
        steps.close()
    finish(given, out=halting, resume=True, plain=plain)
    assert weights(halting) == weights(tmp_path / "straight")


def test_what_is_saved_on_the_way_goes_on_with_the_same_bits(tmp_path: Path) -> None:
    """A checkpoint is what was before an update, whose rate it must not hold."""
    given = dataclasses.replace(recipe("one-cycle"), steps_per_update=3)
    finish(given, out=tmp_path / "straight")
    steps = train(given, tmp_path / "killed", save_every=0)
    while next(steps).step < 9:
        pass
    saved = checkpoint.read_tree(tmp_path / "killed" / runs.RESUME)
    assert saved["step"] == 8
    steps.close()
    checkpoint.write_tree(tmp_path / "killed" / runs.RESUME, saved)
    finish(given, out=tmp_path / "killed", resume=True)
    assert weights(tmp_path / "killed") == weights(tmp_path / "straight")


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("name", CHANGING)
def test_more_steps_follow_the_schedule_of_more_steps(
    tmp_path: Path, name: str, plain: bool
) -> None:
    shorter, longer = recipe(name, steps=12), recipe(name, steps=40)
    finish(shorter, out=tmp_path, plain=plain)
    finish(longer, out=tmp_path, resume=True, plain=plain)
    by_hand = Session(recipe("constant", steps=40), plain)
    for step in range(40):
        rates = Session(shorter if step < 12 else longer)._schedule
        by_hand.optimizer.param_groups[0]["lr"] = rates.rate(step)
        by_hand.advance_many(1)
    found = checkpoint.read_weights(tmp_path / runs.WEIGHTS)
    assert all(torch.equal(t, found[n]) for n, t in by_hand.model.state_dict().items())
    assert runs.read_config(tmp_path).fields["schedule"] == name


def test_killed_before_more_steps_are_saved_it_goes_on_with_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of steps is written before the first checkpoint that knows of it."""
    finish(recipe("cosine", steps=12), out=tmp_path)

    def killed(*given: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Session, "advance_many", killed)
        with pytest.raises(Killed):
            finish(recipe("cosine", steps=20), out=tmp_path, resume=True)
    assert runs.read_config(tmp_path).fields["steps"] == 20
    assert finish(recipe("cosine", steps=20), out=tmp_path, resume=True).step == 20


def test_another_schedule_is_another_run(tmp_path: Path) -> None:
    finish(recipe("cosine"), out=tmp_path)
    with pytest.raises(RunError, match=r"--schedule linear contradicts .* which has cosine"):
        train(recipe("linear"), tmp_path, resume=True)


def test_a_rate_that_was_damaged_is_refused(tmp_path: Path) -> None:
    given = recipe("cosine", steps=10)
    finish(given, out=tmp_path)
    path = tmp_path / runs.RESUME
    saved = checkpoint.read_tree(path)
    now = Session(given)._schedule.rate(9)  # which is no rate that the optimiser was made with
    assert saved["optimizer"]["param_groups"][0]["lr"] == given.learning_rate
    for rate in (now, 0.0, 123, -1.0, math.nan, "x", None):
        saved["optimizer"]["param_groups"][0]["lr"] = rate
        checkpoint.write_tree(path, saved)
        with pytest.raises(RunError, match=r"does not fit the recipe: 'optimizer\.param_groups\.0"):
            train(recipe("cosine"), tmp_path, resume=True)


# --- runs from before there were schedules ---


def forget(folder: Path) -> None:
    """Write the run's config.json as it was before."""
    config = runs.read_config(folder)
    fields = {name: value for name, value in config.fields.items() if name != "schedule"}
    runs.write_config(folder, config._replace(fields=fields))
    assert "schedule" not in runs.read_config(folder).fields


def test_a_run_from_before_goes_on_with_the_same_bits(tmp_path: Path) -> None:
    finish(recipe("constant"), out=tmp_path / "straight")
    finish(recipe("constant", steps=9), out=tmp_path / "old")
    forget(tmp_path / "old")
    with pytest.raises(RunError, match=r"--schedule cosine contradicts .* which has constant"):
        train(recipe("cosine"), tmp_path / "old", resume=True)
    finish(recipe("constant"), out=tmp_path / "old", resume=True)
    assert weights(tmp_path / "old") == weights(tmp_path / "straight")
    assert runs.read_config(tmp_path / "old").fields["schedule"] == "constant"


def test_a_run_from_before_is_opened(tmp_path: Path) -> None:
    finish(find("adder").recipe(steps=2, hidden=2), out=tmp_path)
    forget(tmp_path)
    assert open_trained(tmp_path).recipe.schedule == "constant"


@dataclass(frozen=True)
class Since(Echo):
    """A recipe whose own default has changed, and which has a later field of its own."""

    schedule: str = "cosine"
    way: Annotated[str, one_of(("up", "down")), Before("down")] = "up"


def test_a_run_from_before_has_what_held_then_and_not_the_default() -> None:
    stored = runs.encode_fields(Since())
    del stored["schedule"], stored["way"]
    assert runs.decode_fields(Since, stored) == Since(schedule="constant", way="down")
    assert completed(Since, {"schedule": "linear"}) == {"schedule": "linear", "way": "down"}
    with pytest.raises(RunError, match="schedule = 3"):
        runs.decode_fields(Since, {**stored, "schedule": 3})
    del stored["steps"]
    with pytest.raises(RunError, match="has no 'steps'"):
        runs.decode_fields(Since, stored)


# --- what is refused ---


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (Echo(schedule="cosin"), r"schedule = 'cosin' .* constant, linear, .*mean 'cosine'\?"),
        (Since(schedule=""), "schedule = '' makes no sense"),  # also where a subclass has its own
        (
            Echo(schedule="cosine", optimizer="Rprop"),
            "schedule = 'cosine' would change nothing: Rprop takes the rate for its first update",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(given: Echo, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        training.check(given)
    training.check(dataclasses.replace(given, schedule="constant"))


def followers() -> list[str]:
    found = []
    for name in vars(torch.optim):
        given = Echo(optimizer=name, schedule="linear", clip=0.1)
        try:
            training.check(given)
            Session(given)
        except ValueError:
            continue
        found.append(name)
    return found


def test_most_optimisers_follow() -> None:
    assert {"SGD", "Adam", "AdamW", "Adagrad", "Adadelta", "ASGD", "NAdam"} <= set(followers())


@pytest.mark.parametrize("name", followers())
def test_every_optimiser_that_is_taken_follows_and_goes_on(tmp_path: Path, name: str) -> None:
    given = Echo(optimizer=name, schedule="linear", learning_rate=0.05)
    finish(given, out=tmp_path / "straight")
    for step in train(given, tmp_path / "halting"):
        if step.step == 5:
            break
    del step
    finish(given, out=tmp_path / "halting", resume=True)
    assert weights(tmp_path / "halting") == weights(tmp_path / "straight")
    finish(dataclasses.replace(given, schedule="constant"), out=tmp_path / "constant")
    ours, constant = (
        checkpoint.read_weights(tmp_path / run / runs.WEIGHTS) for run in ("straight", "constant")
    )
    assert not torch.equal(ours["recurrent.weight_hh_l0"], constant["recurrent.weight_hh_l0"])
