"""What torch's flop counter says of a layer, against torch's own products and its own counter."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from cases import normal
from fresh import FreshPython
from unrolled import CELLS, LSTM


def counted(layer: nn.Module, x: Tensor, hx: Any, **more: Any) -> tuple[int, int]:
    """Forward, and forward with backward."""
    with FlopCounterMode(display=False) as counter:
        y, _ = layer(x, hx, **more)
        forward = counter.get_total_flops()
        y.sum().backward()
    return forward, counter.get_total_flops()


def given(generator: torch.Generator, layer: LSTM) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """An input and a state that both want a gradient, so that torch too gives every one."""
    count = layer.num_layers * (1 + layer.bidirectional)
    sizes = (layer.proj_size or layer.hidden_size, layer.hidden_size)
    h, c = (normal(generator, count, 2, size).requires_grad_() for size in sizes)
    return normal(generator, 7, 2, 3).requires_grad_(), (h, c)


@pytest.mark.parametrize(
    "options", [{}, {"bias": False}, {"num_layers": 2, "bidirectional": True}, {"proj_size": 2}]
)
def test_the_count_is_that_of_torchs_products(
    options: dict[str, Any], generator: torch.Generator
) -> None:
    """In float64, torch.nn.LSTM is so many products, which its counter sees one by one."""
    ours = LSTM(3, 4, dtype=torch.float64, **options)
    theirs = nn.LSTM(3, 4, dtype=torch.float64, **options)
    x, hx = given(generator, ours)
    expected = counted(theirs, x, hx)
    assert expected[1] == 3 * expected[0] > 0
    assert counted(ours, x, hx) == expected


@pytest.mark.parametrize("cell", CELLS)
def test_a_gate_without_weights_costs_no_product(cell: str, generator: torch.Generator) -> None:
    layer = LSTM(3, 4, cell=cell, dtype=torch.float64)
    x, hx = given(generator, layer)
    gates = len(CELLS[cell].gates)
    assert counted(layer, x, hx)[0] == 2 * 7 * 2 * gates * 4 * (3 + 4)


def test_every_engine_counts_alike_and_gives_what_it_gives(generator: torch.Generator) -> None:
    for engine in ("auto", "reference", "aten"):
        layer = LSTM(3, 4, engine=engine, dtype=torch.float64)
        x, hx = given(generator, layer)
        more = {} if engine == "aten" else {"lengths": [7, 3]}
        assert counted(layer, x, hx, **more)[0] == 2 * 7 * 2 * 16 * 7
        with FlopCounterMode(display=False):
            y, _ = layer(x, hx)
        torch.testing.assert_close(y, layer(x, hx)[0], rtol=0, atol=1e-12)


LATE = """
import sys
import torch
import unrolled

assert "torch.utils.flop_counter" not in sys.modules
layer = unrolled.LSTM(3, 4)
from torch.utils.flop_counter import FlopCounterMode

for _ in range(2):
    with FlopCounterMode(display=False) as counter:
        layer(torch.zeros(7, 2, 3))
    print(counter.get_total_flops())
"""


def test_a_counter_that_was_made_first_counts_too(fresh_python: FreshPython) -> None:
    done = fresh_python(LATE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(2 * 7 * 2 * 16 * 7)] * 2
