"""Document 001's LSTM: read from its first hidden unit, and started as the document starts it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from unrolled.layer.lstm import LSTM

__all__ = ["Draws", "FirstUnit"]


class Draws:
    """Random arrays as the document draws them, from NumPy's generator of 1997.

    Parameters
    ----------
    seed : int
        The document has 0.
    again : bool
        The document seeds its generator anew before every array, so arrays of one shape are equal,
        and with them the four gates.  False: they are independent.
    """

    def __init__(self, seed: int, again: bool) -> None:
        self._seed = seed
        self._again = again
        self._stream = np.random.RandomState(seed)

    def weights(self, *shape: int) -> Tensor:
        """Uniform in ±0.1."""
        if self._again:
            self._stream = np.random.RandomState(self._seed)
        return torch.from_numpy(self._stream.random_sample(shape) * 0.2 - 0.1)

    def gates(self, input_size: int, hidden_size: int) -> tuple[dict[str, Tensor], ...]:
        """Weights [H, I + H] and biases [H] by the gate, in the document's order."""
        both = input_size + hidden_size
        order = ("g", "i", "f", "o")
        weights = {gate: self.weights(hidden_size, both) for gate in order}
        return weights, {gate: self.weights(hidden_size) for gate in order}

    def inputs(self, *shape: int) -> Tensor:
        """Uniform in 0 to 1, from where the weights have left the generator."""
        return torch.from_numpy(self._stream.random_sample(shape))


class FirstUnit(nn.Module):
    """An LSTM in float64, as the document's, whose output is its first hidden unit.

    Parameters
    ----------
    input_size, hidden_size : int
    cell : str
        The document's is ``"linear"``: h = o⊙c.
    draws : Draws
        Where the weights come from.
    """

    def __init__(self, input_size: int, hidden_size: int, cell: str, draws: Draws) -> None:
        super().__init__()
        self.lstm = LSTM(input_size, hidden_size, cell=cell, dtype=torch.float64)
        # A cell without a learned forget gate leaves f out.
        rows, bias = (
            torch.cat([drawn[gate] for gate in self.lstm.cell.gates])
            for drawn in draws.gates(input_size, hidden_size)
        )
        with torch.no_grad():
            self.lstm.weight_ih_l0.copy_(rows[:, :input_size])
            self.lstm.get_parameter("weight_hh_l0").copy_(rows[:, input_size:])
            self.lstm.get_parameter("bias_ih_l0").copy_(bias)
            # One bias: with two, each would get the gradient, and the bias's rate would double.
            self.lstm.get_parameter("bias_hh_l0").zero_().requires_grad_(False)
            if self.lstm.cell.peephole:
                self.lstm.get_parameter("weight_ph_l0").zero_()

    def forward(self, x: Tensor) -> Tensor:
        """Outputs [T, B] for x [T, B, I]."""
        y: Tensor = self.lstm(x)[0][..., 0]
        return y
