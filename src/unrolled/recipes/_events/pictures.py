"""Pictures of a labelled signal: a stretch of it, and how well events are told from the rest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unrolled.files.columns import Bools, Floats
from unrolled.pictures import toolkit
from unrolled.recipes._events.alarms import runs_of
from unrolled.recipes._events.asked import Signal
from unrolled.recipes._events.parts import DividedSignal
from unrolled.recipes._events.told import Judge, Opinion

__all__ = ["busiest", "busiest_of", "draw_curves", "draw_stretch"]

MOST_CHANNELS = 12  # in one picture; of more, the first ones are drawn, and the title says so
MOST_CURVES = 4
COLOURS = (toolkit.BLUE, toolkit.ORANGE, toolkit.GREEN, toolkit.PURPLE)


def busiest(flags: Bools, length: int) -> slice:
    """Choose the ``length`` steps in which most events begin; of equals, the first."""
    length = min(length, len(flags))
    begins = np.diff(flags.astype(np.int64), axis=0, prepend=0).clip(min=0).sum(1)
    so_far = np.concatenate(([0], np.cumsum(begins)))
    place = int(np.argmax(so_far[length:] - so_far[: len(so_far) - length]))
    return slice(place, place + length)


def busiest_of(parts: DividedSignal, length: int) -> slice:
    """Choose such steps of the held-out part, all of one recording, as steps of all ``values``."""

    def begun(steps: slice) -> int:
        return int(np.diff(parts.flags[steps].astype(np.int8), axis=0, prepend=0).clip(0).sum())

    found = []
    for piece in parts.stretches(parts.tested):
        steps = busiest(parts.flags[piece], length)
        found.append(slice(piece.start + steps.start, piece.start + steps.stop))
    return max(found, key=begun)


def draw_stretch(
    signal: Signal,
    steps: slice,
    events: Sequence[str],
    predictions: Floats,
    flags: Bools,
    path: Path,
) -> Path:
    """Draw some steps of a signal: its channels, its events, and the probability of each.

    Parameters
    ----------
    signal
        All of it.
    steps
        Which of its steps to draw.
    events
        Their names.
    predictions, flags
        Probabilities and truth of these steps: [steps, K].
    path
        Where the PNG file goes.
    """
    places = signal.times.places[steps]
    shown = signal.channels[:MOST_CHANNELS]
    tall = 0.8 + 0.32 * len(shown)
    figure = Figure(figsize=(9, 1.6 + tall + 1.1 * len(events)), layout="constrained")
    above, *below = figure.subplots(
        1 + len(events), 1, sharex=True, height_ratios=[tall, *[1.1] * len(events)]
    )
    _draw_channels(above, places, signal.values[steps, : len(shown)], shown)
    _shade(above, places, np.logical_or.reduce(flags, axis=1))
    more = (
        f" (the first {len(shown)} of {len(signal.channels)})"
        if len(shown) < len(signal.channels)
        else ""
    )
    toolkit.dress(
        above, title=f"Channels{more}; shaded: {'an' if len(events) > 1 else 'the'} event"
    )
    above.grid(visible=False)
    for k, axes in enumerate(below):
        _shade(axes, places, flags[:, k])
        axes.plot(places, predictions[:, k], color=toolkit.BLUE, linewidth=1.3)
        axes.set_ylim(-0.03, 1.03)
        toolkit.dress(axes, title=f"Probability of {events[k]}")
    below[-1].set_xlabel(signal.times.name)
    above.margins(x=0)
    return toolkit.save(figure, path, "A stretch that nothing was learned from")


def _draw_channels(axes: Axes, places: Floats, values: Floats, names: Sequence[str]) -> None:
    """Draw channels one below the other, each by its own spread in what is seen."""
    spread = values.std(0)
    scaled = (values - values.mean(0)) / np.where(spread > 0, spread, 1.0)
    heights = -6.0 * np.arange(len(names))
    axes.plot(places, scaled + heights, color=toolkit.INK, linewidth=0.7)
    axes.set_yticks(heights, list(names))


def _shade(axes: Axes, places: Floats, flags: Bools) -> None:
    half = (places[1] - places[0]) / 2 if len(places) > 1 else 0.5
    for begin, end in runs_of(flags):
        axes.axvspan(
            places[begin] - half,
            places[end - 1] + half,
            color=toolkit.ORANGE,
            alpha=0.35,
            linewidth=0,
            zorder=0,
        )


def draw_curves(judge: Judge, opinions: Sequence[Opinion], path: Path) -> Path:
    """Draw ROC, precision-recall and alarms of labellers on the held-out part."""
    from sklearn.metrics import precision_recall_curve, roc_curve

    figure = Figure(figsize=(13, 4.4), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    events, shown = judge.parts.events, judge.judged[:MOST_CURVES]
    for who, line in zip(opinions, ("-", "--"), strict=False):
        for place, k in enumerate(shown):
            flags, values = judge.parts.heldout[:, k], who.tested[:, k]
            label = f"{who.name}: {events[k]}" if len(events) > 1 else who.name
            # One event: a colour for each who; several: one for each event.
            colour = COLOURS[place] if len(events) > 1 else COLOURS[line == "--"]
            look = {"color": colour, "linestyle": line, "linewidth": 1.6}
            false, true, _ = roc_curve(flags, values)
            left.plot(false, true, label=label, **look)
            precision, recall, _ = precision_recall_curve(flags, values)
            middle.plot(recall, precision, **look)
            alarms = judge.curve(who, k)
            found = np.maximum.accumulate([a.sensitivity for a in alarms])
            right.step([a.false_by(judge.clock) for a in alarms], found, where="post", **look)
    left.plot([0, 1], [0, 1], color=toolkit.FAINT, linestyle=":", label="chance")
    for k in shown:
        middle.axhline(judge.parts.heldout[:, k].mean(), color=toolkit.FAINT, linestyle=":")
    toolkit.dress(left, title="ROC", xlabel="false positive rate", ylabel="true positive rate")
    toolkit.dress(middle, title="Precision and recall", xlabel="recall", ylabel="precision")
    per = f"false alarms {'an' if judge.clock.rate else 'in'} {judge.clock.per}"
    toolkit.dress(right, title="By event", xlabel=per, ylabel="share of events found")
    for axes in (left, middle):
        axes.set_xlim(-0.01, 1.01)
    for axes in (left, middle, right):
        axes.set_ylim(-0.01, 1.03)
    handles, names = left.get_legend_handles_labels()
    figure.legend(
        handles, names, loc="outside lower center", ncols=min(len(names), 3), frameon=False
    )
    count = len(judge.judged)
    note = f" (the first {MOST_CURVES} of {count})" if count > MOST_CURVES else ""
    return toolkit.save(figure, path, f"Events told from the rest, held-out part{note}")
