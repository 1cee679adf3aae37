"""The recipe events: what it finds, beside a linear rival; what it answers and refuses."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from unrolled import cli, training
from unrolled.recipes._events.answers import best_threshold, runs_of
from unrolled.recipes.events import Recipe

SMALL = Recipe(length=1200, hidden=3, window=32, warm_up=8, batch_size=4, steps=4, report_every=2)


def trained(recipe: Recipe, out: Path | None = None) -> Any:
    *_, last = training.train(recipe, out)
    return last.model.eval()


def write_table(path: Path, rows: int = 400, period: int = 10, shift: int = 0) -> Path:
    """A channel that rises through a period, whose last three steps are the event."""
    step = np.arange(rows) % period
    kinds = np.where(step < period - 3, "no", np.where(np.arange(rows) % 20 < 10, "a", "b"))
    lines = [
        f"{s + shift + n % 3},{n % 7},{int(k != 'no')},{k}"
        for n, (s, k) in enumerate(zip(step, kinds, strict=True))
    ]
    path.write_text("x,y,e,kind\n" + "\n".join(lines))
    return path


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write_table(tmp_path / "data.csv")


# --- outcomes ---


def test_events_are_found_better_than_by_the_linear_labeller() -> None:
    # 0.896 to 0.934 beside 0.76 to 0.83 in 5 seeds; the defaults are more of the same.
    recipe = Recipe(length=24_000, steps=500, learning_rate=0.01, report_every=500)
    recipe = replace(recipe, validation_share=0.0)  # of so short a signal, all is learned from
    figures = recipe.result(trained(recipe))
    assert figures["heldout_steps"] == 6000
    assert 0.7 < figures["roc_auc_linear"] < 0.86 < figures["roc_auc"]
    assert figures["average_precision_linear"] < 0.55 < figures["average_precision"]


def test_both_directions_and_several_events(table: Path) -> None:
    recipe = replace(SMALL, data=table, event="kind", channels=("x", "y"), both_directions=True)
    recipe = replace(recipe, steps=150, learning_rate=0.03, report_every=150)
    model = trained(recipe)
    figures = recipe.result(model)
    each = [figures[f"roc_auc of kind={kind}"] for kind in "ab"]
    assert figures["roc_auc"] == pytest.approx(np.mean(each))
    # Without memory a and b cannot be told apart: 0.85 at most.  With 20 steps of it, they can.
    assert min(each) > 0.75
    table_of_figures = recipe.report(model, recipe.steps, ())
    assert "(mean of 2, each against the rest)" in table_of_figures
    assert "kind=a is in 15.00% of the training part and weighs 5.67" in table_of_figures


def test_the_same_seed_gives_the_same_bits() -> None:
    one, other = (trained(SMALL).state_dict() for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)
    figures = [replace(SMALL).result(training.build(SMALL).eval()) for _ in range(2)]
    assert figures[0] == figures[1]


# --- what it learns from ---


def test_a_batch_is_windows_of_the_training_part(generator: torch.Generator) -> None:
    recipe = replace(SMALL, batch_size=200)
    values, flags = recipe.batch(0, generator)
    assert values.shape == (32, 200, 6)
    assert flags.shape == (32, 200, 1)
    all_values = recipe.parts.values
    firsts = values[0, :, 0].numpy()
    begins = [int(np.flatnonzero(all_values[:, 0] == first)[0]) for first in firsts]
    assert min(begins) >= 0
    assert max(begins) <= 900 - 32
    for column in (0, 7, 199):
        stretch = slice(begins[column], begins[column] + 32)
        np.testing.assert_array_equal(values[:, column], all_values[stretch])
        np.testing.assert_array_equal(flags[:, column], recipe.parts.flags[stretch])


@pytest.mark.parametrize("both", [False, True])
def test_what_is_not_judged_has_no_gradient(both: bool, generator: torch.Generator) -> None:
    recipe = replace(SMALL, both_directions=both)
    model = training.build(recipe)
    values, flags = recipe.batch(0, generator)
    ends = [flags.clone(), flags.clone()]
    ends[0][:8] = 1 - ends[0][:8]
    ends[1][-8:] = 1 - ends[1][-8:]
    losses = [recipe.loss(model, (values, f), None)[0].item() for f in (flags, *ends)]
    assert losses[0] == losses[1]
    assert (losses[0] == losses[2]) is both


def test_no_held_out_step_reaches_the_training(tmp_path: Path) -> None:
    """Whatever stands there, weights, scaling and the linear labeller come out the same."""
    recipes = []
    for name, change in (("a.csv", 0), ("b.csv", 1000)):
        lines = write_table(tmp_path / name).read_text().splitlines()
        changed = [
            f"{float(line.split(',')[0]) + change}" + line[line.index(",") :]
            for line in lines[301:]
        ]
        (tmp_path / name).write_text("\n".join([*lines[:301], *changed]))
        recipes.append(replace(SMALL, data=tmp_path / name, event="e", channels=("x", "y")))
    one, other = (trained(recipe).state_dict() for recipe in recipes)
    assert all(torch.equal(one[name], other[name]) for name in one)
    linear = [recipe._linear for recipe in recipes]
    assert linear[0].window == linear[1].window
    np.testing.assert_array_equal(*(one.regressions[0].coef_ for one in linear))


def test_a_run_goes_on_with_its_own_data_alone(table: Path, tmp_path: Path) -> None:
    recipe = replace(SMALL, data=table, event="e", channels=("x", "y"), steps=2)
    trained(recipe, tmp_path / "run")
    write_table(table, shift=1)
    with pytest.raises(ValueError, match="its data is not what it was when the run began"):
        next(training.train(replace(recipe, steps=4), tmp_path / "run", resume=True))


# --- what it shows and answers ---


def test_a_run_leaves_figures_and_pictures(tmp_path: Path) -> None:
    *_, last = training.train(SMALL, tmp_path / "run")
    figures = json.loads((tmp_path / "run" / "result.json").read_text())["figures"]
    assert {"roc_auc", "average_precision", "roc_auc_linear", "linear_window"} < figures.keys()
    pictures = {path.name for path in (tmp_path / "run").glob("*.png")}
    assert pictures == {"learning.png", "stretch.png", "curves.png", "gates.png"}
    lines = last.report.splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["LSTM", "linear,", "chance"]
    assert f"{figures['roc_auc']:.4f}" in lines[1]
    assert f"{figures['average_precision_linear']:.4f}" in lines[2]


def test_a_file_is_labelled_at_every_step(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = replace(SMALL, data=table, event="e", channels=("x", "y"), steps=150)
    recipe = replace(recipe, learning_rate=0.03, report_every=150)
    trained(recipe, tmp_path / "run")
    new = write_table(tmp_path / "new.csv", rows=60)
    assert cli.main(["try", "run", "new.csv"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "new.csv:"
    assert "found in 60 steps, where the probability is" in said[1]
    assert said[-1] == "the probability at every step is in new.events.csv"
    figures = said[-2].split("ROC-AUC ")[1].split(",")[0]
    assert float(figures) > 0.9
    rows = list(csv.reader((tmp_path / "new.events.csv").read_text().splitlines()))
    assert rows[0] == ["row", "probability of e=1"]
    assert [row[0] for row in rows[1:]] == [str(n) for n in range(2, 62)]
    threshold = float(said[1].split()[-3])
    found = runs_of(np.array([float(row[1]) >= threshold for row in rows[1:]]))
    assert len(found) == int(said[1].split()[0])
    assert said[3].split()[:3] == [
        str(found[0][0] + 2),
        str(found[0][1] + 1),
        str(found[0][1] - found[0][0]),
    ]
    assert not list(tmp_path.glob(".*writing"))
    # A file without the event is labelled too, and no file is written over.
    new.write_text("\n".join(line.rsplit(",", 2)[0] for line in new.read_text().splitlines()))
    assert cli.main(["try", "run", "new.csv"]) == 2
    assert (
        "new.events.csv is there already and stays as it is: delete it, or"
        in capsys.readouterr().err
    )
    assert cli.main(["try", "run", "new.csv", "--out", "b.csv", "--threshold", "0.5"]) == 0
    assert "0.5 or more" in capsys.readouterr().out
    assert (tmp_path / "b.csv").read_bytes() == (tmp_path / "new.events.csv").read_bytes()
    new.write_text("x,z\n1,2\n")
    assert cli.main(["try", "run", "new.csv", "--out", "c.csv"]) == 2
    assert "new.csv has no column 'y': its columns are x, z" in capsys.readouterr().err
    assert not (tmp_path / "c.csv").exists()


def test_a_fresh_made_up_signal_needs_no_file(tmp_path: Path) -> None:
    model = training.build(SMALL).eval()
    said = SMALL.attempt(model, ["--out", str(tmp_path / "x.csv")]).splitlines()
    assert said[0] == "a fresh made-up signal:"
    assert "in 2,000 steps" in said[1]
    assert len((tmp_path / "x.csv").read_text().splitlines()) == 2001


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["night.csv"], "this run learned from the built-in signal, so there is nothing in night"),
        (
            ["--threshold", "2"],
            r"--threshold 2\.0 makes no sense: expected a share between 0 and 1",
        ),
        (["--treshold", "2"], r"unrecognized arguments: --treshold; see `unrolled try DIR"),
        (["--out", "none/x.csv"], r"none/x\.csv cannot be written: there is no folder none"),
    ],
)
def test_a_senseless_question_is_refused(words: list[str], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        SMALL.attempt(training.build(SMALL), words)


def test_what_was_learned_from_is_no_judge(table: Path, tmp_path: Path) -> None:
    recipe = replace(SMALL, data=table, event="e", channels=("x", "y"))
    model, border = training.build(recipe), recipe.parts.border
    total = len(recipe.parts.values)
    same = recipe.attempt(model, [str(table), "--out", str(tmp_path / "same.csv")])
    assert f"over the last {total - border:,} steps: the others were learned from" in same
    lines = table.read_text().splitlines()
    other = tmp_path / "other.csv"
    other.write_text("\n".join([lines[0], *lines[2:]]) + "\n")
    assert "learned from" not in recipe.attempt(
        model, [str(other), "--out", str(tmp_path / "o.csv")]
    )


def test_a_run_of_a_file_asks_for_a_file(table: Path) -> None:
    recipe = replace(SMALL, data=table, event="e", channels=("x", "y"))
    with pytest.raises(ValueError, match="what is to be labelled"):
        recipe.attempt(training.build(recipe), [])


def test_the_threshold_is_the_best_and_runs_are_told() -> None:
    flags = np.array([False, True, True, False, True])
    assert best_threshold(flags, np.array([0.1, 0.6, 0.7, 0.3, 0.4])) == 0.4
    assert runs_of(flags) == [(1, 3), (4, 5)]
    assert runs_of(flags[:1]) == []


# --- what it refuses ---


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"hidden": 0}, "hidden = 0 makes no sense: expected 1 or more"),
        ({"every": 0}, "every = 0 makes no sense"),
        ({"around": -1}, "around = -1 makes no sense: expected 0 or more"),
        ({"test_share": 0.0}, r"test_share = 0\.0 makes no sense"),
        ({"dropout": 0.5}, r"dropout = 0\.5 with layers = 1 makes no sense"),
        (
            {"cell": "vanila"},
            "cell = 'vanila' makes no sense: .* or linear; did you mean 'vanilla'",
        ),
        ({"warm_up": 32}, "warm_up = 32 leaves nothing of window = 32 to judge"),
        ({"warm_up": 16, "both_directions": True}, "warm_up = 16 leaves nothing"),
        ({"steps_per_update": 5}, "steps_per_update = 5 makes no sense: expected 0, since each"),
        ({"event": "x"}, "event = 'x' is of no file: add --data FILE"),
        ({"channels": ("x",)}, r"channels = \('x',\) is of no file"),
        ({"window": 901}, "1,200 steps, of which 900 are to train on: a window of 901 needs"),
        ({"every": 100}, "12 steps, of which 9 are to train on: a window of 32 needs at least 32"),
        ({"around": 100}, "event 'event' is everywhere in the held-out part, 300 of 1,200 steps"),
        ({"data": Path("none.csv"), "event": "x"}, r"there is no file none\.csv"),
    ],
)
def test_a_senseless_recipe_is_refused(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as refusal:
        training.check(replace(SMALL, **fields))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("column", "change", "sentence"),
    [
        (2, lambda n: n < 100, "event 'e=1' is nowhere in the held-out part, 100 of 400 steps"),
        (2, lambda n: n > 350, "event 'e=1' is nowhere in the training part, 300 of 400 steps"),
        (2, lambda n: n < 350, "event 'e=1' is everywhere in the training part, 300 of 400 steps"),
        (1, lambda n: n >= 300, "channel 'y' is 0 all through the training part"),
        (1, lambda n: float("nan") if n == 77 else n, "row 79 of column 'y' has no value"),
    ],
)
def test_a_senseless_file_is_refused(column: int, change: Any, sentence: str, table: Path) -> None:
    head, *lines = table.read_text().splitlines()
    cells = [line.split(",") for line in lines]
    for n, row in enumerate(cells):
        row[column] = str(change(n) * 1)
    table.write_text("\n".join([head, *map(",".join, cells)]))
    recipe = replace(SMALL, data=table, event="e", channels=("x", "y"))
    with pytest.raises(ValueError, match=sentence) as refusal:
        training.check(recipe)
    assert "\n" not in str(refusal.value)


def test_an_edf_file_cut_short_is_refused_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("night.edf").write_bytes(b"0       half a header")
    assert cli.main(["train", "events", "--data", "night.edf"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "needs MNE" in said or "cut short or damaged" in said
    assert not (tmp_path / "runs" / "events").exists()


def test_without_scikit_learn_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"scikit-learn: pip install 'unrolled\[cli\]'"):
        SMALL.check()
