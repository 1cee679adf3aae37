"""`Stepper`: an LSTM one step at a time, in place, for loops that have microseconds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from unrolled.engines import Declined, Inputs, choose, cpu, engine_named
from unrolled.engines.masks import NO_MASKS, StateMasks
from unrolled.engines.memory import check, dense, fixed_zeros
from unrolled.equations import Cell
from unrolled.errors import InvalidStateError, InvalidTypeError, InvalidValueError
from unrolled.layer.followed import Followed, follow
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


class _Layer(NamedTuple):
    """What the steps of one layer read: copies, which no training changes."""

    cell: Cell
    weights: tuple[Tensor | None, ...]  # in the order of Inputs, after x, h_0 and c_0
    masks: StateMasks


class Stepper:
    """An LSTM with its weights packed once, its buffers fixed, and no autograd.

    Made by `unrolled.LSTM.stepper`.  A step is ``stepper.x[:] = value; stepper.step()``; then
    ``stepper.y`` is the output and ``stepper.h``, ``stepper.c`` the state.  In one call, which
    costs a microsecond more: ``y = stepper(value)``.  The tensors are the stepper's own and stay
    the same from step to step: copy what is to be kept.  Writing to ``h`` and ``c`` sets the state,
    and so does an assignment, which copies; `reset` makes it zero.  The layer's weights are read
    when the stepper is made: after training, `refresh`.

    A copy, and what comes out of a pickle, goes on from the same state with the same weights, in
    tensors of its own.

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
        Take a step; no arguments, no result.  It raises RuntimeError once the layer has weights of
        another dtype or device.

    Examples
    --------
    >>> stepper = LSTM(1, 16).stepper()
    >>> for sample in samples:
    ...     y = stepper(sample)
    """

    x: Tensor
    y: Tensor
    h: Tensor
    c: Tensor
    step: Callable[[], None]
    _between: Tensor  # [L, B, H]: what each layer gives to the next
    _dtype: torch.dtype

    def __init__(self, layer: Steppable, batch_size: int = 1) -> None:
        if layer.bidirectional:
            raise InvalidValueError("a bidirectional layer cannot be stepped: it reads the future.")
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise InvalidValueError(
                f"batch_size={batch_size!r} makes no sense: expected 1 or more."
            )
        self._layer, self._rows = layer, batch_size
        self._lay_out()
        self.refresh()

    def refresh(self) -> None:
        """Read the layer's weights again; the state stays.

        Where they have another dtype or device by now, the stepper's tensors are made anew.

        Raises
        ------
        ValueError
            If the layer runs under an intervention, which no stepper takes part in.
        """
        if "_run_layer" in vars(self._layer):
            raise InvalidValueError(
                "this LSTM runs under an intervention, and a stepper takes the layer's own steps: "
                "make it outside of the `with`."
            )
        if self._unlike() is not None:
            h, c = self.h, self.c
            self._lay_out()
            self.h, self.c = h, c
        self._read = self._layers()
        self._pack()

    def __call__(self, x: Tensor) -> Tensor:
        """Take a step on ``x``, [B, I] or whatever broadcasts to it; gives ``y``."""
        if x.__class__ is not Tensor:
            x = dense("the input", x)
        if x.requires_grad:
            x = x.detach()
        self.x.copy_(x)
        if self._weight.dtype is not self._dtype:  # replaced by way of .data, which tells nobody
            self.look()
        self.step()
        return self.y

    def reset(self) -> None:
        """Make the state zero."""
        self.h.zero_()
        self.c.zero_()

    def look(self) -> None:
        """See whether the layer's weights are still of the stepper's dtype and device.

        Where they are not, the next step raises, until `refresh`.
        """
        self._steps.refuse(self._unlike())

    def __setattr__(self, name: str, value: Any) -> None:
        """Copy what is assigned to ``x``, ``h`` or ``c`` into the tensor that is read there."""
        if name in ("x", "h", "c", "y") and name in self.__dict__:
            self._copy_in(name, value)
        else:
            super().__setattr__(name, value)

    def __getstate__(self) -> dict[str, Any]:
        tensors = {name: getattr(self, name).clone() for name in ("x", "h", "c", "y")}
        return {"layer": self._layer, "rows": self._rows, "read": self._read, "tensors": tensors}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._layer, self._rows, self._read = state["layer"], state["rows"], state["read"]
        self._lay_out(state["tensors"]["x"])
        for name, value in state["tensors"].items():
            getattr(self, name).copy_(value)
        self._pack()

    def _lay_out(self, like: Tensor | None = None) -> None:
        """Make the tensors, of the weights' dtype and on their device."""
        like = self._layer.weight_ih_l0 if like is None else like
        layer, kind = self._layer, (like.dtype, like.device)
        state = (layer.num_layers, self._rows, layer.hidden_size)
        with torch.inference_mode(False):  # they are written to inside of it and outside
            x, h, c, between = (
                fixed_zeros(shape, *kind)
                for shape in ((self._rows, layer.input_size), state, state, state)
            )
            self.__dict__.update(x=x, h=h, c=c, y=between[-1], _between=between, _dtype=like.dtype)

    def _layers(self) -> list[_Layer]:
        """What the layers read, copied."""
        layer, found = self._layer, []
        with torch.inference_mode(False), torch.no_grad():
            x = self.x[None]
            masks = layer.noise.added(NO_MASKS, x, (layer.hidden_size,) * 2, False, None)
            for k, state in enumerate(zip(self.h, self.c, strict=True)):
                inputs = layer.inputs_of(f"l{k}", x, state)
                reason = cpu.supports(request_for(layer.cell, inputs, masks))
                if cpu.built() and reason is not None:
                    raise Declined(
                        f"a stepper cannot take this layer: {reason}; call the layer itself with "
                        "one step at a time."
                    )
                found.append(_Layer(layer.cell, _copied(inputs), masks))
                x = self._between[k][None]
        return found

    def _pack(self) -> None:
        """Make the steps out of what was read."""
        steps: cpu.Steps | _Steps = cpu.Steps() if cpu.built() else _Steps()
        with torch.inference_mode(False), torch.no_grad():
            x = self.x[None]
            for (cell, weights, masks), h, c, y in zip(
                self._read, self.h, self.c, self._between, strict=True
            ):
                steps.add(cell, Inputs(x, h, c, *weights), masks, y[None])  # type: ignore[arg-type]
                x = y[None]
        self._steps, self.step = steps, steps.step
        self._weight = self._layer.weight_ih_l0
        if isinstance(self._layer, Followed):
            follow(self._layer, self)
        self.look()

    def _unlike(self) -> InvalidStateError | None:
        """Why the stepper's tensors do not go with the layer's weights, if they do not."""
        weight = self._layer.weight_ih_l0
        if (weight.dtype, weight.device) == (self.x.dtype, self.x.device):
            return None
        return InvalidStateError(
            f"the layer's weights are {weight.dtype} on {weight.device} now, and this stepper was "
            f"made for {self.x.dtype} on {self.x.device}: call stepper.refresh()."
        )

    def _copy_in(self, name: str, value: Any) -> None:
        at = getattr(self, name)
        if name == "y":
            raise InvalidStateError("stepper.y is what a step gives: assign to x, h or c instead.")
        if not isinstance(value, Tensor):
            raise InvalidTypeError(
                f"stepper.{name} got a {type(value).__name__}, expected a tensor."
            )
        if value.shape != at.shape or value.is_complex() != at.is_complex():
            raise InvalidStateError(
                f"stepper.{name} got {value.dtype} {list(value.shape)}, "
                f"expected {at.dtype} {list(at.shape)}."
            )
        at.copy_(value.detach())


def _copied(inputs: Inputs) -> tuple[Tensor | None, ...]:
    """The weights, read once."""
    weights = dict(zip(Inputs._fields[3:], inputs[3:], strict=True))
    for name, weight in weights.items():
        if weight is not None:
            check(name, weight)
    return tuple(None if t is None else t.detach().clone() for t in weights.values())


class _Steps:
    """What `cpu.Steps` does, by another engine: the same tensors, and others made on the way."""

    def __init__(self) -> None:
        self._layers: list[tuple[str, Cell, Inputs, StateMasks, Tensor]] = []
        self._why: Exception | None = None

    def add(self, cell: Cell, inputs: Inputs, masks: StateMasks, y: Tensor) -> None:
        """Put a layer on top."""
        engine = choose("auto", request_for(cell, inputs, masks)).engine
        self._layers.append((engine, cell, inputs, masks, y))

    def refuse(self, why: Exception | None) -> None:
        """Make every step from now on raise ``why``; with None, step again."""
        self._why = why

    def step(self) -> None:
        """Take a step."""
        if self._why is not None:
            raise self._why
        with torch.no_grad():
            for engine, cell, inputs, masks, y in self._layers:
                run = engine_named(engine).forward
                out, _ = run(cell, inputs, masks, save=False, trace=False)
                for new, at in zip(out[:3], (y, inputs.h_0, inputs.c_0), strict=True):
                    at.copy_(new)
