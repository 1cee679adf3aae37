"""`Elman`: the plain recurrent network that the LSTM is compared with."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.nn.utils.rnn import PackedSequence

from unrolled.engines.memory import check_together
from unrolled.engines.watching import parameters_of, recorded, transformed
from unrolled.errors import InvalidStateError, InvalidTypeError
from unrolled.errors.expected import at_least, check_argument, one_of
from unrolled.layer.layout import enter
from unrolled.layer.places import Placed

__all__ = ["Elman"]

_ACTIVATIONS = {"tanh": torch.tanh, "sigmoid": torch.sigmoid, "relu": torch.relu}


class Elman(Placed):
    """h_t = s(W_ih x_t + b_ih + W_hh h_{t−1} + b_hh): no gates, no cell.

    Elman 1990; document 001's adder is this with a sigmoid and no bias.  Parameters are named and
    drawn as in `torch.nn.RNN`, which has no sigmoid.

    Parameters
    ----------
    input_size, hidden_size : int
    activation : {"tanh", "sigmoid", "relu"}
    bias, batch_first, device, dtype
        As in `torch.nn.RNN`.

    Raises
    ------
    ValueError
        If a size is not positive or the activation is not known.
    """

    weight_ih_l0: Tensor
    weight_hh_l0: Tensor
    bias_ih_l0: Tensor
    bias_hh_l0: Tensor
    _change: Callable[[int, int, Tensor], Tensor] | None = None  # `stepped` puts one here
    _keys = ["l0"]  # noqa: RUF012 - as of `LSTM`, where it is the instance's
    _letters = ("h",)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        activation: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_argument("input_size", input_size, at_least(1))
        check_argument("hidden_size", hidden_size, at_least(1))
        check_argument("activation", activation, one_of(_ACTIVATIONS))
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.activation = activation
        self.bias = bias
        self.batch_first = batch_first
        shapes: dict[str, tuple[int, ...]] = {
            "weight_ih_l0": (hidden_size, input_size),
            "weight_hh_l0": (hidden_size,) * 2,
        }
        if bias:
            shapes |= {"bias_ih_l0": (hidden_size,), "bias_hh_l0": (hidden_size,)}
        for name, shape in shapes.items():
            weight = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
            self.register_parameter(name, weight)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform in ±1/√H, as `torch.nn.RNN`."""
        bound = 1 / math.sqrt(self.hidden_size)
        for weight in self.parameters():
            nn.init.uniform_(weight, -bound, bound)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Run over a sequence.

        Parameters
        ----------
        input : Tensor
            [T, B, I]; [B, T, I] with ``batch_first``; [T, I] for one sequence.
        hx : Tensor, [1, B, H] or [1, H], optional
            The state to start from; zero if left out.

        Returns
        -------
        output : Tensor
            h at every step, as the input lies.
        h_n : Tensor, shaped like hx

        Raises
        ------
        ValueError, RuntimeError, TypeError
            For shapes and types that do not fit, in one sentence.
        """
        if isinstance(input, PackedSequence):
            raise InvalidTypeError("Elman got a PackedSequence, expected a padded tensor.")
        layout, x, _ = enter(input, self.input_size, self.batch_first, self.weight_ih_l0.dtype)
        if not recorded() and not transformed((x,)):
            check_together(x, parameters_of(self))
        h = x.new_zeros(x.size(1), self.hidden_size)
        if hx is not None:
            if not isinstance(hx, Tensor):
                raise InvalidTypeError(f"hx is a {type(hx).__name__}, expected the tensor h_0.")
            expected = (1, *h.shape) if layout.batched else (1, self.hidden_size)
            if tuple(hx.shape) != expected:
                raise InvalidStateError(f"hx is {list(hx.shape)}, expected {list(expected)}.")
            h = hx[0] if layout.batched else hx
        b_ih, b_hh = (self.bias_ih_l0, self.bias_hh_l0) if self.bias else (None, None)
        s = _ACTIVATIONS[self.activation]
        ys = []
        for t, a_x in enumerate(linear(x, self.weight_ih_l0, b_ih)):
            h = s(a_x + linear(h, self.weight_hh_l0, b_hh))
            if self._change is not None:
                h = self._change(t, len(x), h)
            ys.append(h)
        return layout.outward(torch.stack(ys)), layout.state(torch.stack((h,)))

    def extra_repr(self) -> str:
        """The sizes and the activation."""
        words = f"{self.input_size}, {self.hidden_size}, activation={self.activation!r}"
        return words if self.bias else f"{words}, bias=False"
