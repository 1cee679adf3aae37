"""`LSTMCell`: one step, as `torch.nn.LSTMCell`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from unrolled import equations
from unrolled.engines.memory import check_together
from unrolled.engines.watching import autocast_dtype, parameters_of, recorded, transformed
from unrolled.equations import Cell
from unrolled.errors import InvalidStateError, InvalidTypeError, InvalidValueError
from unrolled.layer import direct, initialisation
from unrolled.layer.layout import State
from unrolled.layer.plan import Planned
from unrolled.layer.settings import Settings, cell_named

__all__ = ["LSTMCell"]


class LSTMCell(Planned):
    """One step of an LSTM, as `torch.nn.LSTMCell`, for every cell: E1–E6.

    Parameters
    ----------
    input_size, hidden_size, bias, device, dtype
        As in `torch.nn.LSTMCell`; same parameter names, same initialisation.
    cell, forget_bias, init
        As in `unrolled.LSTM`; a cell with peepholes has ``weight_ph``.
    """

    weight_ih: Tensor
    weight_hh: Tensor
    weight_ph: Tensor
    bias_ih: Tensor
    bias_hh: Tensor

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        cell: Cell | str = "vanilla",
        forget_bias: float | None = None,
        init: str = "torch",
    ) -> None:
        super().__init__()
        settings = Settings(input_size, hidden_size, 1, bias, False, 0.0, False, 0)
        settings.check()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        self.cell = cell_named(cell)
        self.init = init
        self.forget_bias = forget_bias
        initialisation.check(init, forget_bias, self.cell, bias)
        for name, shape in settings.shapes(self.cell):
            weight = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
            self.register_parameter(name.removesuffix("_l0"), weight)
        self.reset_parameters()

    state_lead = ()

    def _plain_layers(self) -> list[str]:
        return [""]

    def reset_parameters(self) -> None:
        """Draw all parameters again."""
        initialisation.fill(self, self.cell, self.hidden_size, self.init, self.forget_bias)

    def forward(self, input: Tensor, hx: State | None = None) -> State:
        """One step.

        Parameters
        ----------
        input : Tensor, [B, I] or [I]
        hx : (Tensor, Tensor), each [B, H] or [H], optional
            (h, c) before the step; zero if left out.

        Returns
        -------
        (Tensor, Tensor)
            (h, c) after it.

        Raises
        ------
        ValueError, RuntimeError
            For shapes that do not fit, in one sentence.
        """
        if not isinstance(input, Tensor):
            raise InvalidTypeError(f"the input is a {type(input).__name__}, expected a tensor.")
        if input.dim() == 2:
            short = direct.run(self, input.unsqueeze(0), hx)
            if short is not None:
                return short[1]
        if input.dim() not in (1, 2):
            raise InvalidValueError(
                f"LSTMCell: the input has {input.dim()} dimensions, expected 1 [I] or 2 [B, I]."
            )
        if input.size(-1) != self.input_size:
            raise InvalidStateError(
                f"the input's last dimension is {input.size(-1)}, "
                f"expected input_size={self.input_size}."
            )
        if not recorded() and not transformed((input,)):
            check_together(input, parameters_of(self))
        if input.dtype != self.weight_ih.dtype and autocast_dtype(input) is None:
            raise InvalidValueError(
                f"the input is {input.dtype} and the weights are {self.weight_ih.dtype}: "
                f"use input.to({self.weight_ih.dtype})."
            )
        expected = (*input.shape[:-1], self.hidden_size)
        if hx is None:
            zero = input.new_zeros(expected)
            hx = (zero, zero)
        if not isinstance(hx, (tuple, list)) or len(hx) != 2:
            count = f" of {len(hx)}" if isinstance(hx, (tuple, list)) else ""
            raise InvalidTypeError(
                f"hx is a {type(hx).__name__}{count}, expected a pair (h, c) of tensors."
            )
        for name, value in zip(("h", "c"), hx, strict=True):
            if not isinstance(value, Tensor):
                raise InvalidTypeError(f"{name} is a {type(value).__name__}, expected a tensor.")
            if value.dtype != input.dtype and autocast_dtype(input) is None:
                raise InvalidStateError(
                    f"{name} is {value.dtype}, expected {input.dtype} like the input."
                )
            if tuple(value.shape) != expected:
                raise InvalidStateError(
                    f"{name} is {list(value.shape)}, expected {list(expected)}."
                )
        h, c = hx
        b_ih, b_hh = (self.bias_ih, self.bias_hh) if self.bias else (None, None)
        a = linear(input, self.weight_ih, b_ih) + linear(h, self.weight_hh, b_hh)
        s = equations.step(self.cell, a, c, self.weight_ph if self.cell.peephole else None)
        return s.h, s.c

    def extra_repr(self) -> str:
        """The sizes, and what is not at its default."""
        words = f"{self.input_size}, {self.hidden_size}"
        words += "" if self.bias else ", bias=False"
        return words if self.cell == Cell() else f"{words}, cell={self.cell}"
