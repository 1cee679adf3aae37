"""Windows on a series, and the split in time.

A forecast stands at an *origin*, the last value that it may know: values[origin].  One step ahead
is values[origin + 1]; the horizon is how many steps ahead are forecast from each origin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unrolled.errors import InvalidValueError
from unrolled.files.columns import Floats

__all__ = [
    "Origins",
    "Split",
    "split",
    "targets",
    "windows",
]

Origins = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """A series cut in time: everything learned comes from ``values[:border]``."""

    values: Floats
    border: int
    window: int
    horizon: int

    @property
    def training(self) -> Floats:
        """The part that scaling, network and autoregression learn from."""
        return self.values[: self.border]

    @property
    def training_origins(self) -> Origins:
        """Origins with a whole window behind them and every target before the border."""
        return np.arange(self.window - 1, self.border - self.horizon)

    @property
    def test_origins(self) -> Origins:
        """Origins whose every target lies at or beyond the border.

        The windows of the first few reach back over it: what has been seen is known when
        forecasting.
        """
        return np.arange(self.border - 1, len(self.values) - self.horizon)


def split(values: Floats, window: int, horizon: int, test_rows: int) -> Split:
    """Cut a series into a training part and ``test_rows`` rows after it.

    Raises
    ------
    ValueError
        If the parts are too short for the window and the horizon, or the training part is
        constant.
    """
    needed = window + horizon + 1  # two windows: one alone has no spread to scale by
    if test_rows < horizon or len(values) - test_rows < needed:
        raise InvalidValueError(
            f"the series has {len(values)} rows, of which {test_rows} are for testing: a window of "
            f"{window} and a horizon of {horizon} need at least {needed} to train on and {horizon} "
            "to test on; lower --window or --horizon, or bring more rows."
        )
    border = len(values) - test_rows
    if np.ptp(values[:border]) == 0:
        raise InvalidValueError(
            f"the first {border} rows, the training part, are all {values[0]:g}: a constant "
            "series leaves nothing to learn; choose another column."
        )
    return Split(values, border, window, horizon)


def windows(values: Floats, origins: Origins, length: int) -> Floats:
    """Give the ``length`` values up to each origin, oldest first: [length, origins]."""
    cut: Floats = values[origins + np.arange(1 - length, 1)[:, None]]
    return cut


def targets(values: Floats, origins: Origins, horizon: int) -> Floats:
    """Give the values that follow each origin: [horizon, origins]."""
    cut: Floats = values[origins + np.arange(1, horizon + 1)[:, None]]
    return cut
