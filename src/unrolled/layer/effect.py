"""`Effect`: what a file of a sound effect says, as one module that gives the same samples."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from unrolled.errors import InvalidTypeError, InvalidValueError
from unrolled.errors.expected import check_argument, positive
from unrolled.layer.lstm import LSTM

__all__ = ["Effect"]


class Effect(nn.Module):
    """An LSTM over sound with its linear head, and what the readers of its file add to them.

    Parameters
    ----------
    lstm : LSTM
    head : nn.Linear, optional
        Without one, h itself is the output.
    skip : int, default 0
        How many of the input's numbers are added to the output; 1 adds the sound itself.
    state : (Tensor, Tensor), optional
        (h, c), each [L, H], from which a sequence starts; zero if left out.
    sample_rate : float, optional
        In Hz, of the sound that it was trained with.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        For parts that do not fit, in one sentence.

    Examples
    --------
    >>> effect = Effect(LSTM(1, 16), nn.Linear(16, 1), skip=1, sample_rate=48000)
    >>> y, state = effect(torch.randn(480, 1, 1))
    """

    h_0: Tensor | None
    c_0: Tensor | None

    def __init__(
        self,
        lstm: LSTM,
        head: nn.Linear | None = None,
        *,
        skip: int = 0,
        state: tuple[Tensor, Tensor] | None = None,
        sample_rate: float | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(lstm, LSTM):
            raise InvalidTypeError(f"lstm is a {type(lstm).__name__}, expected an unrolled.LSTM.")
        outputs = _width(lstm) if head is None else head.out_features
        if head is not None and head.in_features != _width(lstm):
            raise InvalidValueError(
                f"head reads {head.in_features} numbers and the LSTM gives {_width(lstm)}."
            )
        known = isinstance(skip, int) and not isinstance(skip, bool)
        if not known or skip not in {0, 1, outputs} or skip > lstm.input_size:
            raise InvalidValueError(
                f"skip={skip!r} makes no sense for {lstm.input_size} numbers in and {outputs} out: "
                "expected 0, or 1, or as many as there are outputs and no more than inputs."
            )
        if sample_rate is not None:
            check_argument("sample_rate", sample_rate, positive)
        self.lstm, self.head, self.skip, self.sample_rate = lstm, head, skip, sample_rate
        self.register_buffer("h_0", None)
        self.register_buffer("c_0", None)
        if state is not None:
            self.h_0, self.c_0 = (self._checked(part) for part in state)

    def _checked(self, part: Tensor) -> Tensor:
        lstm = self.lstm
        expected = [lstm.num_layers * (1 + lstm.bidirectional), lstm.hidden_size]
        if list(part.shape) != expected:
            raise InvalidValueError(f"a state is {list(part.shape)}, expected {expected}.")
        return part.detach().clone()

    @property
    def starts_at_zero(self) -> bool:
        """Whether a sequence starts from a state of zeros."""
        parts = (self.h_0, self.c_0)
        return all(part is None or not bool(part.any()) for part in parts)

    def start(self, batch_size: int) -> tuple[Tensor, Tensor] | None:
        """The state of so many rows before the first step, [L, B, H]; None where it is zero."""
        if self.h_0 is None or self.c_0 is None:
            return None
        h, c = (part[:, None].expand(-1, batch_size, -1) for part in (self.h_0, self.c_0))
        return h.contiguous(), c.contiguous()

    def forward(self, input: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """The output, and the state after it.

        Parameters
        ----------
        input : Tensor, [T, B, I]; [B, T, I] where the LSTM has ``batch_first``
        state : (Tensor, Tensor), optional
            What the LSTM takes as ``hx``; the effect's own if left out.
        """
        if state is None:
            state = self.start(input.shape[0 if self.lstm.batch_first else 1])
        h, state = self.lstm(input, state)
        return self.read(h, input), state

    def read(self, h: Tensor, input: Tensor) -> Tensor:
        """The output, from the LSTM's h at each step and the input there."""
        y: Tensor = h if self.head is None else self.head(h)
        return y + input[..., : self.skip] if self.skip else y


def _width(lstm: LSTM) -> int:
    return (lstm.proj_size or lstm.hidden_size) * (1 + lstm.bidirectional)
