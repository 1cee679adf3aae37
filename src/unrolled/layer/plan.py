"""What stays the same from one plain call of a layer to the next: see `unrolled.layer.direct`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from unrolled.engines import Request, cpu
from unrolled.engines.calls import Calls
from unrolled.engines.memory import holds_all
from unrolled.engines.watching import parameters_of
from unrolled.equations import Cell
from unrolled.layer.settings import WEIGHTS, weight_shapes

__all__ = ["Layer", "Plan", "Planned"]


class Layer:
    """One layer with all that stays the same from call to call: weights, where they lie, calls.

    Attributes
    ----------
    weights : list of Parameter
        Those that there are, in the kernel's order.
    """

    __slots__ = (
        "addresses",
        "calls",
        "cell",
        "dtype",
        "forward",
        "held",
        "lead",
        "present",
        "sizes",
        "weights",
    )

    def __init__(
        self, cell: Cell, weights: dict[str, Tensor | None], lead: tuple[int, ...]
    ) -> None:
        self.held = [(n, w, w.data_ptr(), w.shape) for n, w in weights.items() if w is not None]
        self.addresses = tuple(0 if w is None else w.data_ptr() for w in weights.values())
        self.weights = there = [w for _, w, _, _ in self.held]
        self.present = [w.data_ptr() for w in there] + [w.numel() for w in there]
        w_ih, w_hh = self.held[0][1], self.held[1][1]
        self.dtype = w_ih.dtype
        self.cell, self.lead = cell, lead
        self.sizes = (w_ih.shape[1], w_hh.shape[1])
        self.calls = self.calls_with(self.addresses)
        self.forward = self.calls.forward

    def calls_with(self, addresses: Sequence[int]) -> Calls:
        """The kernel's calls with weights that lie there."""
        return cpu.calls(cpu.layer(self.cell, *self.sizes, addresses), self.dtype)

    def unchanged(self, parameters: dict[str, Any]) -> bool:
        """Whether the weights are the same memory as before; what is in it, the kernel looks at."""
        for name, weight, address, shape in self.held:
            if (
                parameters.get(name) is not weight
                or weight.data_ptr() != address
                or weight.shape != shape
                or not weight.is_contiguous()
            ):
                return False
        return True

    def spread(self, values: Sequence[Any], absent: Any = 0) -> Sequence[Any]:
        """One value for each parameter that there is, with ``absent`` where there is none."""
        if len(values) == len(self.addresses):
            return values
        given = iter(values)
        return [next(given) if at else absent for at in self.addresses]


class Plan:
    """What stays the same from one call of a module to the next: its layers, from the lowest up.

    Attributes
    ----------
    dtype : torch.dtype or None
        None where only the long way leads through.
    lead : tuple of int
        What stands before [B, H] in the shape of a layer's state.
    sizes : (int, int)
        I and H.
    """

    __slots__ = ("batch_first", "dtype", "layers", "lead", "sizes")

    def __init__(self, module: Planned, endings: list[str]) -> None:
        self.dtype: torch.dtype | None = None
        self.lead, self.batch_first = module.state_lead, module.batch_first
        self.sizes = (module.input_size, module.hidden_size)
        self.layers: list[Layer] = []
        for k, ending in enumerate(endings):
            weights = _plain_weights(module, ending, self.sizes[1 if k else 0])
            if weights is None:
                return
            self.layers.append(Layer(module.cell, weights, self.lead))
        if endings:
            self.dtype = self.layers[0].dtype

    def __deepcopy__(self, memo: object) -> None:
        """A copy of the module makes a plan of its own."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Nothing of it goes into a file or to another process."""
        return type(None), ()


class Planned(nn.Module):
    """A module that remembers what stays the same in its calls until an attribute is set."""

    _plan: Plan | None
    state_lead: tuple[int, ...] = (1,)
    batch_first = False
    input_size: int
    hidden_size: int
    bias: bool
    cell: Cell

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; the next call looks anew at what is to be done."""
        self.forget_plan()
        super().__setattr__(name, value)

    def forget_plan(self) -> None:
        """Make the next call look anew."""
        self.__dict__["_plan"] = None

    def make_plan(self) -> Plan:
        """A plan, kept unless it was the weights that stood against it: they may come back."""
        endings = self._plain_layers()
        plan = Plan(self, endings)
        if plan.dtype is not None or not endings:
            self.__dict__["_plan"] = plan
        return plan

    def _plain_layers(self) -> list[str]:
        """What the parameters' names end in, for each layer; none, as here, if no call is plain."""
        return []


def _plain_weights(module: Planned, ending: str, width: int) -> dict[str, Tensor | None] | None:
    """A layer's parameters as the kernel takes them; None where one is out of the ordinary."""
    found: dict[str, Tensor | None] = {}
    shapes = weight_shapes(module.cell, width, module.hidden_size, module.bias)
    for name in WEIGHTS:
        shape = shapes[name]
        weight = parameters_of(module).get(name + ending)
        found[name + ending] = weight
        if shape is None and weight is None:
            continue
        if weight.__class__ is not nn.Parameter or weight.layout is not torch.strided:
            return None
        request = Request(module.cell, (), weight.dtype, weight.device.type)
        if weight.shape != shape or not weight.is_contiguous() or cpu.supports(request):
            return None
        if not holds_all(weight) or not weight.data_ptr():
            return None
        if weight.is_neg() or weight.dtype != found[WEIGHTS[0] + ending].dtype:  # type: ignore[union-attr]
            return None
    return found
