"""`Stepper`: an LSTM one step at a time, in place, for loops that have microseconds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from unrolled.engines import Inputs, choose, cpu, engine_named
from unrolled.engines.masks import NO_MASKS, StateMasks
from unrolled.engines.memory import dense
from unrolled.equations import Cell
from unrolled.errors import InvalidValueError
from unrolled.layer.recurrence import request_for
from unrolled.layer.regularisation import Noise

__all__ = ["Stepper"]


class Steppable(Protocol):
    """What a stepper asks of a layer: `unrolled.LSTM` has it."""

    input_size: int
    hidden_size: int
    num_layers: int
    bidirectional: bool
    cell: Cell
    noise: Noise
    weight_ih_l0: Tensor

    def inputs_of(self, key: str, x: Tensor, state: tuple[Tensor, Tensor]) -> Inputs:
        """What an engine reads for one layer and direction."""


class Stepper:
    """An LSTM with its weights packed once, its buffers fixed, and no autograd.

    Made by `unrolled.LSTM.stepper`.  A step is ``stepper.x[:] = value; stepper.step()``; then
    ``stepper.y`` is the output and ``stepper.h``, ``stepper.c`` the state.  In one call, which
    costs a microsecond more: ``y = stepper(value)``.  The tensors are the stepper's own and stay
    the same from step to step: copy what is to be kept.  Writing to ``h`` and ``c`` sets the state,
    `reset` makes it zero.  The layer's weights are read when the stepper is made: after training,
    `refresh`.

    The equations are those of the layer in ``eval()``: no dropout, zoneout at its expected value.
    Where the package was installed without its native engine, the next one takes the steps.

    Attributes
    ----------
    x : Tensor, [B, I]
        What the next step reads.
    y : Tensor, [B, H]
        h of the last layer after the last step.
    h, c : Tensor, [L, B, H]
        The state of each layer.
    step : callable
        Take a step; no arguments, no result.

    Examples
    --------
    >>> stepper = LSTM(1, 16).stepper()
    >>> for sample in samples:
    ...     y = stepper(sample)
    """

    def __init__(self, layer: Steppable, batch_size: int = 1) -> None:
        if layer.bidirectional:
            raise InvalidValueError("a bidirectional layer cannot be stepped: it reads the future.")
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise InvalidValueError(
                f"batch_size={batch_size!r} makes no sense: expected 1 or more."
            )
        weight = layer.weight_ih_l0
        count, hidden = layer.num_layers, layer.hidden_size
        self._layer = layer
        self.x = weight.new_zeros(batch_size, layer.input_size)
        self.h = weight.new_zeros(count, batch_size, hidden)
        self.c = weight.new_zeros(count, batch_size, hidden)
        self._between = weight.new_zeros(count, batch_size, hidden)
        self.y = self._between[-1]
        self.refresh()

    def refresh(self) -> None:
        """Read the layer's weights again; the state stays."""
        layer = self._layer
        steps: cpu.Steps | _Steps = cpu.Steps() if cpu.built() else _Steps()
        with torch.no_grad():
            x = self.x[None]
            masks = layer.noise.added(NO_MASKS, x, (layer.hidden_size,) * 2, False, None)
            for k, state in enumerate(zip(self.h, self.c, strict=True)):
                inputs = layer.inputs_of(f"l{k}", x, state)
                if cpu.built():
                    choose("cpu", request_for(layer.cell, inputs, masks))
                x = self._between[k][None]
                steps.add(layer.cell, inputs, masks, x)
        self._steps = steps
        self.step: Callable[[], None] = steps.step

    def __call__(self, x: Tensor) -> Tensor:
        """Take a step on ``x``, [B, I] or whatever broadcasts to it; gives ``y``."""
        if x.__class__ is not Tensor:
            x = dense("the input", x)
        self.x.copy_(x)
        self.step()
        return self.y

    def reset(self) -> None:
        """Make the state zero."""
        self.h.zero_()
        self.c.zero_()


class _Steps:
    """What `cpu.Steps` does, by another engine: the same tensors, and others made on the way."""

    def __init__(self) -> None:
        self._layers: list[tuple[str, Cell, Inputs, StateMasks, Tensor]] = []

    def add(self, cell: Cell, inputs: Inputs, masks: StateMasks, y: Tensor) -> None:
        """Put a layer on top; its weights are copied."""
        engine = choose("auto", request_for(cell, inputs, masks)).engine
        weights: dict[str, Any] = {
            name: None if t is None else t.detach().clone()
            for name, t in list(inputs._asdict().items())[3:]
        }
        self._layers.append((engine, cell, inputs._replace(**weights), masks, y))

    def step(self) -> None:
        """Take a step."""
        with torch.no_grad():
            for engine, cell, inputs, masks, y in self._layers:
                run = engine_named(engine).forward
                out, _ = run(cell, inputs, masks, save=False, trace=False)
                for new, at in zip(out[:3], (y, inputs.h_0, inputs.c_0), strict=True):
                    at.copy_(new)
