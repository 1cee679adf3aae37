"""Ctrl-C and SIGTERM, kept until a training may stop: between two steps, or soon after."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

__all__ = ["GivenUp", "Stop", "caught"]

PATIENCE = 0.4
"""Seconds that a step may take to end once a stop is asked for; steps are far shorter, but for the
last one, which may search, judge and draw."""
AGAIN = 0.2
"""Seconds until it is given up once more, should whoever was at work have swallowed it."""


class GivenUp(BaseException):
    """What was being done is given up: a stop was asked for, and it took too long."""


class Stop:
    """Whether a stop is asked for, and by which signal."""

    number = 0

    def __bool__(self) -> bool:
        """Whether it is."""
        return bool(self.number)

    def heard(self) -> None:
        """Leave whatever follows its time: the stop is being seen to."""
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _note(self, number: int, frame: Any) -> None:
        if self.number:
            raise KeyboardInterrupt
        self.number = number
        if hasattr(signal, "setitimer"):  # Windows has none
            signal.setitimer(signal.ITIMER_REAL, PATIENCE, AGAIN)


def _give_up(number: int, frame: Any) -> None:
    raise GivenUp


@contextmanager
def caught() -> Generator[Stop]:
    """Ctrl-C and SIGTERM as something to look at; the second one stops at once.

    Raises
    ------
    GivenUp
        Within, if a stop was asked for and nobody has `heard` of it for a while.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # only the main thread gets signals
        return
    handlers: dict[int, Any] = dict.fromkeys((signal.SIGINT, signal.SIGTERM), stop._note)
    if hasattr(signal, "setitimer"):
        handlers[signal.SIGALRM] = _give_up
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield stop
    finally:
        stop.heard()
        for number, handler in before.items():
            signal.signal(number, handler)
