"""A `PackedSequence` given to torch's own LSTM as it is: cuDNN takes it without padding.

Masks inside the loop are ours, and a packed sequence becomes ``lengths`` for them.  For the vanilla
cell torch needs no mask: where its engine is the one that runs, the packed rows go there whole.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from unrolled.engines import Choice, Request, choose
from unrolled.engines.memory import check_together
from unrolled.engines.watching import autocast_dtype, sees_operations, values_hidden
from unrolled.equations import Cell
from unrolled.layer.regularisation import Noise

__all__ = ["choice_for_packed", "run_packed"]

State = tuple[Tensor, Tensor]


class Packable(Protocol):
    """What is asked of a layer here: `unrolled.LSTM` has it."""

    input_size: int
    hidden_size: int
    proj_size: int
    num_layers: int
    bidirectional: bool
    dropout: float
    training: bool
    bias: bool
    cell: Cell
    noise: Noise
    engine: str

    @property
    def all_weights(self) -> list[list[nn.Parameter]]:
        """The parameters of each layer and direction."""


def choice_for_packed(layer: Packable, packed: PackedSequence) -> Choice | None:
    """The choice of torch's engine for packed rows; None where they are padded for another."""
    x = packed.data
    plain = layer.cell == Cell() and layer.noise == Noise() and not sees_operations(x)
    if not plain or autocast_dtype(x) is not None or values_hidden():
        return None
    request = Request(layer.cell, (), x.dtype, x.device.type, bool(layer.proj_size))
    choice = choose(layer.engine, request)
    return choice if choice.engine == "aten" else None


def run_packed(
    layer: Packable,
    packed: PackedSequence,
    hx: State | None,
    generator: torch.Generator | None,
) -> tuple[PackedSequence, State] | None:
    """Run all layers over packed rows; None where torch's engine is not the one that runs.

    Parameters
    ----------
    hx : (Tensor, Tensor), optional
        In the caller's order of rows, as in `torch.nn.LSTM`.

    Returns
    -------
    (PackedSequence, (Tensor, Tensor)) or None
        None also where something does not fit, so that it is refused in one place.
    """
    weights = layer.all_weights
    if not _fits(layer, packed, hx, weights[0][0]) or choice_for_packed(layer, packed) is None:
        return None
    x, sizes, order, back = packed
    for number, one in enumerate(weights):
        check_together(x, {f"weight {k} of layer {number}": w for k, w in enumerate(one)})
    directions = 2 if layer.bidirectional else 1
    h, c = _zeros(layer, x, sizes) if hx is None else (_ordered(s, order) for s in hx)
    ends = []
    for k in range(layer.num_layers):
        at = slice(k * directions, (k + 1) * directions)
        both: list[Tensor] = [w for one in weights[at] for w in one]
        # Arguments: biases, layers, dropout, training, both directions.
        x, *end = torch.lstm(
            x, sizes, (h[at], c[at]), both, layer.bias, 1, 0.0, layer.training, directions == 2
        )
        ends.append(end)
        if k < layer.num_layers - 1:
            x = layer.noise.between(x, layer.dropout, layer.training, generator)
    h_n, c_n = (_ordered(torch.cat(states), back) for states in zip(*ends, strict=True))
    return PackedSequence(x, sizes, order, back), (h_n, c_n)


def _fits(layer: Packable, packed: PackedSequence, hx: object, weight: Tensor) -> bool:
    x = packed.data
    if x.dim() != 2 or x.size(-1) != layer.input_size or x.dtype != weight.dtype:
        return False
    return hx is None or (
        isinstance(hx, tuple)
        and len(hx) == 2
        and all(
            type(s) is Tensor and s.shape == shape and (s.dtype, s.device) == (x.dtype, x.device)
            for s, shape in zip(hx, _shapes(layer, packed.batch_sizes), strict=True)
        )
    )


def _shapes(layer: Packable, sizes: Tensor) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    count = layer.num_layers * (2 if layer.bidirectional else 1)
    rows, hidden = int(sizes[0]), layer.hidden_size
    return (count, rows, layer.proj_size or hidden), (count, rows, hidden)


def _zeros(layer: Packable, x: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor]:
    h, c = _shapes(layer, sizes)
    return x.new_zeros(h), x.new_zeros(c)


def _ordered(state: Tensor, order: Tensor | None) -> Tensor:
    return state if order is None else state.index_select(1, order)
