"""How a training is told as it goes: one live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Protocol

from unrolled.training import Step

__all__ = ["Teller", "telling"]


class Teller(Protocol):
    """What is told of each step."""

    def tell(self, step: Step) -> None:
        """Take note of a step; say something if it is time."""


@contextmanager
def telling(steps: int, already: int) -> Generator[Teller]:
    """A teller for a run of ``steps`` steps, of which ``already`` were made before."""
    if not sys.stdout.isatty():
        yield _Lines(steps, already)
        return
    from rich.console import Console
    from rich.live import Live

    console = Console(highlight=False)
    with Live(console=console, refresh_per_second=8, transient=True) as live:
        yield _Line(steps, already, live)


class _Lines:
    """Reports as lines."""

    def __init__(self, steps: int, already: int) -> None:
        self._steps = steps
        self._already = already
        self._began = time.perf_counter()
        self._figures: dict[str, float] = {}

    def _words(self, step: Step) -> str:
        self._figures = step.metrics or self._figures
        made = step.step - self._already
        rate = made / max(time.perf_counter() - self._began, 1e-9)
        figures = "".join(f"  {name} {value:.5g}" for name, value in self._figures.items())
        return (
            f"step {step.step:,}/{self._steps:,}  loss {step.loss:.4g}{figures}  "
            f"{rate:,.0f} steps/s  {_clock((self._steps - step.step) / rate)} left"
        )

    def tell(self, step: Step) -> None:
        if step.metrics or step.report:
            print("\n".join(filter(None, (step.report, self._words(step)))), flush=True)


class _Line(_Lines):
    """One line that stays at the bottom; reports go above it."""

    def __init__(self, steps: int, already: int, live: Any) -> None:
        super().__init__(steps, already)
        self._live = live
        self._next = 0.0

    def tell(self, step: Step) -> None:
        if step.report:
            self._live.console.print(step.report, markup=False)
        now = time.perf_counter()
        if step.metrics or now >= self._next:  # a terminal is slow, and a step may be quick
            self._next = now + 0.1
            from rich.text import Text

            self._live.update(Text(self._words(step), no_wrap=True, overflow="ellipsis"))


def _clock(seconds: float) -> str:
    whole = int(seconds + 0.5)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"
