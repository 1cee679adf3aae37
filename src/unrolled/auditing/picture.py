"""A picture of where a gradient is wrong: the relative error by parameter and length."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from unrolled import plots

__all__ = ["draw_errors"]

FLOOR = 1e-4  # errors below are drawn there
MARKS = "osD^vP*X<>"


def draw_errors(
    errors: Mapping[str, Mapping[str, Mapping[int, float]]], path: Path, tolerance: float
) -> Path:
    """Draw one panel for each gradient, one line for each of its parameters.

    ``errors`` has the relative error by gradient, parameter and length; parameters that are exact
    at every length are named below the picture and not drawn.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6 * max(len(errors), 1) + 0.4, 3.8), layout="constrained")
    panels = figure.subplots(1, len(errors), squeeze=False, sharey=True)[0]
    for axes, (name, of) in zip(panels, errors.items(), strict=True):
        wrong = {k: v for k, v in of.items() if max(v.values()) > tolerance}
        for place, (parameter, values) in enumerate(wrong.items()):
            look = plots.LOOKS[place % len(plots.LOOKS)]
            axes.plot(
                [str(steps) for steps in values],
                [max(value, FLOOR) for value in values.values()],
                **look,
                marker=MARKS[place % len(MARKS)],
                ms=5,
                label=parameter,
            )
        axes.set_yscale("log")
        axes.set_ylim(FLOOR * 0.7, 3)
        exact = [k for k in of if k not in wrong]
        note = f"steps T (exact at all: {', '.join(exact)})" if exact else "steps T"
        plots.dress(axes, title=name, xlabel=note, ylabel="relative error")
        if wrong:
            axes.legend(loc="lower right", frameon=False)
    return plots.save(figure, path, "Gradients against the exact ones")
