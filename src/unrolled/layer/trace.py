"""What an LSTM did at every step: its gates, its cell, its hidden state."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from unrolled.engines import Forward
from unrolled.equations import Gates
from unrolled.errors.expected import ending

__all__ = ["Trace", "gates_of"]


@dataclass(frozen=True)
class Trace:
    """The result of `unrolled.LSTM.trace`.

    ``trace["l0"].f`` is the forget gate of the first layer at every step, in the layout of the
    input: [T, B, H], [B, T, H] with ``batch_first``, or [T, H] for one sequence.  The keys are the
    endings of torch's parameter names: ``l0``, ``l0_reverse``, ``l1``, ...  The name of a place,
    as `LSTM.places` gives them, is a key too: ``trace["l0.f"]`` is the same tensor.  Of a trace
    with one layer and one direction, ``trace.f`` says the same.  Time runs as in the input, for the
    reverse direction too.

    Every tensor is differentiable: a loss may be put on it.  At a step that is not live for a row
    (padding, or a missing step) no gate acted and i, f, g and o read 0, while c and h hold.  With
    zoneout, c and h are the state after it.  With a projection, h is the projected [.., P].
    """

    output: Tensor
    state: tuple[Tensor, Tensor]
    directions: Mapping[str, Gates]

    def __getitem__(self, key: str) -> Any:
        """The six tensors of a layer, or the one of a place."""
        layer, point, letter = str(key).partition(".")
        if layer not in self.directions or (point and letter not in Gates._fields):
            known = ", ".join(self.directions)
            words = f"its layers are {known}, and a place is one of them and a letter"
            named = [
                *self.directions,
                *(f"{k}.{x}" for k in self.directions for x in Gates._fields),
            ]
            near = ending(str(key), named)
            raise KeyError(f"the trace has no {key!r}: {words}, such as 'l0.f'{near}")
        gates = self.directions[layer]
        return getattr(gates, letter) if point else gates

    def __iter__(self) -> Iterator[str]:
        return iter(self.directions)

    def __repr__(self) -> str:
        words = ", ".join(f"{key}: c {list(g.c.shape)}" for key, g in self.directions.items())
        return f"Trace({words})"

    def __len__(self) -> int:
        return len(self.directions)

    def _only(self) -> Gates:
        if len(self.directions) != 1:
            known = ", ".join(self.directions)
            raise AttributeError(f"the trace has several layers or directions ({known}): name one.")
        return next(iter(self.directions.values()))

    @property
    def i(self) -> Tensor:
        """The input gate."""
        return self._only().i

    @property
    def f(self) -> Tensor:
        """The forget gate."""
        return self._only().f

    @property
    def g(self) -> Tensor:
        """The block input."""
        return self._only().g

    @property
    def o(self) -> Tensor:
        """The output gate."""
        return self._only().o

    @property
    def c(self) -> Tensor:
        """The cell state after each step."""
        return self._only().c

    @property
    def h(self) -> Tensor:
        """The hidden state after each step."""
        return self._only().h


def gates_of(out: Forward, seen: Callable[[Tensor], Tensor]) -> Gates:
    """What an engine kept of one layer and direction, each as ``seen`` turns it."""
    assert out.gates is not None
    assert out.c is not None
    return Gates(*map(seen, (*out.gates.unbind(-2), out.c, out.y)))
