"""A file's series with gaps, its three parts in time, and intervals around what is forecast."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from series_cases import small, trained, waves, written
from unrolled import training
from unrolled.recipes._series.predicting import predict
from unrolled.recipes.series import Recipe
from unrolled.training import checkpoint, runs
from unrolled.training.session import Session

# --- gaps ---


def test_a_file_of_which_a_quarter_of_the_days_is_missing_trains(tmp_path: Path) -> None:
    """REPORTS C2: 30 of 120 days have no row."""
    skip = tuple(np.random.default_rng(1).choice(np.arange(1, 119), 30, replace=False).tolist())
    path = written(tmp_path / "x.csv", waves(120), skip)
    recipe = small(path)
    model, said = trained(recipe)
    first = date(2020, 1, 1) + timedelta(min(skip))
    assert f"30 values are missing of 120, the first at {first}" in said
    assert recipe.result(model)["missing"] == 30
    assert np.isfinite(recipe.result(model)["rmse"])


def test_a_blank_cell_and_a_missing_row_are_one(tmp_path: Path) -> None:
    one = small(written(tmp_path / "a.csv", waves(100), skip=(20, 31)))
    other = small(written(tmp_path / "b.csv", waves(100), blank=(20, 31)))
    weights = [trained(recipe)[0].state_dict() for recipe in (one, other)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_a_missing_step_is_held_over() -> None:
    """What stands at a missing step reaches no weight: the network is as if it were not there."""
    recipe = Recipe(training_windows=60, test_windows=20, spacing=0.2, hidden=4)
    model = training.build(recipe).eval()
    whole = torch.rand(9, 2, 1, dtype=torch.float64)
    gap = torch.full((1, 2, 1), torch.nan, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(model(torch.cat((whole[:4], gap, whole[4:]))), model(whole))
        torch.testing.assert_close(model(torch.cat((whole, gap))), model(whole))


def test_windows_with_nothing_to_forecast_are_not_trained_on(tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", waves(120), blank=tuple(range(40, 50)))
    recipe = small(path, window=5)
    ahead = recipe.panel.following(recipe.parts.training_origins, 3)
    assert len(ahead[0]) > 50
    assert not ahead.isnan().all(0).any()
    assert not recipe.panel.window(recipe.parts.training_origins, 5).isnan().all(0).any()


def test_a_column_of_nothing_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", waves(60), blank=tuple(range(60)))
    with pytest.raises(ValueError, match=r"x of x\.csv holds no number: choose another column"):
        training.check(small(path))


# --- three parts ---


def test_the_parts_lie_in_order_of_time_and_share_no_target(tmp_path: Path) -> None:
    recipe = small(written(tmp_path / "x.csv", waves(200)), window=6)
    parts, horizon = recipe.parts, recipe.horizon
    assert parts.training_origins[-1] + horizon < parts.validation[0] == 130
    assert parts.validation_origins[0] + 1 == 130
    assert parts.validation_origins[-1] + horizon < parts.test[0] == 160
    assert parts.test_origins[0] + 1 == 160
    assert parts.test_origins[-1] + horizon == 199


def test_nothing_is_chosen_by_the_test_part(tmp_path: Path) -> None:
    """Weights, intervals and reports are the same bits whatever comes in the test part."""
    values = waves(150)
    changed = np.concatenate((values[:120], values[120:] * 50))
    histories, models = [], []
    for name, series in (("a", values), ("b", changed)):
        out = tmp_path / name
        models.append(trained(small(written(tmp_path / f"{name}.csv", series)), out)[0])
        rows = runs.read_metrics(out)
        histories.append([{k: v for k, v in row.items() if k != "seconds"} for row in rows])
    assert histories[0] == histories[1]
    assert "validation_loss" in histories[0][0]
    for one, other in zip(*(m.state_dict().values() for m in models), strict=True):
        assert torch.equal(one, other)


def test_the_weights_with_the_least_validation_loss_are_kept(tmp_path: Path) -> None:
    """On noise more training is worse: the last weights are not the best."""
    path = written(tmp_path / "x.csv", np.random.default_rng(2).normal(0, 1, 120))
    recipe = small(path, steps=2000, hidden=32, learning_rate=0.02, report_every=100)
    model, _ = trained(recipe, tmp_path / "run")
    losses = [row["validation_loss"] for row in runs.read_metrics(tmp_path / "run")]
    kept = recipe.metrics(model)["validation_loss"]
    assert kept == pytest.approx(min(losses), rel=1e-6)
    assert min(losses) < losses[-1]


def test_a_run_that_chooses_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", waves(120))
    recipe = small(path)
    whole, _ = trained(recipe, tmp_path / "whole")
    steps = training.train(recipe, tmp_path / "cut", save_every=0)
    while next(steps).step < 170:
        pass
    steps.close()
    *_, last = training.train(recipe, tmp_path / "cut", resume=True)
    for name, value in last.model.state_dict().items():
        assert torch.equal(value, whole.state_dict()[name]), name


def test_a_finished_run_goes_on_from_its_last_weights(tmp_path: Path) -> None:
    """Not from those that were kept: its state is that of the last step."""
    path = written(tmp_path / "x.csv", np.random.default_rng(2).normal(0, 1, 120))
    learns = {"hidden": 32, "learning_rate": 0.02, "validation_share": 0.15}
    kept, _ = trained(small(path, steps=800, **learns), tmp_path / "run")
    last = Session(small(path, steps=800, **learns))
    while last.step < 800:
        last.advance_many(800 - last.step)
    saved = checkpoint.read_tree(tmp_path / "run" / runs.RESUME)["model"]
    assert torch.equal(saved["members.0.lstm.weight_hh_l0"], last.model.lstm.weight_hh_l0)
    assert not torch.equal(saved["members.0.lstm.weight_hh_l0"], kept.lstm.weight_hh_l0)


def test_the_kernel_makes_the_updates(tmp_path: Path) -> None:
    recipe = small(written(tmp_path / "x.csv", waves(120), skip=(50,)))
    assert Session(recipe).why_plain == ""


def test_the_kernel_and_autograd_learn_the_same(tmp_path: Path) -> None:
    recipe = small(written(tmp_path / "x.csv", waves(120), skip=(50, 51)), steps=20)
    *_, one = training.train(recipe)
    *_, other = training.train(recipe, plain=True)
    for name, value in one.model.state_dict().items():
        torch.testing.assert_close(value, other.model.state_dict()[name], rtol=1e-3, atol=1e-5)


# --- judged ---


def test_figures_are_those_of_what_is_forecast(tmp_path: Path) -> None:
    recipe = small(written(tmp_path / "x.csv", waves(150)))
    model, said = trained(recipe, tmp_path / "run")
    figures = json.loads((tmp_path / "run" / "result.json").read_text())["figures"]
    origins = recipe.parts.test_origins
    found = predict(model, recipe.panel, origins, recipe.window)[:, :, 0]
    truth = np.stack([recipe.panel.series(0)[origins + k] for k in (1, 2, 3)])
    off = found[..., 2] - truth
    assert figures["rmse"] == pytest.approx(np.sqrt(np.mean(off[0] ** 2)))
    assert figures["mae_horizon"] == pytest.approx(np.abs(off).mean())
    assert figures["mae_by_step"] == pytest.approx(np.abs(off).mean(1))
    inside = (found[..., 1] <= truth) & (truth <= found[..., 3])
    assert figures["coverage_80"] == pytest.approx(100 * inside.mean())
    assert figures["width_95"] == pytest.approx((found[..., 4] - found[..., 0]).mean())
    season = np.abs(truth - np.stack([recipe.panel.series(0)[origins + k - 7] for k in (1, 2, 3)]))
    assert figures["mae_horizon_seasonal_naive"] == pytest.approx(season.mean())
    assert {"mase_persistence", "mase_ar", "mase_smoothing", "pinball"} < figures.keys()
    for who in ("LSTM", "persistence", "seasonal naive (7)", "AR(", "exponential smoothing"):
        assert f"\n{who}" in said


def test_who_wins_is_said_and_so_is_who_does_not(tmp_path: Path) -> None:
    repeated = np.tile(np.random.default_rng(3).normal(0, 1, 7), 30)
    noisy = repeated + np.random.default_rng(4).normal(0, 0.01, 210)
    recipe = small(written(tmp_path / "x.csv", noisy), steps=2)
    said = trained(recipe)[1]
    assert "The LSTM does not win here: " in said
    assert "needs no network and is better." in said


def test_intervals_are_honest_where_the_future_is_as_the_past(tmp_path: Path) -> None:
    """Each of four is of 400 forecasts by a correction of 300: 3 % up or down."""
    figures = []
    for seed in range(4):
        path = written(tmp_path / f"{seed}.csv", waves(2000, seed))
        recipe = small(path, horizon=1, steps=300)
        figures.append(recipe.result(trained(recipe)[0]))
    mean = {
        name: np.mean([one[name] for one in figures]) for name in ("coverage_80", "coverage_95")
    }
    assert 77 < mean["coverage_80"] < 83
    assert 93 < mean["coverage_95"] < 97
    assert all(one["width_80"] < one["width_95"] for one in figures)


@pytest.mark.parametrize("coverage", [(), (50.0,)])
def test_other_intervals(tmp_path: Path, coverage: tuple[float, ...]) -> None:
    recipe = small(written(tmp_path / "x.csv", waves(120)), coverage=coverage, steps=20)
    figures = recipe.result(trained(recipe)[0])
    assert [name for name in figures if name.startswith("coverage")] == [
        f"coverage_{percent:g}" for percent in coverage
    ]


def test_without_a_validation_part_the_last_weights_are_kept(tmp_path: Path) -> None:
    recipe = small(written(tmp_path / "x.csv", waves(120)), validation_share=0.0, steps=20)
    model, _ = trained(recipe)
    assert recipe.chosen_by == ""
    assert not model.widening.any()
    assert recipe.metrics(model).keys() == {"training_loss", "training_rmse"}


def test_without_a_test_part_all_is_learnt_from_and_the_future_is_forecast(tmp_path: Path) -> None:
    recipe = small(written(tmp_path / "x.csv", waves(60)), test_share=0.0, steps=20, refit=True)
    _, said = trained(recipe, tmp_path / "run")
    assert recipe.parts.validation_origins[-1] == 60 - 1 - 3
    assert "MASE" not in said
    assert "2020-03-01" in said  # 60 days from the first of January
    figures = json.loads((tmp_path / "run" / "result.json").read_text())["figures"]
    assert figures == {"missing": 0, "origins": 0}
    assert (tmp_path / "run" / "future.png").is_file()
    assert recipe.look(training.build(recipe).eval())
    assert recipe.explorer(training.build(recipe).eval())


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (
            {"coverage": (80.0, 100.0)},
            "coverage = 100.0 makes no sense: expected a number",
        ),
        ({"coverage": (80.0, 80.0)}, "coverage"),
        ({"validation_share": 1.0}, "validation_share = 1.0 makes no sense"),
        ({"validation_share": 0.7}, "test on, beside 84 to choose by"),
    ],
)
def test_senseless_parts_are_refused(tmp_path: Path, fields: dict[str, Any], sentence: str) -> None:
    recipe = replace(small(written(tmp_path / "x.csv", waves(120))), **fields)
    with pytest.raises(ValueError, match=sentence):
        training.check(recipe)
