"""The recipe labels: what it learns, how it is judged, what it answers and refuses."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from unrolled import cli, training
from unrolled.recipes.labels import Recipe
from unrolled.training.session import Session

SMALL = Recipe(count=60, hidden=4, steps=4, report_every=2, batch_size=8)


def settled(recipe: Recipe) -> Any:
    session = Session(recipe)
    while session.step < recipe.steps:
        session.advance()
        if session.step % recipe.report_every == 0:
            session.look()
    session.settle()
    return session.model.eval()


def write_ts(path: Path, rows: int = 30, seed: int = 0, labelled: bool = True) -> Path:
    """A slow wave or a fast one, of 8 to 15 steps."""
    generator = np.random.default_rng(seed)
    lines = ["@problemName Waves", "@univariate true", "@equalLength false"]
    lines += [f"@classLabel {'true slow fast' if labelled else 'false'}", "@data"]
    for row in range(rows):
        steps = np.arange(generator.integers(8, 16)) + generator.integers(0, 5)
        wave = np.sin(steps * (0.4, 1.5)[row % 2]) + generator.normal(0, 0.1, len(steps))
        values = ",".join(f"{value:.3f}" for value in wave)
        lines.append(values + (f":{('slow', 'fast')[row % 2]}" if labelled else ""))
    path.write_text("\n".join(lines) + "\n")
    return path


def test_the_made_up_task_is_learned() -> None:
    # Half of the labels are "same".
    rate = {"learning_rate": 0.02, "batch_size": 16}
    recipe = Recipe(count=120, hidden=12, steps=120, refit=False, **rate)  # type: ignore[arg-type]
    figures = recipe.result(settled(recipe))
    assert figures["test_sequences"] == 30
    assert figures["accuracy"] > 0.85
    assert figures["accuracy_constant"] < 0.65
    assert {"auc", "calibration_error", "accuracy_dtw", "accuracy_ridge"} <= figures.keys()


def test_nothing_of_the_test_part_reaches_the_training() -> None:
    """Whatever stands there, the weights and what they are chosen by come out the same."""
    models = []
    for change in (0.0, 1000.0):
        recipe = replace(SMALL, ensemble=2)
        whole, test = recipe._all, recipe._division.test
        values = [v + change * (n in set(test.tolist())) for n, v in enumerate(whole.sequences)]
        object.__setattr__(whole, "sequences", values)
        models.append(settled(recipe).state_dict())
    assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])


def test_refitting_learns_from_the_validation_part_too() -> None:
    one, other = settled(SMALL), settled(replace(SMALL, refit=False))
    assert not torch.equal(one.first.mean, other.first.mean)
    known = np.concatenate([SMALL.lesson.sequences[place] for place in SMALL.lesson.known])
    np.testing.assert_allclose(one.first.mean, known.mean(0))


def test_members_draw_from_their_own_folds(generator: torch.Generator) -> None:
    recipe = replace(SMALL, ensemble=3)
    values, lengths, answers = recipe.batch(0, generator)
    assert values.shape[1:] == (24, 2)
    for number, fold in enumerate(recipe.lesson.folds):
        columns = range(8 * number, 8 * number + 8)
        known = [recipe.lesson.sequences[place] for place in fold.training]
        for column in columns:
            mine = values[: lengths[column], column].numpy()
            assert any(len(v) == len(mine) and np.array_equal(v, mine) for v in known)
    assert len(answers) == 24


def test_a_file_is_learned_told_tried_and_explored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, test = write_ts(tmp_path / "a.ts"), write_ts(tmp_path / "b.ts", 12, seed=1)
    run, out = tmp_path / "run", tmp_path / "labels.csv"
    words = ["train", "labels", "--data", str(data), "--test-data", str(test), "--out", str(run)]
    more = ["--steps", "60", "--hidden", "8", "--learning-rate", "0.03", "--report-every", "30"]
    assert cli.main([*words, *more]) == 0
    said = capsys.readouterr().out
    assert "a.ts: .ts, 30 sequences of 8 to 15 steps and 1 channel" in said
    assert "b.ts: .ts, 12 sequences" in said
    assert "24 to learn from and 6 that chose the weights" in said
    assert "12 test sequences (from b.ts)" in said
    assert "1 nearest, time warped" in said
    assert "true, then said" in said
    names = ("learning", "confusion", "reliability", "steps")
    assert all((run / f"{name}.png").is_file() for name in names)

    new = write_ts(tmp_path / "new.ts", 10, seed=2, labelled=False)
    assert cli.main(["try", str(run), str(new), str(test), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "of 12 labels are right" in said
    with open(out, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 22
    assert {row["label"] for row in rows} <= {"slow", "fast"}
    odds = [float(rows[0][f"probability of {word}"]) for word in ("fast", "slow")]
    assert sum(odds) == pytest.approx(1, abs=1e-5)
    assert cli.main(["try", str(run), str(new), "--out", str(out)]) != 0
    assert "is there already" in capsys.readouterr().err

    assert cli.main(["explore", str(run), "--out", str(tmp_path / "page.html")]) == 0
    assert "backwards, from the end" in (tmp_path / "page.html").read_text()
    assert cli.main(["show", str(run)]) == 0


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--label", "x"], "label = 'x' is of no file: add --data FILE"),
        (["--data", "nothing.ts"], "there is no file or folder nothing.ts"),
        (["--data", "a.ts", "--group", "who"], "--group who names a column"),
        (["--data", "a.ts", "--test-data", "c.ts"], "has the label 'wild'"),
        (["--data", "a.ts", "--test-data", "two.ts"], "two.ts has 2 channels"),
        (["--data", "unlabelled.ts"], "unlabelled.ts has no labels"),
        (["--pooling", "sum"], "expected mean, max or last"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(
    flags: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    text = write_ts(Path("a.ts")).read_text()
    Path("c.ts").write_text(text.replace("slow", "wild"))
    Path("two.ts").write_text("@classLabel true slow fast\n@data\n1,2:3,4:slow\n1:2:fast\n")
    write_ts(Path("unlabelled.ts"), labelled=False)
    assert cli.main(["train", "labels", *flags, "--out", "run"]) != 0
    said = capsys.readouterr().err
    assert sentence in said
    assert "Traceback" not in said
    assert not Path("run").exists()


def test_new_files_have_to_fit(tmp_path: Path) -> None:
    recipe = replace(SMALL, data=write_ts(tmp_path / "a.ts"))
    model = training.build(recipe).eval()
    with pytest.raises(ValueError, match="what is to be labelled"):
        recipe.attempt(model, [])
    with pytest.raises(ValueError, match="there is no file or folder"):
        recipe.attempt(model, [str(tmp_path / "no.ts")])
    with pytest.raises(ValueError, match="there is nothing in x"):
        SMALL.attempt(training.build(SMALL).eval(), ["x"])
    assert "labels are right" in SMALL.attempt(training.build(SMALL).eval(), [])


def test_long_tables_and_groups_from_end_to_end(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    rows = ["id,t,x,who,what"]
    for n in range(40):
        for t in range(6):
            rows.append(f"s{n},{t},{generator.normal() + n % 2:.3f},p{n % 8},w{n % 2}")
    (tmp_path / "long.csv").write_text("\n".join(rows))
    named = {"sequence": "id", "time": "t", "label": "what", "group": "who"}
    recipe = replace(SMALL, data=tmp_path / "long.csv", **named)
    assert recipe._all.channels == ("x",)
    assert len(recipe._division.test) == 10
    assert "each group on one side" in recipe.summary(settled(recipe))
    rows = [row.rsplit(",", 2)[0] for row in rows]  # neither who nor what
    (tmp_path / "new.csv").write_text("\n".join(rows))
    assert "s0" in recipe.attempt(settled(recipe), [str(tmp_path / "new.csv")])
