"""Weights from and for the LSTM nodes of ONNX: the arrays W, R, B and P, no library imported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from unrolled.export.orders import (
    ORDERS,
    Array,
    Layer,
    as_array,
    as_tensor,
    built,
    check_sayable,
    inward,
    layers_of,
    moved,
    outward,
)
from unrolled.export.parts import ExportError
from unrolled.layer.lstm import LSTM

__all__ = ["OnnxWeights", "from_onnx", "to_onnx_weights"]

PEEPHOLES, ONNX_PEEPHOLES = "ifo", "iof"


class OnnxWeights(NamedTuple):
    """The weights of one LSTM node of ONNX; what it has not is None."""

    W: Array  # [D, 4·H, I]
    R: Array  # [D, 4·H, H]
    B: Array | None = None  # [D, 8·H]
    P: Array | None = None  # [D, 3·H]


def from_onnx(W: Any, R: Any, B: Any = None, P: Any = None, **arguments: Any) -> LSTM:
    """An LSTM with the weights of ONNX's LSTM nodes, whose activations are the default ones.

    Parameters
    ----------
    W, R : array, [D, 4·H, I] and [D, 4·H, H], or lists of them, layer by layer
    B, P : array, [D, 8·H] and [D, 3·H], or lists of them, optional
        The biases, and the peepholes.

    Raises
    ------
    ExportError
        If their shapes are no LSTM node's.
    """
    stacked = isinstance(W, Sequence)
    given = [part if stacked or part is None else [part] for part in (W, R, B, P)]
    count = len(given[0] or ())
    columns = [[None] * count if part is None else list(part) for part in given]
    if any(len(column) != count for column in columns):
        raise ExportError(f"there are {count} of W, expected as many of R, and of B and P or none.")
    return built([_onnx_layer(*one) for one in zip(*columns, strict=True)], arguments)


def to_onnx_weights(lstm: LSTM) -> list[OnnxWeights]:
    """The inputs W, R, B and P of ONNX's LSTM nodes, layer by layer.

    Raises
    ------
    ExportError
        If ONNX has no such node.
    """
    check_sayable(lstm, "ONNX", ("vanilla", "peephole"))
    return [_onnx_weights(directions) for directions in layers_of(lstm)]


def _onnx_layer(W: Any, R: Any, B: Any, P: Any) -> list[Layer]:
    given = {"W": W, "R": R, "B": B, "P": P}
    arrays = {name: as_tensor(name, one) for name, one in given.items() if one is not None}
    _check_shapes(arrays)
    return [_direction({name: one[end] for name, one in arrays.items()}) for end in range(len(W))]


def _check_shapes(arrays: dict[str, Tensor]) -> None:
    shapes = {name: list(one.shape) for name, one in arrays.items()}
    ends, _, width = shapes["W"] if len(shapes["W"]) == 3 else (0, 0, 0)
    size = shapes["R"][-1] if len(shapes["R"]) == 3 else 0
    wanted = {"W": [ends, 4 * size, width], "R": [ends, 4 * size, size]}
    wanted |= {"B": [ends, 8 * size], "P": [ends, 3 * size]}
    for name, shape in shapes.items():
        if shape != wanted[name] or ends not in (1, 2):
            raise ExportError(
                f"{name} is {shape}, expected W [D, 4·H, I], R [D, 4·H, H], B [D, 8·H] and "
                "P [D, 3·H] with D of 1 or 2."
            )


def _direction(arrays: dict[str, Tensor]) -> Layer:
    order = ORDERS["onnx"]
    w_ih, w_hh = inward(arrays["W"], order), inward(arrays["R"], order)
    found = Layer(w_ih, w_hh)
    if "B" in arrays:
        b_ih, b_hh = (inward(bias, order) for bias in arrays["B"].chunk(2))
        found = found._replace(bias_ih=b_ih, bias_hh=b_hh)
    if "P" in arrays:
        holes = moved(arrays["P"], ONNX_PEEPHOLES, PEEPHOLES).reshape(3, -1)
        found = found._replace(weight_ph=holes)
    return found


def _onnx_weights(directions: Sequence[Layer]) -> OnnxWeights:
    rows = [_node_arrays(one) for one in directions]
    return OnnxWeights(**{name: np.concatenate([row[name] for row in rows]) for name in rows[0]})


def _node_arrays(one: Layer) -> dict[str, Array]:
    order = ORDERS["onnx"]
    found = {"W": outward(one.weight_ih, order), "R": outward(one.weight_hh, order)}
    if one.bias_ih is not None and one.bias_hh is not None:
        found["B"] = torch.cat([outward(one.bias_ih, order), outward(one.bias_hh, order)])
    if one.weight_ph is not None:
        found["P"] = moved(one.weight_ph.flatten(), PEEPHOLES, ONNX_PEEPHOLES)
    return {name: as_array(weight)[None] for name, weight in found.items()}
