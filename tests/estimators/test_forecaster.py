"""`unrolled.Forecaster`: scikit-learn's conventions on arrays, Series and DataFrames."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone

import unrolled
from processes import one_sentence
from unrolled import Forecaster, training
from unrolled.recipes.series import Recipe

QUICK: dict[str, Any] = {"search": 2, "ensemble": 2, "steps": 100}


def waves(count: int, seed: int = 0, level: float = 50.0) -> Any:
    noise = np.random.default_rng(seed).normal(0, 1, count)
    return level + 10 * np.sin(2 * np.pi * np.arange(count) / 12) + noise


def months(count: int) -> Any:
    return pd.Series(waves(count), pd.date_range("2015-01-01", periods=count, freq="MS"), name="n")


@pytest.fixture(scope="module")
def fitted() -> Forecaster:
    return Forecaster(6, **QUICK).fit(waves(120))


# --- scikit-learn's conventions ---


def test_params_come_back_and_a_clone_has_them() -> None:
    made = Forecaster(horizon=3, hidden=8)
    assert made.get_params()["hidden"] == 8
    copied = clone(made)
    assert copied is not made
    assert copied.get_params() == made.get_params()
    assert made.set_params(hidden=4) is made
    assert repr(made) == "Forecaster(horizon=3, hidden=4)"


def test_fit_gives_itself_back_and_the_same_seed_the_same_bits(fitted: Forecaster) -> None:
    again = Forecaster(6, **QUICK)
    assert again.fit(waves(120)) is again
    assert np.array_equal(again.predict(), fitted.predict())
    other = Forecaster(6, seed=1, **QUICK).fit(waves(120))
    assert not np.array_equal(other.predict(), fitted.predict())


def test_the_callers_random_state_and_y_are_left_alone() -> None:
    y = waves(80)
    before, state = y.copy(), torch.get_rng_state()
    Forecaster(**QUICK).fit(y)
    assert np.array_equal(y, before)
    assert torch.equal(state, torch.get_rng_state())


def test_it_is_pickled_saved_and_loaded(fitted: Forecaster, tmp_path: Path) -> None:
    copied = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(copied.predict(), fitted.predict())
    fitted.save(tmp_path / "run")
    loaded = Forecaster.load(tmp_path / "run")
    assert loaded.get_params() == fitted.get_params()
    assert np.array_equal(loaded.predict(steps=9), fitted.predict(steps=9))
    with pytest.raises(unrolled.UnrolledError, match="run"):
        fitted.save(tmp_path / "run")


def test_the_estimator_and_the_recipe_are_one(tmp_path: Path) -> None:
    """The same numbers from a file give the same forecasts, bit by bit."""
    y = np.round(waves(90), 4)
    path = tmp_path / "y.csv"
    path.write_text("y\n" + "\n".join(map(repr, y.tolist())))
    recipe = Recipe(data=path, test_share=0.0, horizon=4, report_every=100, **QUICK)
    for _ in training.train(recipe, tmp_path / "run"):
        pass
    told = unrolled.open_run(tmp_path / "run").forecast()
    fitted = Forecaster(4, **QUICK).fit(y)
    assert np.array_equal(told["y"].to_numpy(), fitted.predict())
    low, high = fitted.predict_interval(coverage=95)
    assert np.array_equal(told["y low 95"].to_numpy(), low)
    assert np.array_equal(told["y high 95"].to_numpy(), high)


# --- what y may be ---


def test_arrays(fitted: Forecaster) -> None:
    assert fitted.predict().shape == (6,)
    assert fitted.predict(steps=15).shape == (15,)
    assert np.array_equal(fitted.predict(steps=15)[:6], fitted.predict())
    for coverage in (80, 95):
        low, high = fitted.predict_interval(coverage=coverage)
        assert (low <= fitted.predict()).all()
        assert (fitted.predict() <= high).all()
    two = Forecaster(3, **QUICK).fit(np.stack((waves(80), waves(80, 1)), 1))
    assert two.predict().shape == (3, 2)


def test_a_series_with_dates_goes_on_with_dates() -> None:
    told = Forecaster(3, calendar=True, **QUICK).fit(months(120)).predict()
    assert list(told.index) == list(pd.date_range("2025-01-01", periods=3, freq="MS"))
    assert told.name == "n"


def test_periods_with_gaps_and_a_number_index() -> None:
    y = months(120)
    y.index = y.index.to_period("M")
    told = Forecaster(2, **QUICK).fit(y.drop(y.index[[5, 17, 18]])).predict()
    assert list(map(str, told.index)) == ["2025-01", "2025-02"]
    assert told.index.freqstr == "M"
    numbered = pd.Series(waves(60), index=range(100, 160))
    assert list(Forecaster(2, **QUICK).fit(numbered).predict().index) == [160, 161]


def test_a_frame_of_columns() -> None:
    days = pd.date_range("2020", periods=80, freq="D", tz="Europe/Berlin")
    y = pd.DataFrame({"a": waves(80), "b": waves(80, 1)}, days)
    told = Forecaster(2, **QUICK).fit(y).predict()
    assert list(told.columns) == ["a", "b"]
    assert told.shape == (2, 2)


def test_several_series_by_groups_and_by_index() -> None:
    y = np.concatenate((waves(80), waves(70, 1, 500.0)))
    of = ["small"] * 80 + ["large"] * 70
    fitted = Forecaster(2, **QUICK).fit(y, groups=of)
    assert fitted.groups_ == ("small", "large")
    told = fitted.predict()
    assert told.shape == (2, 2)
    assert told[1].min() > 400 > 100 > told[0].max()
    both = pd.concat({"small": months(80), "large": months(80) * 10})
    told = Forecaster(2, **QUICK).fit(both).predict()
    assert list(told.loc["large"].index) == list(pd.date_range("2021-09-01", periods=2, freq="MS"))


def test_missing_values_are_held_over() -> None:
    y = waves(100)
    y[[3, 40, 99]] = np.nan
    assert np.isfinite(Forecaster(2, **QUICK).fit(y).predict()).all()


def test_a_column_that_is_known_ahead_counts() -> None:
    on = np.random.default_rng(1).integers(0, 2, 200).astype(float)
    y = waves(200) * 0.1 + 20 * on
    fitted = Forecaster(3, search=1, steps=400).fit(y, X=on)
    up, down = fitted.predict([1, 0, 1]), fitted.predict([0, 1, 0])
    assert (up - down)[[0, 2]].min() > 10
    assert (up - down)[1] < -10
    frame = pd.DataFrame({"on": on}, pd.RangeIndex(200))
    assert Forecaster(2, **QUICK).fit(pd.Series(y), X=frame).predict(frame[:2]).shape == (2,)


# --- what is refused ---


@pytest.mark.parametrize(
    ("does", "sentence"),
    [
        (lambda: Forecaster().predict(), "has learnt nothing yet: call fit"),
        (lambda: Forecaster(0).fit(waves(50)), "horizon = 0 makes no sense"),
        (lambda: Forecaster(cell="lstm").fit(waves(50)), "cell = 'lstm'"),
        (lambda: Forecaster().set_params(depth=1), "depth is no argument of Forecaster"),
        (lambda: Forecaster().fit(["a"] * 30), "holds more than numbers"),
        (lambda: Forecaster().fit(np.zeros((3, 3, 3))), r"shape \[3, 3, 3\]"),
        (lambda: Forecaster().fit(np.r_[waves(30), np.inf]), "an infinite value"),
        (lambda: Forecaster().fit(np.ones(50)), "constant"),
        (lambda: Forecaster().fit(waves(4)), "bring more rows"),
        (lambda: Forecaster().fit(waves(30), X=np.ones(3)), "X has 3 rows and y has 30"),
        (lambda: Forecaster().fit(waves(30), groups=["a"]), "groups has 1 entries"),
        (lambda: Forecaster(calendar=True).fit(waves(50)), "give y an index of dates"),
        (lambda: Forecaster().fit(months(40)[::-1]), "sort_index"),
        (lambda: Forecaster().fit(months(40).iloc[[0, 1, 1, 2, 3]]), "give each time one row"),
        (lambda: Forecaster(**QUICK).fit(waves(60)).predict(X=[1]), "fit had none"),
        (lambda: Forecaster(**QUICK).fit(waves(60), X=np.ones(60)).predict(), "X is missing"),
        (
            lambda: Forecaster(2, **QUICK).fit(waves(60), X=np.ones(60)).predict(X=[1]),
            "a row of numbers for each of the 2 steps",
        ),
        (
            lambda: Forecaster(**QUICK).fit(waves(60)).predict_interval(coverage=50),
            "expected one of 95, 80",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_sentence(does: Any, sentence: str) -> None:
    with pytest.raises(unrolled.UnrolledError, match=sentence) as refusal:
        does()
    one_sentence(refusal.value)


# --- open_run ---


def test_a_run_is_opened_with_its_model_its_figures_and_its_future(tmp_path: Path) -> None:
    path = tmp_path / "y.csv"
    rows = [f"{day:%Y-%m-%d},{value}" for day, value in months(90).items()]
    path.write_text("day,n\n" + "\n".join(rows))
    recipe = Recipe(data=path, time="day", horizon=2, **QUICK)
    for _ in training.train(recipe, tmp_path / "run"):
        pass
    path.unlink()
    run = unrolled.open_run(tmp_path / "run")
    assert run.figures["origins"] == 17
    assert run.history[-1]["step"] == 100
    assert not run.model.training
    told = run.forecast(3, out=tmp_path / "next.csv")
    assert list(told.index) == list(pd.date_range("2022-07-01", periods=3, freq="MS"))
    assert (tmp_path / "next.csv").read_text().startswith("day,n,n low 95")


def test_a_run_of_another_recipe_is_opened_and_forecasts_nothing(tmp_path: Path) -> None:
    from unrolled.recipes.adder import Recipe as Adder

    for _ in training.train(Adder(steps=2, report_every=1), tmp_path / "run"):
        pass
    run = unrolled.open_run(tmp_path / "run")
    assert run.recipe == Adder(steps=2, report_every=1)
    with pytest.raises(ValueError, match="forecasts no series"):
        run.forecast()
