"""What is asked of files of signals, and what a signal is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from unrolled.files.columns import Bools, Floats
from unrolled.files.tables import Reading
from unrolled.files.timeline import Timeline
from unrolled.recipes._events.labels import Words

__all__ = ["Asked", "Measured", "Signal"]


@dataclass(frozen=True)
class Signal:
    """What was measured, step by step, and what was going on.

    ``values`` is [T, C], float64; ``events`` has [T] flags by the name of the event, and is None
    where the file does not say.  A value of a column is the event COLUMN=VALUE.  ``rate`` is steps
    a second, None where nobody knows; ``said`` tells how events were read.
    """

    values: Floats
    channels: tuple[str, ...]
    events: Mapping[str, Bools] | None
    times: Timeline
    rate: float | None = None
    said: tuple[str, ...] = ()
    file: str = ""


class Asked(NamedTuple):
    """What is asked of files.

    ``event``: of a table or an array, the column that says when the event is: each of its values
    but 0, no, none and false is an event, of two words the rarer one; ``COLUMN=VALUE`` takes that
    value alone.  Of a recording, or a file of intervals, the annotation, or the value of the stim
    channel; empty: all of them.  ``channels``: which columns to read, in this order; empty: all but
    the event's and the time's.  ``time``, ``rate``: of a table or an array, the column that says
    when each row was, and how many rows make a second.  ``labelled``: whether files that do not say
    when the event is must be refused.  ``known``: the events that are looked for and no others.
    """

    event: str = ""
    channels: tuple[str, ...] = ()
    time: str = ""
    rate: float = 0.0
    labelled: bool = True
    known: tuple[str, ...] | None = None
    reading: Reading | None = None


class Measured(NamedTuple):
    """A file, read, before it is decided what is an event: words at each step, or marks."""

    signal: Signal
    words: Words | None = None
    marks: Mapping[str, Bools] | None = None
