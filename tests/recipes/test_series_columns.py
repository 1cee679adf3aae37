"""Several columns, several groups, what is known ahead, and the calendar."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from unrolled import training
from unrolled.recipes._series.predicting import ahead_of, known_ahead
from unrolled.recipes.series import Recipe

DAYS, BEYOND = 240, 9


def shops(path: Path, names: str = "AB", *, ahead: bool = True, shuffle: bool = False) -> Path:
    """Each shop sells 20 % more on a day of promotion, of which no past day tells."""
    rows = []
    for number, name in enumerate(names):
        random = np.random.default_rng(number)
        promo = random.random(DAYS + BEYOND) < 0.3
        level, wander = 50 * 10**number, 0.0
        for n in range(DAYS + BEYOND if ahead else DAYS):
            wander = 0.9 * wander + random.normal(0, 0.005)
            sales = f"{level * (1 + wander + 0.2 * promo[n]):.5f}" if n < DAYS else ""
            rows.append(f"{name},{date(2020, 1, 1) + timedelta(n)},{int(promo[n])},{sales},{n % 3}")
    if shuffle:
        rows = sorted(rows, key=lambda row: row.split(",")[1])
    path.write_text("shop,day,promo,sales,temp\n" + "\n".join(rows) + "\n")
    return path


def asked(path: Path, **fields: Any) -> Recipe:
    given = {"column": "sales", "time": "day", "horizon": 7, "steps": 1000, "hidden": 8}
    given |= {"search": 1, "ensemble": 1, "refit": False, "window": 10, **fields}
    return Recipe(data=path, **given)


def trained(recipe: Recipe) -> Any:
    *_, last = training.train(recipe)
    return last.model.eval()


# --- known ahead ---


def test_a_column_that_is_known_ahead_takes_two_thirds_of_the_error(tmp_path: Path) -> None:
    """Made so that it matters: without it nobody can know of the promotion."""
    path = shops(tmp_path / "x.csv", "A")
    without, beside = (
        recipe.result(trained(recipe)) for recipe in (asked(path), asked(path, future=("promo",)))
    )
    assert beside["mase_horizon"] < without["mase_horizon"] / 3
    assert beside["rmse_horizon"] < without["rmse_horizon"] / 3


def test_what_is_known_goes_on_beyond_the_last_value(tmp_path: Path) -> None:
    path = shops(tmp_path / "x.csv", "A")
    recipe = asked(path, future=("promo",))
    assert known_ahead(recipe.panel) == BEYOND
    assert recipe.panel.counts.tolist() == [DAYS]
    assert f"{BEYOND} steps after the last value" in recipe.reading
    model = trained(recipe)
    (ahead,) = ahead_of(model, recipe.panel, recipe.window, BEYOND)
    promo = np.random.default_rng(0).random(DAYS + BEYOND)[DAYS:] < 0.3
    median = ahead.values[:, 0, 2]
    assert ahead.labels[0] == str(date(2020, 1, 1) + timedelta(DAYS))
    assert median[promo].min() > median[~promo].max() + 5
    with pytest.raises(ValueError, match="10 steps cannot be forecast: promo is known for 9"):
        ahead_of(model, recipe.panel, recipe.window, 10)


def test_a_second_file_knows_what_comes(tmp_path: Path) -> None:
    path, alone = tmp_path / "x.csv", tmp_path / "alone.csv"
    whole = shops(path, "A").read_text().splitlines()
    alone.write_text("\n".join(whole[: DAYS + 1]) + "\n")
    later = tmp_path / "later.csv"
    later.write_text(whole[0] + "\n" + "\n".join(whole[DAYS + 1 :]) + "\n")
    one = asked(path, future=("promo",))
    other = asked(alone, future=("promo",), data_future=later)
    assert known_ahead(asked(alone, future=("promo",)).panel) == 0
    np.testing.assert_array_equal(one.panel.known, other.panel.known)


def test_a_future_known_for_less_than_the_horizon_reaches_no_forecast(tmp_path: Path) -> None:
    """Beyond what is known the network runs on, and nothing of that is told."""
    recipe = asked(shops(tmp_path / "x.csv", "A"), future=("promo",), steps=20)
    model = trained(recipe)
    whole = ahead_of(model, recipe.panel, recipe.window, 7)[0].values
    part = ahead_of(model, recipe.panel, recipe.window, 3)[0].values
    np.testing.assert_allclose(part, whole[:3], rtol=1e-12)


def test_a_blank_in_what_is_known_ahead_is_refused(tmp_path: Path) -> None:
    path = shops(tmp_path / "x.csv", "A")
    path.write_text(
        path.read_text()
        .replace("A,2020-02-01,1", "A,2020-02-01,")
        .replace("A,2020-02-01,0", "A,2020-02-01,")
    )
    with pytest.raises(ValueError, match=r"'promo' of x\.csv is blank at day 2020-02-01"):
        training.check(asked(path, future=("promo",)))


def test_the_calendar_tells_the_weekday(tmp_path: Path) -> None:
    """Sales fall on Sundays, and the network sees three days: without a calendar it cannot know."""
    random = np.random.default_rng(0)
    days = [date(2020, 1, 1) + timedelta(n) for n in range(300)]
    rows = [f"{d},{10 - 8 * (d.weekday() == 6) + random.normal(0, 0.1):.4f}" for d in days]
    path = tmp_path / "x.csv"
    path.write_text("day,sales\n" + "\n".join(rows) + "\n")
    without, beside = (
        recipe.result(trained(recipe))["mae_horizon"]
        for recipe in (asked(path, window=3), asked(path, window=3, calendar=True))
    )
    assert beside < without / 2


# --- several ---


def test_one_network_learns_all_groups_each_scaled_by_itself(tmp_path: Path) -> None:
    recipe = asked(shops(tmp_path / "x.csv", "ABC", shuffle=True), group="shop", future=("promo",))
    assert recipe.panel.groups == ("A", "B", "C")
    model = trained(recipe)
    assert model.first.mean[2, 0] > 50 * model.first.mean[0, 0]
    figures = recipe.result(model)
    assert figures["mase_horizon"] < figures["mase_horizon_ar"] / 3
    ahead = ahead_of(model, recipe.panel, recipe.window, 5)
    assert [one.group for one in ahead] == ["A", "B", "C"]
    for number, one in enumerate(ahead):
        level = 50 * 10**number
        assert (0.9 * level < one.values[:, 0, 2]).all()
        assert (one.values[:, 0, 2] < 1.35 * level).all()


def test_a_group_is_known_to_the_network(tmp_path: Path) -> None:
    recipe = asked(shops(tmp_path / "x.csv"), group="shop", steps=0)
    model = training.build(recipe).eval()
    windows = recipe.panel.window(recipe.parts.training_origins[:1], recipe.window).expand(
        -1, 2, -1
    )
    x, _, _ = model.first.inputs(windows, None, torch.tensor([0, 1]))
    assert x.shape == (10, 2, 3)
    assert x[0, :, 1:].tolist() == [[1, 0], [0, 1]]


def test_where_takes_one_of_them(tmp_path: Path) -> None:
    path = shops(tmp_path / "x.csv", shuffle=True)
    one = asked(path, where=("shop=B",)).panel
    both = asked(path, group="shop").panel
    np.testing.assert_array_equal(one.series(0), both.series(1))


def test_several_targets_and_a_past_column(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    n = np.arange(200)
    a, b = np.sin(n / 3), 100 * np.cos(n / 3)
    blank = ["" if k % 9 == 0 else f"{k % 5}" for k in n]
    rows = [f"{date(2020, 1, 1) + timedelta(int(k))},{a[k]:.5f},{b[k]:.5f},{blank[k]}" for k in n]
    path.write_text("day,a,b,temp\n" + "\n".join(rows) + "\n")
    recipe = asked(path, column=("a", "b"), past=("temp",), horizon=3)
    figures = recipe.result(trained(recipe))
    for name in ("a", "b"):
        assert figures[f"mase_horizon_{name}"] < figures[f"mase_horizon_{name}_persistence"] / 2
        assert f"coverage_80_{name}" in figures
    assert recipe.panel.values.shape[1] == 3


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"future": ("sales",)}, "future names 'sales', which column names too"),
        ({"past": ("wind",)}, "has no column 'wind': its columns are shop, day"),
        ({"group": "town"}, "has no column 'town'"),
        ({"time": "", "calendar": True}, "calendar = True needs to know when each row was"),
        (
            {"data_future": Path("y.csv")},
            "data_future = y.csv has the columns that are known ahead",
        ),
        ({"where": ("shop=C",)}, "column 'shop' of x.csv is nowhere 'C': it holds A, B"),
        ({}, "there are 2 series, one for each shop: take one with .*, or all with --group shop"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, fields: dict[str, Any], sentence: str) -> None:
    path = shops(tmp_path / "x.csv")
    with pytest.raises(ValueError, match=sentence) as refusal:
        training.check(asked(path, **fields))
    assert "\n" not in str(refusal.value)
