"""The pairs recipe: what it learns, what it says, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from unrolled import training
from unrolled.cli import main
from unrolled.recipes._pairs.decoding import Answer
from unrolled.recipes._pairs.judging import edit_distance, judged
from unrolled.recipes._pairs.vocabulary import END
from unrolled.recipes.pairs import Recipe

WORDS = Recipe(
    tokens="words",
    largest=9999,
    numbers=4000,
    hidden=64,
    embedding=16,
    batch_size=64,
    alike=2,
    learning_rate=0.01,
    steps=400,
    report_every=400,
)
SMALL = Recipe(
    largest=999, numbers=200, hidden=8, embedding=4, batch_size=10, steps=4, report_every=2
)


def trained(recipe: Recipe, out: Path | None = None) -> Any:
    *_, last = training.train(recipe, out)
    return last.model.eval()


def write(path: Path, pairs: list[tuple[str, str]]) -> Path:
    path.write_text("".join(f"{source}\t{target}\n" for source, target in pairs), encoding="utf-8")
    return path


LETTERS = [(chr(97 + a) + chr(97 + b), chr(97 + b)) for a in range(8) for b in range(8)]


@pytest.fixture
def letters(tmp_path: Path) -> Recipe:
    """64 pairs: of two letters, the second."""
    data = write(tmp_path / "letters.tsv", LETTERS)
    return replace(SMALL, data=data, test_share=0.25, batch_size=16)


# --- outcomes ---


@pytest.fixture(scope="module")
def numbers() -> Any:
    return trained(WORDS)


def test_numbers_it_never_saw_are_answered(numbers: Any) -> None:
    figures = WORDS.result(numbers)
    assert figures["held_out_sources"] == 200
    # 0.975 to 0.99 in 3 of 3 seeds after 300 steps; 0 before
    assert figures["exact_match"] > 0.9
    assert figures["edit_distance"] < 0.05
    assert figures["exact_match_beam"] > 0.9
    untrained = WORDS.metrics(training.build(WORDS).eval())
    assert untrained["exact_match"] < 0.05
    assert untrained["edit_distance"] > 0.5


def test_so_they_are_with_another_seed_and_no_average() -> None:
    recipe = replace(WORDS, seed=1, average=0.0)
    assert recipe.metrics(trained(recipe))["exact_match"] > 0.9


def test_the_average_answers_and_not_the_learner(letters: Recipe) -> None:
    model = training.build(letters).train()
    weights = [p.detach().clone() for p in model.learner.parameters()]
    batch = letters.batch(0, torch.Generator().manual_seed(0))
    for _ in range(2):  # the first takes the weights as they are
        model.loss(*batch)
        with torch.no_grad():
            for weight in model.learner.parameters():
                weight += 1
    model.loss(*batch)
    averaged = list(model.answerer.parameters())
    # 0.99 * (0.99 * w + 0.01 * (w + 1)) + 0.01 * (w + 2)
    for weight, average in zip(weights, averaged, strict=True):
        torch.testing.assert_close(average, weight + 0.99 * 0.01 + 0.02)
    model.eval()
    model.loss(*batch)
    torch.testing.assert_close(averaged[0], weights[0] + 0.99 * 0.01 + 0.02)
    assert not any(p.requires_grad for p in averaged)
    said = letters.answers(model, ["ab"])
    with torch.no_grad():
        model.learner.readout.bias[END] = 100.0
    assert letters.answers(model, ["ab"]) == said


@pytest.mark.parametrize(
    "changes",
    [
        {"both_directions": True, "layers": 2, "dropout": 0.1},
        {"reverse": False, "cell": "peephole", "start": "uniform"},
    ],
)
def test_the_other_networks_learn_too(letters: Recipe, changes: dict[str, Any]) -> None:
    recipe = replace(letters, **changes, hidden=24, learning_rate=0.02, steps=200, clip=1.0)
    # 10 to 16 of 16; by chance 2
    assert recipe.metrics(trained(recipe))["exact_match"] > 0.4


def test_the_held_out_figures_are_counted_by_hand(numbers: Any) -> None:
    """Every figure again, from `try`'s own words."""
    right = edits = symbols = 0
    for source, target in WORDS.parts.held_out:
        said = WORDS.attempt(numbers, [source])
        right += said == target
        edits += edit_distance(said.split(), target.split())
        symbols += len(target.split())
    figures = WORDS.metrics(numbers)
    assert figures["exact_match"] == right / 200
    assert figures["edit_distance"] == edits / symbols


# --- what it learns from ---


def test_a_batch_is_training_pairs_backwards(generator: torch.Generator) -> None:
    recipe = SMALL
    sources, lengths, targets = recipe.batch(0, generator)
    source, target = recipe._vocabularies
    known = set(recipe.parts.training)
    assert sources.shape[1] == len(lengths) == targets.shape[1] == 10
    assert len(sources) == lengths.max()
    for n in range(10):
        read = source.text(sources[: lengths[n], n].tolist())[::-1]
        said = targets[:, n][targets[:, n] >= 0].tolist()
        assert said[-1] == END
        assert (read, target.text(said)) in known
        assert (targets[len(said) :, n] == -1).all()
    forward = replace(recipe, reverse=False).batch(0, torch.Generator().manual_seed(0))
    backward = recipe.batch(0, torch.Generator().manual_seed(0))
    assert torch.equal(forward[1], backward[1])
    assert torch.equal(forward[0][: forward[1][0], 0].flip(0), backward[0][: backward[1][0], 0])


def test_a_batch_is_of_one_length_and_all_lengths_come(generator: torch.Generator) -> None:
    lengths = [SMALL.batch(n, generator)[1] for n in range(60)]
    spread = sum(int(one.max() - one.min()) for one in lengths) / 60
    every = SMALL._corpora[0].lengths
    assert spread < 0.5 * int(every.max() - every.min())
    assert torch.cat(lengths).float().mean().item() == pytest.approx(
        every.float().mean().item(), rel=0.1
    )


def test_few_digits_are_met_as_often_as_asked(generator: torch.Generator) -> None:
    recipe = replace(SMALL, even=0.6)
    target = recipe._corpora[1]
    drawn = target.lengths[recipe._drawn(6000, generator)] - 1
    of_each = torch.bincount(target.lengths - 1)[1:]
    assert len(of_each) == 3
    for digits in (1, 2, 3):
        expected = 0.6 / 3 + 0.4 * of_each[digits - 1].item() / len(target.lengths)
        assert (drawn == digits).double().mean().item() == pytest.approx(expected, abs=0.03)
    places = recipe._drawn(6000, generator)
    assert len(places.unique()) == len(target.lengths)


def test_the_loss_is_the_mean_over_symbols_and_sees_no_padding(
    generator: torch.Generator,
) -> None:
    sources, lengths, targets = SMALL.batch(0, generator)
    model = training.build(SMALL).eval()
    total = count = 0.0
    for n in range(10):
        one = targets[targets[:, n] >= 0, n : n + 1]
        loss = model.loss(sources[: lengths[n], n : n + 1], lengths[n : n + 1], one)
        total, count = total + loss.item() * len(one), count + len(one)
    assert model.loss(sources, lengths, targets).item() == pytest.approx(total / count, rel=1e-5)


def test_no_held_out_target_reaches_the_training(letters: Recipe, tmp_path: Path) -> None:
    held_out = set(letters.parts.held_out)
    assert len(held_out) == 16
    changed = [(s, "h" if (s, t) in held_out else t) for s, t in LETTERS]
    other = replace(letters, data=write(tmp_path / "changed.tsv", changed))
    weights = [trained(recipe).state_dict().values() for recipe in (letters, other)]
    assert all(map(torch.equal, *weights))


def test_the_same_seed_gives_the_same_bits(letters: Recipe) -> None:
    recipes = [replace(letters, seed=seed, dropout=0.3) for seed in (3, 3, 4)]
    one, two, other = (trained(recipe).state_dict().values() for recipe in recipes)
    assert all(map(torch.equal, one, two))
    assert not all(map(torch.equal, one, other))


def test_a_run_that_was_stopped_comes_to_the_same_bits(letters: Recipe, tmp_path: Path) -> None:
    steps = training.train(letters, tmp_path / "run", save_every=0)
    next(steps)
    next(steps)
    steps.close()
    *_, last = training.train(letters, tmp_path / "run", resume=True)
    weights = (model.state_dict().values() for model in (last.model, trained(letters)))
    assert all(map(torch.equal, *weights))


def test_a_run_goes_on_with_its_own_data_alone(letters: Recipe, tmp_path: Path) -> None:
    trained(letters, tmp_path / "run")
    assert letters.data is not None
    write(letters.data, [*LETTERS[:-1], ("hh", "a")])
    with pytest.raises(ValueError, match="its data is not what it was when the run began"):
        next(training.train(replace(letters, steps=9), tmp_path / "run", resume=True))


# --- what it says ---


def test_a_question_is_answered_with_or_without_quotes(numbers: Any) -> None:
    source, target = WORDS.parts.training[-1]
    assert WORDS.attempt(numbers, [source]) == target
    assert WORDS.attempt(numbers, source.split()) == target


def test_a_beam_gives_the_best_answers_with_their_logarithms(numbers: Any) -> None:
    source, target = WORDS.parts.training[-1]
    for words in ([source, "--beam", "3"], ["--beam=3", *source.split()]):
        head, *lines = WORDS.attempt(numbers, words).splitlines()
        assert head == "log probability  answer"
        assert lines[0].split(maxsplit=1)[1] == target
        scores = [float(line.split()[0]) for line in lines]
        assert len(scores) == 3
        assert scores == sorted(scores, reverse=True)
        assert all(score <= 0 for score in scores)


def test_an_answer_without_an_end_is_cut_off_and_says_so(letters: Recipe) -> None:
    model = training.build(letters).eval()
    with torch.no_grad():
        model.answerer.readout.bias[END] = -100.0
    assert "(cut off after 2 symbols, without an end)" in letters.attempt(model, ["ab"])
    assert letters.metrics(model)["exact_match"] == 0
    cut_off = Answer(letters._vocabularies[1].numbers("b"), -1.0, ended=False)
    assert not judged("ab", ["b"], cut_off, letters._vocabularies).right


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], r"nothing to answer: expected a source, such as `unrolled try DIR \"aa\"`"),
        (["--beam", "2"], "nothing to answer"),
        (["ab", "--beam"], "'' is not a width for --beam: expected one whole number from 1"),
        (["ab", "--beam", "0"], "'0' is not a width for --beam"),
        (["ab", "--beam=101"], "'101' is not a width for --beam: expected .* from 1 to 100"),
        (["ab", "--beam", "x"], "'x' is not a width for --beam"),
        (["aé"], "'é' was never seen in training: known are 'abcdefgh'"),
        (["zéz"], "'z', 'é' were never seen in training"),
        (["aB"], "'B' was never seen in training: .*; did you mean 'b'"),
    ],
)
def test_a_senseless_question_is_refused(letters: Recipe, words: list[str], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as refusal:
        letters.attempt(training.build(letters).eval(), words)
    assert "\n" not in str(refusal.value)


def test_a_word_never_seen_is_refused_with_the_nearest() -> None:
    recipe = replace(WORDS, hidden=4)
    model = training.build(recipe).eval()
    with pytest.raises(ValueError, match=r"'fourty' was never seen .*; did you mean 'forty'"):
        recipe.attempt(model, ["fourty"])


def test_unknown_symbols_are_read_where_they_were_learnt_and_counted(tmp_path: Path) -> None:
    rare = [(f"a{chr(0x4E00 + n)}", "ab"[n % 2]) for n in range(40)]
    recipe = replace(
        SMALL, data=write(tmp_path / "rare.tsv", rare), fewest=2, test_share=0.25, batch_size=8
    )
    model = training.build(recipe).eval()
    figures = recipe.result(model)
    assert figures["unknown_in_held_out_sources"] == 10
    assert figures["unknown_in_held_out_targets"] == 0
    assert figures["source_symbols"] == 1
    assert recipe.attempt(model, ["az"]).startswith("read as unknown: 'z'\n")


# --- what it shows ---


def test_a_run_leaves_figures_and_pictures(letters: Recipe, tmp_path: Path) -> None:
    *_, last = training.train(letters, tmp_path / "run")
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    names = {"learning.png", "by_source.png", "by_target.png", "examples.png"}
    assert names == set(result["pictures"]) == {p.name for p in (tmp_path / "run").glob("*.png")}
    assert result["figures"]["training_pairs"] == 48
    assert result["figures"]["held_out_sources"] == 16
    assert last.report.startswith("held-out sources by the length of the target, in characters")
    assert "of 16 right" in last.report


def test_other_scripts_and_dollars_are_drawn(tmp_path: Path) -> None:
    pairs = [(f"$x_{n}$ 数{n}", f"\\frac {n}") for n in range(20)]
    recipe = replace(SMALL, data=write(tmp_path / "a.tsv", pairs), batch_size=4, steps=2)
    trained(recipe, tmp_path / "run")
    assert (tmp_path / "run" / "examples.png").stat().st_size > 1000


# --- what it refuses ---


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"hidden": 0}, "hidden = 0 makes no sense: expected 1 or more"),
        ({"layers": -1}, "layers = -1 makes no sense"),
        ({"beam": 101}, "beam = 101 makes no sense: expected 1 to 100"),
        ({"fewest": 0}, "fewest = 0 makes no sense"),
        ({"alike": 0}, "alike = 0 makes no sense"),
        ({"test_share": 0.0}, "test_share = 0.0 makes no sense: expected a share between 0 and 1"),
        ({"even": 1.5}, "even = 1.5 makes no sense: expected a number from 0 to 1"),
        ({"dropout": 1.0}, "dropout = 1.0 makes no sense: expected 0 or more and below 1"),
        ({"largest": 98}, "largest = 98 makes no sense: expected 99 to 999999999999"),
        ({"numbers": 1001}, "numbers = 1001 makes no sense: expected 2 to 1000"),
        ({"cell": "vanila"}, "cell = 'vanila' makes no sense: .*; did you mean 'vanilla'"),
        ({"steps_per_update": 5}, "steps_per_update = 5 makes no sense: expected 0, since a pair"),
        ({"batch_size": 500}, "batch_size = 500 is more than the 190 training pairs of numbers"),
        ({"data": Path("none.tsv")}, "there is no file none.tsv"),
    ],
)
def test_a_senseless_recipe_is_refused(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as refusal:
        training.check(replace(SMALL, **fields))
    assert "\n" not in str(refusal.value)


def test_fewer_pairs_than_a_batch_are_told(letters: Recipe) -> None:
    with pytest.raises(
        ValueError, match=r"batch_size = 49 is more than the 48 .* letters.tsv: use --batch-size 48"
    ):
        training.check(replace(letters, batch_size=49))
    training.check(replace(letters, batch_size=48))


def test_a_single_source_is_told(tmp_path: Path) -> None:
    data = write(tmp_path / "one.tsv", [("a", "b"), ("a", "c")])
    with pytest.raises(ValueError, match=r"one.tsv has 1 source, and that is held out"):
        training.check(replace(SMALL, data=data, batch_size=1))


# --- at the command line ---


def test_train_show_and_try(
    letters: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    typed = "train pairs --data letters.tsv --batch-size 16 --hidden 8 --steps 3 --out run"
    assert main(typed.split()) == 0
    assert "exact_match" in capsys.readouterr().out
    assert main(["try", "run", "--beam", "2", "ab"]) == 0
    assert capsys.readouterr().out.startswith("log probability  answer\n")
    assert main(["try", "run", "a?"]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("unrolled: '?' was never seen in training")
    assert not said.out
    # The same number of symbols, and other ones: the weights would fit and mean nothing.
    write(Path("letters.tsv"), [(s.replace("a", "z"), t.replace("a", "z")) for s, t in LETTERS])
    assert main(["try", "run", "bb"]) == 2
    assert "letters.tsv has other symbols than when this run was trained" in capsys.readouterr().err


def test_a_broken_file_is_one_sentence(tmp_path: Path, capsys: Any) -> None:
    data = tmp_path / "bad.tsv"
    data.write_bytes(b"a\tb\nc\xff\td\n")
    out = tmp_path / "run"
    assert main(["train", "pairs", "--data", str(data), "--out", str(out)]) == 2
    said = capsys.readouterr().err
    assert said == (
        "unrolled: bad.tsv is not UTF-8 text (byte 5 is 0xff): save it as UTF-8, or say in which "
        "encoding it is with --encoding NAME.\n"
    )
    assert not out.exists()
