"""The backtest: one set of origins for all, scores by step, a table and a verdict."""

from __future__ import annotations

import numpy as np
import pytest

from unrolled.recipes._series.backtest import (
    backtest,
    forecasts_of,
    rolling_origins,
    truth_of,
)
from unrolled.recipes._series.calibration import levels_of
from unrolled.recipes._series.rivals import fit_rivals
from unrolled.recipes._series.scores import mae, mase, seasonal_error

LEVELS = levels_of((0.8,))


def series() -> np.ndarray:
    draw = np.random.default_rng(0)
    return 10 + 4 * np.sin(2 * np.pi * np.arange(200) / 12) + draw.standard_normal(200) * 0.5


def test_origins_have_all_their_targets_in_the_part() -> None:
    origins = rolling_origins(150, 200, 5)
    targets = origins + np.arange(1, 6)[:, None]
    assert (targets.min(), targets.max()) == (150, 199)
    assert rolling_origins(150, 200, 5, every=10).tolist() == [149, 159, 169, 179, 189]
    assert rolling_origins(196, 200, 5).tolist() == []
    np.testing.assert_array_equal(truth_of(np.arange(200.0), origins, 5), targets)


def run(missing: bool = False):
    values = series()
    if missing:
        values[[160, 170]] = np.nan
    training, origins = values[:150], rolling_origins(150, 200, 3)
    truth = truth_of(series(), origins, 3)

    def ours(origins: np.ndarray) -> np.ndarray:
        return truth[..., None] + np.array([-1.0, 0.125, 0.25])

    rivals = fit_rivals(training, period=12, window=13)
    contenders = {"LSTM": ours, **forecasts_of(rivals.fitted, values, 3)}
    scale = seasonal_error(training, 12)
    found = backtest(contenders, values, origins, 3, scale=scale, levels=LEVELS, shares=(0.8,))
    return found, rivals, values, origins, scale


def test_every_contender_is_scored_overall_and_by_step() -> None:
    found, rivals, values, origins, scale = run(missing=True)
    assert [row.name for row in found.overall] == ["LSTM", *(r.name for r in rivals.fitted)]
    ours = found.overall[0]
    assert ours.mae == pytest.approx(0.125)
    assert ours.mase == pytest.approx(0.125 / scale)
    assert ours.coverages == {0.8: 1.0}
    assert ours.widths[0.8] == pytest.approx(1.25)
    for rival in rivals.fitted:
        forecasts, truth = rival.forecast(values, origins, 3), truth_of(values, origins, 3)
        row = next(row for row in found.overall if row.name == rival.name)
        assert row.mae == mae(forecasts, truth).overall
        assert not row.coverages
        assert np.isnan(row.pinball)
        steps = found.by_step(rival.name)
        assert [row.step for row in steps] == [1, 2, 3]
        assert [row.mase for row in steps] == mase(forecasts, truth, scale).by_step.tolist()


def test_the_table_has_a_line_for_each_and_says_who_wins() -> None:
    found, rivals, *_ = run()
    head, first, *_, verdict = found.lines
    shown = "48 origins, 3 steps ahead MAE RMSE MASE pinball 80 % covers 80 % width"
    assert " ".join(head.split()) == shown
    ours = found.overall[0]
    shown = f"LSTM 0.125 0.125 {ours.mase:.4g} {ours.pinball:.4g} 100.0 % 1.25"
    assert " ".join(first.split()) == shown
    assert len(found.lines) == 1 + 1 + len(rivals.fitted) + 1
    assert len({len(line) for line in found.lines[:-1]}) == 1
    assert found.lines[2].endswith("–")
    assert verdict.startswith("LSTM is best by MASE, ")
    steps = found.lines_by_step("LSTM")
    assert [line.split("  ")[0].strip() for line in steps] == [
        "LSTM",
        *(f"{n} ahead" for n in (1, 2, 3)),
    ]


def test_where_nothing_scales_the_mae_decides() -> None:
    values = np.arange(20.0) % 2
    rivals = forecasts_of(fit_rivals(values[:10], period=2, window=1).fitted[:2], values, 1)
    found = backtest(rivals, values, rolling_origins(10, 20, 1), 1, scale=0.0)
    assert found.verdict == "seasonal naive (2) is best by MAE, 0; persistence has 1"
    assert all(np.isnan(row.mase) for row in found.rows)


def test_what_cannot_be_judged_is_refused() -> None:
    values = series()
    with pytest.raises(ValueError, match="0 origins have no known value after them"):
        backtest({}, values, np.array([], dtype=np.int64), 3, scale=1.0)
    with pytest.raises(ValueError, match=r"ours forecasts \(3, 2\): expected \(3, 2, 1\), or"):
        backtest({"ours": lambda o: np.zeros((3, 2))}, values, np.array([5, 6]), 3, scale=1.0)
