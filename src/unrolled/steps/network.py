"""`Network`: a recurrent layer and what is read from it, as one module."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from unrolled.errors import InvalidTypeError, InvalidValueError
from unrolled.errors.expected import between, check_argument, one_of
from unrolled.layer.elman import Elman
from unrolled.layer.lstm import LSTM

__all__ = ["Network"]


class Network(nn.Module):
    """A recurrent network with a linear head: the model that `unrolled.train_steps` trains.

    Parameters
    ----------
    recurrent : unrolled.LSTM or unrolled.Elman
    head : nn.Linear, optional
        From H to O; without one, h itself is the output.
    read : {"every", "last"}
        Whether the head reads h at every step, or after each row's last one.
    units : int, optional
        Without a head: how many of h's units are the output, from the first on; all if left out.

    Raises
    ------
    TypeError, ValueError
        For parts that do not fit, in one sentence.

    Examples
    --------
    >>> network = Network(LSTM(1, 32), nn.Linear(32, 1))
    >>> output, state = network(torch.randn(10, 4, 1))
    >>> output.shape
    torch.Size([10, 4, 1])
    """

    def __init__(
        self,
        recurrent: LSTM | Elman,
        head: nn.Linear | None = None,
        *,
        read: str = "every",
        units: int | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(recurrent, (LSTM, Elman)):
            raise InvalidTypeError(
                f"recurrent is a {type(recurrent).__name__}, expected an unrolled.LSTM or an "
                "unrolled.Elman."
            )
        if recurrent.batch_first:
            raise InvalidValueError(
                "recurrent has batch_first=True, expected time first: [T, B, I]."
            )
        width = _width(recurrent)
        if head is not None and not isinstance(head, nn.Linear):
            raise InvalidTypeError(
                f"head is a {type(head).__name__}, expected an nn.Linear or None."
            )
        if head is not None and head.in_features != width:
            raise InvalidValueError(
                f"head reads {head.in_features} numbers and the layer gives {width}: expected "
                f"nn.Linear({width}, …)."
            )
        check_argument("read", read, one_of(("every", "last")))
        if units is not None:
            check_argument("units", units, between(1, width))
            if head is not None:
                raise InvalidValueError(
                    f"units={units} makes no sense: expected no head beside it."
                )
        self.recurrent = recurrent
        self.head = head
        self.read = read
        self.units = units

    @property
    def outputs(self) -> int:
        """O: how many numbers are given at a time."""
        if self.head is not None:
            return self.head.out_features
        return self.units or _width(self.recurrent)

    def state_like(self, state: Any, rows: int) -> Any:
        """A state of so many rows that may be written to: a copy of ``state``, or zeros for None.

        Raises
        ------
        InvalidValueError
            If it is no state of such a network.
        """
        recurrent = self.recurrent
        elman = isinstance(recurrent, Elman)
        layers = 1 if isinstance(recurrent, Elman) else recurrent.num_layers
        zeros = recurrent.weight_ih_l0.detach().new_zeros(layers, rows, recurrent.hidden_size)
        held = [zeros] * (1 if elman else 2) if state is None else [state] if elman else list(state)
        if any(not isinstance(t, Tensor) or t.shape != zeros.shape for t in held):
            raise InvalidValueError(f"state is none of {rows} rows of this network.")
        copies = tuple(t.detach().to(zeros, copy=True).contiguous() for t in held)
        return copies[0] if elman else copies

    def forward(
        self, input: Tensor, state: Any = None, *, lengths: Any = None, **masks: Any
    ) -> tuple[Tensor, Any]:
        """The output, and the state after it.

        Parameters
        ----------
        input : Tensor, [T, B, I]
        state : (Tensor, Tensor) or Tensor, optional
            What the recurrent layer takes as ``hx``.
        lengths, **masks
            ``lengths``, and ``resets`` and ``mask``, of an LSTM.

        Returns
        -------
        output : Tensor, [T, B, O] or [B, O]
        state : (Tensor, Tensor) or Tensor
        """
        if lengths is not None:
            masks["lengths"] = lengths
        y, state = self.recurrent(input, state, **masks)
        if self.read == "last":
            h = state[0] if isinstance(state, tuple) else state
            both = isinstance(self.recurrent, LSTM) and self.recurrent.bidirectional
            y = torch.cat((h[-2], h[-1]), -1) if both else h[-1]
        if self.head is None:
            return y[..., : self.outputs], state
        return self.head(y), state


def _width(recurrent: LSTM | Elman) -> int:
    """How many numbers the layer gives at a step."""
    if isinstance(recurrent, Elman):
        return recurrent.hidden_size
    return (recurrent.proj_size or recurrent.hidden_size) * (1 + recurrent.bidirectional)
