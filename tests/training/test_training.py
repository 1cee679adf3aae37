"""Training: the same bits, whatever happens on the way."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from echo import Recipe, bits, equal, finish
from unrolled import training
from unrolled.training import TrainingError, checkpoint, runs, train
from unrolled.training.session import Randomness, Session

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
    with Randomness(recipe.seed):
        first = torch.randn(7, 4, 2)
    session = Session(recipe)
    session.advance()
    assert not torch.equal(session.batch[0], first)


def by_hand(recipe: Recipe, carry: bool) -> nn.Module:
    """The same updates, written out, for a recipe without dropout and with SGD."""
    session = Session(recipe)
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
    session = Session(recipe)
    session.model.dropout.p = 0.0
    for _ in range(recipe.steps):
        session.advance()
    assert equal(bits(session.model), bits(by_hand(recipe, carry)))


@pytest.mark.parametrize("clip", [1e-3, 0.3, 1e3])
def test_clipping_is_torchs(clip: float) -> None:
    recipe = Recipe(optimizer="SGD", clip=clip, learning_rate=0.1)
    session = Session(recipe)
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
    assert Path(runs.read_config(tmp_path).recipe).name == "echo.py"
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
        ("optimizer", "adam", "did you mean 'Adam'"),
        ("optimizer", "Optimizer", "expected a class of torch.optim by name"),
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
