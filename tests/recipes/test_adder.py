"""The adder: its sums are sums, its documents are the documents, and it learns."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from unrolled import training
from unrolled.equations import CELLS
from unrolled.recipes import adder
from unrolled.recipes._adder.sums import Adder
from unrolled.recipes.adder import Recipe
from unrolled.training import train
from unrolled.training.session import Session


def columns(numbers: list[int], length: int) -> Tensor:
    """Python's integers as bits [length, B]."""
    return torch.tensor([[n >> t & 1 for n in numbers] for t in range(length)])


def learn(recipe: Recipe) -> Adder:
    model = training.build(recipe)
    for step in train(recipe):
        model = step.model
    assert isinstance(model, Adder)
    return model


# --- sums ---


@given(st.lists(st.tuples(st.integers(0), st.integers(0)), min_size=1, max_size=5))
def test_add_is_pythons_sum_at_any_width(pairs: list[tuple[int, int]]) -> None:
    length = max(max(a.bit_length(), b.bit_length()) for a, b in pairs) + 1
    a, b = (columns([pair[k] for pair in pairs], length) for k in (0, 1))
    sums = adder.add(a, b)
    assert [adder.to_int(sums[:, n]) for n in range(len(pairs))] == [x + y for x, y in pairs]


def test_add_carries_through_a_thousand_bits() -> None:
    ones = columns([2**1000 - 1], 1001)
    one = columns([1], 1001)
    assert adder.to_int(adder.add(ones, one)[:, 0]) == 2**1000


def test_batches_are_sums_of_widths_drawn_from_the_range(generator: torch.Generator) -> None:
    recipe = Recipe(bits=9, fewest_bits=3)
    lengths = set()
    for step in range(100):
        numbers, sums = recipe.batch(step, generator)
        length = len(numbers)
        lengths.add(length)
        assert numbers.shape == (length, 64, 2)
        for n in range(5):
            a, b = (adder.to_int(numbers[:, n, k]) for k in (0, 1))
            assert a + b == adder.to_int(sums[:, n])
            assert max(a, b) < 2 ** (length - 1)
    assert lengths == set(range(3, 10))


@pytest.mark.parametrize(
    ("network", "ends"), [("vanilla", ((1, 128), (1, 127))), ("elman", ((0, 127), (0, 127)))]
)
def test_published_batches_have_the_documents_range(
    network: str, ends: tuple[tuple[int, int], ...], generator: torch.Generator
) -> None:
    recipe = dataclasses.replace(Recipe(network=network).published(), batch_size=5000)
    numbers, sums = recipe.batch(0, generator)
    assert numbers.shape == (8, 5000, 2)
    drawn = [[adder.to_int(numbers[:, n, k]) for n in range(5000)] for k in (0, 1)]
    assert [(min(column), max(column)) for column in drawn] == list(ends)
    assert [sum(pair) for pair in zip(*drawn, strict=True)] == [
        adder.to_int(sums[:, n]) for n in range(5000)
    ]


# --- the documents ---


def test_published_lstm_is_document_000() -> None:
    recipe = Recipe(network="vanilla", seed=3).published()
    assert (recipe.hidden, recipe.bits, recipe.fewest_bits, recipe.batch_size) == (32, 8, 8, 1)
    assert (recipe.optimizer, recipe.learning_rate, recipe.steps) == ("SGD", 0.1, 99_999)
    assert (recipe.clip, recipe.seed, recipe.report_every) == (0, 3, 1000)
    model = training.build(recipe)
    assert isinstance(model, Adder)
    weights = dict(model.named_parameters())
    assert weights.keys() == {
        "recurrent.weight_ih_l0",
        "recurrent.weight_hh_l0",
        "recurrent.bias_ih_l0",
        "recurrent.bias_hh_l0",
        "readout.weight",
    }
    # One bias, which begins as one number for a gate.
    assert not weights["recurrent.bias_hh_l0"].requires_grad
    assert not weights["recurrent.bias_hh_l0"].any()
    gates = weights["recurrent.bias_ih_l0"].view(4, 32)
    assert torch.equal(gates, gates[:, :1].expand(4, 32))
    assert len(set(gates[:, 0].tolist())) == 4
    drawn = torch.cat([weights[f"recurrent.weight_{k}_l0"].flatten() for k in ("ih", "hh")])
    assert drawn.min() < -0.99
    assert drawn.max() > 0.99
    assert drawn.abs().max() <= 1


def test_published_elman_is_document_001() -> None:
    recipe = Recipe(network="elman").published()
    assert (recipe.hidden, recipe.activation, recipe.steps) == (16, "sigmoid", 10_000)
    model = training.build(recipe)
    assert {name for name, _ in model.named_parameters()} == {
        "recurrent.weight_ih_l0",
        "recurrent.weight_hh_l0",
        "readout.weight",
    }


@pytest.mark.parametrize("network", ["vanilla", "elman"])
def test_the_published_losses_have_the_documents_output_delta(
    network: str, generator: torch.Generator
) -> None:
    recipe = Recipe(network=network).published()
    model = training.build(recipe)
    seen: list[Tensor] = []

    class Watched(torch.nn.Module):
        def forward(self, numbers: Tensor, state: object) -> tuple[Tensor, object]:
            logits, state = model(numbers, state)
            logits.retain_grad()
            seen.append(logits)
            return logits, state

    batch = recipe.batch(0, generator)
    loss, _ = recipe.loss(Watched(), batch, None)  # type: ignore[arg-type]
    loss.backward()
    said = seen[0].sigmoid()
    delta = said - batch[1]  # document 000
    if network == "elman":
        delta = delta * said * (1 - said)  # document 001
    assert torch.allclose(seen[0].grad, delta, rtol=1e-5, atol=1e-7)  # type: ignore[arg-type]


def test_the_first_published_update_is_document_000s_with_the_exact_gradient() -> None:
    """The document's loop, in float64 and in its own letters, its gradient left to autograd."""
    recipe = Recipe().published()
    session = Session(recipe)
    model = session.model.double()
    named = dict(model.named_parameters())
    x, h, bias = (
        named[f"recurrent.{k}_l0"].detach() for k in ("weight_ih", "weight_hh", "bias_ih")
    )
    order = ("i", "f", "g", "o")
    X, H, b = (dict(zip(order, w.clone().chunk(4), strict=True)) for w in (x, h, bias))
    out = named["readout.weight"].detach().clone()
    learnt = [*X.values(), *H.values(), *b.values(), out]
    for weight in learnt:
        weight.requires_grad_()

    numbers, sums = recipe.batch(0, torch.Generator().manual_seed(5))
    state = cell = torch.zeros(32, dtype=torch.float64)
    error = torch.zeros(())
    for t in range(8):
        gate = {k: numbers[t, 0].double() @ X[k].T + state @ H[k].T + b[k] for k in order}
        cell = cell * gate["f"].sigmoid() + gate["g"].tanh() * gate["i"].sigmoid()
        state = cell.tanh() * gate["o"].sigmoid()
        said = (state @ out[0]).sigmoid()
        y = sums[t, 0]
        error = error - (y * said.log() + (1 - y) * (1 - said).log())
    error.backward()

    loss, _ = recipe.loss(model, (numbers.double(), sums.double()), None)
    loss.backward()
    ours = [
        *named["recurrent.weight_ih_l0"].grad.chunk(4),  # type: ignore[union-attr]
        *named["recurrent.weight_hh_l0"].grad.chunk(4),  # type: ignore[union-attr]
        *named["recurrent.bias_ih_l0"].grad.chunk(4),  # type: ignore[union-attr]
        named["readout.weight"].grad,
    ]
    assert math.isclose(loss.item(), error.item(), rel_tol=1e-12)
    for mine, theirs in zip(ours, learnt, strict=True):
        assert torch.allclose(mine, theirs.grad, rtol=1e-10, atol=1e-12)  # type: ignore[arg-type]
    assert named["recurrent.bias_hh_l0"].grad is None


# --- learning ---


@pytest.mark.parametrize("seed", range(3))
def test_it_learns_every_sum_and_carries_on_to_a_thousand_bits(seed: int) -> None:
    recipe = Recipe(seed=seed, steps=700)
    figures = recipe.result(learn(recipe))
    assert figures == {
        "right_of_16384": 16384,
        "sums_right": 1.0,
        "sums_right_16": 1.0,
        "sums_right_64": 1.0,
        "sums_right_1000": 1.0,
    }


@pytest.mark.parametrize("network", [*CELLS, "elman"])
def test_every_network_learns_every_sum(network: str) -> None:
    recipe = Recipe(network=network, bits=10, steps=500)
    assert adder.all_right(learn(recipe)) == 16384


@pytest.mark.parametrize(("network", "steps", "least"), [("vanilla", 3000, 0.99), ("elman", 0, 1)])
def test_the_documents_own_hyperparameters_learn(network: str, steps: int, least: float) -> None:
    recipe = Recipe(network=network, seed=1).published()
    recipe = dataclasses.replace(recipe, steps=steps or recipe.steps, report_every=10_000)
    assert adder.all_right(learn(recipe)) >= least * 16384


def test_truncated_backpropagation_learns_too() -> None:
    recipe = Recipe(steps=1500, steps_per_update=8, bits=16)
    assert adder.all_right(learn(recipe)) == 16384


class Perfect(torch.nn.Module):
    """Knows the answer; ``wrong`` is the bits that it turns over."""

    def __init__(self, wrong: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.wrong = wrong

    def forward(self, numbers: Tensor, state: object = None) -> tuple[Tensor, object]:
        sums = adder.add(*numbers.long().unbind(-1))
        for bit in self.wrong:
            sums[bit] = 1 - sums[bit]
        return sums * 20.0 - 10, state


def test_the_judges_tell_right_from_wrong() -> None:
    assert adder.all_right(Perfect()) == 16384  # type: ignore[arg-type]
    assert adder.all_right(Perfect((7,))) == 0  # type: ignore[arg-type]
    assert adder.share_right(Perfect(), 1000) == 1  # type: ignore[arg-type]
    assert adder.share_right(Perfect((1000,)), 1000) == 0  # type: ignore[arg-type]


# --- what is printed ---


def test_the_report_is_the_documents_block() -> None:
    batch = torch.stack((columns([57], 8), columns([68], 8)), -1).float()
    text = Recipe().report(Perfect((7,)), 2000, (batch, columns([125], 8).float()))  # type: ignore[arg-type]
    assert text.splitlines() == [
        "Error:1.0003",
        "Pred:11111101",
        "True:01111101",
        "57 + 68 = 253",
        "-------2000------",
    ]


def test_try_adds_bit_by_bit_with_the_carry() -> None:
    lines = Recipe().attempt(Perfect(), ["109", "87"]).splitlines()  # type: ignore[arg-type]
    assert lines[-1] == "109 + 87 = 196"  # carries are made, handed on and ended
    rows = [line.split()[:5] for line in lines[1:9]]
    assert [int(row[0]) for row in rows] == list(range(8))
    carry = 0
    for _, a, b, told, said in rows:
        assert int(told) == carry
        assert int(said) == (int(a) + int(b) + carry) % 2
        carry = (int(a) + int(b) + carry) // 2


def test_try_says_where_the_network_is_wrong() -> None:
    lines = Recipe().attempt(Perfect((2,)), ["57", "68"]).splitlines()  # type: ignore[arg-type]
    assert [line.endswith("wrong") for line in lines[1:9]] == [n == 2 for n in range(8)]
    assert lines[-2:] == ["wrong in 1 of 8 bits: the sum is 125", "57 + 68 = 121"]


@settings(max_examples=20)
@given(st.integers(0, 10**3999), st.integers(0, 10**3999))
def test_try_takes_numbers_of_any_width(a: int, b: int) -> None:
    text = Recipe().attempt(Perfect(), [str(a), str(b)])  # type: ignore[arg-type]
    assert text.splitlines()[-1] == f"{a} + {b} = {a + b}"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "given 0"),
        (["1"], "given 1"),
        (["1", "2", "3"], "given 3"),
        (["1", "-2"], "'-2' is not a number to add"),
        (["1", "x"], "'x'"),
        (["1", ""], "''"),
        (["1.5", "2"], "'1.5'"),
        (["²", "2"], "'²'"),
        (["1" * 4001, "2"], "4001 digits"),
    ],
)
def test_try_refuses_what_is_no_number(words: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Recipe().attempt(Perfect(), words)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"network": "vanila"}, "did you mean 'vanilla'"),
        ({"network": "gru"}, "expected vanilla, .* or elman"),
        ({"hidden": 0}, "hidden = 0"),
        ({"batch_size": 0}, "batch_size = 0"),
        ({"bits": 1}, "bits = 1"),
        ({"bits": 3}, "--fewest-bits 3"),
        ({"document": True, "bits": 63}, "62 or fewer"),
    ],
)
def test_fields_that_make_no_sense(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        training.check(Recipe(**fields))  # type: ignore[arg-type]


def test_the_pictures_are_drawn(tmp_path: object) -> None:
    from pathlib import Path

    assert isinstance(tmp_path, Path)
    pytest.importorskip("matplotlib")
    history = [{"step": 1, "loss": 5.0, "sums_right": 0.1}, {"step": 2, "loss": 1.0}]
    pictures = Recipe().draw(Perfect(), history, tmp_path)  # type: ignore[arg-type]
    assert [picture.name for picture in pictures] == ["learning.png", "widths.png"]
    assert all(picture.read_bytes().startswith(b"\x89PNG") for picture in pictures)
