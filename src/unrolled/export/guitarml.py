"""The JSON of GuitarML: Proteus and its readers; AIDA-X' own converter takes it too.

``{"model_data": {"model": "SimpleRNN", "unit_type": "LSTM", "input_size", "hidden_size",
"num_layers", "output_size", "skip", "bias_fl"}, "state_dict": {"rec.weight_ih_l0": …, "lin.weight":
…}}``: torch's own names, order and two biases.  ``skip`` is how many of the input's numbers are
added to the output.  Proteus adds the input whatever ``skip`` says, and knows 40 units alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from unrolled.export.orders import Layer, built, layers_of
from unrolled.export.parts import ExportError
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

__all__ = ["from_guitarml", "to_guitarml", "write"]

WHO = "GuitarML"
PARTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def to_guitarml(module: nn.Module, path: str | Path) -> list[Path]:
    """Write a network as the JSON of GuitarML.

    Parameters
    ----------
    module : nn.Module
        An `unrolled.Network` of one layer with a head of one output, or an `Effect`, whose ``skip``
        is written.
    path
        Of the file, such as ``amp.json``.

    Returns
    -------
    list of Path
        The file that was written.

    Raises
    ------
    ExportError
        If the format or its readers cannot say it: several layers, no head, several outputs,
        another cell, two directions, a projection, zoneout.
    """
    effect = as_effect(module, WHO)
    check_starts_at_zero(effect, WHO)
    lstm, head = effect.lstm, effect.head
    if lstm.num_layers > 1:
        raise ExportError(f"{WHO}'s readers read one layer: num_layers={lstm.num_layers}.")
    if head is None or head.out_features != 1:
        there = "none" if head is None else f"one of {head.out_features} outputs"
        raise ExportError(
            f"{WHO} gives one sample at a time: expected a head, and there is {there}."
        )
    ((one,),) = layers_of(lstm)
    weight, bias = head_numbers(head)
    state = {f"rec.{name}_l0": numbers(name, _given(one, name)) for name in PARTS}
    data = {
        "model": "SimpleRNN",
        "input_size": lstm.input_size,
        "skip": effect.skip,
        "output_size": 1,
        "unit_type": "LSTM",
        "num_layers": 1,
        "hidden_size": lstm.hidden_size,
        "bias_fl": True,
    }
    state |= {"lin.weight": weight, "lin.bias": bias}
    return write_document(Path(path), {"model_data": data, "state_dict": state})


def write(module: nn.Module, path: Path) -> list[Path]:
    """What the target ``guitarml`` does."""
    return to_guitarml(module, path)


def from_guitarml(path: str | Path, *, dtype: torch.dtype | None = None) -> Effect:
    """An effect with the weights of GuitarML's JSON.

    Raises
    ------
    ExportError
        If the file is something else.
    """
    file = Document(Path(path), WHO)
    data = file.mapping("model_data", file.top.get("model_data"))
    state = file.mapping("state_dict", file.top.get("state_dict"))
    file.only("unit_type", data.get("unit_type"), "LSTM")
    file.only("model", data.get("model", "SimpleRNN"), "SimpleRNN")
    names = ("input_size", "hidden_size", "output_size")
    inputs, size, outputs = (file.count(name, data.get(name)) for name in names)
    layers = file.count("num_layers", data.get("num_layers", 1), 1, 100)
    skip = file.count("skip", data.get("skip", 0), 0, inputs)
    if skip not in {0, 1, outputs}:
        file.refuse(f"skip is {skip}, expected 0, 1 or the number of outputs, {outputs}")
    taken = _Taken(file, dict(state), dtype)
    stack = [[_layer(taken, k, inputs if k == 0 else size, size)] for k in range(layers)]
    weight = taken("lin.weight", (outputs, size))
    bias = taken("lin.bias", (outputs,)) if "lin.bias" in state else None
    if taken.state:
        file.refuse(f"state_dict has {str(next(iter(taken.state)))[:40]!r}, which is not read")
    return Effect(built(stack, {}), linear(weight, bias), skip=skip)


class _Taken:
    """Takes weights out of a state dict, so that what is left was not read."""

    def __init__(self, file: Document, state: dict[str, Any], dtype: torch.dtype | None) -> None:
        self.file, self.state, self.dtype = file, state, dtype

    def __call__(self, name: str, shape: tuple[int, ...]) -> Tensor:
        return self.file.tensor(name, self.state.pop(name, None), shape, self.dtype)


def _layer(taken: _Taken, k: int, width: int, size: int) -> Layer:
    shapes = ((4 * size, width), (4 * size, size), (4 * size,), (4 * size,))
    return Layer(
        *(taken(f"rec.{name}_l{k}", shape) for name, shape in zip(PARTS, shapes, strict=True))
    )


def _given(one: Layer, name: str) -> Tensor:
    """A weight of ours; a bias that is not there is zero."""
    weight: Tensor | None = getattr(one, name)
    return one.weight_ih.new_zeros(one.weight_ih.shape[0]) if weight is None else weight
