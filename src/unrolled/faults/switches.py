"""Which faults are on, in many sets at once: a dimension N in front, and each switch a choice."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import torch
from torch import Tensor

from unrolled.errors import InvalidValueError
from unrolled.faults.fault import Fault, compatible

__all__ = ["Switches"]


class Switches:
    """Which faults are on, in each of N sets.

    Raises
    ------
    ValueError
        If two faults of one set are in the same place.
    """

    def __init__(self, sets: Sequence[Collection[Fault]]) -> None:
        for faults in sets:
            if not compatible(faults):
                raise InvalidValueError(
                    f"{', '.join(sorted(f.key for f in faults))} cannot go together: each part "
                    "of the pass can be wrong in one way."
                )
        self.count = len(sets)
        self.flow = any(fault.flow for faults in sets for fault in faults)
        self.steps: dict[str, list[int]] = {}
        places: dict[str, list[int]] = {}
        for place, faults in enumerate(sets):
            for fault in faults:
                for key in fault.keys:
                    places.setdefault(key, []).append(place)
                if fault.steps:
                    name = fault.key.rpartition("-")[0]
                    self.steps.setdefault(name, [0] * self.count)[place] = fault.steps
        self._on: dict[str, Tensor | None] = {}  # None: in every set
        for key, where in places.items():
            mask = torch.zeros(self.count, 1, 1, dtype=torch.bool)
            mask[where] = True
            self._on[key] = None if len(where) == self.count else mask

    def on(self, *keys: str) -> bool:
        """Whether any of these faults is on in any set."""
        return any(key in self._on for key in keys)

    def pick(self, key: str, exact: Tensor, wrong: Callable[[], Tensor]) -> Tensor:
        """The exact term [N or 1, B, H], or the wrong one in the sets that have this fault."""
        if key not in self._on:
            return exact
        on = self._on[key]
        return wrong() if on is None else torch.where(on.to(exact.device), wrong(), exact)

    def number(self, key: str, off: Tensor, on: Tensor) -> Tensor:
        """``on`` for the sets that have this fault and ``off`` for the others, with N in front."""
        if key not in self._on:
            return off.expand(self.count, *off.shape[1:])
        mask = self._on[key]
        if mask is None:
            return on.expand(self.count, *on.shape[1:])
        return torch.where(mask.to(off.device).view(-1, *[1] * (off.dim() - 1)), on, off)
