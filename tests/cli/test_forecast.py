"""`unrolled forecast`: a run goes on from what it holds, its file gone, or from a new one."""

from __future__ import annotations

import csv
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from damage import flipped
from unrolled.cli.main import main
from unrolled.training import checkpoint, runs

Captured = pytest.CaptureFixture[str]


def export(days: int = 150) -> str:
    """Semicolons, decimal commas, dates as in Germany, and a day in 13 that is missing."""
    rows = []
    for n in range(days):
        value = f"{1000 + 100 * np.sin(2 * np.pi * n / 7):.2f}".replace(".", ",")
        if n % 13:
            rows.append(f"{date(2021, 3, 1) + timedelta(n):%d.%m.%Y};{value} €")
    return "Umsatz der Filiale\n\nTag;Umsatz\n" + "\n".join(rows) + "\n"


QUICK = ["--steps", "600", "--hidden", "8", "--time", "Tag", "--horizon", "7", "--search", "4"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose file is gone."""
    folder = tmp_path_factory.mktemp("forecast")
    data = folder / "sales.csv"
    data.write_bytes(export().encode("cp1252"))
    out = folder / "run"
    assert main(["train", "series", "--data", str(data), *QUICK, "--out", str(out)]) == 0
    data.unlink()
    return out


def asked(capsys: Captured, *words: Any) -> list[str]:
    assert main(["forecast", *map(str, words)]) == 0
    return capsys.readouterr().out.splitlines()


def refused(capsys: Captured, *words: Any) -> str:
    assert main(["forecast", *map(str, words)]) != 0
    out, err = capsys.readouterr()
    assert not out
    assert err.count("\n") == 1
    return err


def test_a_run_answers_though_its_file_is_gone(made: Path, capsys: Captured) -> None:
    said = asked(capsys, made)
    head = said[0]
    assert head.split()[:2] == ["Tag", "Umsatz"]
    assert "Umsatz low 80" in head
    first = date(2021, 3, 1) + timedelta(150)
    assert [line.split()[0] for line in said[1:]] == [str(first + timedelta(k)) for k in range(7)]
    for k, line in enumerate(said[1:]):
        _, middle, low95, high95, low80, high80 = (line.split()[0], *map(float, line.split()[1:]))
        assert low95 <= low80 <= middle <= high80 <= high95
        assert middle == pytest.approx(1000 + 100 * np.sin(2 * np.pi * (150 + k) / 7), abs=60)


def test_training_ends_with_just_that(tmp_path: Path, capsys: Captured) -> None:
    data = tmp_path / "sales.csv"
    data.write_text(export())
    out = tmp_path / "run"
    assert main(["train", "series", "--data", str(data), *QUICK, "--out", str(out)]) == 0
    trained = capsys.readouterr().out.splitlines()
    table = asked(capsys, out)
    place = trained.index(table[0])
    assert trained[place : place + len(table)] == table
    assert any(line.startswith("11 values are missing of 149") for line in trained)
    assert {"future.png", "forecast.png"} <= {path.name for path in out.glob("*.png")}


def test_more_steps_than_the_horizon_grow_less_sure(made: Path, capsys: Captured) -> None:
    said = asked(capsys, made, "--steps", 21)
    assert "from its own forecasts" in said[-1]
    rows = [[float(word) for word in line.split()[1:]] for line in said[1:22]]
    wide = [row[2] - row[1] for row in rows]
    assert all(wide[k + 14] > wide[k + 7] > wide[k] for k in range(7))


def test_a_csv_has_every_digit_and_a_picture_beside_it(
    made: Path, tmp_path: Path, capsys: Captured
) -> None:
    out = tmp_path / "forecast.csv"
    said = asked(capsys, made, "--steps", 3, "--out", out)
    assert said[-2:] == [str(out), str(tmp_path / "forecast.png")]
    with open(out, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["Tag"] for row in rows] == ["2021-07-29", "2021-07-30", "2021-07-31"]
    assert float(rows[0]["Umsatz"]) == pytest.approx(float(said[1].split()[1]), rel=1e-5)
    assert (tmp_path / "forecast.png").read_bytes().startswith(b"\x89PNG")


def test_it_goes_on_from_a_new_file(made: Path, tmp_path: Path, capsys: Captured) -> None:
    new = tmp_path / "later.csv"
    new.write_text(export(200))
    said = asked(capsys, made, "--data", new)
    assert said[0].startswith("read as: semicolons, decimal comma")
    assert said[2].split()[0] == str(date(2021, 3, 1) + timedelta(200))
    same = tmp_path / "same.csv"
    same.write_text(export())
    assert asked(capsys, made, "--data", same)[1:] == asked(capsys, made)


def test_a_groups_future_is_read_from_a_second_file(tmp_path: Path, capsys: Captured) -> None:
    random = np.random.default_rng(0)
    rows = ["shop,day,price,sales"]
    for shop in "AB":
        for n in range(100):
            price = int(random.integers(1, 5))
            rows.append(f"{shop},{date(2020, 1, 1) + timedelta(n)},{price},{100 - 10 * price}")
    (tmp_path / "x.csv").write_text("\n".join(rows) + "\n")
    words = ["--column", "sales", "--group", "shop", "--future", "price", "--calendar"]
    flags = ["--data", str(tmp_path / "x.csv"), "--time", "day", *words, "--steps", "1500"]
    out = tmp_path / "run"
    assert main(["train", "series", *flags, "--out", str(out)]) == 0
    assert "price" in refused(capsys_cleared(capsys), out, "--steps", 1)
    ahead = ["shop,day,price"]
    ahead += [f"{s},2020-04-{10 + n},{1 + 3 * (n % 2)}" for s in "AB" for n in range(4)]
    (tmp_path / "ahead.csv").write_text("\n".join(ahead) + "\n")
    given = ("--data-future", tmp_path / "ahead.csv")
    said = asked(capsys, out, "--steps", 4, *given)
    sales = {(w[0], w[1]): float(w[2]) for w in (line.split() for line in said[1:9])}
    for shop in "AB":
        cheap, dear = sales["2020-04-10", shop], sales["2020-04-11", shop]
        assert cheap > dear + 8
    assert "known for 4 beyond" in refused(capsys, out, "--steps", 5, *given)


def capsys_cleared(capsys: Captured) -> Captured:
    capsys.readouterr()
    return capsys


# --- what it refuses ---


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--steps", "0"], "--steps 0 makes no sense: expected 1 or more"),
        (["--out", "x.txt"], "--out x.txt makes no sense: expected a name that ends with .csv"),
        (["--out", "none/x.csv"], "there is no folder none"),
        (["--data", "none.csv"], "there is no file none.csv"),
        (["--data-future", "x.csv"], "name them with --future"),
        (["--sept", "1"], "unrecognized arguments"),
    ],
)
def test_a_senseless_question_is_one_sentence(
    made: Path, capsys: Captured, words: list[str], sentence: str
) -> None:
    assert sentence in refused(capsys, made, *words)


def test_a_new_file_that_is_too_short_or_another_is_refused(
    made: Path, tmp_path: Path, capsys: Captured
) -> None:
    new = tmp_path / "new.csv"
    lines = export(25).splitlines(keepends=True)
    new.write_text("".join((*lines[:3], *lines[-8:])))
    assert "has 8 steps, and the network reads 17: bring more rows" in refused(
        capsys, made, "--data", new
    )
    new.write_text(export().replace("Umsatz\n", "Menge\n").replace("Tag;Umsatz", "Tag;Menge"))
    assert "no column" in refused(capsys, made, "--data", new)


def test_other_runs_forecast_nothing(tmp_path: Path, capsys: Captured) -> None:
    out = tmp_path / "adder"
    assert main(["train", "adder", "--steps", "2", "--out", str(out)]) == 0
    assert "is a run of adder, which forecasts no series" in refused(capsys_cleared(capsys), out)
    cosine = tmp_path / "cosine"
    assert main(["train", "series", "--steps", "2", "--hidden", "2", "--out", str(cosine)]) == 0
    assert "it is of the cosine" in refused(capsys_cleared(capsys), cosine)


def test_what_a_run_holds_is_sealed(made: Path, tmp_path: Path, capsys: Captured) -> None:
    copy = tmp_path / "run"
    copy.mkdir()
    for name in (*runs.FILES, runs.DATA):
        (copy / name).write_bytes((made / name).read_bytes())
    path = copy / runs.DATA
    tree = checkpoint.read_tree(path)
    flipped(path, len(path.read_bytes()) * 8 - 30)
    assert f"{path} is damaged" in refused(capsys, copy)
    assert main(["check", str(copy)]) == 1
    assert "data.safetensors     damaged" in capsys.readouterr().out
    for wrong in ({**tree, "series": []}, {**tree, "targets": ["a", "b"]}, {"x": torch.ones(1)}):
        checkpoint.write_tree(path, wrong)
        assert "makes no sense" in refused(capsys, copy)


def test_a_figure_for_each_step_ahead_is_shown_as_figures_are() -> None:
    from unrolled.cli.report import _number

    assert _number([18.715331495703715, None, 7]) == "18.715 not finite 7"


def quarters(count: int) -> str:
    """A time in two columns, in a file whose lines end with a mark that its names lack."""
    rows = [f"{1959 + n // 4},{n % 4 + 1},{2700 + 10 * n + n % 7}," for n in range(count)]
    return "year,quarter,gdp\n" + "\n".join(rows) + "\n"


def test_a_time_in_two_columns_goes_on_from_the_file_and_from_a_new_one(
    tmp_path: Path, capsys: Captured
) -> None:
    data, out = tmp_path / "macro.csv", tmp_path / "run"
    data.write_text(quarters(80))
    words = ["--time", "year+quarter", "--horizon", "3", "--steps", "20", "--search", "1"]
    assert main(["train", "series", "--data", str(data), *words, "--out", str(out)]) == 0
    assert "80 rows, quarterly" in capsys.readouterr().out
    data.unlink()
    assert [line.split()[0] for line in asked(capsys, out)] == [
        *("year+quarter", "1979Q1", "1979Q2", "1979Q3")
    ]
    data.write_text(quarters(83))
    assert asked(capsys, out, "--data", data)[-1].split()[0] == "1980Q2"


def test_a_file_without_names_goes_on(tmp_path: Path, capsys: Captured) -> None:
    data, out = tmp_path / "sunspots.dat", tmp_path / "run"
    data.write_text("".join(f"{1700 + n}   {n % 11}.5\n" for n in range(90)))
    train = ["train", "series", "--data", str(data), "--steps", "20", "--search", "1"]
    assert main([*train, "--out", str(out)]) != 0
    err = capsys.readouterr().err
    assert err.endswith("where it holds the names, say --header yes.\n")
    columns = ["--header", "no", "--time", "column 1", "--column", "column 2"]
    assert main([*train, *columns, "--out", str(out)]) == 0
    capsys.readouterr()
    assert asked(capsys, out)[1].split()[0] == "1790"
