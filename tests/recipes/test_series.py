"""The series recipe: what it learns, beside forecasts that need no network; what it refuses."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from unrolled import training
from unrolled.recipes._series.predicting import predict
from unrolled.recipes.series import Recipe

SUNSPOTS = Recipe(
    data=Path(__file__).parents[2] / "examples" / "sunspots.csv",
    column="sunspots",
    time="year",
    horizon=11,
)
ALONE: dict[str, Any] = {"search": 1, "ensemble": 1, "refit": False}
SMALL = Recipe(
    training_windows=60,
    test_windows=20,
    spacing=0.2,
    window=10,
    hidden=4,
    steps=6,
    report_every=2,
    **ALONE,
)


def trained(recipe: Recipe, out: Path | None = None) -> Any:
    *_, last = training.train(recipe, out)
    return last.model.eval()


# --- outcomes ---


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_cosine_is_forecast_far_better_than_by_no_change(seed: int) -> None:
    recipe = Recipe(seed=seed)
    figures = recipe.result(trained(recipe))
    assert figures["origins"] == 1000
    assert figures["rmse_persistence"] == pytest.approx(0.00688, rel=2e-3)
    # 0.00020 to 0.00026 in 5 of 5 seeds
    assert figures["rmse"] < 0.001 < figures["rmse_before"]


@pytest.mark.parametrize("seed", [0, 1])
def test_the_document_is_reproduced(seed: int) -> None:
    recipe = replace(Recipe().published(), seed=seed)
    figures = recipe.result(trained(recipe))
    # 0.017 to 0.029 in 25 of 25 seeds
    assert figures["rmse"] < 0.03 < 0.3 < figures["rmse_before"]


def test_the_sunspots_beside_their_rivals() -> None:
    some = [replace(SUNSPOTS, search=4, ensemble=3, seed=seed) for seed in range(2)]
    results = [recipe.result(trained(recipe)) for recipe in some]
    for figures in results:
        assert figures["origins"] == 52
        assert figures["ar_order"] == 9
        assert figures["rmse_ar"] == pytest.approx(20.58, abs=0.01)
        assert figures["rmse_horizon_ar"] == pytest.approx(33.03, abs=0.01)
    # One step ahead 25.5 (1.2 up or down), the whole horizon 44.3 (2.3): AR(9) wins, and
    # persistence (35.2 and 73.5) loses by far.
    mean = {key: np.mean([figures[key] for figures in results]) for key in results[0]}
    assert mean["rmse"] < 26 < mean["rmse_persistence"]
    assert mean["rmse_horizon"] < 50 < mean["rmse_horizon_persistence"]


# --- what it learns from ---


def test_no_test_value_reaches_the_training(tmp_path: Path) -> None:
    """Whatever stands in the test part, weights and scaling come out the same, bit by bit."""
    values = np.sin(np.arange(80.0))
    models = []
    for name, tail in (("a", 0.0), ("b", 1e6)):
        path = tmp_path / f"{name}.csv"
        changed = np.concatenate((values[:64], values[64:] + tail))
        path.write_text("x\n" + "\n".join(map(str, changed)))
        models.append(trained(replace(SMALL, data=path, window=5, horizon=3)))
    for one, other in zip(*(model.state_dict().values() for model in models), strict=True):
        assert torch.equal(one, other)


def test_a_batch_is_windows_and_what_followed_them(generator: torch.Generator) -> None:
    recipe = replace(SUNSPOTS, window=7, batch_size=5, **ALONE)
    windows, ahead = recipe.batch(0, generator)
    assert windows.shape == (7, 5, 1)
    assert ahead.shape == (11, 5)
    series = recipe.panel.series(0)[:247].tolist()
    for column in range(5):
        stretch = [*windows[:, column, 0].tolist(), *ahead[:, column].tolist()]
        assert any(series[n : n + 18] == stretch for n in range(230))


def test_large_numbers_that_differ_little_are_forecast_as_small_ones(tmp_path: Path) -> None:
    """Scaling is done in float64: 1e9 + x loses no x."""
    values = np.sin(np.arange(80.0) / 3)
    figures = []
    for offset in (0.0, 1e9):
        path = tmp_path / f"{offset}.csv"
        path.write_text("x\n" + "\n".join(repr(float(v)) for v in values + offset))
        recipe = replace(SMALL, data=path, steps=100)
        figures.append(recipe.result(trained(recipe))["rmse"])
    assert figures[0] == pytest.approx(figures[1], rel=1e-3)


def test_the_untrained_figures_are_those_of_step_0() -> None:
    before = torch.get_rng_state()
    figures = SMALL.result(training.build(SMALL).eval())
    assert figures["rmse"] == figures["rmse_before"]
    assert torch.equal(before, torch.get_rng_state())


def test_unscaled_values_pass_as_they_are() -> None:
    model = replace(SMALL, changes=False, scaled=False).model()
    windows = torch.rand(10, 3, 1, dtype=torch.float64)
    torch.testing.assert_close(model.first.scaled(windows), windows.float())
    assert (model.first.mean, model.first.target_scale.item()) == (0, 1)


def test_changes_see_no_level() -> None:
    model = replace(SMALL, horizon=3).model().eval()
    windows = torch.rand(10, 4, 1, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(model(windows + 512) - 512, model(windows))


# --- what it shows ---


def test_a_run_leaves_figures_and_pictures(tmp_path: Path) -> None:
    recipe = replace(SMALL, horizon=4)
    *_, last = training.train(recipe, tmp_path / "run")
    figures = json.loads((tmp_path / "run" / "result.json").read_text())["figures"]
    assert {"rmse", "rmse_horizon", "rmse_before", "rmse_horizon_ar"} < figures.keys()
    pictures = {path.name for path in (tmp_path / "run").glob("*.png")}
    assert pictures == {"learning.png", "forecast.png", "errors.png", "gates.png"}
    table = last.report.splitlines()
    ar = f"AR({figures['ar_order']})"
    assert [line.split()[0] for line in table[1:]] == ["LSTM", ar, "persistence", "untrained"]
    assert f"{figures['rmse_horizon']:.4g}" in table[1]


def test_the_next_values_are_forecast_and_named() -> None:
    model = training.build(SUNSPOTS).eval()
    said = SUNSPOTS.attempt(model, []).splitlines()
    assert said[0].split() == ["year", "sunspots"]
    assert said[3].split() == ["2008", "2.9"]
    assert [line.split()[0] for line in said[4:]] == [str(year) for year in range(2009, 2020)]
    ahead = predict(model, SUNSPOTS.panel, np.array([308]), SUNSPOTS.context)[:, 0, 0, 2]
    np.testing.assert_allclose([float(line.split()[1]) for line in said[4:]], ahead, rtol=1e-4)


def test_beyond_the_horizon_its_own_forecasts_are_read() -> None:
    model = training.build(SUNSPOTS).eval()
    said = [float(line.split()[1]) for line in SUNSPOTS.attempt(model, ["13"]).splitlines()[4:17]]
    longer = np.append(SUNSPOTS.panel.series(0), said[:11])[-SUNSPOTS.context :]
    with torch.no_grad():
        again = model(torch.from_numpy(longer)[:, None, None])[:2, 0]
    np.testing.assert_allclose(said[11:], again, rtol=1e-4)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["x"], "'x' is not how many values"),
        (["-1"], "'-1' is not how many values"),
        (["1.5"], "'1.5' is not how many"),
        (["1", "2"], "'1 2' is not how many"),
        (["100000"], "from 1 to 99999"),
        (["0"], "'0' is not how many values to forecast: expected one whole number from 1"),
    ],
)
def test_a_senseless_question_is_refused(words: list[str], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        SMALL.attempt(SMALL.model(), words)


def test_rows_without_times_go_on_by_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    rows = [f"{n},{n % 5}" for n in range(30)]
    path.write_text("t,x\n" + "\n".join(rows))
    recipe = replace(SMALL, data=path, column="x")
    assert recipe.panel.timelines[0].labels[:2] == ["2", "3"]
    assert recipe.panel.timelines[0].ahead(1) == ["32"]


EXPORT = "Last in München\n\nTag;Last, MW;Ort\n" + "".join(
    f"{day:%d.%m.%Y};{1000 + n % 7},5;{place}\n"
    for place in ("Nord", "Süd")
    for n, day in reversed([(n, date(2019, 12, 1) + timedelta(n)) for n in range(90)])
)


def test_a_spreadsheets_export_is_forecast_with_real_dates(tmp_path: Path) -> None:
    """Newest first, decimal commas, cp1252, two series: one command, and what was found is said."""
    path = tmp_path / "data.csv"
    path.write_bytes((EXPORT + "Quelle: Müller\n").encode("cp1252"))
    recipe = replace(SMALL, data=path, column="Last, MW", time="Tag", where=("Ort=Süd",), horizon=7)
    assert recipe.panel.series(0).tolist() == [1000.5 + n % 7 for n in range(90)]
    *_, last = training.train(recipe, tmp_path / "run")
    assert last.report.splitlines()[0] == (
        "read as: semicolons, decimal comma, cp1252, above the names 'Last in München', "
        "1 below the data left out, 'Quelle: Müller'; 90 rows, daily, newest first: turned round, "
        "day first, as 28.02.2020 shows"
    )
    said = recipe.attempt(last.model.eval(), []).splitlines()
    assert [line.split()[0] for line in said[1:5]] == [
        "2020-02-26",
        "2020-02-27",
        "2020-02-28",
        "2020-02-29",
    ]
    assert said[-1].split()[0] == "2020-03-06"


def test_one_column_besides_the_time_needs_no_name(tmp_path: Path) -> None:
    path = write_years(tmp_path / "data.csv", range(1900, 1960))
    recipe = replace(SMALL, data=path, time="year")
    assert recipe.panel.series(0)[0] == 1900**2 % 17


# --- what it refuses ---


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"horizon": 0}, "horizon = 0 makes no sense: expected 1 or more"),
        ({"window": -1}, "window = -1 makes no sense: expected 0 or more"),
        ({"window": 1}, "window = 1 has no value but its last"),
        ({"hidden": 0}, "hidden = 0 makes no sense"),
        ({"test_share": 1.0}, "test_share = 1.0 makes no sense: expected a share of 0 or more"),
        ({"spacing": 0.0}, "spacing = 0.0 makes no sense"),
        (
            {"cell": "vanila"},
            "cell = 'vanila' makes no sense: .* or linear; did you mean 'vanilla'",
        ),
        ({"accumulator": 0.1}, "accumulator = 0.1 is Adagrad's, but the optimizer is Adam"),
        ({"accumulator": -1.0}, "accumulator = -1.0 makes no sense"),
        ({"steps_per_update": 5}, "steps_per_update = 5 makes no sense: expected 0, since each"),
        ({"column": "x"}, "column = 'x' names a column of no file: add --data FILE"),
        ({"data": SUNSPOTS.data, "column": ()}, "column = .* names nothing: give --column a name"),
        ({"data": Path("none.csv")}, "there is no file none.csv"),
        ({"data": SUNSPOTS.data, "column": "sun"}, "no column 'sun': its columns are year"),
        ({"data": SUNSPOTS.data, "column": "year", "time": "month"}, "no column 'month'"),
        (
            {"data": SUNSPOTS.data, "column": "sunspots", "window": 240, "horizon": 11},
            "309 rows, of which 62 are for testing: a window of 240 and a horizon of 11 need",
        ),
    ],
)
def test_a_senseless_recipe_is_refused(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as refusal:
        training.check(replace(SMALL, **fields))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("cell", ["vanilla", "carousel", "peephole", "coupled", "linear"])
def test_every_cell_learns_and_starts_as_tensorflow(cell: str) -> None:
    recipe = replace(SMALL, cell=cell, layers=2, start="tensorflow", horizon=2)
    model = training.build(recipe)
    gates = model.lstm.cell.gates
    bias = dict(zip(gates, model.lstm.bias_ih_l1.detach().chunk(len(gates)), strict=True))
    assert all((value == (gate == "f")).all() for gate, value in bias.items())
    figures = recipe.metrics(trained(recipe))
    assert all(np.isfinite(list(figures.values())))


def test_a_series_that_repeats_exactly_has_a_scale(tmp_path: Path) -> None:
    """Over a whole period nothing changes: dividing by that would be dividing by 0."""
    path = tmp_path / "data.csv"
    path.write_text("x\n" + "0\n1\n" * 30)
    recipe = replace(SMALL, data=path, horizon=2, window=3)
    model = trained(recipe)
    assert model.first.target_scale.min() > 0
    assert np.isfinite(predict(model, recipe.panel, np.array([50]), recipe.context)).all()


def write_years(path: Path, years: Iterable[int], shift: int = 0) -> Path:
    rows = "".join(f"{year},{year * year % 17 + shift}\n" for year in years)
    path.write_text("year,n\n" + rows)
    return path


@pytest.mark.parametrize("words", [[1960, 1958, 1959, *range(1900, 1958)], "dates"])
def test_time_must_run_forward(tmp_path: Path, words: list[int] | str) -> None:
    path = write_years(tmp_path / "data.csv", words if isinstance(words, list) else range(30))
    says = "row 4 of data.csv: year is 1959 after 1958, so the rows are in no order"
    if words == "dates":
        months = ["2001-01", "2001-02", "2001-02", *(f"20{n:02}-05" for n in range(2, 60))]
        path.write_text("year,n\n" + "".join(f"{m},{k % 7}\n" for k, m in enumerate(months)))
        says = r"rows 3 and 4 of data\.csv are both at year 2001-02"
    with pytest.raises(ValueError, match=says):
        Recipe(data=path, column="n", time="year").check()


def test_a_run_goes_on_with_its_own_data_alone(tmp_path: Path) -> None:
    path = write_years(tmp_path / "data.csv", range(1900, 1960))
    recipe = Recipe(data=path, column="n", hidden=2, steps=2)
    for _ in training.train(recipe, tmp_path / "run"):
        pass
    write_years(path, range(1900, 1960), shift=1)
    other = replace(recipe, steps=4)
    with pytest.raises(ValueError, match="its data is not what it was when the run began"):
        next(training.train(other, tmp_path / "run", resume=True))


def test_a_time_that_is_no_column_is_named_before_the_column_to_forecast(tmp_path: Path) -> None:
    path = write_years(tmp_path / "data.csv", range(1900, 1960))
    with pytest.raises(ValueError, match="has no column 'when': its columns are year, n"):
        Recipe(data=path, time="when").check()
