"""Primes: the sieve, the published figure and its copy rule, gaps, and who counts them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from unrolled import training
from unrolled.recipes._primes.gaps import GapModel
from unrolled.recipes._primes.numbers import first_primes, primes_between
from unrolled.recipes._primes.order_k import LONGEST, choose_table, score, tables, told
from unrolled.recipes.primes import Recipe

SMALL = Recipe(count=3000, hidden=8, window=16, batch_size=4, steps=3, report_every=1)


def last_of(recipe: Recipe, out: Path | None = None) -> Any:
    *_, last = training.train(recipe, out)
    last.model.eval()
    return last


# --- the sieve ---


def test_the_sieve_finds_primes_and_nothing_else() -> None:
    slow = [n for n in range(2, 2000) if all(n % m for m in range(2, int(n**0.5) + 1))]
    assert primes_between(0, 1999).tolist() == slow
    assert primes_between(1000, 1999).tolist() == [p for p in slow if p >= 1000]
    assert primes_between(24, 28).tolist() == []
    assert primes_between(10, 9).tolist() == []


def test_the_first_primes() -> None:
    for count in (1, 2, 5, 6, 25, 1000):
        assert len(first_primes(count)) == count
    assert first_primes(25)[-1] == 97
    assert first_primes(100_000)[-1] == 1_299_709


def test_far_primes() -> None:
    found = primes_between(10**12 - 60, 10**12 + 61) - 10**12
    assert found.tolist() == [-41, -39, -11, 39, 61]


# --- as published ---


def test_the_documents_first_200_iterations_and_its_copy_rule() -> None:
    recipe = replace(Recipe().published(), steps=200)
    first, *_, last = [loss for step in training.train(recipe) for loss in step.losses]
    assert first == pytest.approx(0.17973, abs=1e-5)  # what the document prints first
    assert last < first / 10
    figures = recipe.result(training.build(recipe))
    assert figures["copy_rule_right"] == 1.0
    assert figures["held_out"] == 15


def test_what_follows_a_window_is_its_first_entry_only_where_the_list_fits() -> None:
    recipe = Recipe(task="document", count=25, window=40, cell="linear")
    assert recipe.result(training.build(recipe))["copy_rule_right"] == 0.0
    assert not recipe.comparable


def test_ten_windows_are_learned_by_heart_and_no_other() -> None:
    """Adam gets there in fewer steps than the document's 10,000."""
    recipe = replace(
        Recipe().published(), start="independent", optimizer="Adam", learning_rate=1e-3, steps=800
    )
    last = last_of(replace(recipe, report_every=1000))
    figures = recipe.result(last.model)
    assert figures["learned_right"] == 1.0
    assert figures["held_out_right"] <= 0.2
    shown = recipe.attempt(last.model, []).splitlines()
    assert sum("held out" in line for line in shown) == 15
    assert not any("wrong" in line for line in shown if " learned" in line)


# --- gaps ---


def test_a_batch_is_gaps_of_the_training_part(generator: torch.Generator) -> None:
    gaps, following = SMALL.batch(0, generator)
    assert gaps.shape == following.shape == (16, 4)
    assert torch.equal(gaps[1:], following[:-1])
    true = np.diff(first_primes(3000)[1:])[:2398].tolist()
    for column in (gaps * 2 + 2).T.tolist():
        assert any(true[n : n + 16] == column for n in range(2383))


class Knows(GapModel):
    """Says the gap that comes, which it has been told beforehand."""

    def __init__(self, gaps: np.ndarray[Any, Any], symbols: int) -> None:
        super().__init__(symbols, 2, "vanilla")
        self.gaps = torch.from_numpy(gaps)

    def forward(self, gaps: torch.Tensor, state: Any = None) -> tuple[torch.Tensor, Any]:
        row = gaps[:, 0]
        begin = next(
            n
            for n in range(len(self.gaps) - len(row))
            if torch.equal(self.gaps[n : n + len(row)], row)
        )
        after = self.gaps[begin + 1 : begin + 1 + len(row)]
        return 20.0 * torch.nn.functional.one_hot(after, self.symbols)[:, None], state


def test_the_judged_gaps_are_the_last_ones_and_each_is_told_its_past() -> None:
    gaps = np.diff(first_primes(3000)[1:]) // 2 - 1
    model = Knows(gaps, int(gaps.max()) + 1)
    figures = SMALL.result(model)
    assert (figures["right"], figures["validation_right"]) == (1.0, 1.0)
    assert figures["bits"] < 0.01
    assert figures["judged"] == len(gaps) - int(0.9 * len(gaps))


def test_the_network_beats_counting_in_bits() -> None:
    recipe = Recipe(count=20_000, hidden=32, window=64, steps=200, learning_rate=0.02)
    figures = recipe.result(last_of(recipe).model)
    assert figures["bits"] < figures["bits_table"] < figures["bits_most_frequent"]
    assert figures["bits_told_mod_30"] < figures["bits"]


def test_the_table_says_where_it_wins() -> None:
    lines = SMALL.report(training.build(SMALL).eval(), 3, ()).splitlines()
    assert lines[0].startswith("300 gaps held out")
    assert lines[-1].startswith("the table is better in")
    assert len(lines) == 7


def test_a_table_of_order_k_counts() -> None:
    symbols = np.array([0, 1, 0, 1, 0, 1, 0, 0, 1, 1])
    found = list(tables(symbols, 8, np.array([8, 9]), 2, weight=2.0))
    assert len(found) == LONGEST + 1
    order_0 = np.array([6, 4]) / 10
    np.testing.assert_allclose(found[0], [order_0, order_0])
    # after 0 there came 1, 1, 1, 0; after 1 there came 0, 0, 0
    after_0, after_1 = (np.array([1, 3]) + 2 * order_0) / 6, (np.array([3, 0]) + 2 * order_0) / 5
    np.testing.assert_allclose(found[1], [after_0, after_1])
    # after 0, 0 (never seen but as the end): nothing; after 0, 1 there came 0, 0, 0
    np.testing.assert_allclose(found[2], [after_0, (np.array([3, 0]) + 2 * after_1) / 5])


def test_the_order_is_chosen_where_it_is_to_be_chosen() -> None:
    rng = np.random.default_rng(0)
    random = rng.integers(0, 3, 4000)
    order, weight = choose_table(random, 3000, np.arange(3000, 4000), 3)
    said = list(tables(random, 3000, np.arange(3000, 4000), 3, weight))[order]
    assert score(said, random[3000:]).bits == pytest.approx(np.log2(3), abs=0.01)
    repeating = np.tile([0, 0, 1, 0, 1, 1], 700)
    found = choose_table(repeating, 3000, np.arange(3000, 4200), 2)
    assert found.order >= 3
    said = list(tables(repeating, 3000, np.arange(3000, 4200), 2, found.weight))[found.order]
    assert score(said, repeating[3000:]).right == 1.0


def test_probabilities_are_probabilities_and_hints_help() -> None:
    symbols = np.random.default_rng(1).integers(0, 4, 500)
    places = np.arange(400, 500)
    for said in tables(symbols, 400, places, 5, 30.0):
        np.testing.assert_allclose(said.sum(1), 1.0)
        assert (said > 0).all()
    shares = told(symbols * 7, symbols, 400, places, 5)
    assert score(shares, symbols[places]).right == 1.0


def test_try_names_the_next_prime() -> None:
    model = training.build(SMALL).eval()
    text = SMALL.attempt(model, ["10000"])
    assert "the last prime up to 10000 is 9973" in text
    assert text.splitlines()[-1] == "it is 10007, gap 34"
    assert "up to 100000 is 99991;" in SMALL.attempt(model, ["100000"])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "'' is not a number to look for"),
        (["x"], "'x' is not a number"),
        (["-7"], "'-7' is not a number"),
        (["1", "2"], "'1 2' is not"),
        (["4"], "'4' is not a number to look for .*: expected one whole number from 5"),
        (["1000000000001"], "from 5 to 1000000000000, such as"),
        (["1000002"], "the gaps before 1000002 hold one beyond"),
    ],
)
def test_try_refuses(words: list[str], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        SMALL.attempt(training.build(SMALL), words)


def test_try_of_the_documents_task_takes_nothing() -> None:
    recipe = Recipe().published()
    with pytest.raises(ValueError, match="'3' is one word too many"):
        recipe.attempt(recipe.model(), ["3"])


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"cell": "linar"}, "did you mean 'linear'"),
        ({"count": 10}, "count = 10 makes no sense for gaps: expected 1,000"),
        ({"count": 10**9}, "expected 1,000 to 10,000,000"),
        ({"window": 0}, "window = 0 makes no sense"),
        ({"window": 1500}, "window = 1500 is too long for 3000 primes"),
        ({"samples": 0}, "samples = 0"),
        ({"task": "document"}, "count = 3000 makes no sense for the document's task"),
        ({"task": "document", "count": 5}, "samples = 10 is more than there are windows"),
        ({"task": "document", "count": 25, "steps_per_update": 2}, "steps_per_update = 2"),
    ],
)
def test_a_senseless_recipe_is_refused(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as refusal:
        training.check(replace(SMALL, **fields))
    assert "\n" not in str(refusal.value)


def test_a_document_run_has_pictures(tmp_path: Path) -> None:
    _ = list(training.train(replace(Recipe().published(), steps=2, report_every=1), tmp_path))
    names = {path.name for path in tmp_path.glob("*.png")}
    assert names == {"learning.png", "windows.png", "right.png"}
