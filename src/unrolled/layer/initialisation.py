"""How the parameters of a recurrent layer start."""

from __future__ import annotations

import math

from torch import nn

from unrolled.equations import Cell
from unrolled.errors import InvalidTypeError, InvalidValueError
from unrolled.errors.expected import check_argument, one_of

__all__ = ["check", "fill"]


def check(init: str, forget_bias: float | None, cell: Cell, bias: bool) -> None:
    """Raise ValueError or TypeError for an initialisation that this layer cannot have."""
    check_argument("init", init, one_of(("torch", "orthogonal")))
    if forget_bias is not None and not isinstance(forget_bias, (int, float)):
        raise InvalidTypeError(
            f"forget_bias={forget_bias!r} makes no sense: expected a number or None."
        )
    if forget_bias is not None and cell.forget != "learned":
        raise InvalidValueError(
            f"forget_bias={forget_bias} needs a learned forget gate; here it is {cell.forget!r}."
        )
    if forget_bias is not None and not bias:
        raise InvalidValueError(f"forget_bias={forget_bias} needs a bias: leave out bias=False.")


def fill(
    module: nn.Module, cell: Cell, hidden_size: int, init: str, forget_bias: float | None
) -> None:
    """Draw every parameter of ``module`` in the order in which they were registered.

    ``"torch"`` draws exactly what `torch.nn.LSTM` draws from the same generator: uniform in
    ±1/√H.  ``"orthogonal"`` is W_hh orthogonal gate by gate (Saxe et al. 2014, §3), W_ih
    Glorot-uniform gate by gate (Glorot & Bengio 2010, eq. 16), a projection orthogonal, biases and
    peepholes 0.
    """
    bound = 1 / math.sqrt(hidden_size)
    for name, weight in module.named_parameters():
        if init == "torch":
            nn.init.uniform_(weight, -bound, bound)
        elif name.startswith("weight_hr"):
            nn.init.orthogonal_(weight)
        elif name.startswith(("weight_ih", "weight_hh")):
            draw = nn.init.orthogonal_ if "hh" in name else nn.init.xavier_uniform_
            for gate in weight.chunk(len(cell.gates)):
                draw(gate)
        else:
            nn.init.zeros_(weight)
        if forget_bias is not None and name.startswith("bias"):
            f = weight.chunk(len(cell.gates))[cell.gates.index("f")]
            nn.init.constant_(f, forget_bias if name.startswith("bias_ih") else 0.0)
