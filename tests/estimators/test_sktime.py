"""The adapter for sktime passes sktime's own tests, and goes into its tools."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from unrolled.estimators.normal import between

sktime = pytest.importorskip("sktime", reason="pip install '.[ecosystem]' brings sktime")

# sktime 1.2 says at every fit what 1.3 will do.
pytestmark = pytest.mark.filterwarnings("ignore")


def adapter() -> Any:
    from unrolled.estimators.sktime import UnrolledForecaster

    return UnrolledForecaster


def test_it_passes_sktimes_own_check() -> None:
    from sktime.utils.estimator_checks import check_estimator

    found = check_estimator(adapter(), raise_exceptions=False, verbose=False)
    failed = {name: outcome for name, outcome in found.items() if outcome != "PASSED"}
    assert len(found) > 500
    assert not failed


def test_it_forecasts_the_airline_in_a_pipeline() -> None:
    from sktime.datasets import load_airline
    from sktime.forecasting.compose import TransformedTargetForecaster
    from sktime.transformations.series.boxcox import LogTransformer

    y = load_airline()
    quick = {"search": 2, "steps": 200, "ensemble": 2}
    piped = TransformedTargetForecaster([LogTransformer(), adapter()(options=quick)])
    piped.fit(y[:-12], fh=np.arange(1, 13))
    told = piped.predict()
    assert list(told.index) == list(y.index[-12:])
    naive = np.abs(y[-12:].to_numpy() - y[-24:-12].to_numpy()).mean()
    assert np.abs(told - y[-12:]).mean() < naive
    low = piped.predict_interval(coverage=0.9)
    assert low.shape == (12, 2)


def test_a_quantile_between_two_is_that_of_a_normal_piece() -> None:
    from statistics import NormalDist

    levels = np.array([0.1, 0.5, 0.9])
    known = np.array([[NormalDist(3, 2).inv_cdf(level)] for level in levels])
    wanted = np.array([0.02, 0.3, 0.5, 0.75, 0.999])
    exact = [NormalDist(3, 2).inv_cdf(level) for level in wanted]
    assert between(levels, known, wanted)[:, 0] == pytest.approx(exact)
    assert (between(np.array([0.5]), known[:1], wanted) == known[0]).all()
