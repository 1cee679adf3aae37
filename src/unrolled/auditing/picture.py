"""A picture of where a gradient is wrong: the relative error by parameter and length."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from unrolled.pictures.toolkit import PAGE, begin, dress, save

__all__ = ["draw_errors"]

MARKS = "osD^vP*X<>"


def draw_errors(
    errors: Mapping[str, Mapping[str, Mapping[int, float]]], path: Path, tolerance: float
) -> Path:
    """Draw one panel for each gradient, one line for each of its parameters.

    ``errors`` has the relative error by gradient, parameter and length; parameters that are exact
    at every length are named below the picture and not drawn, those that are at some lengths stand
    at "exact".
    """
    figure = begin(PAGE, 97, 117 * max(len(errors), 1) + 10)
    panels = figure.subplots(1, len(errors), squeeze=False, sharey=True)[0]
    floor = _floor(errors, tolerance)
    top = max(1.0, *(e for of in errors.values() for some in of.values() for e in some.values()))
    for axes, (name, of) in zip(panels, errors.items(), strict=True):
        wrong = {k: v for k, v in of.items() if max(v.values()) > tolerance}
        for place, (parameter, values) in enumerate(wrong.items()):
            axes.plot(
                [str(steps) for steps in values],
                [value if value > tolerance else floor for value in values.values()],
                **PAGE.look(place),
                marker=MARKS[place % len(MARKS)],
                ms=5,
                label=parameter,
            )
        axes.set_yscale("log")
        decades = range(round(math.log10(floor)) + 1, 1)
        axes.set_yticks([floor, *(10.0**n for n in decades)])
        axes.set_yticklabels(["exact", *(f"$10^{{{n}}}$" for n in decades)])
        axes.minorticks_off()
        axes.set_ylim(floor * 0.7, 3 * top)
        exact = [k for k in of if k not in wrong]
        note = f"steps T (exact at all: {', '.join(exact)})" if exact else "steps T"
        dress(axes, title=name, xlabel=note, ylabel="relative error")
        if wrong:
            axes.legend(loc="lower right", frameon=False)
    return save(figure, path, "Gradients against the exact ones")


def _floor(errors: Mapping[str, Mapping[str, Mapping[int, float]]], tolerance: float) -> float:
    """Where "exact" stands: a decade below the smallest error there is."""
    every = (e for of in errors.values() for values in of.values() for e in values.values())
    smallest = min((e for e in every if e > tolerance), default=0.1)
    return 10.0 ** (math.floor(math.log10(min(smallest, 1.0))) - 1)
