"""How far a signal is from its target, and how that is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from unrolled.recipes._signal.reading import Numbers

__all__ = ["error_to_signal", "steps_told", "table", "winner"]


SMALL = 0.01  # of the target's energy: a filter that leaves less is enough


def error_to_signal(output: Numbers, target: Numbers, silence: Numbers) -> float:
    """The energy of the error as a share of the target's own, both [T, D]; 0 is perfect.

    ``silence`` [D] is what the target is where nothing is to be heard: 0 of sound.  Of several
    outputs it is the mean over those that are not silent all through.
    """
    energy = np.square(target - silence, dtype=np.float64).sum(0)
    error = np.square(np.subtract(output, target, dtype=np.float64)).sum(0)
    heard = energy > 0
    return float((error[heard] / energy[heard]).mean()) if heard.any() else float("nan")


def table(figures: Mapping[str, Any], network: str, taps: int, told: str) -> list[str]:
    """The test part's figures, the network's beside the linear filter's."""
    rows = {
        network: figures["test_esr"],
        f"linear filter, {taps} taps": figures["test_esr_linear"],
        "nothing done": figures["test_esr_input"],
    }
    title = f"test part, {told}"
    wide = max(map(len, (title, *rows))) + 2
    lines = [f"{title:<{wide}}{'ESR':>10}{'in dB':>9}"]
    for name, value in rows.items():
        if value is not None:
            lines.append(f"{name:<{wide}}{value:>10.3%}{_decibels(value):>9.1f}")
    return [*lines, winner(figures)]


def _decibels(share: float) -> float:
    return 10 * np.log10(share) if share > 0 else -np.inf


def winner(figures: Mapping[str, Any]) -> str:
    """Who is nearer to the target, in a sentence."""
    ours, linear = figures["test_esr"], figures["test_esr_linear"]
    if not ours < linear:
        enough = "a filter is all that is needed here" if linear < SMALL else "learn for longer"
        return f"The linear filter wins: {enough}."
    return f"The LSTM wins: its error has {ours / linear:.1%} of the energy of the filter's."


def steps_told(steps: int, rate: int) -> str:
    """How long so many steps are."""
    return f"{steps / rate:,.2f} s" if rate else f"{steps:,} steps"
