"""Several networks of one forecast: which are tried, which are heard, and what they learn anew."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from series_cases import small, trained, waves, written
from unrolled import training
from unrolled.recipes._series import search as searching
from unrolled.recipes._series.predicting import predict
from unrolled.recipes._series.settings import Setting, settings_of


def test_the_best_of_a_search_are_heard_and_their_mean_is_forecast(tmp_path: Path) -> None:
    recipe = small(written(tmp_path / "x.csv", waves(300)), search=5, ensemble=3)
    model, said = trained(recipe, tmp_path / "run")
    batch = recipe.at(recipe.parts.validation_origins)
    off = [searching.off(model, member.spread, batch) for member in model.each]
    best = [n for n in sorted(range(5), key=off.__getitem__) if off[n] <= 1.5 * min(off)][:3]
    assert sorted(best) == model.heard.nonzero().flatten().tolist()
    assert len(best) < 5
    untrained = training.build(recipe).eval()
    before = [searching.off(model, member.spread, batch) for member in untrained.each]
    assert all(a < b for a, b in zip(off, before, strict=True))
    model.widening.zero_()
    found = torch.stack([member.spread(batch[0]) for member in model.speaking]).mean(0)
    torch.testing.assert_close(model(batch[0]), found[:, :, 0, 2])
    assert f"{len(best)} of 5 networks" in said


def test_a_search_tries_a_season_and_a_bent_scale() -> None:
    first = Setting(10, 16, 0.002)
    found = settings_of(first, 8, 7, 1000, positive=True)
    assert len(set(found)) == 8
    kinds = {(s.season, s.bent, s.level) for s in found}
    bent = {(7, False, False), (7, True, False), (0, False, False), (0, True, False)}
    assert kinds == {*bent, (0, False, True)}
    assert {s.bent for s in settings_of(first, 8, 7, 1000, positive=False)} == {False}
    assert {s.season for s in settings_of(first, 8, 0, 1000, positive=True)} == {0}
    assert {s.season for s in settings_of(first, 8, 3600, 10_000, positive=True)} == {0}
    short = settings_of(first, 8, 7, 44, positive=True)
    assert {s.window for s in short if s.season} == {7}  # 44 - 7 less 30 origins
    assert all(2 * s.window <= 44 for s in short)


@pytest.mark.parametrize("bent", [False, True])
@pytest.mark.parametrize("counted", ["last", "season", "mean"])
def test_a_member_that_says_nothing_forecasts_what_it_counts_from(
    tmp_path: Path, counted: str, bent: bool
) -> None:
    recipe = small(written(tmp_path / "x.csv", waves(120)), horizon=9)
    season, level = 7 * (counted == "season"), counted == "mean"
    setting = Setting(10, 8, 0.002, season, bent, level)
    model = recipe.model_of(recipe.panel, [setting], recipe.parts)
    torch.nn.init.zeros_(model.first.readout.weight)
    torch.nn.init.zeros_(model.first.readout.bias)
    values = recipe.panel.series(0)
    origins = np.array([60, 61])
    found = model(recipe.panel.window(origins, setting.context)).detach().numpy()
    steps = np.arange(9)[:, None]
    base = values[origins - 6 + steps % 7] if season else values[origins + 0 * steps]
    if level:
        window = values[origins + np.arange(-9, 1)[:, None]]
        bend = values[:84].min() / 4 if bent else 1
        mean = np.arcsinh(window / bend).mean(0) if bent else window.mean(0)
        base = np.tile(np.sinh(mean) * bend if bent else mean, (9, 1))
    assert found == pytest.approx(base, rel=1e-12)


def test_a_refit_leaves_the_intervals_as_wide_as_they_were(tmp_path: Path) -> None:
    recipe = small(written(tmp_path / "x.csv", waves(150)), search=2, ensemble=2, steps=200)
    origins = recipe.parts.validation_origins
    wide = []
    for refit in (False, True):
        model, _ = trained(replace(recipe, refit=refit))
        found = predict(model, recipe.panel, origins, recipe.context)
        wide.append((found[..., -1] - found[..., 0]).mean(1))
    assert wide[0] == pytest.approx(wide[1], rel=0.02)


def test_a_window_that_begins_before_the_series_is_blank_there(tmp_path: Path) -> None:
    panel = small(written(tmp_path / "x.csv", waves(50))).panel
    window = panel.window(np.array([2, 9]), 5)[..., 0].numpy()
    assert np.isnan(window[:2, 0]).all()
    assert window[2:, 0].tolist() == panel.series(0)[:3].tolist()
    assert window[:, 1].tolist() == panel.series(0)[5:10].tolist()


def test_very_many_origins_are_thinned_evenly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "x.csv", waves(400))
    parts = small(path).parts
    assert small(path).thinned == []
    monkeypatch.setattr("unrolled.recipes._series.data.MOST_JUDGED", 20)
    assert small(path).thinned == ["It is judged at 20 of 78 origins, evenly spread."]
    assert len(parts.test_origins) == 78
    thin = parts.thinned(20)
    assert thin.test_origins.tolist() == parts.test_origins[::4].tolist()
    assert len(thin.validation_origins) <= 20
    assert thin.training_origins is parts.training_origins


def test_the_others_follow_a_schedule_too(tmp_path: Path) -> None:
    recipe = small(written(tmp_path / "x.csv", waves(120)), search=3, ensemble=2, steps=200)
    one, other = (
        trained(replace(recipe, schedule=schedule))[0].each for schedule in ("constant", "cosine")
    )
    for constant, falling in zip(one, other, strict=True):
        assert not torch.equal(constant.lstm.weight_hh_l0, falling.lstm.weight_hh_l0)


def test_nothing_after_the_validation_part_is_learnt_when_it_learns_anew(tmp_path: Path) -> None:
    """What a refit learns from ends where the test part begins."""
    fields = {"search": 2, "ensemble": 2, "refit": True, "steps": 100}
    models = []
    for name, tail in (("a", 0.0), ("b", 5.0)):
        values = waves(150)
        values[120:] += tail
        models.append(trained(small(written(tmp_path / f"{name}.csv", values), **fields))[0])
    for one, other in zip(*(model.state_dict().values() for model in models), strict=True):
        assert torch.equal(one, other)
    unlike = trained(small(tmp_path / "a.csv", **{**fields, "refit": False}))[0]
    one, other = models[0].speaking[0], unlike.speaking[0]
    assert not torch.equal(one.lstm.weight_hh_l0, other.lstm.weight_hh_l0)


def test_an_ensemble_gives_the_same_bits_again(tmp_path: Path) -> None:
    recipe = small(written(tmp_path / "x.csv", waves(120)), search=3, ensemble=2, steps=100)
    one, other = (trained(recipe)[0].state_dict() for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)
