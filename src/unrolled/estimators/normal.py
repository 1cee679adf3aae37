"""Quantiles between and beyond a few that are known."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np

from unrolled.files.columns import Floats

__all__ = ["between"]


def between(levels: Floats, known: Any, wanted: Any) -> Any:
    """Quantiles at the levels ``wanted`` [N, …], of those known [K, …] at rising ``levels``.

    Between two known ones, and beyond the outermost, the distribution is taken as a piece of a
    normal one: linear in the normal score of the level.
    """
    score = np.vectorize(NormalDist().inv_cdf)
    if len(levels) == 1:
        return np.repeat(known, len(wanted), 0)
    at, to = score(levels), score(np.clip(wanted, 1e-9, 1 - 1e-9))
    place = np.clip(np.searchsorted(at, to) - 1, 0, len(at) - 2)
    share = ((to - at[place]) / (at[place + 1] - at[place])).reshape(-1, *[1] * (known.ndim - 1))
    return known[place] + share * (known[place + 1] - known[place])
