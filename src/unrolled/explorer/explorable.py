"""What a recipe tells the explorer: which network it is, what it reads and what it says.

A recipe takes part by one method, ``explorer(model) -> list[Explorable]``: several where several
networks learn side by side.  What a network reads is one of four kinds, each of which turns what a
user types into x [T, I]: see `inputs`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

from torch import Tensor, nn

from unrolled.errors import UnrolledError
from unrolled.layer.lstm import LSTM
from unrolled.layer.regularisation import Noise

__all__ = [
    "MOST_STEPS",
    "Explorable",
    "ExplorableInputs",
    "ExplorerError",
    "Output",
    "Reading",
    "Units",
]

MOST_STEPS = 400  # what a page draws and computes while one drags


class ExplorerError(UnrolledError, ValueError):
    """It cannot be explored, in one sentence."""


class Reading(NamedTuple):
    """What a network reads: x [T, I], and a word for every step."""

    x: Tensor
    labels: list[str]


class ExplorableInputs(Protocol):
    """What a network reads."""

    kind: ClassVar[str]

    def read(self, text: str) -> Reading:
        """What was typed (empty: the example), as the network reads it.

        Raises
        ------
        ExplorerError
            If it makes no sense.
        """

    def told(self) -> dict[str, Any]:
        """What the page needs to do the same; tensors are packed by `payload`."""

    @property
    def size(self) -> int:
        """I."""


@dataclass(frozen=True)
class Output:
    """What the network's output is: the head's numbers, and what is made of them.

    Parameters
    ----------
    kind
        ``"linear"``: the numbers themselves; ``"sigmoid"``: the probability of 1; ``"softmax"``:
        the probability of each name.
    names
        A word for each number of the head.
    at
        Whether the network speaks at every step or was trained to at the last one alone.
    scale
        What each number is multiplied by to be in the series' own units.
    interval
        What the outputs after the first third are: the lower and then the upper ends of such an
        interval, ``"80 %"``, around those before; empty: there are none.
    """

    kind: Literal["linear", "sigmoid", "softmax"]
    names: Sequence[str]
    at: Literal["every", "last"] = "every"
    scale: Sequence[float] | None = None
    interval: str = ""


class Units(NamedTuple):
    """From where and by how much the head's numbers count, in the series' own units.

    Attributes
    ----------
    first
        The step from which there is an output: before it, the numbers mean nothing.
    base, scale : [R, O]
        Of that step and those after it; the last row holds for all that follow.
    """

    first: int
    base: Sequence[Sequence[float]]
    scale: Sequence[Sequence[float]]


@dataclass(frozen=True)
class Explorable:
    """One network.

    Parameters
    ----------
    layers
        `unrolled.LSTM` or `torch.nn.LSTM`, each reading the output of the one before it.
    head
        From h to the output; None: the output is h itself.
    inputs, output
    reads
        Whether the head reads the last layer or all of them side by side.
    name
        Which network of the run this is; empty where there is one.
    """

    layers: Sequence[nn.Module]
    head: nn.Linear | None
    inputs: ExplorableInputs
    output: Output
    reads: Literal["last", "all"] = "last"
    name: str = ""

    def stack(self) -> list[LSTM]:
        """The layers, looked over.

        Raises
        ------
        ExplorerError
            If there is one that the page does not compute.
        """
        stack = [_ours(layer, self.name or "the network") for layer in self.layers]
        if not stack:
            raise ExplorerError(
                f"{self.name or 'the network'} has no LSTM: there is no cell to see."
            )
        expected = self.inputs.size
        for number, layer in enumerate(stack):
            if layer.input_size != expected:
                raise ExplorerError(
                    f"layer {number} reads {layer.input_size} numbers a step and is given "
                    f"{expected}: they have to be as many."
                )
            expected = layer.hidden_size
        self._check_head(stack)
        return stack

    def _check_head(self, stack: list[LSTM]) -> None:
        heard = sum(s.hidden_size * s.num_layers for s in stack)
        heard = heard if self.reads == "all" else stack[-1].hidden_size
        if self.head is not None and self.head.in_features != heard:
            raise ExplorerError(
                f"the head reads {self.head.in_features} numbers and the LSTM gives {heard}: "
                "expected nn.Linear(hidden_size, …)."
            )
        size = heard if self.head is None else self.head.out_features
        if len(self.output.names) != size:
            raise ExplorerError(
                f"{len(self.output.names)} names were given for {size} outputs: one for each."
            )


def _ours(layer: nn.Module, who: str) -> LSTM:
    """The layer as an `unrolled.LSTM`; ExplorerError for what the page does not compute."""
    if not isinstance(layer, LSTM | nn.LSTM):
        raise ExplorerError(
            f"{who} holds a {type(layer).__name__}, expected unrolled.LSTM or torch.nn.LSTM."
        )
    for there, what in (
        (layer.bidirectional, "reads in both directions"),
        (layer.proj_size > 0, "has a projection"),
        (isinstance(layer, LSTM) and _zoneout(layer.noise), "has zoneout, which blends states"),
    ):
        if there:
            raise ExplorerError(f"{who} {what}: the explorer shows one direction of plain cells.")
    if isinstance(layer, LSTM):
        return layer
    copy = LSTM(layer.input_size, layer.hidden_size, layer.num_layers, layer.bias)
    weights = layer.state_dict()
    copy.to(weights["weight_ih_l0"].dtype).load_state_dict(weights)
    return copy.eval()


def _zoneout(noise: Noise) -> bool:
    return bool(noise.zoneout_h or noise.zoneout_c)
