"""Windows and the split in time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unrolled.recipes._series import forecasting
from unrolled.recipes._series.forecasting import (
    split,
    targets,
    windows,
)


@given(window=st.integers(1, 6), horizon=st.integers(1, 6), extra=st.integers(0, 9), data=st.data())
def test_nothing_learned_from_lies_in_the_test_part(
    window: int, horizon: int, extra: int, data: st.DataObject
) -> None:
    rows = window + horizon + 1 + extra
    tested = horizon + data.draw(st.integers(0, 9))
    cut = split(np.arange(float(rows + tested)), window, horizon, tested)
    assert cut.border == rows
    learned = cut.training_origins
    # The values are their own places, so that a window says where it was cut.
    assert windows(cut.values, learned, window).min() == 0
    assert targets(cut.values, learned, horizon).max() == cut.border - 1
    ahead = targets(cut.values, cut.test_origins, horizon)
    assert (ahead.min(), ahead.max()) == (cut.border, rows + tested - 1)
    assert windows(cut.values, cut.test_origins, window).min() >= 0
    both = windows(cut.values, learned, window)[-1], targets(cut.values, learned, 1)[0]
    np.testing.assert_array_equal(both[0] + 1, both[1])


@pytest.mark.parametrize(("rows", "tested"), [(20, 4), (17, 5), (16, 5)])
def test_a_short_series_is_refused(rows: int, tested: int) -> None:
    with pytest.raises(ValueError, match="a window of 6 and a horizon of 5 need at least 12 to"):
        split(np.arange(float(rows)), 6, 5, tested if rows != 17 else 6)


def test_a_constant_training_part_is_refused() -> None:
    values = np.concatenate((np.full(20, 3.0), np.arange(5.0)))
    with pytest.raises(ValueError, match="first 20 rows, the training part, are all 3: a constant"):
        split(values, 2, 1, 5)


def test_public_names_exist() -> None:
    assert all(hasattr(forecasting, name) for name in forecasting.__all__)
