"""Weights from and for Keras, Equinox and flax: arrays in, arrays out, no library imported.

Each way is held to the library itself in both directions.  Where a library has one bias, ours is
in ``bias_ih`` and ``bias_hh`` is zero; on the way out the two are summed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from unrolled.export.orders import (
    ORDERS,
    Array,
    Layer,
    Order,
    as_array,
    as_tensor,
    built,
    check_sayable,
    inward,
    layers_of,
    outward,
)
from unrolled.export.parts import ExportError
from unrolled.layer.lstm import LSTM

__all__ = [
    "from_equinox",
    "from_flax",
    "from_keras",
    "to_equinox",
    "to_flax",
    "to_keras",
]

GATES = ("i", "f", "g", "o")


def _layer(kind: str, weight_ih: Any, weight_hh: Any, bias: Any) -> Layer:
    """A layer of a library that has one bias, or none."""
    order = ORDERS[kind]
    w_ih = _in(order, f"{kind}'s W_ih", weight_ih, 2)
    w_hh = _in(order, f"{kind}'s W_hh", weight_hh, 2)
    if bias is None:
        return Layer(w_ih, w_hh)
    b = _in(order, f"{kind}'s bias", bias, 1)
    if b.shape[0] != w_ih.shape[0]:
        raise ExportError(f"{kind}'s bias has {len(b)} numbers, expected {len(w_ih)}: 4·H.")
    return Layer(w_ih, w_hh, b, torch.zeros_like(b))


def _in(order: Order, name: str, array: Any, dimensions: int) -> Tensor:
    found = as_tensor(name, array)
    if found.dim() != dimensions:
        raise ExportError(f"{name} is {list(found.shape)}, expected {dimensions} dimensions.")
    return inward(found, order)


def _out(kind: str, one: Layer) -> list[Array]:
    """The arrays of a library that has one bias: two, or three with it."""
    there = [t for t in (one.weight_ih, one.weight_hh, one.bias) if t is not None]
    return [as_array(outward(weight, ORDERS[kind])) for weight in there]


# --- Keras ---


def from_keras(layer: Any, *, bidirectional: bool = False, **arguments: Any) -> LSTM:
    """An LSTM with the weights of Keras' layers.

    Parameters
    ----------
    layer : keras.layers.LSTM, keras.layers.Bidirectional, list of arrays, or a list of these
        The layer, or what its ``get_weights()`` gives; several lie one on the other.
    bidirectional : bool, default False
        For arrays: whether the second half of them is of the direction backwards.
    **arguments
        Of `unrolled.LSTM`; ``batch_first`` is True if left out, as in Keras.

    Returns
    -------
    LSTM
        What Keras gives with ``return_sequences=True``.

    Raises
    ------
    ExportError
        If Keras computes something else than the vanilla equations, or it is no LSTM.

    Examples
    --------
    >>> lstm = from_keras(keras_model.layers[0])
    """
    if isinstance(layer, Sequence) and not all(hasattr(one, "shape") for one in layer):
        stack = [_keras_arrays(one, bidirectional) for one in layer]
    else:
        stack = [_keras_arrays(layer, bidirectional)]
    arguments.setdefault("batch_first", True)
    return built([[_layer("keras", *way) for way in ways] for ways in stack], arguments)


def to_keras(lstm: LSTM) -> list[list[Array]]:
    """The weights for ``set_weights`` of `keras.layers.LSTM` or `Bidirectional`, layer by layer.

    Raises
    ------
    ExportError
        If Keras has no such layer.

    Examples
    --------
    >>> for layer, weights in zip(keras_model.layers, to_keras(lstm)):
    ...     layer.set_weights(weights)
    """
    check_sayable(lstm, "Keras")
    return [
        [array for one in directions for array in _out("keras", one)]
        for directions in layers_of(lstm)
    ]


def _keras_arrays(layer: Any, bidirectional: bool) -> list[tuple[Any, Any, Any]]:
    """Kernel, recurrent kernel and bias of each direction of one layer."""
    if hasattr(layer, "get_weights"):
        bidirectional = _check_keras(layer)
        layer = layer.get_weights()
    if not isinstance(layer, Sequence):
        raise ExportError(f"a {type(layer).__name__} came, expected a Keras layer or its arrays.")
    ways, each = 2 if bidirectional else 1, len(layer) // (2 if bidirectional else 1)
    if each not in (2, 3) or each * ways != len(layer):
        raise ExportError(
            f"there are {len(layer)} arrays, expected 2 or 3 for each direction of a layer: hand "
            "over one list for each layer, and say bidirectional=True where it is."
        )
    parts = [list(layer[k * each : (k + 1) * each]) for k in range(ways)]
    return [(part[0], part[1], part[2] if each == 3 else None) for part in parts]


def _check_keras(layer: Any) -> bool:
    """Whether a Keras layer has two directions; raises where it is something else than ours."""
    name = type(layer).__name__
    config = layer.get_config()
    if name == "Bidirectional":
        if config.get("merge_mode") != "concat":
            raise ExportError(
                f"the Bidirectional layer has merge_mode={config.get('merge_mode')!r}, expected "
                "'concat': the directions side by side."
            )
        _check_keras_config(layer.forward_layer.get_config(), type(layer.forward_layer).__name__)
        backward = layer.backward_layer.get_config()
        _check_keras_config({**backward, "go_backwards": not backward["go_backwards"]})
        return True
    _check_keras_config(config, name)
    return False


def _check_keras_config(config: Mapping[str, Any], name: str = "LSTM") -> None:
    if name != "LSTM":
        raise ExportError(f"a {name} of Keras came, expected its LSTM, or Bidirectional of it.")
    wanted = {"activation": "tanh", "recurrent_activation": "sigmoid", "go_backwards": False}
    wanted |= {"stateful": False, "dropout": 0.0, "recurrent_dropout": 0.0}
    for key, value in wanted.items():
        if config.get(key, value) != value:
            raise ExportError(
                f"Keras' layer has {key}={config[key]!r}, expected {value!r}; where the weights "
                "alone are meant, hand over its get_weights()."
            )


# --- Equinox ---


def from_equinox(cell: Any, **arguments: Any) -> LSTM:
    """An LSTM with the weights of an `equinox.nn.LSTMCell`, or of a list of them, layer by layer.

    Raises
    ------
    ExportError
        If it is no LSTM's cell.
    """
    cells = list(cell) if isinstance(cell, Sequence) else [cell]
    for one in cells:
        if type(one).__name__ != "LSTMCell" or not hasattr(one, "weight_ih"):
            raise ExportError(f"a {type(one).__name__} came, expected an LSTMCell of Equinox.")
    layers = [[_layer("equinox", one.weight_ih, one.weight_hh, one.bias)] for one in cells]
    return built(layers, arguments)


def to_equinox(lstm: LSTM) -> list[dict[str, Array | None]]:
    """The arrays of an `equinox.nn.LSTMCell`, by its fields' names, layer by layer.

    Raises
    ------
    ExportError
        If it has no such cell.

    Examples
    --------
    >>> there = to_equinox(lstm)[0]
    >>> fields = lambda cell: (cell.weight_ih, cell.weight_hh, cell.bias)
    >>> cell = eqx.tree_at(fields, cell, tuple(there.values()))
    """
    check_sayable(lstm, "a cell of Equinox", ends=1)
    arrays = [_out("equinox", one) for (one,) in layers_of(lstm)]
    names = ("weight_ih", "weight_hh", "bias")
    return [dict(zip(names, [*one, None][:3], strict=True)) for one in arrays]


# --- flax ---


def from_flax(params: Any, **arguments: Any) -> LSTM:
    """An LSTM with the parameters of a flax `LSTMCell` or `OptimizedLSTMCell`, or a list of them.

    Parameters
    ----------
    params : dict, or list of dict
        What the cell's ``init`` gives, with ``"params"`` around it or without.

    Raises
    ------
    ExportError
        If they are no LSTM cell's.
    """
    cells = list(params) if isinstance(params, Sequence) else [params]
    return built([[_from_flax_cell(one)] for one in cells], arguments)


def to_flax(lstm: LSTM) -> list[dict[str, Any]]:
    """The parameters of a flax `LSTMCell` or `OptimizedLSTMCell`, layer by layer, for ``apply``.

    A cell of flax always has a bias: it is zero where the layer has none.

    Raises
    ------
    ExportError
        If flax has no such cell.
    """
    check_sayable(lstm, "a cell of flax", ends=1)
    return [{"params": _to_flax_cell(one)} for (one,) in layers_of(lstm)]


def _from_flax_cell(params: Any) -> Layer:
    inner = params.get("params", params) if isinstance(params, Mapping) else {}
    names = [f"{side}{gate}" for side in "ih" for gate in GATES]
    if not isinstance(inner, Mapping) or sorted(inner) != sorted(names):
        there = ", ".join(sorted(map(str, inner))) if isinstance(inner, Mapping) else "no dict"
        raise ExportError(
            f"the parameters are {there or 'none'}, expected {', '.join(names)}: those of flax's "
            "LSTMCell."
        )

    def gathered(side: str, kind: str) -> list[Tensor]:
        found = [_leaf(inner[f"{side}{gate}"], kind) for gate in GATES]
        return [as_tensor(f"{side}{g}'s {kind}", a) for g, a in zip(GATES, found, strict=True)]

    try:
        w_ih, w_hh = (torch.cat(gathered(side, "kernel"), -1) for side in "ih")
        bias = torch.cat(gathered("h", "bias"))
    except RuntimeError as error:
        raise ExportError(f"the gates' shapes differ: {str(error).splitlines()[0]}") from None
    return _layer("flax", w_ih, w_hh, bias)


def _leaf(group: Any, kind: str) -> Any:
    if not isinstance(group, Mapping) or kind not in group:
        raise ExportError(f"a gate of flax's cell has no {kind}: expected one for each gate.")
    return group[kind]


def _to_flax_cell(one: Layer) -> dict[str, dict[str, Array]]:
    order = ORDERS["flax"]
    bias = one.weight_ih.new_zeros(one.weight_ih.shape[0]) if one.bias is None else one.bias
    found: dict[str, dict[str, Array]] = {}
    for side, weight in (("i", one.weight_ih), ("h", one.weight_hh)):
        for gate, kernel in zip(GATES, outward(weight, order).chunk(4, -1), strict=True):
            found[f"{side}{gate}"] = {"kernel": as_array(kernel)}
    for gate, part in zip(GATES, bias.chunk(4), strict=True):
        found[f"h{gate}"]["bias"] = as_array(part)
    return found
