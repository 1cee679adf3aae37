"""Numbers and their bits, the network that adds them, and how many of its sums are right."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from unrolled.layer.elman import Elman
from unrolled.layer.lstm import LSTM

__all__ = [
    "Adder",
    "add",
    "all_right",
    "bits_of",
    "random_bits",
    "share_right",
    "sums_right",
    "to_int",
    "word",
]


class Adder(nn.Module):
    """A recurrent network with one output: the logit of the sum's bit.

    Parameters
    ----------
    network : str
        An LSTM's cell by its name, or ``"elman"``.
    hidden : int
    activation : str
        An Elman network's own; an LSTM has none to choose.
    document : bool
        Whether the weights are drawn, and biases left out, as documents 000 and 001 do it.
    """

    def __init__(self, network: str, hidden: int, activation: str, document: bool) -> None:
        super().__init__()
        self.recurrent: LSTM | Elman
        if network == "elman":
            self.recurrent = Elman(2, hidden, activation, bias=not document)
        else:
            self.recurrent = LSTM(2, hidden, cell=network)
        self.readout = nn.Linear(hidden, 1, bias=not document)
        if document:
            self._draw_as_document(hidden)

    def forward(self, numbers: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Logits [T, B] for numbers [T, B, 2], and the state."""
        y, state = self.recurrent(numbers, state)
        return self.readout(y)[..., 0], state

    @torch.no_grad()
    def _draw_as_document(self, hidden: int) -> None:
        for name, weight in self.named_parameters():
            if "bias_hh" in name:
                # The document has one bias: with two, each gets the gradient, and the rate doubles.
                weight.zero_().requires_grad_(False)
            elif "bias_ih" in name:
                # One number for a gate, as the document begins; its first update makes it H.
                gates = torch.empty(len(weight) // hidden).uniform_(-1, 1)
                weight.copy_(gates.repeat_interleave(hidden))
            else:
                weight.uniform_(-1, 1)


# --- numbers and their bits, least significant first ---


def random_bits(length: int, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Two lots of numbers [length, count], the highest bit 0, so that no carry is lost."""
    bits = torch.randint(0, 2, (2, length, count), generator=generator)
    bits[:, -1] = 0
    return bits[0], bits[1]


def bits_of(numbers: Tensor, length: int) -> Tensor:
    """Numbers [B] as bits [length, B]."""
    return numbers >> torch.arange(length)[:, None] & 1


def add(a: Tensor, b: Tensor) -> Tensor:
    """The sum of bits [T, B] at any width, all steps at once.

    The carry into a bit is what the last place before it with a = b says: 1 + 1 makes a carry,
    0 + 0 ends it, and 0 + 1 hands on what comes.
    """
    places = torch.arange(len(a))[:, None]
    last = torch.where(a == b, places, -1).cummax(0).values
    out = torch.where(last < 0, 0, a.gather(0, last.clamp(min=0)))
    return a ^ b ^ torch.cat((torch.zeros_like(out[:1]), out[:-1]))


def to_int(bits: Tensor) -> int:
    """Bits [T] as a number of any width."""
    return int(word(bits), 2)


def word(bits: Tensor) -> str:
    return "".join(str(int(bit)) for bit in reversed(bits.tolist()))


# --- judging ---


def sums_right(model: Adder, a: Tensor, b: Tensor) -> Tensor:
    """Which sums [B] of bits [T, B] are right in every bit."""
    with torch.no_grad():
        logits, _ = model(torch.stack((a, b), -1).float())
    right: Tensor = (logits > 0).long() == add(a, b)
    return right.all(0)


def all_right(model: Adder) -> int:
    """How many of the 16,384 pairs of 7-bit numbers are added without an error in 8 bits."""
    numbers = bits_of(torch.arange(128), 8)
    a, b = numbers.repeat_interleave(128, 1), numbers.repeat(1, 128)
    return int(sums_right(model, a, b).sum())


def share_right(model: Adder, width: int, count: int = 100) -> float:
    """The share of ``count`` random sums of numbers of ``width`` bits that is right."""
    # A seed of their own.  That one of them was trained on has a chance below 1e-3 at 16 bits.
    a, b = random_bits(width + 1, count, torch.Generator().manual_seed(2**31 + width))
    return sums_right(model, a, b).double().mean().item()
