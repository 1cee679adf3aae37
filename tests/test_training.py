"""Training: the same bits, whatever happens on the way."""

from __future__ import annotations

import dataclasses
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from unrolled import checkpoint, runs, training
from unrolled.runs import RunError
from unrolled.training import Step, TrainingError, train


class Echo(nn.Module):
    """An LSTM with all that a checkpoint may forget: dropout, buffers, a weight that is frozen."""

    def __init__(self) -> None:
        super().__init__()
        self.recurrent = nn.LSTM(2, 3)
        self.norm = nn.BatchNorm1d(3)
        self.dropout = nn.Dropout(0.2)
        self.readout = nn.Linear(3, 1)
        self.readout.bias.requires_grad_(False)

    def forward(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        y, state = self.recurrent(x, state)
        y = self.norm(self.dropout(y).flatten(0, 1)).view_as(y)
        return self.readout(y)[..., 0], state


@dataclass(frozen=True)
class Recipe:
    """Say again what was said a step before."""

    seed: int = 0
    steps: int = 12
    optimizer: str = "Adam"
    learning_rate: float = 0.01
    clip: float = 0.0
    steps_per_update: int = 0
    report_every: int = 4
    carry_state: bool = False
    spoil_at: int = 0
    spoil: str = "loss"

    def check(self) -> None:
        if self.spoil not in ("loss", "gradient", "weight"):
            raise ValueError(f"spoil = {self.spoil!r}")

    def published(self) -> Recipe:
        return self

    def model(self) -> nn.Module:
        return Echo()

    def batch(self, step: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        x = torch.randn(7, 4, 2, generator=generator)
        count = torch.full((7, 4), float(step))
        return x, x[..., 0].roll(1, 0), count

    def loss(self, model: nn.Module, batch: tuple[Tensor, ...], state: Any) -> tuple[Tensor, Any]:
        x, y, count = batch
        said, state = model(x, state)
        loss = (said - y).square().mean()
        if self.spoil_at and count[0, 0].item() + 1 == self.spoil_at:
            if self.spoil == "loss":
                loss = loss * math.nan
            elif self.spoil == "gradient":  # the derivative of a root at 0
                loss = loss + (model.readout.weight * 0).square().sum().sqrt() * 0
            else:
                model.readout.weight.data.fill_(math.nan)
        return loss, state

    def metrics(self, model: nn.Module) -> dict[str, float]:
        assert not model.training
        assert not torch.is_grad_enabled()
        return {"weight": next(model.parameters()).mean().item(), "draw": torch.rand(()).item()}

    def report(self, model: nn.Module, step: int, batch: tuple[Tensor, ...]) -> str:
        return f"report {step} {batch[2][0, 0].item():.0f}"

    def result(self, model: nn.Module) -> dict[str, Any]:
        return self.metrics(model)

    def draw(self, model: nn.Module, history: list[dict[str, Any]], folder: Path) -> list[Path]:
        path = folder / "picture.png"
        path.write_text(str([row["step"] for row in history]))
        return [path]

    def attempt(self, model: nn.Module, arguments: list[str]) -> str:
        return ""


def finish(recipe: Any, **more: Any) -> Step:
    """Train to the end; the last step."""
    return list(train(recipe, **more))[-1]


def weights(run: Path) -> bytes:
    return (run / runs.WEIGHTS).read_bytes()


def bits(model: nn.Module) -> list[Tensor]:
    return [value.clone() for value in model.state_dict().values()]


def equal(a: list[Tensor], b: list[Tensor]) -> bool:
    return len(a) == len(b) and all(map(torch.equal, a, b))


# --- the same bits ---


def test_the_same_seed_gives_the_same_bits_and_another_others() -> None:
    first, again, other = (bits(finish(Recipe(seed=seed)).model) for seed in (3, 3, 4))
    assert equal(first, again)
    assert not equal(first, other)


def test_the_callers_random_state_neither_matters_nor_changes() -> None:
    expected = bits(finish(Recipe()).model)
    torch.manual_seed(1)
    drawn = [torch.rand(3)]
    steps = []
    for step in train(Recipe()):
        steps.append(step)
        drawn.append(torch.rand(3))
    assert equal(bits(steps[-1].model), expected)
    torch.manual_seed(1)
    assert equal(drawn, [torch.rand(3) for _ in drawn])


def test_weights_and_batches_are_of_different_streams() -> None:
    recipe = Recipe()
    with training.Randomness(recipe.seed):
        first = torch.randn(7, 4, 2)
    session = training.Session(recipe)
    session.advance()
    assert not torch.equal(session.batch[0], first)


def by_hand(recipe: Recipe, carry: bool) -> nn.Module:
    """The same updates, written out, for a recipe without dropout and with SGD."""
    session = training.Session(recipe)
    model, generator = session.model, session.generator
    model.dropout.p = 0.0
    learnt = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(learnt, lr=recipe.learning_rate, fused=True)
    state = None
    step = 0
    length = recipe.steps_per_update or 7
    while step < recipe.steps:
        x, y, _ = recipe.batch(step, generator)
        state = state if carry else None
        for begin in range(0, 7, length):
            if step == recipe.steps:
                break
            said, state = model(x[begin : begin + length], state)
            loss = (said - y[begin : begin + length]).square().mean()
            model.zero_grad()
            loss.backward()
            if recipe.clip:
                nn.utils.clip_grad_norm_(learnt, recipe.clip)
            optimizer.step()
            state = tuple(s.detach() for s in state)
            step += 1
    return model


@pytest.mark.parametrize("length", [0, 1, 3, 7, 9])
@pytest.mark.parametrize("carry", [False, True])
def test_truncated_backpropagation_is_the_loop_written_out(length: int, carry: bool) -> None:
    recipe = Recipe(optimizer="SGD", steps_per_update=length, carry_state=carry, learning_rate=0.1)
    session = training.Session(recipe)
    session.model.dropout.p = 0.0
    for _ in range(recipe.steps):
        session.advance()
    assert equal(bits(session.model), bits(by_hand(recipe, carry)))


@pytest.mark.parametrize("clip", [1e-3, 0.3, 1e3])
def test_clipping_is_torchs(clip: float) -> None:
    recipe = Recipe(optimizer="SGD", clip=clip, learning_rate=0.1)
    session = training.Session(recipe)
    session.model.dropout.p = 0.0
    for _ in range(recipe.steps):
        session.advance()
    for ours, theirs in zip(bits(session.model), bits(by_hand(recipe, False)), strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-6, atol=1e-7)


def test_a_batch_with_two_lengths_is_not_cut() -> None:
    @dataclass(frozen=True)
    class Odd(Recipe):
        def batch(self, step: int, generator: torch.Generator) -> tuple[Tensor, ...]:
            x, y, count = super().batch(step, generator)
            return x, y[:5], count

    with pytest.raises(ValueError, match=r"found \[5, 7\]"):
        finish(Odd(steps_per_update=2))


# --- steps, reports ---


def test_a_report_every_so_many_steps_and_at_the_end() -> None:
    steps = list(train(Recipe(steps=10)))
    assert [step.step for step in steps] == list(range(1, 11))
    assert [step.step for step in steps if step.metrics] == [4, 8, 10]
    told = [step.report for step in steps if step.report]
    assert told == ["report 4 3", "report 8 7", "report 10 9"]
    assert all(a.seconds < b.seconds for a, b in pairwise(steps))
    assert steps[-1].model.training


def test_without_a_folder_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    finish(Recipe())
    assert list(tmp_path.iterdir()) == []


def test_a_folder_holds_everything(tmp_path: Path) -> None:
    last = finish(Recipe(), out=tmp_path)
    assert runs.read_config(tmp_path).fields == dataclasses.asdict(Recipe())
    assert runs.read_config(tmp_path).recipe == __file__
    stored = checkpoint.read_weights(tmp_path / runs.WEIGHTS)
    assert equal(list(stored.values()), [last.model.state_dict()[name] for name in stored])
    rows = runs.read_metrics(tmp_path)
    assert [row["step"] for row in rows] == [4, 8, 12]
    assert rows[-1].items() >= {"loss": last.loss, **last.metrics}.items()
    result = runs.read_result(tmp_path)
    assert result is not None
    assert result["step"] == 12
    assert result["figures"]["weight"] == last.metrics["weight"]
    assert result["pictures"] == ["picture.png"]
    assert (tmp_path / "picture.png").read_text() == "[4, 8, 12]"


def test_no_steps_are_a_run_too(tmp_path: Path) -> None:
    assert list(train(Recipe(steps=0), tmp_path)) == []
    assert equal(
        list(checkpoint.read_weights(tmp_path / runs.WEIGHTS).values()),
        list(dict(sorted(training.build(Recipe()).state_dict().items())).values()),
    )


# --- going on ---


def usable() -> list[str]:
    found = []
    for name in vars(torch.optim):
        try:
            training.Session(Recipe(optimizer=name))
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


class Killed(BaseException):
    """As sudden as a kill, but in this process."""


def moments(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Be killed at the first, second, … call that touches the disk, until one run survives."""
    count = 0
    left = 0

    def wrap(function: Any) -> Any:
        def call(*args: Any, **more: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                raise Killed
            return function(*args, **more)

        return call

    for name in ("fsync", "replace"):
        monkeypatch.setattr(os, name, wrap(getattr(os, name)))
    while left <= 0:
        count += 1
        left = count
        yield count


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


SCRIPT = """
import sys
from itertools import pairwise
from pathlib import Path
sys.path.insert(0, {tests!r})
import conftest
from test_training import Recipe
from unrolled.training import train
out = Path(sys.argv[1])
for step in train(Recipe(steps=400, steps_per_update=3, report_every=10, carry_state=True), out,
                  resume=out.exists(), save_every=0):
    print(step.step, flush=True)
"""


def test_kill_9_and_resume_end_with_the_same_bits(tmp_path: Path) -> None:
    script = SCRIPT.format(tests=str(Path(__file__).parent))

    def start(run: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", script, str(tmp_path / run)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    killed: list[int] = []
    for wait in (37, 61, 83):
        process = start("killed")
        assert process.stdout is not None
        with process.stdout:
            for seen, line in enumerate(process.stdout, 1):
                if seen == wait:
                    time.sleep(0.003 * len(killed))  # somewhere in a step or a checkpoint
                    os.kill(process.pid, signal.SIGKILL)
                    killed.append(int(line))
                    break
        assert process.wait() == -signal.SIGKILL
    assert killed == sorted(killed)
    for run in ("killed", "straight"):
        process = start(run)
        assert process.communicate()[0].split()[-1] == "400"
        assert process.returncode == 0
    assert weights(tmp_path / "killed") == weights(tmp_path / "straight")
    steps = [row["step"] for row in runs.read_metrics(tmp_path / "killed")]
    assert steps == list(range(10, 401, 10))


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


# --- what is not finite ---


@pytest.mark.parametrize(
    ("spoil", "clip", "step"),
    [
        ("loss", 0.0, 7),
        ("loss", 1.0, 7),
        ("gradient", 0.0, 8),
        ("gradient", 1.0, 7),
        ("weight", 0.0, 8),
        ("weight", 1.0, 7),
    ],
)
def test_what_is_not_finite_stops_the_run_and_keeps_good_weights(
    tmp_path: Path, spoil: str, clip: float, step: int
) -> None:
    recipe = Recipe(spoil_at=7, spoil=spoil, clip=clip, report_every=100)
    with pytest.raises(TrainingError, match=f"step {step}: .* nan; .*keeps the weights of step"):
        finish(recipe, out=tmp_path, save_every=0)
    saved = checkpoint.read_tree(tmp_path / runs.RESUME)
    # The weights of step k are good once the loss of step k + 1 was finite, and kept from then on.
    assert saved["step"] == step - 2
    for kept in (checkpoint.read_weights(tmp_path / runs.WEIGHTS), saved["model"]):
        assert all(value.isfinite().all() for value in kept.values())
    assert runs.read_result(tmp_path) is None
    with pytest.raises(TrainingError, match=f"step {step}"):
        finish(recipe, out=tmp_path, resume=True)


def test_weights_that_are_not_finite_are_never_the_last(tmp_path: Path) -> None:
    recipe = Recipe(steps=7, spoil_at=7, spoil="gradient")
    with pytest.raises(TrainingError, match=r"after step 7: .* is not finite"):
        finish(recipe, out=tmp_path, save_every=0)
    assert checkpoint.read_tree(tmp_path / runs.RESUME)["step"] == 6
    steps = train(dataclasses.replace(recipe, steps=9), tmp_path, resume=True)
    assert next(steps).step == 7
    with pytest.raises(TrainingError, match="after step 7"):
        steps.close()
    assert checkpoint.read_tree(tmp_path / runs.RESUME)["step"] == 6


# --- what makes no sense ---


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("seed", -1, "seed = -1"),
        ("seed", 2**32, "seed = 4294967296"),
        ("steps", -5, "steps = -5"),
        ("learning_rate", 0.0, "learning_rate = 0"),
        ("learning_rate", math.nan, "learning_rate = nan"),
        ("learning_rate", math.inf, "learning_rate = inf"),
        ("clip", -1.0, "clip = -1"),
        ("steps_per_update", -1, "steps_per_update = -1"),
        ("report_every", 0, "report_every = 0"),
        ("optimizer", "adam", "did you mean Adam"),
        ("optimizer", "Optimizer", "not in torch.optim"),
        ("optimizer", "LBFGS", "declined: it asks for the loss"),
        ("optimizer", "SparseAdam", "declined"),
        ("spoil", "x", "spoil = 'x'"),
    ],
)
def test_a_field_that_makes_no_sense_is_told_before_the_first_step(
    tmp_path: Path, field: str, value: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        train(Recipe(**{field: value}), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []
