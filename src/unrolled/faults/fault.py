"""A fault of a backward pass, in words: what it changes, and the line that mends it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["GATES", "Fault", "compatible"]

GATES = {"i": "input gate", "f": "forget gate", "g": "block input", "o": "output gate"}


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a backward pass.

    Parameters
    ----------
    key : str
        Its short name.
    wrong : str
        What is wrong, as the end of a sentence.
    mend : str
        The line that mends it.  d_h, d_c and d_a are the gradients of h[t], c[t] and the
        pre-activations of step t; k_next those of step t+1.
    slot : str
        What it changes.
    flow : bool
        Whether it changes the deltas, and so everything.
    steps : int
        The number of steps, of a fault that has one.
    parts : tuple of str
        The keys of the faults that it is at once: one cause of several symptoms.
    slots : tuple of str
        The places of these; of others, their own.
    rare : bool
        Whether it is looked for by itself and in pairs alone: people make it everywhere or nowhere.
    """

    key: str
    wrong: str
    mend: str
    slot: str
    flow: bool = True
    steps: int = 0
    parts: tuple[str, ...] = ()
    slots: tuple[str, ...] = ()
    rare: bool = False

    @property
    def places(self) -> tuple[str, ...]:
        """What it changes."""
        return self.slots or (self.slot,)

    @property
    def keys(self) -> tuple[str, ...]:
        """The switches that it turns on."""
        return self.parts or (self.key,)


def compatible(faults: Iterable[Fault]) -> bool:
    """Whether these faults can be in one backward pass, no two of them in the same place."""
    places = [place for fault in faults for place in fault.places]
    return len(set(places)) == len(places)
