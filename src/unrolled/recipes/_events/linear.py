"""The labeller that a network has to beat: logistic regression on the last few steps."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unrolled.files.columns import Floats, Integers
from unrolled.recipes._events.labeller import scores
from unrolled.recipes._events.parts import DividedSignal

__all__ = ["LinearLabeller"]

WINDOWS = (1, 4, 16, 64)
MOST_NUMBERS = 8_000_000  # in one fit, which is 32 MB; of a longer signal, rows are drawn
STRETCH = 4096


@dataclass(frozen=True)
class LinearLabeller:
    """One logistic regression for each event on all channels of ``window`` steps."""

    window: int
    after: int
    """How many of them lie after the step that is labelled: 0 is causal."""
    mean: Floats
    scale: Floats
    regressions: tuple[Any, ...]

    @classmethod
    def fit(
        cls, parts: DividedSignal, longest: int, *, both_directions: bool, seed: int
    ) -> LinearLabeller:
        """Fit with scikit-learn, on the training part alone.

        The window is the one of 1, 4, 16 and 64 steps, and the network's, with the best average
        precision on the part that chooses the network's weights, learned from what the network
        learns from.  Where there is no such part, or no event in it, the window is chosen on the
        last quarter of the training part, and the regression then learned from all of it.

        Parameters
        ----------
        parts
            The signals.
        longest
            The network's window: no longer one is tried.
        both_directions
            Let the window lie around the step, and not before it.
        seed
            Draws rows, where there are more than a fit should take.
        """
        known = parts.learnt.stop if parts.chooses else parts.border - parts.border // 4
        first, rest = slice(0, known), slice(known, parts.border)
        tried = sorted({w for w in (*WINDOWS, min(longest, WINDOWS[-1])) if w <= longest})

        def precision(window: int) -> float:
            fitted = cls._fit(parts, first, window, both_directions, seed)
            odds = parts.over(rest, fitted.decide)
            value = scores(parts.flags[rest], odds)["average_precision"]
            return -1.0 if math.isnan(value) else value

        # Where that part has no event, all are as good, and the longest is taken.
        best = max(reversed(tried), key=precision)
        learnt = first if parts.chooses else slice(0, parts.border)
        return cls._fit(parts, learnt, best, both_directions, seed)

    @classmethod
    def _fit(
        cls, parts: DividedSignal, part: slice, window: int, both_directions: bool, seed: int
    ) -> LinearLabeller:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression
        from threadpoolctl import threadpool_limits

        after = window // 2 if both_directions else 0
        values, flags = parts.values[part], parts.flags[part]
        spread = values.std(0)
        begun = cls(window, after, values.mean(0), np.where(spread > 0, spread, 1.0), ())
        most = max(MOST_NUMBERS // (window * values.shape[1]), 1)
        rows = np.arange(len(values))
        if len(rows) > most:
            random = np.random.default_rng([seed, window])
            rows = np.sort(random.choice(len(rows), most, replace=False))
        pieces = [values[stretch] for stretch in parts.stretches(part)]
        features = begun._features_at(pieces, rows)
        regressions: list[Any] = []
        # One thread: the same bits whatever machine it is, and no waiting for each other.
        with threadpool_limits(1), warnings.catch_warnings():
            # At 300 rounds what is left to gain is in the digits that nobody reads.
            warnings.simplefilter("ignore", ConvergenceWarning)
            for k in range(flags.shape[1]):
                chosen = flags[rows, k]
                if chosen.all() or not chosen.any():
                    regressions.append(None)
                    continue
                regression = LogisticRegression(class_weight="balanced", max_iter=300)
                regressions.append(regression.fit(features, chosen))
        return cls(window, after, begun.mean, begun.scale, tuple(regressions))

    def decide(self, values: Floats) -> Floats:
        """Log-odds [T, K] for a signal [T, C]; what lies beyond its ends counts as the mean."""
        odds = np.zeros((len(values), len(self.regressions)))
        windows = self._windows(values)
        for begin in range(0, len(values), STRETCH):
            rows = slice(begin, begin + STRETCH)
            flat = windows[rows].reshape(len(windows[rows]), -1)
            for k, regression in enumerate(self.regressions):
                if regression is not None:
                    odds[rows, k] = regression.decision_function(flat)
        return odds

    def _features_at(self, pieces: Sequence[Floats], rows: Integers) -> Floats:
        """The windows [N, C * window] of some steps of pieces that lie one after the other."""
        ends = np.cumsum([len(piece) for piece in pieces])
        of = np.searchsorted(ends, rows, side="right")
        found: Any = np.empty((len(rows), self.window * len(self.mean)), np.float32)
        for number, piece in enumerate(pieces):
            here = of == number
            if here.any():
                windows = self._windows(piece)[rows[here] - (ends[number] - len(piece))]
                found[here] = windows.reshape(len(windows), -1)
        features: Floats = found
        return features

    def _windows(self, values: Floats) -> Floats:
        """The window of each step, as a view [T, C, window] that takes no room."""
        scaled = ((values - self.mean) / self.scale).astype(np.float32)
        padded = np.pad(scaled, ((self.window - 1 - self.after, self.after), (0, 0)))
        windows: Floats = np.lib.stride_tricks.sliding_window_view(padded, self.window, axis=0)
        return windows
