"""What a learner's system has to give: drawn numbers, the exact passes, the exact gradient."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from unrolled.auditing.heads import Rule, into_layer, losses, output_faults, ways
from unrolled.auditing.sums import Block
from unrolled.auditing.systems import LayerParts, Sizes, System
from unrolled.faults.passes import FaultyRun, Weights, deltas, forward
from unrolled.faults.sums import gradients
from unrolled.faults.switches import Switches

__all__ = ["Draw", "Gradient", "LayerRun", "Run", "draw", "gradient", "rows_of", "run"]

Blocks = dict[Block, Tensor]


class Draw(NamedTuple):
    """What both passes are called with, in this library's order.

    ``d_y`` [T, B, ·] is the gradient of what forward returns, zero before the last step where the
    loss is of that alone; ``target`` [T, B, V] is there where the loss is inside, ``states`` (h_0
    and c_0, [B, H]) where the functions take them.
    """

    sizes: Sizes
    flat: Tensor
    x: Tensor
    d_y: Tensor
    last: bool
    states: tuple[Tensor, Tensor] | None = None
    target: Tensor | None = None

    @property
    def counted(self) -> Tensor:
        """1 at the steps that the loss is of, [T, 1, 1]."""
        ones = torch.ones(len(self.x), 1, 1, dtype=self.x.dtype)
        if self.last:
            ones[:-1] = 0
        return ones


class LayerRun(NamedTuple):
    """One layer's forward pass, and what it was made from."""

    part: LayerParts
    weights: Weights
    run: FaultyRun


class Run(NamedTuple):
    """The exact forward pass: the layers, the head's output; and of the loss each entry."""

    layers: list[LayerRun]
    output: Tensor  # of the head, or the last layer's h: [T, B, ·]
    losses: Tensor | None  # [T, B, V], zero where a step is not counted


class Gradient(NamedTuple):
    """The exact gradient: of every number of the vector, of x, and of h_0 and c_0."""

    flat: Tensor
    x: Tensor
    h_0: Tensor
    c_0: Tensor


def draw(
    system: System,
    sizes: Sizes,
    steps: int,
    rows: int,
    generator: torch.Generator,
    *,
    last: bool = False,
    states: bool = False,
) -> Draw:
    """Numbers for one call: weights and states in ±1, x in ±1.5, a target for the head."""

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, dtype=torch.float64) * 2 - 1

    flat = uniform(system.size(sizes))
    x = 1.5 * uniform(steps, rows, sizes.inputs)
    d_y = uniform(steps, rows, sizes.outputs or sizes.hidden)
    if last:
        d_y[:-1] = 0
    start = (uniform(rows, sizes.hidden), uniform(rows, sizes.hidden)) if states else None
    target = None
    if system.loss_inside:
        target = uniform(steps, rows, sizes.outputs)
        if system.head == "softmax":
            target = (target == target.amax(-1, keepdim=True)).double()
        elif system.head != "squared error":
            target = (target > 0).double()
    return Draw(sizes, flat, x, d_y, last, start, target)


def run(system: System, given: Draw) -> Run:
    """The exact forward pass."""
    h = given.x
    found: list[LayerRun] = []
    for part in system.parts(given.sizes):
        own = part.layout.weights(part.of(given.flat), part.inputs, given.sizes.hidden)
        zero = torch.zeros(h.shape[1], given.sizes.hidden, dtype=torch.float64)
        start = given.states if given.states is not None and not found else (zero, zero)
        made = forward(part.layout.cell, own, h, *start)
        found.append(LayerRun(part, own, made))
        h = made.h[1:]
    if system.head is None:
        return Run(found, h, None)
    weight, bias = system.of_head(given.flat, given.sizes)
    output = h @ weight.T + (0 if bias is None else bias)
    if given.target is None:
        return Run(found, output, None)
    assert system.head is not None
    return Run(found, output, losses(system.head, output, given.target) * given.counted)


def gradient(system: System, given: Draw, made: Run, rule: Rule) -> Gradient:
    """The exact gradient of ``d_y`` times what forward returns, or of the loss by that rule."""
    d_output = given.d_y
    if given.target is not None:
        assert system.head is not None
        kinds = output_faults(system.head, rule, made.output, given.target, given.counted)
        d_output = next(iter(kinds)).gradient
    flat = torch.zeros_like(given.flat)
    d_h = d_output
    if system.head is not None:
        weight, bias = system.of_head(flat, given.sizes)
        top = made.layers[-1].run
        weight.copy_(next(iter(ways(False, d_output, top.h, top.c))).gradient)
        if bias is not None:
            bias.copy_(next(iter(ways(True, d_output, top.h, top.c))).gradient)
        d_h = next(iter(into_layer(d_output, system.of_head(given.flat, given.sizes)[0]))).gradient
    none = Switches([()])
    for layer in reversed(made.layers):
        cell = layer.part.layout.cell
        flow = deltas(cell, layer.weights, layer.run, d_h, none)
        d = gradients(cell, layer.weights, layer.run, flow, none)
        rows = rows_of({"ih": d.w_ih[0], "hh": d.w_hh[0], "b": d.bias[0], "p": d.p}, layer, given)
        for block, place in layer.part.split(flat, given.sizes.hidden).items():
            place.copy_(rows[block])
        d_h = d.x[0]
    return Gradient(flat, d_h, d.h_0[0], d.c_0[0])


def rows_of(whole: Mapping[str, Tensor | None], layer: LayerRun, given: Draw) -> Blocks:
    """A layer's gradients of all gates, cut into blocks; two biases have the same."""
    cell, found = layer.part.layout.cell, {}
    shapes = layer.part.layout.blocks(layer.part.inputs, given.sizes.hidden)
    for (part, k), (_, shape) in shapes.items():
        names = cell.peepholes if part == "p" else cell.gates
        value = whole["b" if part.startswith("b") else part]
        assert value is not None
        found[part, k] = value.reshape(len(names), *shape)[names.index(k)]
    return found
