"""Layers for the tests of weights, and whether two have the same."""

from __future__ import annotations

from typing import Any

import torch

from unrolled import LSTM


def layer(**options: Any) -> LSTM:
    """A layer whose biases and gates all differ, so that no two of them can be taken for one."""
    torch.manual_seed(3)
    return LSTM(3, 4, **options).eval()


def same_sum_of_bits(one: LSTM, other: LSTM) -> bool:
    """Whether all weights are the same, where two biases may have become their sum."""
    state, theirs = one.state_dict(), other.state_dict()
    for name in [n for n in state if n.startswith("bias_ih")]:
        for found in (state, theirs):
            found[name] = found[name] + found.pop(name.replace("_ih", "_hh"))
    return list(state) == list(theirs) and all(torch.equal(state[n], theirs[n]) for n in state)
