"""What the C file's tables hold: a network's numbers, in the order in which its loops read them.

The product of a step walks over what is read, x and then h, and holds the sums of a tile of
pre-activations at once.  So a table is cut into tiles, and within one the weights of what is read
first lie first.  Each sum then is one chain in the order of the native engine.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from unrolled.equations import Cell
from unrolled.export.parts import ExportError, Parts
from unrolled.layer.lstm import LSTM

__all__ = ["MOST_SUMS", "WEIGHTS", "Drawn", "Head", "Layer", "Table", "drawn", "tiles"]

Floats = npt.NDArray[np.float32]
Weights = Literal["float", "int8"]
WEIGHTS = ("float", "int8")

# Sums at once: half of AVX2's registers hold them, and few enough wait for one another.
MOST_SUMS = 64
# A tile's width is a multiple of this, but for the last one's: whole vectors, of bytes too.
_MULTIPLE = {"float": 8, "int8": 16}


class Table(NamedTuple):
    """Matrices side by side, as tiles in one table; with int8 each has a scale for each row."""

    numbers: npt.NDArray[np.float32 | np.int8]
    scales: list[Floats]


class Layer(NamedTuple):
    """One layer: how many numbers it reads, W_ih beside W_hh, its bias, and its peepholes."""

    inputs: int
    weights: Table
    bias: Floats
    peepholes: Floats | None  # [P·H], in the order of Cell.peepholes


class Head(NamedTuple):
    """The linear head."""

    weights: Table
    bias: Floats


class Drawn(NamedTuple):
    """A network with its numbers, checked: all that the C file says."""

    cell: Cell
    inputs: int
    units: int
    outputs: int
    keep: tuple[float | None, float | None]  # E8's keep of h and of c; None: 1
    layers: list[Layer]
    head: Head | None
    weights: Weights


def tiles(sums: int, weights: Weights) -> list[int]:
    """The widths of the tiles of so many sums: alike, as far as a whole number of vectors goes."""
    count, multiple = -(-sums // MOST_SUMS), _MULTIPLE[weights]
    width = -(-sums // (count * multiple)) * multiple
    return [min(width, sums - first) for first in range(0, sums, width)]


def drawn(parts: Parts, weights: Weights = "float") -> Drawn:
    """The numbers of a network.

    Raises
    ------
    ExportError
        If there is something that the C file cannot say.
    """
    lstm, head = parts
    _check(lstm, head)
    noise = lstm.noise
    keep = tuple(1 - p if p else None for p in (noise.zoneout_h, noise.zoneout_c))
    outputs = head.out_features if head is not None else lstm.hidden_size
    return Drawn(
        lstm.cell,
        lstm.input_size,
        lstm.hidden_size,
        outputs,
        (keep[0], keep[1]),
        [_layer(lstm, k, weights) for k in range(lstm.num_layers)],
        None if head is None else _head(head, weights),
        weights,
    )


def _check(lstm: LSTM, head: nn.Linear | None) -> None:
    if lstm.bidirectional:
        raise ExportError(
            "a bidirectional layer cannot be written in C: it reads the future, and the C file "
            "takes one step at a time."
        )
    if lstm.proj_size:
        raise ExportError(
            f"proj_size={lstm.proj_size} cannot be written in C: expected a layer without a "
            "projection, proj_size=0."
        )
    for name, part in (("layer", lstm), ("head", head)):
        for tensor in [] if part is None else part.parameters():
            if tensor.dtype != torch.float32:
                raise ExportError(
                    f"the {name}'s weights are {tensor.dtype}, and the C file computes in float: "
                    "expected torch.float32, which .float() makes of them."
                )


def _layer(lstm: LSTM, k: int, weights: Weights) -> Layer:
    def read(name: str) -> Floats | None:
        tensor = getattr(lstm, f"{name}_l{k}", None)
        return None if tensor is None else _array(f"{name}_l{k}", tensor)

    w_ih, w_hh, b_ih, b_hh = (
        read(name) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    peepholes = read("weight_ph") if lstm.cell.peephole else None
    assert w_ih is not None
    assert w_hh is not None
    zero = np.zeros(len(w_ih), np.float32)
    return Layer(
        w_ih.shape[1],
        _table([w_ih, w_hh], weights),
        zero if b_ih is None or b_hh is None else b_ih + b_hh,
        None if peepholes is None else peepholes.reshape(-1),
    )


def _head(head: nn.Linear, weights: Weights) -> Head:
    bias = head.bias
    return Head(
        _table([_array("the head's weight", head.weight)], weights),
        np.zeros(head.out_features, np.float32)
        if bias is None
        else _array("the head's bias", bias),
    )


def _array(name: str, tensor: Tensor) -> Floats:
    array: Floats = tensor.detach().cpu().numpy()
    wrong = array[~np.isfinite(array)]
    if wrong.size:
        many = wrong.size > 1
        raise ExportError(
            f"{name} has {wrong.size} number{'s that are' if many else ' that is'} not finite"
            f"{', the first is' if many else ':'} {wrong[0]}: expected finite weights; train the "
            "network again."
        )
    return array


def _table(matrices: list[Floats], weights: Weights) -> Table:
    if weights == "float":
        return Table(_tiled(np.concatenate(matrices, 1), weights), [])
    whole, scales = zip(*map(_whole, matrices), strict=True)
    return Table(_tiled(np.concatenate(whole, 1), weights), list(scales))


def _whole(w: Floats) -> tuple[npt.NDArray[np.int8], Floats]:
    """A matrix as whole numbers from -127 to 127, and what each row of them is multiplied by."""
    scale = np.abs(w).max(1) / np.float32(127)
    divisor = np.where(scale > 0, scale, np.inf).astype(np.float64)[:, None]
    return np.rint(w / divisor).clip(-127, 127).astype(np.int8), scale


def _tiled(
    w: npt.NDArray[np.float32 | np.int8], weights: Weights
) -> npt.NDArray[np.float32 | np.int8]:
    ends = np.cumsum(tiles(len(w), weights))[:-1]
    return np.concatenate([rows.T.reshape(-1) for rows in np.split(w, ends)])
