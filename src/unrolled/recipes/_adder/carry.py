"""The carry of an addition: where there is one, and whether a network remembers it."""

from __future__ import annotations

import torch
from torch import Tensor

from unrolled.inside.passage import Passage, Question
from unrolled.layer.lstm import LSTM
from unrolled.recipes._adder.sums import Adder, add, bits_of, random_bits, sums_right

__all__ = ["DRAWN", "carries", "passage", "shares_right"]

DRAWN = (22_747, 5_390)  # a long run of carries and short ones, and bits without between


def carries(a: Tensor, b: Tensor) -> Tensor:
    """The carry [T, B] out of each place of a sum of bits, which the next place needs."""
    into = a ^ b ^ add(a, b)
    last = a[-1:] + b[-1:] + into[-1:] > 1
    return torch.cat((into[1:] > 0, last))


def shares_right(model: Adder) -> tuple[float, float]:
    """The share right of all sums of 6 bits that have a carry, and of those that have none."""
    numbers = bits_of(torch.arange(64), 7)
    a, b = numbers.repeat_interleave(64, 1), numbers.repeat(1, 64)
    right, carried = sums_right(model, a, b), (a & b).any(0)
    return right[carried].double().mean().item(), right[~carried].double().mean().item()


def passage(model: Adder) -> Passage:
    """The sum of `DRAWN`, and 1,000 more of as many bits."""
    drawn = bits_of(torch.tensor(DRAWN), 16)
    more = random_bits(16, 1000, torch.Generator().manual_seed(2**31))
    a, b = (torch.cat((drawn[:, k : k + 1], more[k]), 1) for k in (0, 1))
    numbers = torch.stack((a, b), -1).float()
    with torch.no_grad():
        bits = model(numbers[:, :1])[0][:, 0] > 0
    kept = Question("carry", lambda: shares_right(model), "sums with a carry", "sums without")
    return Passage(
        call=lambda: model(numbers),
        inputs=[f"{x}\n{y}" for x, y in drawn.tolist()],
        outputs=[str(int(bit)) for bit in bits],
        followed=lambda: model(numbers[:, :1])[0][-1, 0],
        following="the last bit's logit",
        properties={"carry": carries(a, b)},
        question=kept if isinstance(model.recurrent, LSTM) else None,
    )
