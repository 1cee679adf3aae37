"""Signals cut in time: what is learnt from, what chooses the weights, and what is held out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from unrolled.errors import InvalidValueError
from unrolled.files.columns import Bools, Floats
from unrolled.recipes._events.asked import Signal

__all__ = ["DividedSignal", "Piece", "Shares", "both_kinds", "divide"]


class Piece(NamedTuple):
    """A stretch of one recording, in that recording's own steps."""

    recording: int
    begin: int
    end: int

    @property
    def steps(self) -> slice:
        """Its steps in the recording."""
        return slice(self.begin, self.end)


@dataclass(frozen=True)
class DividedSignal:
    """Pieces of signals, one after the other: to learn from, to choose by, held out.

    ``values`` [T, C] are in the files' own units, ``flags`` [T, K] say where each of the ``events``
    is.  Everything learned comes from the steps before ``border``: the weights and the scaling from
    those before ``known``, and by those between the two it is chosen which weights are kept.
    ``known`` None: there is no such part.  ``pieces`` say of which recording each stretch is; none:
    all is of one.  Nothing that looks back, or ahead, goes from one piece to another.
    """

    values: Floats
    flags: Bools
    events: tuple[str, ...]
    border: int
    known: int | None = None
    pieces: tuple[Piece, ...] = ()

    @property
    def learnt(self) -> slice:
        """The steps that weights and scaling come from."""
        return slice(0, self.border if self.known is None else self.known)

    @property
    def chosen(self) -> slice:
        """The steps by which weights are chosen, none of them where there is no such part."""
        return slice(self.learnt.stop, self.border)

    @property
    def tested(self) -> slice:
        """The steps that nothing is learned from, nor chosen by."""
        return slice(self.border, len(self.values))

    @property
    def heldout(self) -> Bools:
        """Where the events are in the part that nothing is learned from."""
        return self.flags[self.border :]

    @property
    def chooses(self) -> bool:
        """Whether the part between has an event, so that it can tell which weights are good."""
        return bool(both_kinds(self.flags[self.chosen]).any())

    @property
    def learned(self) -> tuple[Piece, ...]:
        """The pieces that something was learned from, or chosen by."""
        ends = np.cumsum([piece.end - piece.begin for piece in self.pieces])
        return self.pieces[: int(np.searchsorted(ends, self.border, side="right"))]

    def stretches(self, part: slice) -> list[slice]:
        """The pieces of a part, in the steps of ``values``; a part's ends cut pieces too."""
        lengths = [piece.end - piece.begin for piece in self.pieces]
        cuts = {part.start, part.stop, *np.cumsum([0, *lengths]).tolist()}
        inside = sorted(cut for cut in cuts if part.start <= cut <= part.stop)
        return [slice(begin, end) for begin, end in pairwise(inside)]

    def over(self, part: slice, label: Callable[[Floats], Floats]) -> Floats:
        """Label each piece of a part by itself, [T, C] to [T, K], and put the answers together."""
        found = [label(self.values[stretch]) for stretch in self.stretches(part)]
        return np.concatenate(found) if found else np.empty((0, len(self.events)))

    def place(self, step: int) -> tuple[int, int]:
        """Say of which recording a step of ``values`` is, and which step of it."""
        for piece in self.pieces:
            if step < piece.end - piece.begin:
                return piece.recording, piece.begin + step
            step -= piece.end - piece.begin
        return 0, step


def both_kinds(flags: Bools) -> Bools:
    """Of flags [T, K], which events have steps with and steps without."""
    return np.array([each.any() and not each.all() for each in flags.T], dtype=bool)


class Shares(NamedTuple):
    """How signals are cut: shares of steps, or the recordings that are held out whole."""

    test: float
    validation: float
    held: Collection[int] = ()


def divide(signals: Sequence[Signal], shares: Shares, window: int) -> DividedSignal:
    """Cut each signal in time, but for those that are held out whole.

    Raises
    ------
    ValueError
        If there are fewer rows than a window, a channel is constant in the training part, or an
        event is nowhere or everywhere in it, or each is in the held-out part.
    """
    cuts = [_cut(signal, n, shares, window) for n, signal in enumerate(signals)]
    parts = [[p for p in part if p.begin < p.end] for part in zip(*cuts, strict=True)]
    pieces = tuple(piece for part in parts for piece in part)
    known, border = np.cumsum([sum(p.end - p.begin for p in part) for part in parts])[:2].tolist()
    flags = [np.column_stack(list((signal.events or {}).values())) for signal in signals]
    divided = DividedSignal(
        np.concatenate([signals[p.recording].values[p.steps] for p in pieces]),
        np.concatenate([flags[p.recording][p.steps] for p in pieces]),
        tuple(signals[0].events or ()),
        border,
        known if known < border else None,
        pieces,
    )
    _check_channels(divided, signals[0].channels)
    _check_events(divided)
    return divided


def _cut(signal: Signal, number: int, shares: Shares, window: int) -> tuple[Piece, Piece, Piece]:
    """One recording's steps to learn from, to choose by, and held out."""
    count = len(signal.values)
    if number in shares.held:
        return Piece(number, 0, 0), Piece(number, 0, 0), Piece(number, 0, count)
    border = count if shares.held else count - round(shares.test * count)
    known = border - round(shares.validation * count)
    what = signal.file if shares.held or number else "the signal"
    if border < window or (border == count and not shares.held):
        raise InvalidValueError(
            f"{what} has {count:,} steps, of which {border:,} are to train on: a window of "
            f"{window} needs at least {window} there, and one held out; lower --window, or bring "
            "more rows."
        )
    if known < window:
        raise InvalidValueError(
            f"{what} has {count:,} steps, of which {max(known, 0):,} are to learn from and "
            f"{border - known:,} to choose weights by: a window of {window} needs at least "
            f"{window} to learn from; lower --window or --validation-share, or bring more rows."
        )
    return Piece(number, 0, known), Piece(number, known, border), Piece(number, border, count)


def _check_channels(parts: DividedSignal, channels: Sequence[str]) -> None:
    known = parts.values[parts.learnt]
    spread = np.ptp(known, axis=0)
    if not spread.all():
        place = int(np.argmin(spread))
        raise InvalidValueError(
            f"channel {channels[place]!r} is {known[0, place]:g} all through the training part, "
            f"{len(known):,} steps: leave it out by naming the others with --channels."
        )


def _check_events(parts: DividedSignal) -> None:
    count = len(parts.values)
    for name, flags in zip(parts.events, parts.flags.T, strict=True):
        whole, learnt = flags[: parts.border], flags[parts.learnt]
        if whole.all() or not whole.any():
            raise _lacking(name, whole, "training", count)
        if learnt.all() or not learnt.any():
            raise InvalidValueError(
                f"event {name!r} is in none of the {len(learnt):,} steps that are learnt from, or "
                "in all of them, but in the part behind them that chooses the weights it is not "
                "so: choose a smaller --validation-share, or 0."
            )
    if not both_kinds(parts.heldout).any():
        raise _lacking(parts.events[0], parts.heldout[:, 0], "held-out", count)


def _lacking(name: str, flags: Bools, what: str, count: int) -> InvalidValueError:
    where = "everywhere" if flags.all() else "nowhere"
    return InvalidValueError(
        f"event {name!r} is {where} in the {what} part, {len(flags):,} of {count:,} "
        "steps: both parts need steps with it and without; choose another --event or "
        "--test-share, or bring a longer file."
    )
