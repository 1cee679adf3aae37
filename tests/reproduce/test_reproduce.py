"""`unrolled reproduce`: its rows, its files, its exit status; and the recipe of one file."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from unrolled import cli, recipes, training
from unrolled.reproduce import experiments, rows_of
from unrolled.reproduce.experiments import EXPERIMENTS, Experiment, Figure, Reproduction
from unrolled.reproduce.tables import FigureRow, as_markdown, as_text

Captured = pytest.CaptureFixture[str]
KNOWN = {one.name: one for one in EXPERIMENTS}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def figure(bound: float = 1.0) -> Figure:
    return Figure("error", "an error", "0.5", "0.4", f"at most {bound}", lambda x: x <= bound)


# --- what is run ---


def test_the_cheap_figures_are_what_was_published() -> None:
    told: list[str] = []
    for name in ("sequence", "layer"):
        for row in rows_of(KNOWN[name], 3, False, told.append):
            assert row.passed, row
    assert len(told) == 4  # the published start is one run, the layers' comparison three
    assert told[0].startswith("sequence, seed 0: 2.6108e-06 after 99 steps")


def test_document_004_differs_where_its_gates_are_taken_in_torchs_order() -> None:
    """The comparison can fail: torch's rows are i, f, g, o, and the document's i, f, o, g."""
    torch.manual_seed(0)
    theirs = torch.nn.LSTM(2, 3, dtype=torch.float64)
    names = {"i2h": "weight_ih", "h2h": "weight_hh", "i2h_bias": "bias_ih", "h2h_bias": "bias_hh"}
    weights = {ours: theirs.get_parameter(f"{name}_l0") for ours, name in names.items()}
    x = torch.randn(4, 1, 2, dtype=torch.float64)
    ours, _ = experiments._document_004(x, [torch.nn.ParameterDict(weights)])
    assert (ours - theirs(x)[0]).abs().max() > 1e-3


def test_an_adder_stops_when_every_sum_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    def steps(recipe: object) -> object:
        for step in range(1, 8):
            metrics = {"sums_right": float(step >= 3)} if step != 2 else {}
            yield training.Step(step, 0.0, metrics, "", 0.0, torch.nn.Identity())

    monkeypatch.setattr(training, "train", steps)
    assert KNOWN["adder-lstm"].run(0, False) == Reproduction({"sums_right": 1.0}, 3)
    assert KNOWN["adder-lstm"].run(0, True).steps == 7


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_every_bound_can_be_missed(name: str) -> None:
    for one in KNOWN[name].figures:
        assert not (one.held(0.0) and one.held(1e9))
        assert not one.held(math.nan)


def test_every_row_of_the_issue_is_there() -> None:
    said = " ".join(one.what for known in EXPERIMENTS for one in known.figures)
    assert all(number in said for number in ("000", "001", "002", "003", "004"))
    assert len([one for known in EXPERIMENTS for one in known.figures]) == 10


# --- the table ---


def test_a_row_is_missed_where_one_run_is() -> None:
    runs = iter((0.5, 2.0, 0.7))
    toy = Experiment(
        "toy", lambda seed, full: Reproduction({"error": next(runs)}, 10 + seed), (figure(),)
    )
    (row,) = rows_of(toy, 3, False, lambda line: None)
    assert not row.passed
    cells = row.cells()
    assert cells[3] == "0.5 to 2, median 0.7; 2 of 3"
    assert (cells[5], cells[-1]) == ("10 to 12", "MISSED")
    early = replace(
        toy, figures=(replace(figure(), at=9),), run=lambda s, f: Reproduction({"error": 1}, 99)
    )
    assert [row.steps for row in rows_of(early, 1, False, lambda line: None)] == [(9,)]


def test_the_table_says_everything_in_text_and_in_markdown() -> None:
    rows = [
        FigureRow("toy", figure(), (0.5,), (7,), 1.25),
        FigureRow("toy", figure(), (3.0,), (7,), 1.0),
    ]
    markdown = as_markdown(rows).splitlines()
    assert len(markdown) == 4
    assert all(line.count("|") == 9 for line in markdown)
    assert "| 0.5 | at most 1.0 | 7 | 1.2 | pass |" in markdown[2]
    text = as_text(rows)
    assert "MISSED" in text
    assert max(map(len, text.splitlines())) < 160


def test_the_command_writes_its_files_and_says_whether_all_is_well(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli.main(["reproduce", "layer", "--seeds", "2", "--out", "out"]) == 0
    said = capsys.readouterr().out
    assert "all 1 rows pass." in said
    folder = tmp_path / "out"
    record = json.loads((folder / "reproduce.json").read_text())
    assert record["seeds"] == 2
    assert len(record["rows"][0]["values"]) == 2
    with open(folder / "reproduce.csv", newline="") as file:
        heads, row = csv.reader(file)
    assert len(heads) == len(row) == 8
    assert (folder / "reproduce.md").read_text().startswith("| figure |")
    assert (folder / "reproduce.png").read_bytes().startswith(b"\x89PNG")
    missed = Experiment("layer", lambda s, f: Reproduction({"error": 2.0}, 1), (figure(),))
    monkeypatch.setattr("unrolled.reproduce.EXPERIMENTS", (missed,))
    assert cli.main(["reproduce", "layer"]) == 1
    assert "1 of 1 missed: an error." in capsys.readouterr().out
    assert (tmp_path / "runs" / "reproduce" / "reproduce.png").is_file()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["prime"], "did you mean 'primes'"),
        (["zzz"], "is not a published figure: there are adder-lstm"),
        (["layer", "--seeds", "0"], "--seeds 0 makes no sense"),
        (["layer", "--seeds", "x"], "invalid int value"),
        (["layer", "--out", "file"], "file is a file: expected a folder"),
        (["--sedes", "3"], "unrecognized arguments"),
    ],
)
def test_mistakes_are_one_sentence(words: list[str], sentence: str, capsys: Captured) -> None:
    Path("file").write_text("")
    assert cli.main(["reproduce", *words]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1


# --- the recipe of one file ---

EXAMPLE = str(Path(__file__).parents[2] / "examples" / "my_recipe.py")


def test_the_example_is_trained_and_tried_from_the_command_line(capsys: Captured) -> None:
    flags = ["--steps", "4", "--report-every", "2", "--hidden", "4", "--out", "run"]
    assert cli.main(["train", EXAMPLE, *flags]) == 0
    assert cli.main(["show", "run"]) == 0
    assert cli.main(["try", "run", "--trust", "0.3", "0.9", "0.5"]) == 0
    assert capsys.readouterr().out.splitlines()[-3].split()[2] == "0"
    for words in (["x"], ["2"], [], ["0.1"] * 9):
        assert cli.main(["try", "run", "--trust", *words]) == 2
        assert "numbers from 0 to 1" in capsys.readouterr().err
    assert cli.main(["train", EXAMPLE, "--length", "1"]) == 2
    assert "length = 1 makes no sense" in capsys.readouterr().err


@pytest.mark.parametrize("seed", range(2))
def test_the_example_learns(seed: int) -> None:
    recipe = replace(recipes.find(EXAMPLE).recipe(seed=seed), steps=300, report_every=300)
    *_, last = training.train(recipe)
    assert last.metrics["right"] > 0.8 > 0.5 > last.metrics["right_by_saying_0"]


def test_the_examples_answer_is_where_the_largest_was() -> None:
    module = recipes.find(EXAMPLE).module
    numbers = torch.tensor([0.2, 0.5, 0.1, 0.3, 0.9, 0.4])[:, None]
    assert module.steps_since_largest(numbers)[:, 0].tolist() == [0, 0, 1, 2, 0, 1]
