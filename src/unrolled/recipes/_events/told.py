"""What a labeller is worth, in figures and in words: by step and by event, beside its rival."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from unrolled.files.columns import Floats
from unrolled.recipes._events.alarms import (
    Alarms,
    Clock,
    Part,
    alarms_at,
    chosen_threshold,
    count_events,
    most_found,
    swept,
)
from unrolled.recipes._events.labeller import scores
from unrolled.recipes._events.parts import DividedSignal, both_kinds

__all__ = ["Judge", "Opinion"]

FEW = 5  # events, below which figures say little
MOST_SWEPT = 10.0  # false alarms an hour, as far as the curve goes


class Opinion(NamedTuple):
    """One labeller's numbers [T, K], higher where an event is likelier: held out, and chosen by."""

    name: str
    end: str
    tested: Floats
    chosen: Floats


@dataclass(frozen=True)
class Judge:
    """What every labeller is held against."""

    parts: DividedSignal
    clock: Clock

    @property
    def counts(self) -> dict[str, int]:
        """How many events of each kind are held out."""
        flags, stretches = self.parts.heldout, self._stretches(self.parts.tested)
        return {
            event: count_events(flags[:, k], stretches) for k, event in enumerate(self.parts.events)
        }

    @property
    def judged(self) -> list[int]:
        """The places of the events that are held out, and not everywhere."""
        return np.flatnonzero(both_kinds(self.parts.heldout)).tolist()

    def _stretches(self, part: slice) -> list[slice]:
        return [
            slice(piece.start - part.start, piece.stop - part.start)
            for piece in self.parts.stretches(part)
        ]

    def _part(self, part: slice, numbers: Floats, k: int) -> Part:
        return Part(self.parts.flags[part][:, k], numbers[:, k], self._stretches(part))

    def chooses(self, k: int) -> bool:
        """Whether a threshold for an event can be chosen before the held-out part."""
        return bool(both_kinds(self.parts.flags[self.parts.chosen])[k])

    def alarms(self, who: Opinion, k: int) -> Alarms:
        """What an event's chosen threshold finds; without one, the point of the curve."""
        if not self.chooses(k):
            return most_found(self.curve(who, k, most=1.0))
        threshold = chosen_threshold(self._part(self.parts.chosen, who.chosen, k), self.clock)
        return alarms_at(self._part(self.parts.tested, who.tested, k), threshold)

    def curve(self, who: Opinion, k: int, most: float = MOST_SWEPT) -> list[Alarms]:
        """Sweep the threshold over the held-out part: a curve, by which nothing is chosen."""
        return swept(self._part(self.parts.tested, who.tested, k), self.clock, most)

    # --- in figures ---

    def figures(self, opinions: Sequence[Opinion]) -> dict[str, Any]:
        """Everything, flat: by step, by event, and how many events there were."""
        parts = self.parts
        found: dict[str, Any] = {}
        for who in opinions:
            names = parts.events if not who.end else ()
            found |= {
                f"{name}{who.end}": value
                for name, value in scores(parts.heldout, who.tested, names).items()
            }
            found |= {f"{name}{who.end}": value for name, value in self._by_event(who).items()}
        counts = self.counts
        found["heldout_events"] = sum(counts.values())
        if len(counts) > 1:
            found |= {f"heldout_events of {event}": count for event, count in counts.items()}
        found["event_share"] = float(parts.heldout[:, self.judged].mean())
        return found | {"heldout_steps": len(parts.heldout)}

    def _by_event(self, who: Opinion) -> dict[str, float]:
        per = "hour" if self.clock.rate else "1000_steps"
        unit = "seconds" if self.clock.rate else "steps"
        rows = [(k, self.alarms(who, k), most_found(self.curve(who, k, 1.0))) for k in self.judged]
        found = {
            "sensitivity": [a.sensitivity for _, a, _ in rows],
            f"false_alarms_per_{per}": [a.false_by(self.clock) for _, a, _ in rows],
            f"latency_{unit}": [self.clock.latency(a.latency) for _, a, _ in rows],
            "sensitivity_on_curve": [curve.sensitivity for _, _, curve in rows],
        }
        means = {name: _mean(values) for name, values in found.items()}
        means = {name: mean for name, mean in means.items() if mean == mean}
        if len(self.parts.events) > 1 and not who.end:
            means |= {f"sensitivity of {self.parts.events[k]}": a.sensitivity for k, a, _ in rows}
        return means

    # --- in words ---

    def table(self, opinions: Sequence[Opinion], figures: Mapping[str, Any]) -> list[str]:
        """Tables of figures by step and by event, and what has to be known of them."""
        return [
            *self._steps(opinions, figures),
            *self._events(opinions),
            *self._thresholds(),
            *self._warnings(),
        ]

    def _steps(self, opinions: Sequence[Opinion], figures: Mapping[str, Any]) -> list[str]:
        parts = self.parts
        title = f"held-out part, {figures['heldout_steps']:,} steps"
        wide = self._wide(title, opinions)
        lines = [f"{title:<{wide}}{'ROC-AUC':>9}{'average precision':>20}"]
        for who in opinions:
            roc, precision = figures[f"roc_auc{who.end}"], figures[f"average_precision{who.end}"]
            lines.append(f"{who.name:<{wide}}{roc:>9.4f}{precision:>20.4f}")
        lines.append(f"{'chance':<{wide}}{0.5:>9.4f}{figures['event_share']:>20.4f}")
        if len(parts.events) > 1:
            lines[0] += f"   (mean of {len(self.judged)}, each against the rest)"
            lines += [
                f"  {event:<{wide - 2}}{figures[f'roc_auc of {event}']:>9.4f}"
                f"{figures[f'average_precision of {event}']:>20.4f}"
                for event in (parts.events[k] for k in self.judged)
            ]
        return lines

    def _events(self, opinions: Sequence[Opinion]) -> list[str]:
        clock = self.clock
        title = "by event, any overlap"
        many = len(self.parts.events) > 1
        names = {
            (who.name, k): f"{who.name}: {self.parts.events[k]}" if many else who.name
            for k in self.judged
            for who in opinions
        }
        wide = max(self._wide(title, opinions), *(len(name) + 2 for name in names.values()))
        per = f"false alarms in {clock.per}" if clock.rate is None else "false alarms an hour"
        lines = [f"{title:<{wide}}{'found':>14}{per:>29}{'median latency':>18}"]
        for k in self.judged:
            for who in opinions:
                a = self.alarms(who, k)
                late = clock.latency(a.latency)
                unit = " steps" if clock.rate is None else " s"
                told = "—" if late != late else f"{late:.3g}{unit}"
                lines.append(
                    f"{names[who.name, k]:<{wide}}{f'{len(a.latencies):,} of {a.events:,}':>14}"
                    f"{a.false_by(clock):>29.2f}{told:>18}"
                )
        return lines

    def _thresholds(self) -> list[str]:
        one = f"one false alarm {'an' if self.clock.rate else 'in'} {self.clock.per}"
        steps = self.parts.chosen.stop - self.parts.chosen.start
        part = steps / self.clock.unit
        short = "" if part >= 1 else "; it is shorter than that, so none is allowed"
        chosen = [k for k in self.judged if self.chooses(k)]
        lines = []
        if chosen:
            lines.append(
                f"thresholds were chosen on the validation part, {steps:,} steps: where most "
                f"is found with {one} at most{short}"
            )
        if len(chosen) < len(self.judged):
            which = "" if not chosen else " of the events that are not in the validation part"
            lines.append(
                f"figures by event{which} are points of the held-out part's own curve, at {one} at "
                "most: no threshold was chosen there, and a threshold chosen before does worse"
            )
        return lines

    def _warnings(self) -> list[str]:
        lines = []
        for event, count in self.counts.items():
            if self.parts.events.index(event) not in self.judged:
                where = "in every held-out step" if count else "in no held-out step"
                lines.append(
                    f"warning: event {event!r} is {where}: it has no figures, and is left out of "
                    "every mean"
                )
            elif count < FEW:
                lines.append(
                    f"warning: {count:,} held-out {'event' if count == 1 else 'events'} of "
                    f"{event!r}: figures of fewer than {FEW} may be luck; hold out more"
                )
        return lines

    def _wide(self, title: str, opinions: Sequence[Opinion]) -> int:
        steps = f"held-out part, {len(self.parts.heldout):,} steps"
        return max(len(title), len(steps), *(len(who.name) for who in opinions)) + 2


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if value == value]
    return sum(known) / len(known) if known else float("nan")
