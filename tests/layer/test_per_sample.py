"""The gradient of each sample, against the same sample alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from cases import normal
from processes import one_sentence
from unrolled import CELLS, LSTM
from unrolled.layer.per_sample import per_sample_gradients


def alone(layer: LSTM, x: Tensor, d_y: Tensor) -> list[dict[str, Tensor]]:
    """Each sample's gradients by the parameters' names, from a call with that sample alone."""
    found = []
    for row, d_row in zip(x, d_y, strict=True):
        layer.zero_grad()
        y, _ = layer(row)  # one sequence without a batch
        (y * d_row).sum().backward()
        grads = {name: p.grad.clone() for name, p in layer.named_parameters() if p.grad is not None}
        found.append(grads)
    return found


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"batch_first": True, "bias": False},
        {"num_layers": 2, "bidirectional": True},
        {"num_layers": 2, "proj_size": 2},
        {"num_layers": 2, "engine": "reference"},
    ],
)
def test_each_samples_gradient_is_the_one_that_it_has_alone(
    cell: str, options: dict[str, Any], generator: torch.Generator
) -> None:
    torch.manual_seed(0)
    layer = LSTM(3, 4, cell=cell, dtype=torch.float64, **options)
    x = normal(generator, 3, 6, 3)
    d_y = normal(generator, 3, 6, (2 if layer.bidirectional else 1) * (layer.proj_size or 4))
    found = per_sample_gradients(layer, x, d_y)
    assert set(found) == set(layer.parameters())
    for k, expected in enumerate(alone(layer, x, d_y)):
        for name, p in layer.named_parameters():
            torch.testing.assert_close(found[p][k], expected[name], rtol=0, atol=1e-12)


def test_frozen_weights_have_none_and_nobody_is_changed(generator: torch.Generator) -> None:
    layer, x = LSTM(3, 4), normal(generator, 3, 6, 3).float()
    layer.weight_hh_l0.requires_grad_(False)
    layer.register_forward_hook(lambda *_: pytest.fail("a hook was called"))
    with torch.no_grad():
        found = per_sample_gradients(layer, x, torch.ones(3, 6, 4))
    assert set(found) == {p for name, p in layer.named_parameters() if name != "weight_hh_l0"}
    assert all(p.grad is None for p in layer.parameters())
    assert not x.requires_grad


@pytest.mark.parametrize(
    "options", [{"zoneout": 0.1}, {"recurrent_dropout": 0.1}, {"num_layers": 2, "dropout": 0.1}]
)
def test_masks_that_are_gone_are_refused(options: dict[str, Any]) -> None:
    layer, x = LSTM(3, 4, **options), torch.zeros(3, 6, 3)
    with pytest.raises(RuntimeError, match="its masks are drawn anew") as caught:
        per_sample_gradients(layer, x, torch.ones(3, 6, 4))
    assert next(iter(options)) in one_sentence(caught.value) or "dropout=0.1" in str(caught.value)
