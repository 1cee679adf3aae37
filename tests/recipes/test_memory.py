"""Recalling the first number: who learns it, and how the gradient gets back to it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import torch

from unrolled import training
from unrolled.recipes._memory.recall import Recall, flow
from unrolled.recipes.memory import Recipe

QUICK = Recipe(networks=("vanilla", "elman", "000", "002"), steps=3, report_every=1)


def trained(recipe: Recipe) -> Any:
    *_, last = training.train(recipe)
    return last.model.eval()


def test_the_exact_gradient_recalls_the_first_of_8() -> None:
    recipe = replace(Recipe(networks=("vanilla",)).published(), report_every=5000)
    losses = [loss for step in training.train(recipe) for loss in step.losses]
    assert 2 * fmean(losses[-100:]) <= 0.02  # 0.0083 to 0.0125 in 10 of 10


def test_a_gradient_that_does_not_reach_the_first_step_costs() -> None:
    recipe = replace(Recipe(networks=("vanilla", "000")), steps=400)
    figures = recipe.metrics(trained(recipe))
    # 000's has what the cell happens to keep, and cannot teach it to keep more.
    assert 5 * figures["mse_vanilla"] < figures["mse_000"]


def test_a_network_learns_beside_others_what_it_learns_alone() -> None:
    alone = replace(QUICK, networks=("002",))
    figures = [recipe.metrics(trained(recipe))["mse_002"] for recipe in (QUICK, alone)]
    assert figures[0] == figures[1]


def test_the_vanilla_networks_start_from_the_same_weights() -> None:
    model = QUICK.model()
    first = model["vanilla"].state_dict()
    for name in ("000", "002"):
        assert all(map(torch.equal, first.values(), model[name].state_dict().values()))


# --- the flow ---


@pytest.mark.parametrize("network", ["vanilla", "carousel", "elman", "coupled", "linear"])
def test_the_flow_is_how_much_the_loss_changes_with_a_state(
    network: str, generator: torch.Generator
) -> None:
    """Held to a difference quotient: the state at one step is moved a little."""
    torch.manual_seed(0)
    model = Recall(network, 3, "torch", 1.0).double()
    x = torch.rand(5, 1, generator=generator).double() * 2 - 1
    found = flow(model, x)
    start = 2

    def loss(h: torch.Tensor, c: torch.Tensor) -> float:
        """From the state after step ``start``, by the layer itself."""
        state = h[None, None] if network == "elman" else (h[None, None], c[None, None])
        with torch.no_grad():
            y, _ = model.recurrent(x[start + 1 :, :, None], state)
            return float((model.readout(y[-1])[:, 0] - x[0]).square().sum())

    with torch.no_grad():
        _, end = model.recurrent(x[: start + 1, :, None])
    h, c = (end[0, 0], end[0, 0]) if network == "elman" else (end[0][0, 0], end[1][0, 0])
    slopes = []
    for unit in range(3):
        move = torch.zeros(3).double()
        move[unit] = 1e-6
        slopes.append((loss(h + move, c) - loss(h - move, c)) / 2e-6)
    assert torch.tensor(slopes).norm().item() == pytest.approx(found.h[start], rel=1e-5)


def test_the_flow_of_c_holds_what_comes_through_h_of_the_same_step() -> None:
    torch.manual_seed(1)
    model = Recall("vanilla", 4, "torch", 1.0).double()
    x = torch.rand(3, 1).double()
    found = flow(model, x)
    trace = model.recurrent.trace(x[..., None])
    d_h = 2 * (model(x) - x[0]) * model.readout.weight[0]
    d_c = d_h * trace.o[-1, 0] * (1 - trace.c[-1, 0].tanh() ** 2)
    assert found.c[-1] == pytest.approx(d_c.norm().item(), rel=1e-9)
    assert found.h[-1] == pytest.approx(d_h.norm().item(), rel=1e-9)


def test_what_the_published_passes_do_not_carry_is_cut() -> None:
    torch.manual_seed(2)
    x = torch.rand(6, 20) * 2 - 1
    flows = {}
    for name in ("vanilla", "000", "002", "carousel"):
        torch.manual_seed(3)
        flows[name] = flow(Recall(name, 16, "torch", 1.0), x)
    assert flows["000"].h[:-1] == [0.0] * 5 == flows["000"].c[:-1]
    assert flows["000"].h[-1] == pytest.approx(flows["vanilla"].h[-1], rel=1e-5)
    assert flows["000"].c[-1] != flows["vanilla"].c[-1]  # 1 - c² for 1 - tanh²(c)
    assert 0 < flows["002"].h[0] < flows["vanilla"].h[0] / 10
    assert flows["carousel"].c[0] > flows["carousel"].c[-1] / 2  # nothing is forgotten


def test_a_published_gradient_is_used_in_training_and_the_forward_pass_is_exact() -> None:
    model = QUICK.model()
    x = torch.rand(8, 4)
    with torch.no_grad():
        exact = model["vanilla"](x)
    for name in ("000", "002"):
        assert torch.allclose(model[name](x), exact, atol=1e-6)
        gradients = []
        for network in (model["vanilla"], model[name]):
            network.zero_grad()
            network(x).sum().backward()
            gradients.append(network.recurrent.weight_hh_l0.grad)
        assert not torch.allclose(*gradients, rtol=0.05)


# --- what it shows, what it refuses ---


def test_try_recalls_the_first_of_the_numbers() -> None:
    recipe = replace(QUICK, networks=("vanilla",), steps=300)
    model = trained(recipe)
    words = ["0.7", "-0.2", "0.4", "0.1", "-0.9", "0.3", "0.8", "-0.5"]
    lines = recipe.attempt(model, words).splitlines()
    assert lines[0] == "the first of 8 was 0.7"
    assert float(lines[1].split()[-1]) == pytest.approx(0.7, abs=0.3)
    assert "2 were given" in recipe.attempt(model, ["0.7", "0.1"])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "unrolled try DIR 0.7 -0.2 0.4"),
        (["x"], "'x' is not a number to recall"),
        (["2"], "'2' is not a number to recall: expected one number from -1 to 1"),
        (["nan"], "'nan' is not"),
    ],
)
def test_try_refuses(words: list[str], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        QUICK.attempt(QUICK.model(), words)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"networks": ("vanila",)}, "did you mean 'vanilla'"),
        ({"networks": ("001",)}, "did you mean '000'|did you mean '002'"),
        (
            {"networks": ()},
            "networks = .* makes no sense: expected one or more, such as vanilla 002",
        ),
        ({"networks": ("002", "002")}, "'002', '002'.* expected each of them once"),
        ({"length": 0}, "length = 0 makes no sense"),
        ({"hidden": 0}, "hidden = 0"),
        ({"batch_size": 0}, "batch_size = 0"),
        ({"forget_bias": float("inf")}, "forget_bias = inf"),
        (
            {"steps_per_update": 4},
            "expected 0, since a cut would part the number to be recalled from the loss",
        ),
    ],
)
def test_a_senseless_recipe_is_refused(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as refusal:
        training.check(replace(QUICK, **fields))
    assert "\n" not in str(refusal.value)


def test_the_pictures_and_the_table(tmp_path: Path) -> None:
    *_, last = training.train(QUICK, tmp_path)
    names = {path.name for path in tmp_path.glob("*.png")}
    assert names == {"learning.png", "gradients.png", "gradients_before.png"}
    table = last.report.splitlines()
    assert len(table) == 6
    assert "0 of the last step's" in table[3]
