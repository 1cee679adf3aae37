"""Competitors called in turn: first held against each other, then timed.

The time is the median of the turns, the spread their middle half relative to it.  On a machine that
does other work times are noise, and since all take turns the noise meets all: read the ratios.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from unrolled.errors import UnrolledError

__all__ = [
    "DIFFERENCE",
    "BenchError",
    "Call",
    "Field",
    "NotMeasured",
    "Peer",
    "Time",
    "difference",
    "timed",
]

Results = tuple[Tensor, ...]
Call = Callable[[], Results | None]

# Of float32: far above rounding over a thousand steps, far below what a mistake makes.
DIFFERENCE = 1e-3
TURN = 1e-3  # seconds: beside a call of a microsecond, reading the clock would count
LEAST = 7  # turns, however long they take,
SLOW = 1.0  # but of competitors that need more seconds than this for a round,
LEAST_SLOW = 3  # only so many


class BenchError(UnrolledError, ValueError):
    """Nothing can be measured as asked, in one sentence."""


class NotMeasured(Exception):
    """A competitor that cannot take part here: its name, and the reason."""


@dataclass(frozen=True)
class Peer:
    """A competitor, ready to be called.

    Parameters
    ----------
    name : str
    call : callable
        What is timed.  It may return the tensors by which it is held against the others.
    read : callable, optional
        Gives these tensors where ``call`` does not, and is not timed.
    alike : bool
        Whether it is to compute the same as ours; a vanilla cell beside a variant does not.
    threads : int, optional
        Torch's threads in its turns, where they are not those of the whole benchmark.
    steps : int
        How many of what is compared a call makes: the time is of one.
    """

    name: str
    call: Call
    read: Callable[[], Results] | None = None
    alike: bool = True
    threads: int | None = None
    steps: int = 1

    def seconds(self, count: int) -> float:
        """A turn of so many calls; the seconds of one, or of one of its steps."""
        self._take_threads()
        began = time.perf_counter()
        for _ in range(count):
            self.call()
        return (time.perf_counter() - began) / (count * self.steps)

    def _take_threads(self) -> None:
        if self.threads is not None:
            torch.set_num_threads(self.threads)

    def results(self) -> Results:
        """Call once; what came out."""
        self._take_threads()
        found = self.call()
        if self.read is not None:
            return self.read()
        assert found is not None, f"{self.name} gives nothing to compare"
        return found


@dataclass(frozen=True)
class Field:
    """Those who take part in one contest.

    Parameters
    ----------
    ours : Peer
    peers : sequence of callables
        Each makes a peer, or raises `NotMeasured`.
    witness : Peer, optional
        Held against ours, and not timed.
    """

    ours: Peer
    peers: Sequence[Callable[[], Peer]]
    witness: Peer | None = None


class Time(NamedTuple):
    """Microseconds for a call, and the middle half of them relative to that."""

    median: float
    spread: float


def timed(
    field: Field, seconds: float, where: str, note: Callable[[str], None]
) -> tuple[Time, dict[str, Time]]:
    """Hold the peers against ours, then let all take turns.

    Parameters
    ----------
    field : Field
    seconds : float
        How long, in all; longer where the fewest turns take longer.
    where : str
        What to call this contest in a sentence.
    note : callable
        Told of each peer that was not measured.

    Returns
    -------
    Time
        Ours.
    dict
        Each peer's, by its name.

    Raises
    ------
    BenchError
        If a peer's results are not ours.
    """
    peers = []
    for make in field.peers:
        try:
            peers.append(make())
        except NotMeasured as reason:
            note(str(reason))
    _hold_against(field, peers, where)
    all_of_them = [field.ours, *peers]
    once = [peer.seconds(1) for peer in all_of_them]
    calls = [s * peer.steps for s, peer in zip(once, all_of_them, strict=True)]
    repeats = [max(1, min(1000, int(TURN / max(s, 1e-9)))) for s in calls]
    least = LEAST_SLOW if sum(calls) > SLOW else LEAST
    found: list[list[float]] = [[] for _ in all_of_them]
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(found[0]) < least:
        for peer, count, into in zip(all_of_them, repeats, found, strict=True):
            into.append(peer.seconds(count) * 1e6)
    ours, *theirs = (_summary(one) for one in found)
    return ours, {peer.name: one for peer, one in zip(peers, theirs, strict=True)}


def _hold_against(field: Field, peers: Sequence[Peer], where: str) -> None:
    """Two calls of each, which warm up too: the second shows that a state is carried on."""
    others = [peer for peer in (*peers, field.witness) if peer is not None]
    began = time.perf_counter()
    for _ in range(2):
        ours = field.ours.results()
        for peer in others:
            if not peer.alike:
                peer.seconds(1)
                continue
            apart = difference(ours, peer.results())
            if not apart <= DIFFERENCE:
                raise BenchError(
                    f"{where}: {field.ours.name} and {peer.name} differ by {apart:.2g} of the "
                    f"largest value, expected at most {DIFFERENCE:g}; nothing more is timed before "
                    "they agree: `make test` may say which of them is wrong."
                )
        if time.perf_counter() - began > SLOW:
            break


def difference(ours: Results, theirs: Results) -> float:
    """The largest difference of any pair, relative to the largest entry of the pair.

    Infinite where the pairs are not of one size or one kind, or an entry is not finite.
    """
    if len(ours) != len(theirs):
        return math.inf
    worst = 0.0
    for a, b in zip(ours, theirs, strict=True):
        if a.numel() != b.numel():
            return math.inf
        a, b = a.detach(), b.detach().reshape(a.shape)
        if not a.numel():
            continue
        apart = float((a - b).abs().max()) / max(float(b.abs().max()), 1e-30)
        worst = max(worst, apart if math.isfinite(apart) else math.inf)
    return worst


def _summary(found: Sequence[float]) -> Time:
    low, middle, high = statistics.quantiles(found, n=4)
    return Time(middle, (high - low) / middle)
