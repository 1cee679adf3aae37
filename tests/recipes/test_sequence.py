"""Document 001's LSTM tests: the published bits, four targets by heart, primes by heart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from unrolled import training
from unrolled.recipes.sequence import Recipe


def trained(recipe: Any, plain: bool = False) -> Any:
    model = training.build(recipe)
    for step in training.train(recipe, plain=plain):
        model = step.model
    return model.eval()


def document_001(iterations: int) -> list[float]:
    """The document's mathematics in NumPy, written for this test: its loss at each iteration."""

    def sigmoid(a: Any) -> Any:
        return 1 / (1 + np.exp(-a))

    def drawn(*shape: int) -> Any:
        return np.random.RandomState(0).random_sample(shape) * 0.2 - 0.1

    w = {gate: drawn(100, 150) for gate in "gifo"}
    b = {gate: drawn(100) for gate in "gifo"}
    stream = np.random.RandomState(0)
    stream.random_sample(100)
    inputs = [stream.random_sample(50) for _ in range(4)]
    losses = []
    for _ in range(iterations):
        h, s, kept, loss = np.zeros(100), np.zeros(100), [], 0.0
        for x, target in zip(inputs, (-0.5, 0.2, 0.1, -0.5), strict=True):
            xc = np.concatenate((x, h))
            a = {gate: w[gate] @ xc + b[gate] for gate in "gifo"}
            v = {gate: sigmoid(a[gate]) for gate in "ifo"} | {"g": np.tanh(a["g"])}
            before, s = s, v["g"] * v["i"] + s * v["f"]
            h = s * v["o"]
            kept.append((xc, v, before, s, h[0] - target))
            loss += (h[0] - target) ** 2
        losses.append(loss)
        d_w, d_b = ({gate: np.zeros_like(p[gate]) for gate in "gifo"} for p in (w, b))
        d_h, d_s = np.zeros(100), np.zeros(100)
        for xc, v, before, s, error in reversed(kept):
            d_h[0] += 2 * error
            d_s = d_s + v["o"] * d_h
            d = {"i": v["g"] * d_s, "f": before * d_s, "o": s * d_h}
            d = {gate: d[gate] * v[gate] * (1 - v[gate]) for gate in "ifo"}
            d["g"] = v["i"] * d_s * (1 - v["g"] ** 2)
            for gate in "gifo":
                d_w[gate] += np.outer(d[gate], xc)
                d_b[gate] += d[gate]
            d_h = sum(w[gate].T @ d[gate] for gate in "gifo")[50:]
            d_s = d_s * v["f"]
        for gate in "gifo":
            w[gate] -= 0.1 * d_w[gate]
            b[gate] -= 0.1 * d_b[gate]
    return losses


def test_the_documents_own_arithmetic_step_by_step() -> None:
    theirs = document_001(100)
    steps = training.train(Recipe().published())
    ours = [loss for step in steps for loss in step.losses]
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    assert theirs[0] == pytest.approx(0.7535, abs=1e-4)
    assert theirs[99] == pytest.approx(2.61e-6, rel=0.01)


def test_the_published_figure_is_that_of_the_last_line() -> None:
    looks = {s.step: s.metrics for s in training.train(Recipe().published()) if s.metrics}
    assert looks[99]["squared_error"] == pytest.approx(2.61e-6, rel=0.01)


@pytest.mark.parametrize("seed", range(5))
def test_independent_gates_learn_it_too(seed: int) -> None:
    recipe = replace(Recipe(seed=seed).published(), start="independent")
    assert recipe.metrics(trained(recipe))["squared_error"] < 1e-3


@pytest.mark.parametrize("seed", range(3))
def test_the_defaults_learn_it_better_with_either_output(seed: int) -> None:
    recipe = Recipe(seed=seed)
    figures = recipe.result(trained(recipe))
    assert figures["squared_error"] < 1e-5
    assert figures["squared_error_vanilla"] < 1e-5
    assert figures["largest_error"] ** 2 <= figures["squared_error"]


def test_a_cell_learns_beside_others_what_it_learns_alone() -> None:
    both = replace(Recipe(), steps=20)
    alone = replace(both, cells=("vanilla",))
    figures = [  # one alone is the kernel's, where nobody says otherwise
        recipe.metrics(trained(recipe, plain=True))["squared_error_vanilla"]
        for recipe in (both, alone)
    ]
    assert figures[0] == figures[1]


def test_equal_gates_are_equal_and_independent_ones_are_not() -> None:
    for start, same in (("equal", True), ("independent", False)):
        lstm = Recipe(start=start).model()["vanilla"].lstm  # type: ignore[arg-type]
        i, *others = lstm.weight_ih_l0.chunk(4)
        assert all(torch.equal(i, other) for other in others) is same
        _, _, g, _ = lstm.weight_ih_l0.chunk(4)  # the first that the document draws
        first = np.random.RandomState(0).random_sample((100, 150)) * 0.2 - 0.1
        np.testing.assert_array_equal(g.detach().numpy(), first[:, :50])


@pytest.mark.parametrize("cell", ["carousel", "peephole", "coupled"])
def test_every_cell_and_any_targets(cell: str) -> None:
    recipe = Recipe(cells=(cell,), targets=(0.3, -0.2), inputs=4, hidden=5, steps=400)
    assert recipe.metrics(trained(recipe))[f"squared_error_{cell}"] < 1e-3
    assert not recipe.comparable


def test_try_says_each_step_and_takes_noise() -> None:
    recipe = replace(Recipe(), steps=50)
    model = trained(recipe)
    rows = [line.split() for line in recipe.attempt(model, []).splitlines()[1:5]]
    assert [float(row[1]) for row in rows] == [-0.5, 0.2, 0.1, -0.5]
    said = [float(row[2]) for row in rows]
    noisy = [float(line.split()[2]) for line in recipe.attempt(model, ["2"]).splitlines()[1:5]]
    assert said != noisy
    error = sum((a - b) ** 2 for a, b in zip(said, (-0.5, 0.2, 0.1, -0.5), strict=True))
    assert error == pytest.approx(recipe.metrics(model)["squared_error"], abs=1e-5)


@pytest.mark.parametrize("words", [["x"], ["-1"], ["nan"], ["inf"], ["1", "2"]])
def test_try_refuses_what_is_no_noise(words: list[str]) -> None:
    with pytest.raises(ValueError, match="is not the size of a noise: expected one number"):
        Recipe().attempt(Recipe().model(), words)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"cells": ("vanila",)}, "did you mean 'vanilla'"),
        ({"cells": ()}, "cells = .* makes no sense: expected one or more, such as linear vanilla"),
        ({"cells": ("linear", "linear")}, "'linear', 'linear'.* expected each of them once"),
        ({"inputs": 0}, "inputs = 0 makes no sense"),
        ({"hidden": -1}, "hidden = -1 makes no sense"),
        ({"targets": ()}, "targets = .* makes no sense: expected one or more, such as 0.5"),
        ({"targets": (float("nan"),)}, "targets = nan makes no sense: expected a finite number"),
        ({"targets": (1.5,)}, r"targets holds 1.5, and h = o⊙tanh\(c\) gives nothing beyond"),
        ({"steps_per_update": 2}, "steps_per_update = 2 makes no sense"),
    ],
)
def test_a_senseless_recipe_is_refused(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as refusal:
        training.check(replace(Recipe(), **fields))
    assert "\n" not in str(refusal.value)


def test_targets_beyond_1_are_for_the_linear_cell() -> None:
    training.check(Recipe(cells=("linear",), targets=(1.5,)))


def test_the_report_is_the_documents() -> None:
    recipe = Recipe().published()
    lines = recipe.report(recipe.model(), 0, ()).splitlines()
    assert lines[0] == "cur iter: 0"
    assert [line.split(" : ")[0] for line in lines[1:5]] == [f"y_pred[{n}]" for n in range(4)]
    assert lines[5] == "loss: 0.753484"


def test_the_pictures_are_drawn(tmp_path: Path) -> None:
    recipe = replace(Recipe(), steps=3, report_every=1)
    _ = list(training.train(recipe, tmp_path))
    names = {path.name for path in tmp_path.glob("*.png")}
    assert names == {"learning.png", "sequence.png", "gates.png"}
