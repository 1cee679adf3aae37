"""A layer run step by step, so that what it makes can be seen and changed on the way.

Inside a block of `stepped` a layer runs through the loop of `unrolled.engines.reference`, whatever
engine it is set to.  It runs as it always does but for that: masks, layers, directions.  Two things
are handed round there: each value as its equation makes it (`unrolled.layer.places`), and the state
behind each step (`unrolled.inside.intervention`).  Blocks may lie in each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

from torch import Tensor, nn

from unrolled.engines import Forward, Inputs, reference
from unrolled.engines.masks import StateMasks, blank
from unrolled.equations import Cell, Gates

__all__ = ["CellStep", "Each", "Patch", "stepped"]


class CellStep(NamedTuple):
    """A step's h and c behind E8, what was made before E8, and the rows it is live for (None: all).

    An Elman network has h alone.
    """

    h: Tensor
    c: Tensor | None = None
    made: Gates | None = None
    live: Tensor | None = None


Each = Callable[
    [str, CellStep], CellStep
]  # given the layer's key and a step, gives what to go on with

Patch = Callable[[int, int, Tensor], Tensor]
"""Given the step in the input's time, how many there are, and the value, gives another value."""

Patches = Mapping[str, Sequence[Patch]]
"""Some for each place of a layer, such as ``l0.c``, in the order in which they act."""


class _Stepping:
    """What a module runs by inside a block: as ever, and each step is handed round."""

    def __init__(self, module: nn.Module, each: tuple[Each, ...], patches: Patches) -> None:
        self.each, self.patches = each, patches
        self.key = "l0"
        if not _is_elman(module):
            self._inputs_of = partial(type(module).inputs_of, module)  # type: ignore[attr-defined]

    def inputs_of(self, key: str, *given: Any) -> Inputs:
        """In place of `LSTM.inputs_of`, which is asked for the layer that runs next."""
        self.key = key
        found: Inputs = self._inputs_of(key, *given)
        return found

    def handed_round(self, key: str, step: CellStep) -> CellStep:
        for each in self.each:
            step = each(key, step)
        return step

    def placed(self, key: str, steps: int, t: int, letter: str, value: Tensor) -> Tensor:
        """A value as its equation made it, once every patch of its place has acted."""
        at = steps - 1 - t if key.endswith("_reverse") else t
        for patch in self.patches.get(f"{key}.{letter}", ()):
            value = patch(at, steps, value)
        return value

    def lstm(
        self, cell: Cell, inputs: Inputs, masks: StateMasks, *, engine: str, trace: bool
    ) -> Forward:
        """In place of `unrolled.layer.recurrence.recurrence`."""
        key = self.key

        def change(made: Gates, h: Tensor, c: Tensor, live: Tensor | None) -> tuple[Tensor, Tensor]:
            step = self.handed_round(key, CellStep(h, c, made, live))
            assert step.c is not None
            return step.h, step.c

        inputs = inputs._replace(x=blank(inputs.x, masks.live))
        place = partial(self.placed, key, len(inputs.x)) if self.patches else None
        out, _ = reference.forward(cell, inputs, masks, trace=trace, change=change, place=place)
        return out if trace else out._replace(y=blank(out.y, masks.inside))

    def elman(self, t: int, steps: int, h: Tensor) -> Tensor:
        """Behind each step of `Elman.forward`."""
        return self.handed_round("l0", CellStep(self.placed("l0", steps, t, "h", h))).h


def _is_elman(module: nn.Module) -> bool:
    return hasattr(module, "_change")


def _both(outer: Patches, inner: Patches) -> Patches:
    return {name: (*outer.get(name, ()), *inner.get(name, ())) for name in {**outer, **inner}}


def _nothing(key: str, step: CellStep) -> CellStep:
    return step


@contextmanager
def stepped(
    module: nn.Module, each: Each = _nothing, first: bool = False, patches: Patches | None = None
) -> Iterator[None]:
    """Let others see, and change, what an `unrolled.LSTM` or `unrolled.Elman` makes.

    Parameters
    ----------
    module : LSTM or Elman
    each : callable
        Is given the state after every step and gives that to go on with.
    first : bool
        True: before those of the blocks around this one.  Who only looks comes first, and sees what
        the step made.
    patches : mapping
        What acts at each place; behind those of the blocks around this one.
    """
    name = "_change" if _is_elman(module) else "_run_layer"
    touched = (name, "inputs_of", "engine")
    before = {name: module.__dict__[name] for name in touched if name in module.__dict__}
    outer: Any = before[name].__self__ if name in before else _Stepping(module, (), {})
    every = (each, *outer.each) if first else (*outer.each, each)
    stepping = _Stepping(module, every, _both(outer.patches, patches or {}))
    try:
        if _is_elman(module):
            module.__dict__[name] = stepping.elman
        else:
            module.__dict__["inputs_of"] = stepping.inputs_of
            module.__dict__[name] = stepping.lstm
            # Setting the engine also makes the next call look anew at which way it goes.
            module.engine = "reference"  # type: ignore[assignment]
        yield
    finally:
        for attribute in touched[:2]:
            module.__dict__.pop(attribute, None)
        for attribute, value in before.items():
            setattr(module, attribute, value)
