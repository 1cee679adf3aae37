"""What is found inside a network as it runs over a passage: what to draw, and what to say."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from torch import Tensor, nn

from unrolled.inside import ablation, intervention, units
from unrolled.inside.intervention import Seen, UnitError
from unrolled.inside.passage import Passage

__all__ = ["InspectedLayer", "Inspection", "Tracker"]


class InspectedLayer(NamedTuple):
    """A layer, or a direction of one, and what it did.

    ``name`` is the model's, ``label`` the one to be read, and empty where there is no other.
    """

    name: str
    label: str
    seen: Seen

    @property
    def units(self) -> int:
        """H."""
        return self.seen.values["h"].shape[-1]

    @property
    def memory(self) -> Tensor:
        """What tracking is looked for in, [T, B, H]: tanh(c), or h where there is no cell."""
        values = self.seen.values
        return values["c"].tanh() if "c" in values else values["h"]

    def live(self, values: Tensor) -> Tensor:
        """The steps that happened, [steps, …] of [T, B, …]."""
        return values.flatten(0, 1) if self.seen.live is None else values[self.seen.live]

    def check(self, unit: int) -> None:
        """Raise UnitError where there is no such unit."""
        if not 0 <= unit < self.units:
            of = f"{self.label} ({self.name})" if self.label else self.name
            raise UnitError(
                f"there is no unit {unit} in {of}: expected 0 to {self.units - 1}, counted from 0."
            )


class Tracker(NamedTuple):
    """A unit, and the correlation of what it holds with a property."""

    layer: InspectedLayer
    unit: int
    r: float


@dataclass(frozen=True)
class Inspection:
    """A model, run over a passage."""

    model: nn.Module
    passage: Passage

    @cached_property
    def layers(self) -> list[InspectedLayer]:
        """What each layer did, from the lowest up."""
        within = self.passage.within
        seen = {
            name: found
            for name, found in intervention.watch(self.model, self.passage.call).items()
            if not within or name.startswith(f"{within}.")
        }
        forwards = [name for name in seen if not name.endswith("_reverse")]
        labels = {}
        for name in seen:
            number = forwards.index(name.removesuffix("_reverse"))
            back = ", backwards" if name.endswith("_reverse") else ""
            labels[name] = f"layer {number}{back}" if len(seen) > 1 else ""
        return [InspectedLayer(name, labels[name], found) for name, found in seen.items()]

    def layer(self, asked: str | None) -> InspectedLayer | None:
        """The layer of that number or name; None: the first.  There may be none at all.

        Raises
        ------
        UnitError
            If there is no such layer.
        """
        if asked is None:
            return self.layers[0] if self.layers else None
        for number, layer in enumerate(self.layers):
            if asked in (str(number), layer.name):
                return layer
        known = ", ".join(f"{n} ({layer.name})" for n, layer in enumerate(self.layers))
        raise UnitError(f"there is no layer {asked!r}: the layers are {known or 'none'}.")

    @cached_property
    def half_lives(self) -> dict[str, Tensor]:
        """Of every layer with forget gates, by its label: [H]."""
        return {
            layer.label: units.half_life(layer.live(layer.seen.values["f"]))
            for layer in self.layers
            if "f" in layer.seen.values
        }

    @cached_property
    def flow(self) -> dict[str, tuple[list[float], list[float]]]:
        """The norms of the gradient at every step, by the layer's label."""
        if self.passage.followed is None:
            return {}
        found = intervention.flow(self.model, self.passage.followed)
        return {
            layer.label: found[layer.name].norms() for layer in self.layers if layer.name in found
        }

    def tracking(self, property: str, most: int = 3) -> list[Tracker]:
        """The units that best track a property, of all layers, the best first."""
        there = self.passage.properties[property]
        found = [
            Tracker(layer, unit, r)
            for layer in self.layers
            for unit, r in enumerate(
                units.tracking(layer.live(layer.memory), layer.live(there)).tolist()
            )
        ]
        return sorted(found, key=lambda one: -abs(one.r))[:most]

    @cached_property
    def search(self) -> ablation.UnitSearch | None:
        """Which units the passage's question hangs on, in the first layer; None: there is none."""
        question = self.passage.question
        if question is None:
            return None
        layer = self.layers[0]
        there = self.passage.properties[question.property]
        return ablation.search(self.model, layer.name, layer.seen, there, question)

    def summary(self) -> list[str]:
        """What was found, in words."""
        lines = [
            f"{label or 'half-lives'}: {_of_lives(life)}" for label, life in self.half_lives.items()
        ]
        for property in self.passage.properties:
            best = self.tracking(property, most=1)
            if best and best[0].r:
                where = ", ".join(filter(None, (best[0].layer.label, f"unit {best[0].unit}")))
                lines.append(f"{property}: {where} tracks it best, r = {best[0].r:.2f}")
        question, search = self.passage.question, self.search
        if question is not None and search is not None:
            last = search.chosen[-1]
            whose = "unit" if len(last.units) == 1 else "units"
            lines.append(
                f"{question.property}: held by {whose} {', '.join(map(str, last.units))}; without, "
                f"{last.needing:.1%} of {question.needing} are right and {last.others:.1%} of "
                f"{question.others}"
            )
        return lines


def _of_lives(life: Tensor) -> str:
    middle, forever = life.median().item(), int(life.isinf().sum())
    if math.isinf(middle):
        return f"{forever} of {len(life)} units forget nothing"
    more = f", {forever} forget nothing" if forever else ""
    return f"half of {len(life)} units forget half within {middle:.2g} steps{more}"
