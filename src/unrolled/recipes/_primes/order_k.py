"""What can be told of a sequence's next symbol by counting: the rivals of a network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Score", "TableChoice", "choose_table", "score", "tables", "told"]

Floats = npt.NDArray[np.float64]
Symbols = npt.NDArray[np.int64]

WEIGHTS = (10.0, 30.0, 100.0, 300.0, 1000.0)
LONGEST = 6


class Score(NamedTuple):
    """How good forecasts are: bits for each symbol, and the share guessed right."""

    bits: float
    right: float


class TableChoice(NamedTuple):
    """The choice of a table: how many symbols back it looks, and how it trusts the shorter one."""

    order: int
    weight: float


def score(probabilities: Floats, truth: Symbols) -> Score:
    """Judge forecasts [N, symbols] by what came [N]."""
    hit = probabilities[np.arange(len(truth)), truth]
    right = probabilities.argmax(1) == truth
    return Score(float(-np.log2(hit).mean()), float(right.mean()))


def tables(
    symbols: Symbols, border: int, places: Symbols, count: int, weight: float
) -> Iterator[Floats]:
    """Forecasts [N, count] at ``places`` of the table of order 0, 1, 2, …, ``LONGEST``.

    Everything is counted in ``symbols[:border]``.  The table of order k mixes what followed the
    last k symbols with what the table of order k − 1 foretells, which counts as
    ``weight`` times more (MacKay & Peto 1995); order 0 is the share of each symbol, each counted
    once more than seen.
    """
    training = symbols[:border]
    seen = np.bincount(training, minlength=count) + 1.0
    shares = np.broadcast_to(seen / seen.sum(), (len(places), count))
    yield shares
    context, learned = np.zeros(len(symbols), dtype=np.int64), symbols[:border]
    for order in range(1, LONGEST + 1):
        # The last `order` symbols as one number: the context of order - 1, and one further back.
        older = np.concatenate((np.zeros(order, dtype=np.int64), symbols[:-order]))
        context = context + older * count ** (order - 1)
        contexts, place = np.unique(context[places], return_inverse=True)
        counts = np.zeros((len(contexts), count))
        of = np.searchsorted(contexts, context[order:border]).clip(max=len(contexts) - 1)
        met = contexts[of] == context[order:border]
        np.add.at(counts, (of[met], learned[order:][met]), 1.0)
        here = counts[place]
        shares = (here + weight * shares) / (here.sum(1, keepdims=True) + weight)
        yield shares


def choose_table(symbols: Symbols, border: int, places: Symbols, count: int) -> TableChoice:
    """The order and the weight with the fewest bits at ``places``, which are for choosing alone."""
    bits = {
        TableChoice(order, weight): score(shares, symbols[places]).bits
        for weight in WEIGHTS
        for order, shares in enumerate(tables(symbols, border, places, count, weight))
    }
    return min(bits, key=lambda table: bits[table])


def told(hints: Symbols, symbols: Symbols, border: int, places: Symbols, count: int) -> Floats:
    """Forecasts [N, count] by who is told a hint at each place and counts what came with it."""
    _, hint = np.unique(hints, return_inverse=True)
    counts = np.ones((int(hint.max()) + 1, count))
    np.add.at(counts, (hint[:border], symbols[:border]), 1.0)
    shares: Floats = counts / counts.sum(1, keepdims=True)
    return shares[hint[places]]
