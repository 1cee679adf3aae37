"""Ctrl-C and SIGTERM, kept until a training may stop: between two steps."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

__all__ = ["caught"]


@contextmanager
def caught() -> Generator[list[int]]:
    """Ctrl-C and SIGTERM as a list to look at; the second one stops at once."""
    numbers: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield numbers  # only the main thread gets signals
        return

    def note(number: int, frame: Any) -> None:
        if numbers:
            raise KeyboardInterrupt
        numbers.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield numbers
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
