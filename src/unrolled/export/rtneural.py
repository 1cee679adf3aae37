"""The JSON that RTNeural reads, and AIDA-X with it: Keras' arrays as lists, layer by layer.

``{"in_shape": [null, null, I], "layers": [{"type": "lstm", "activation": "tanh", "shape": [null,
null, H], "weights": [kernel [I][4·H], recurrent kernel [H][4·H], bias [4·H]]}, …, {"type":
"dense", …}]}``.  AIDA-X reads ``in_skip`` and ``metadata.samplerate`` beside them; RTNeural itself
passes over both.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from unrolled.export.orders import ORDERS, Layer, built, inward, layers_of, outward
from unrolled.export.sound import (
    Document,
    as_effect,
    check_starts_at_zero,
    head_numbers,
    linear,
    numbers,
    write_document,
)
from unrolled.layer.effect import Effect

__all__ = ["from_rtneural", "to_rtneural", "write"]

WHO = "RTNeural"
DENSE = ("dense", "time-distributed-dense")


def to_rtneural(
    module: nn.Module, path: str | Path, *, sample_rate: float | None = None
) -> list[Path]:
    """Write a network as the JSON that RTNeural reads.

    Parameters
    ----------
    module : nn.Module
        An `unrolled.LSTM`, an `unrolled.Network` or an `Effect`; with ``skip`` it is one for
        AIDA-X, since RTNeural alone does not add the input.
    path
        Of the file, such as ``amp.json``.
    sample_rate : float, optional
        In Hz, of the sound that it was trained with: ``metadata.samplerate``, for AIDA-X.

    Returns
    -------
    list of Path
        The file that was written.

    Raises
    ------
    ExportError
        If RTNeural's LSTM cannot say it: another cell, two directions, a projection, zoneout.
    """
    effect = as_effect(module, WHO, sample_rate)
    check_starts_at_zero(effect, WHO)
    document: dict[str, Any] = {"in_shape": [None, None, effect.lstm.input_size]}
    if effect.skip:
        document["in_skip"] = effect.skip
    if effect.sample_rate is not None:
        document["metadata"] = {"samplerate": effect.sample_rate}
    document["layers"] = [_lstm(one) for (one,) in layers_of(effect.lstm)]
    if effect.head is not None:
        document["layers"].append(_dense(effect.head))
    return write_document(Path(path), document)


def write(module: nn.Module, path: Path) -> list[Path]:
    """What the target ``rtneural`` does."""
    return to_rtneural(module, path)


def from_rtneural(path: str | Path, *, dtype: torch.dtype | None = None) -> Effect:
    """An effect with the weights of RTNeural's JSON: LSTM layers, and a dense one after them.

    Raises
    ------
    ExportError
        If the file is something else, or has layers that are none of these.
    """
    file = Document(Path(path), WHO)
    _check_gains(file)
    width = inputs = _last(file, "in_shape", file.top.get("in_shape"))
    layers: list[list[Layer]] = []
    head = None
    for k, entry in enumerate(file.sequence("layers", file.top.get("layers"))):
        one = file.mapping(f"layer {k}", entry)
        size = _last(file, f"layer {k}'s shape", one.get("shape"))
        if head is None and one.get("type") == "lstm":
            file.only(f"layer {k}'s activation", one.get("activation") or "tanh", "tanh")
            layers.append([_read_lstm(file, k, one.get("weights"), width, size, dtype)])
        elif head is None and layers and one.get("type") in DENSE:
            file.only(f"layer {k}'s activation", one.get("activation") or "", "")
            head = _read_dense(file, k, one.get("weights"), width, size, dtype)
        else:
            file.refuse(f"layer {k} is {str(one.get('type'))[:40]!r}: LSTMs and a dense last")
        width = size
    if not layers:
        file.refuse("it has no LSTM")
    skip = file.count("in_skip", file.top.get("in_skip", 0), 0, min(1, inputs))
    return Effect(built(layers, {}), head, skip=skip, sample_rate=_rate(file))


def _lstm(one: Layer) -> dict[str, Any]:
    order, size = ORDERS["rtneural"], one.weight_hh.shape[1]
    bias = one.weight_ih.new_zeros(4 * size) if one.bias is None else one.bias
    parts = {"weight_ih": one.weight_ih, "weight_hh": one.weight_hh, "bias": bias}
    return {
        "type": "lstm",
        "activation": "tanh",
        "shape": [None, None, size],
        "weights": [numbers(name, outward(weight, order)) for name, weight in parts.items()],
    }


def _dense(head: nn.Linear) -> dict[str, Any]:
    weight, bias = head_numbers(head)
    return {
        "type": "dense",
        "activation": "",
        "shape": [None, None, head.out_features],
        "weights": [[list(column) for column in zip(*weight, strict=True)], bias],  # [H][O]
    }


def _read_lstm(
    file: Document, k: int, weights: Any, width: int, size: int, dtype: torch.dtype | None
) -> Layer:
    order, parts = ORDERS["rtneural"], _parts(file, k, weights, 3)
    shapes = ((width, 4 * size), (size, 4 * size), (4 * size,))
    w_ih, w_hh, bias = (
        inward(file.tensor(f"layer {k}'s weights[{n}]", part, shape, dtype), order)
        for n, (part, shape) in enumerate(zip(parts, shapes, strict=True))
    )
    return Layer(w_ih, w_hh, bias, torch.zeros_like(bias))


def _read_dense(
    file: Document, k: int, weights: Any, width: int, size: int, dtype: torch.dtype | None
) -> nn.Linear:
    bias: Tensor | None = None
    parts = _parts(file, k, weights, 1, 2)
    weight = file.tensor(f"layer {k}'s weights[0]", parts[0], (width, size), dtype)
    if len(parts) == 2:
        bias = file.tensor(f"layer {k}'s weights[1]", parts[1], (size,), dtype)
    return linear(weight.T.contiguous(), bias)


def _parts(file: Document, k: int, weights: Any, *counts: int) -> list[Any]:
    parts = file.sequence(f"layer {k}'s weights", weights)
    if len(parts) not in counts:
        file.refuse(f"layer {k} has {len(parts)} arrays, expected {' or '.join(map(str, counts))}")
    return parts


def _last(file: Document, name: str, shape: Any) -> int:
    sizes = file.sequence(name, shape)
    return file.count(f"the last of {name}", sizes[-1] if sizes else None)


def _check_gains(file: Document) -> None:
    for name in ("in_gain", "out_gain"):
        file.only(name, file.top.get(name) or 0, 0)


def _rate(file: Document) -> float | None:
    metadata = file.mapping("metadata", file.top.get("metadata") or {})
    return file.rate("samplerate", metadata.get("samplerate", file.top.get("samplerate")))
