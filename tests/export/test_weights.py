"""Weights from elsewhere and for elsewhere, each held to the library itself in both directions."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from cases import normal
from ecosystem_needs import needs
from export_layers import layer, same_sum_of_bits
from processes import one_sentence
from unrolled import LSTM
from unrolled.export import (
    ORDERS,
    ExportError,
    from_equinox,
    from_flax,
    from_keras,
    from_onnx,
    to_equinox,
    to_flax,
    to_keras,
    to_onnx_weights,
)

CLOSE = {"rtol": 1e-5, "atol": 1e-6}


@pytest.fixture
def x(generator: torch.Generator) -> Tensor:
    return normal(generator, 2, 7, 3).float()  # [B, T, I]


# --- Keras ---


@pytest.fixture(scope="module")
def keras() -> Any:
    os.environ["KERAS_BACKEND"] = "torch"
    import keras

    return keras


def keras_layers(keras: Any, ours: LSTM) -> list[Any]:
    """As many layers of Keras, which have drawn weights of their own, biases included."""
    found, width = [], 3
    for _ in range(ours.num_layers):
        one = keras.layers.LSTM(
            4,
            return_sequences=True,
            bias_initializer="random_normal",
            use_bias=ours.bias,
        )
        one = keras.layers.Bidirectional(one) if ours.bidirectional else one
        one.build((None, None, width))
        found, width = [*found, one], 8 if ours.bidirectional else 4
    return found


def through(layers: list[Any], x: Tensor) -> Tensor:
    for one in layers:
        x = one(x)
    return x.detach()


@needs("keras")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("options", [{}, {"bidirectional": True}, {"num_layers": 2}], ids=str)
def test_keras_gives_what_we_give(
    keras: Any, x: Tensor, options: dict[str, Any], bias: bool
) -> None:
    ours = layer(**options, bias=bias, batch_first=True)
    theirs = keras_layers(keras, ours)
    for one, weights in zip(theirs, to_keras(ours), strict=True):
        one.set_weights(weights)
    with torch.no_grad():
        torch.testing.assert_close(through(theirs, x), ours(x)[0], **CLOSE)
    assert same_sum_of_bits(from_keras(theirs), ours)


@needs("keras")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("options", [{}, {"bidirectional": True}, {"num_layers": 2}], ids=str)
def test_what_keras_drew_comes_in(keras: Any, x: Tensor, options: dict[str, Any]) -> None:
    theirs = keras_layers(keras, layer(**options))
    ours = from_keras(theirs)
    with torch.no_grad():
        torch.testing.assert_close(ours(x)[0], through(theirs, x), **CLOSE)
    arrays = [one.get_weights() for one in theirs]
    again = from_keras(arrays, bidirectional=options.get("bidirectional", False))
    assert same_sum_of_bits(again, ours)
    assert again.batch_first


@needs("keras")
@pytest.mark.filterwarnings("ignore")
def test_what_keras_computes_otherwise_is_refused(keras: Any) -> None:
    layers = keras.layers
    for one, words in (
        (
            layers.LSTM(4, recurrent_activation="hard_sigmoid"),
            "recurrent_activation='hard",
        ),
        (layers.LSTM(4, activation="relu"), "activation='relu'"),
        (layers.LSTM(4, go_backwards=True), "go_backwards=True"),
        (layers.LSTM(4, stateful=True), "stateful=True"),
        (layers.LSTM(4, dropout=0.5), "dropout=0.5"),
        (layers.GRU(4), "a GRU of Keras"),
        (layers.Bidirectional(layers.LSTM(4), merge_mode="sum"), "merge_mode='sum'"),
        (layers.Bidirectional(layers.GRU(4)), "a GRU of Keras"),
    ):
        with pytest.raises(ExportError, match=words) as caught:
            from_keras(one)
        one_sentence(caught.value)


# --- Equinox and flax: cells of one step ---


def stepped(step: Callable[[int, Any, Any], Any], layers: int, x: Tensor) -> Tensor:
    """The outputs of a stack of cells over [B, T, I]."""
    rows = []
    for row in x.numpy():
        carries: list[Any] = [(np.zeros(4, np.float32), np.zeros(4, np.float32))] * layers
        outputs = []
        for value in row:
            for k in range(layers):
                carries[k], value = step(k, carries[k], value)
            outputs.append(np.asarray(value))
        rows.append(np.stack(outputs))
    return torch.from_numpy(np.stack(rows))


def equinox_cells(layers: int, bias: bool) -> list[Any]:
    import equinox
    import jax

    keys = jax.random.split(jax.random.PRNGKey(0), layers)
    widths = [3, *[4] * (layers - 1)]
    return [
        equinox.nn.LSTMCell(width, 4, use_bias=bias, key=key)
        for width, key in zip(widths, keys, strict=True)
    ]


def through_equinox(cells: list[Any], x: Tensor) -> Tensor:
    def step(k: int, carry: Any, value: Any) -> Any:
        h, c = cells[k](value, carry)
        return (h, c), h

    return stepped(step, len(cells), x)


@needs("equinox", "jax")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("bias", [True, False])
def test_equinox_gives_what_we_give_both_ways(x: Tensor, layers: int, bias: bool) -> None:
    import equinox

    drawn = equinox_cells(layers, bias)
    with torch.no_grad():
        found = from_equinox(drawn, batch_first=True)(x)[0]
    torch.testing.assert_close(found, through_equinox(drawn, x), **CLOSE)
    ours = layer(num_layers=layers, bias=bias, batch_first=True)
    fields = ["weight_ih", "weight_hh", *(["bias"] if bias else [])]
    filled = [
        equinox.tree_at(lambda c: [getattr(c, n) for n in fields], cell, [there[n] for n in fields])
        for cell, there in zip(drawn, to_equinox(ours), strict=True)
    ]
    with torch.no_grad():
        torch.testing.assert_close(through_equinox(filled, x), ours(x)[0], **CLOSE)
    assert same_sum_of_bits(from_equinox(filled), ours)


def through_flax(cell: Any, params: list[Any], x: Tensor) -> Tensor:
    def step(k: int, carry: Any, value: Any) -> Any:  # flax carries (c, h)
        return cell.apply(params[k], carry, value)

    return stepped(step, len(params), x)


@needs("flax", "jax")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["LSTMCell", "OptimizedLSTMCell"])
def test_flax_gives_what_we_give_both_ways(x: Tensor, kind: str) -> None:
    import jax
    from flax import linen

    cell = getattr(linen, kind)(4, bias_init=linen.initializers.normal(0.5))
    keys = jax.random.split(jax.random.PRNGKey(1), 2)
    carry = cell.initialize_carry(keys[0], (1,))
    drawn = [
        cell.init(key, carry, np.ones(width, np.float32))
        for key, width in zip(keys, (3, 4), strict=True)
    ]
    with torch.no_grad():
        found = from_flax(drawn, batch_first=True)(x)[0]
    torch.testing.assert_close(found, through_flax(cell, drawn, x), **CLOSE)
    ours = layer(num_layers=2, batch_first=True)
    with torch.no_grad():
        torch.testing.assert_close(through_flax(cell, to_flax(ours), x), ours(x)[0], **CLOSE)
    assert same_sum_of_bits(from_flax(to_flax(ours)), ours)


# --- ONNX ---


def through_onnx(weights: list[Any], x: Tensor) -> Tensor:
    """ONNX Runtime over one LSTM node for each layer; [T, B, I] in, [T, B, D·H] out."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    nodes, initial, last = [], [], "x"
    for k, one in enumerate(weights):
        there = {name: array for name, array in one._asdict().items() if array is not None}
        initial += [numpy_helper.from_array(array, f"{n}{k}") for n, array in there.items()]
        names = [f"{n}{k}" if n in there else "" for n in ("W", "R", "B")]
        ends = "bidirectional" if len(one.W) == 2 else "forward"
        nodes += [
            helper.make_node(
                "LSTM",
                [last, *names, "", "", "", f"P{k}" if "P" in there else ""],
                [f"y{k}"],
                hidden_size=one.R.shape[-1],
                direction=ends,
            ),  # [T, D, B, H]
            helper.make_node("Transpose", [f"y{k}"], [f"t{k}"], perm=[0, 2, 1, 3]),
            helper.make_node("Reshape", [f"t{k}", "flat"], [f"h{k}"]),
        ]
        last = f"h{k}"
    initial.append(numpy_helper.from_array(np.array([0, 0, -1], np.int64), "flat"))
    graph = helper.make_graph(
        nodes,
        "lstm",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(x.shape))],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, None)],
        initial,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return torch.from_numpy(session.run(None, {"x": x.numpy()})[0])


@needs("onnx", "onnxruntime")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bias": False},
        {"bidirectional": True, "num_layers": 2},
        {"cell": "peephole"},
        {"cell": "peephole", "bidirectional": True, "bias": False},
    ],
    ids=str,
)
def test_onnx_gives_what_we_give_and_comes_back(x: Tensor, options: dict[str, Any]) -> None:
    ours, steps = layer(**options), x.transpose(0, 1).contiguous()
    weights = to_onnx_weights(ours)
    with torch.no_grad():
        torch.testing.assert_close(through_onnx(weights, steps), ours(steps)[0], **CLOSE)
    back = from_onnx(*([getattr(one, name) for one in weights] for name in "WR"), **bp(weights))
    assert repr(back) == repr(ours)
    state, theirs = ours.state_dict(), back.state_dict()
    assert all(torch.equal(state[name], theirs[name]) for name in state)


def bp(weights: list[Any]) -> dict[str, Any]:
    columns = {name: [getattr(one, name) for one in weights] for name in "BP"}
    return {name: column for name, column in columns.items() if column[0] is not None}


# --- what holds for all of them ---


WAYS = {"Keras": to_keras, "Equinox": to_equinox, "flax": to_flax, "ONNX": to_onnx_weights}


@pytest.mark.parametrize("who", WAYS)
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cell": "coupled"}, "no cell coupled"),
        ({"cell": "carousel"}, "no cell carousel"),
        ({"zoneout": 0.1}, "no zoneout"),
        ({"proj_size": 2}, "proj_size=2"),
        ({"dtype": torch.bfloat16}, "bfloat16"),
    ],
)
def test_what_a_library_cannot_say_is_named(who: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ExportError, match=words) as caught:
        WAYS[who](layer(**options))
    one_sentence(caught.value)


def test_a_cell_has_one_direction() -> None:
    for way in (to_equinox, to_flax):
        with pytest.raises(ExportError, match="in one direction"):
            way(layer(bidirectional=True))


def zeros(*shape: int) -> Any:
    return np.zeros(shape, np.float32)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: from_keras([]), "0 arrays"),
        (lambda: from_keras([zeros(3, 16)]), "1 arrays"),
        (lambda: from_keras([zeros(3, 16), zeros(4, 16), zeros(16)] * 2), "6 arrays"),
        (lambda: from_keras([zeros(3, 16), zeros(4, 16), zeros(12)]), "bias has 12"),
        (lambda: from_keras([zeros(3, 16), zeros(4, 16), zeros(1, 16)]), "expected 1 dim"),
        (lambda: from_keras([np.zeros((3, 16), int), zeros(4, 16)]), "int64"),
        (lambda: from_keras([zeros(3, 16) + np.nan, zeros(4, 16)]), "NaN"),
        (lambda: from_keras(7), "a int came"),
        (lambda: from_equinox([]), "no layers"),
        (lambda: from_equinox(7), "a int came"),
        (lambda: from_flax({}), "are none"),
        (lambda: from_flax({"ii": 1}), "are ii"),
        (lambda: from_flax({f"{s}{g}": 1 for s in "ih" for g in "ifgo"}), "no kernel"),
        (lambda: from_onnx(zeros(3, 16, 3), zeros(3, 16, 4)), "W is"),
        (lambda: from_onnx(zeros(1, 16, 3), zeros(1, 16, 4), zeros(1, 16)), "B is"),
        (lambda: from_onnx(zeros(1, 16), zeros(1, 16, 4)), "W is"),
        (lambda: from_onnx([zeros(1, 16, 3)], []), "1 of W"),
        (lambda: from_onnx("W", "R"), "no array of numbers|of W"),
    ],
)
def test_arrays_that_are_no_lstms_are_refused(call: Callable[[], Any], words: str) -> None:
    with pytest.raises((ValueError, TypeError), match=words) as caught:
        call()
    one_sentence(caught.value)


def test_the_table_names_each_gate_once() -> None:
    assert {"".join(sorted(order.gates)) for order in ORDERS.values()} == {"fgio"}
