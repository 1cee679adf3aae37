"""The layouts as they are documented, in a few lines: for who has none of the libraries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from cases import normal
from export_layers import layer, same_sum_of_bits
from unrolled import LSTM
from unrolled.export import (
    from_flax,
    from_keras,
    from_onnx,
    to_equinox,
    to_flax,
    to_keras,
    to_onnx_weights,
)


def sigmoid(a: Any) -> Any:
    return 1 / (1 + np.exp(-a))


def by_hand(preactivations: Callable[[Any, Any], dict[str, Any]], x: Tensor) -> Tensor:
    """The outputs of one layer over [T, 1, I], from what it adds up for each gate."""
    h = c = np.zeros(4)
    outputs = []
    for value in x[:, 0].numpy():
        a = preactivations(value, h)
        c = sigmoid(a["f"]) * c + sigmoid(a["i"]) * np.tanh(a["g"])
        h = sigmoid(a["o"]) * np.tanh(c)
        outputs.append(h)
    return torch.from_numpy(np.stack(outputs))[:, None]


def keras_sums(ours: LSTM) -> Callable[[Any, Any], dict[str, Any]]:
    kernel, recurrent, bias = to_keras(ours)[0]
    return lambda x, h: dict(
        zip("ifgo", np.split(x @ kernel + h @ recurrent + bias, 4), strict=True)
    )


def equinox_sums(ours: LSTM) -> Callable[[Any, Any], dict[str, Any]]:
    there = to_equinox(ours)[0]
    w_ih, w_hh, bias = (np.asarray(there[n]) for n in ("weight_ih", "weight_hh", "bias"))
    return lambda x, h: dict(zip("ifgo", np.split(w_ih @ x + w_hh @ h + bias, 4), strict=True))


def flax_sums(ours: LSTM) -> Callable[[Any, Any], dict[str, Any]]:
    params = to_flax(ours)[0]["params"]

    def sums(x: Any, h: Any) -> dict[str, Any]:
        return {
            gate: x @ params[f"i{gate}"]["kernel"]
            + h @ params[f"h{gate}"]["kernel"]
            + params[f"h{gate}"]["bias"]
            for gate in "ifgo"
        }

    return sums


def onnx_sums(ours: LSTM) -> Callable[[Any, Any], dict[str, Any]]:
    W, R, B, _ = (None if a is None else a[0] for a in to_onnx_weights(ours)[0])
    assert W is not None
    assert R is not None
    assert B is not None
    w_b, r_b = np.split(B, 2)
    return lambda x, h: dict(zip("iofg", np.split(W @ x + R @ h + w_b + r_b, 4), strict=True))


@pytest.mark.parametrize("sums", [keras_sums, equinox_sums, flax_sums, onnx_sums])
def test_each_layout_is_the_documented_one(
    generator: torch.Generator, sums: Callable[[LSTM], Any]
) -> None:
    ours, x = layer(dtype=torch.float64), normal(generator, 9, 1, 3)
    torch.testing.assert_close(by_hand(sums(ours), x), ours(x)[0].detach(), rtol=0, atol=1e-12)


def test_onnxs_peepholes_lie_in_the_order_i_o_f() -> None:
    ours = layer(cell="peephole")
    holes = to_onnx_weights(ours)[0].P
    assert holes is not None
    i, f, o = ours.weight_ph_l0.detach().numpy()
    assert np.array_equal(holes, np.concatenate([i, o, f])[None])
    assert torch.equal(from_onnx(*to_onnx_weights(ours)[0]).weight_ph_l0, ours.weight_ph_l0)


@pytest.mark.parametrize("layers", [1, 2])
def test_what_went_out_comes_back(layers: int) -> None:
    ours = layer(num_layers=layers)
    for back in (
        from_keras(to_keras(ours)),
        from_flax(to_flax(ours)),
        from_onnx(*zip(*((one.W, one.R, one.B) for one in to_onnx_weights(ours)), strict=True)),
    ):
        assert same_sum_of_bits(back, ours)
