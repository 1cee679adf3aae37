"""How the weights of an LSTM lie elsewhere: one table, and what brings them into our order and out.

Everybody computes the same four gates.  What differs is in which order they lie, whether a matrix
is turned, and how many biases there are; each line of `ORDERS` was held to the library itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from unrolled.equations import CELLS
from unrolled.errors import UnrolledError
from unrolled.export.parts import ExportError
from unrolled.layer.exchange import read_state
from unrolled.layer.lstm import LSTM

__all__ = [
    "ORDERS",
    "Array",
    "Layer",
    "Order",
    "as_array",
    "as_tensor",
    "built",
    "check_sayable",
    "inward",
    "layers_of",
    "moved",
    "outward",
]

Array = npt.NDArray[Any]

OURS = "ifgo"


class Order(NamedTuple):
    """How one library keeps the weights of one layer."""

    gates: str  # the order of the blocks of H rows; g is what ONNX and Keras call c
    turned: bool  # whether a matrix is [I, 4·H] in place of [4·H, I]
    biases: int  # 2 as in torch, or 1, their sum
    lies: str  # in words: what the arrays are
    differs: str  # what else to know


ORDERS = {
    "torch": Order(
        "ifgo",
        False,
        2,
        "weight_ih_l0 [4·H, I], weight_hh_l0 [4·H, H], bias_ih_l0, bias_hh_l0 [4·H]",
        "our own names and shapes",
    ),
    "keras": Order(
        "ifgo",
        True,
        1,
        "kernel [I, 4·H], recurrent_kernel [H, 4·H], bias [4·H]",
        "reads [B, T, I]; recurrent_activation has to be sigmoid, as it is since Keras 2.3",
    ),
    "equinox": Order(
        "ifgo", False, 1, "weight_ih [4·H, I], weight_hh [4·H, H], bias [4·H]", "a cell of one step"
    ),
    "flax": Order(
        "ifgo",
        True,
        1,
        "ii, if, ig, io: kernel [I, H]; hi, hf, hg, ho: kernel [H, H], bias [H]",
        "LSTMCell and OptimizedLSTMCell have the same names; a cell of one step",
    ),
    "onnx": Order(
        "iofg",
        False,
        2,
        "W [D, 4·H, I], R [D, 4·H, H], B [D, 8·H], P [D, 3·H]",
        "P are the peepholes, in the order i, o, f; [T, B, I]",
    ),
    "rtneural": Order(
        "ifgo", True, 1, "Keras' three arrays as lists, layer by layer", "starts at zero"
    ),
    "guitarml": Order(
        "ifgo", False, 2, "torch's state_dict as lists, after rec.; the head is lin.", "one layer"
    ),
    "nam": Order(
        "ifgo",
        False,
        1,
        "one list: for each layer [W_ih, W_hh] row by row, bias, h_0, c_0; then the head",
        "has a state to start from",
    ),
}
"""Library by library: `unrolled.export.orders.ORDERS["keras"].gates` is "ifgo"."""


class Layer(NamedTuple):
    """The weights of one layer and direction, in our order; what it has not is None."""

    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor | None = None
    bias_hh: Tensor | None = None
    weight_ph: Tensor | None = None

    @property
    def bias(self) -> Tensor | None:
        """The one bias of those who have one: the sum."""
        if self.bias_ih is None or self.bias_hh is None:
            return None
        return self.bias_ih + self.bias_hh


def outward(weight: Tensor, order: Order) -> Tensor:
    """A weight or a bias of ours, [4·H, …], as it lies there."""
    found = moved(weight, OURS, order.gates)
    return found.T.contiguous() if order.turned and found.dim() == 2 else found


def inward(weight: Tensor, order: Order) -> Tensor:
    """A weight or a bias from there, as it lies here."""
    turned = weight.T.contiguous() if order.turned and weight.dim() == 2 else weight
    return moved(turned, order.gates, OURS)


def moved(weight: Tensor, here: str, there: str) -> Tensor:
    """Blocks of rows, one for each letter of ``here``, in the order of the letters of ``there``."""
    if here == there:
        return weight
    if weight.shape[0] % len(here):
        raise ExportError(
            f"a weight is {list(weight.shape)}, expected {len(here)} gates of H rows each."
        )
    blocks = dict(zip(here, weight.chunk(len(here)), strict=True))
    return torch.cat([blocks[gate] for gate in there])


def layers_of(lstm: LSTM) -> list[list[Layer]]:
    """The weights of each layer and, in it, of each direction.

    Raises
    ------
    ExportError
        If it runs under an intervention, which its weights do not say.
    """
    if "_run_layer" in vars(lstm):
        raise ExportError(
            "this LSTM runs under an intervention, which is no part of its weights: export it "
            "outside of the `with`."
        )
    ends = ("", "_reverse") if lstm.bidirectional else ("",)
    # By name: where a weight is made of other parameters, those are called something else.
    found = {name: getattr(lstm, name).detach().cpu() for name in lstm._names}
    return [
        [Layer(*(found.get(f"{part}_l{layer}{end}") for part in Layer._fields)) for end in ends]  # type: ignore[arg-type]
        for layer in range(lstm.num_layers)
    ]


def built(layers: Sequence[Sequence[Layer]], arguments: dict[str, Any]) -> LSTM:
    """The LSTM that has these layers, each of one direction or two.

    Raises
    ------
    UnrolledError
        If their shapes do not fit together.
    """
    if not layers:
        raise ExportError("there are no layers: expected one or more.")
    ends = ("", "_reverse")
    state = {
        f"{part}_l{k}{end}": weight
        for k, directions in enumerate(layers)
        for end, one in zip(ends, directions, strict=False)
        for part, weight in one._asdict().items()
        if weight is not None
    }
    peepholes = {name: state.pop(name) for name in list(state) if name.startswith("weight_ph")}
    if not peepholes:
        return LSTM.from_torch(state, **arguments)
    found, _ = read_state(state)
    made = LSTM(**found, **arguments, cell="peephole")
    try:
        made.load_state_dict({**state, **peepholes})
    except RuntimeError as error:
        raise ExportError(f"the peepholes do not fit: {_one_line(error)}") from None
    return made


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def check_sayable(
    lstm: LSTM,
    who: str,
    cells: Iterable[str] = ("vanilla",),
    ends: int = 2,
    projected: bool = False,
) -> None:
    """Refuse what a library's layer is not: another cell, zoneout, a projection, two directions.

    Raises
    ------
    ExportError
        In a sentence that names the library.
    """
    if lstm.cell not in [CELLS[name] for name in cells]:
        name = next((name for name, cell in CELLS.items() if cell == lstm.cell), lstm.cell)
        raise ExportError(
            f"{who} has no cell {name}: expected {' or '.join(cells)}, and nothing else gives the "
            "same numbers."
        )
    if lstm.noise.zoneout_h or lstm.noise.zoneout_c:  # dropout is of training, this is not
        raise ExportError(
            f"{who} has no {lstm.noise.described()[0]}: expected a layer without zoneout."
        )
    if lstm.proj_size and not projected:
        raise ExportError(f"{who} has no projection: proj_size={lstm.proj_size}, expected 0.")
    if lstm.bidirectional and ends == 1:
        raise ExportError(
            f"{who} reads in one direction: expected a layer that is not bidirectional."
        )


def as_array(weight: Tensor | None) -> Array:
    """A weight as an array of its own."""
    assert weight is not None
    try:
        return np.array(weight.detach().cpu().numpy())
    except TypeError:  # bfloat16 and its like
        raise ExportError(
            f"the weights are {weight.dtype}, which NumPy has not: use .float()."
        ) from None


def as_tensor(name: str, array: Any) -> Tensor:
    """What another library calls an array, as a tensor of its own.

    Raises
    ------
    ExportError
        If it is none, or holds something else than finite numbers.
    """
    try:
        found = array if isinstance(array, Tensor) else torch.from_numpy(np.array(array))
    except (TypeError, ValueError, UnrolledError) as error:
        raise ExportError(f"{name} is no array of numbers: {_one_line(error)}") from None
    if not found.is_floating_point():
        raise ExportError(f"{name} is {found.dtype}, expected floating point.")
    if not found.isfinite().all():
        raise ExportError(f"{name} holds NaN or an infinity, expected finite numbers.")
    return found
