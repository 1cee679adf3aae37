"""A ``.nam`` file, which Neural Amp Modeler opens.

``{"version", "architecture": "LSTM", "config": {"input_size", "hidden_size", "num_layers"},
"weights": […], "sample_rate"}``.  The weights are one list: for each layer the rows of [W_ih, W_hh]
side by side, the one bias, and the state (h, c) from which a sequence starts; then the head's
weight and bias.  Ours starts at zero, unless an `Effect` says otherwise; NAM's own files hold the
state after a second of silence, and its plugin plays half a second of silence before anything else.
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
    head_numbers,
    linear,
    numbers,
    write_document,
)
from unrolled.layer.effect import Effect

__all__ = ["from_nam", "to_nam", "write"]

WHO = "Neural Amp Modeler"
VERSION = "0.5.4"  # of the file: every reader since 2024 takes 0.5, and an LSTM lies the same since
TRAINING = {"train_burn_in", "train_truncate"}  # in a config, and of no account once trained


def to_nam(module: nn.Module, path: str | Path, *, sample_rate: float | None = None) -> list[Path]:
    """Write a network as a ``.nam`` file.

    Parameters
    ----------
    module : nn.Module
        An `unrolled.Network` of one input with a head of one output, or an `Effect`, whose state
        is written.
    path
        Of the file, such as ``amp.nam``.
    sample_rate : float, optional
        In Hz, of the sound that it was trained with: the plugin plays sound of another rate
        through a resampler.  Without one it is taken for 48000.

    Returns
    -------
    list of Path
        The file that was written.

    Raises
    ------
    ExportError
        If the format cannot say it: another cell, two directions, a projection, zoneout, more than
        one input or output, an input that is added to the output.
    """
    effect = as_effect(module, WHO, sample_rate)
    lstm, head = effect.lstm, effect.head
    if effect.skip:
        raise ExportError(f"{WHO} does not add the input to the output: skip={effect.skip}.")
    if lstm.input_size != 1 or head is None or head.out_features != 1:
        out = "no head" if head is None else f"{head.out_features} out"
        raise ExportError(
            f"{WHO} takes one sample and gives one: expected an LSTM of input_size 1 and a head of "
            f"1 output, and there are {lstm.input_size} in and {out}."
        )
    config = {name: getattr(lstm, name) for name in ("input_size", "hidden_size", "num_layers")}
    document: dict[str, Any] = {"version": VERSION, "architecture": "LSTM", "config": config}
    document["weights"] = _flat(effect, head)
    if effect.sample_rate is not None:
        document["sample_rate"] = effect.sample_rate
    return write_document(Path(path), document)


def write(module: nn.Module, path: Path) -> list[Path]:
    """What the target ``nam`` does."""
    return to_nam(module, path)


def from_nam(path: str | Path, *, dtype: torch.dtype | None = None) -> Effect:
    """An effect with the weights of a ``.nam`` file whose architecture is LSTM.

    It starts from the file's own state.

    Raises
    ------
    ExportError
        If the file is something else, such as a WaveNet.
    """
    file = Document(Path(path), WHO)
    file.only("architecture", file.top.get("architecture"), "LSTM")
    config = file.mapping("config", file.top.get("config"))
    size = file.count("hidden_size", config.get("hidden_size"))
    inputs = file.count("input_size", config.get("input_size", 1))
    layers = file.count("num_layers", config.get("num_layers", 1), 1, 100)
    for name in ("in_channels", "out_channels"):
        file.only(name, config.get(name, 1), 1)
    known = {"hidden_size", "input_size", "num_layers", "in_channels", "out_channels"} | TRAINING
    if config.keys() - known:
        file.refuse(f"config has {min(config.keys() - known)[:40]!r}, which is not read")
    widths = [inputs, *[size] * (layers - 1)]
    count = sum(4 * size * (width + size + 1) + 2 * size for width in widths) + size + 1
    flat = file.tensor("weights", file.top.get("weights"), (count,), dtype)
    stack, states = [], []
    for width in widths:
        one, state, flat = _layer(flat, width, size)
        stack.append([one])
        states.append(state)
    h, c = (torch.stack(parts) for parts in zip(*states, strict=True))
    return Effect(
        built(stack, {}),
        linear(flat[None, :size].clone(), flat[size:].clone()),
        state=(h, c),
        sample_rate=file.rate("sample_rate", file.top.get("sample_rate")),
    )


def _flat(effect: Effect, head: nn.Linear) -> list[float]:
    weight, bias = head_numbers(head)
    size = effect.lstm.hidden_size
    found: list[float] = []
    for k, (one,) in enumerate(layers_of(effect.lstm)):
        zero = one.weight_ih.new_zeros(size)
        b = one.weight_ih.new_zeros(4 * size) if one.bias is None else one.bias
        parts = {"the weights": torch.cat([one.weight_ih, one.weight_hh], 1), "the bias": b}
        parts |= {"h_0": zero if effect.h_0 is None else effect.h_0[k]}
        parts |= {"c_0": zero if effect.c_0 is None else effect.c_0[k]}
        found += [n for name, part in parts.items() for n in numbers(name, part.flatten())]
    return [*found, *weight[0], *bias]


def _layer(flat: Tensor, width: int, size: int) -> tuple[Layer, tuple[Tensor, Tensor], Tensor]:
    """One layer, its state, and what follows in the list."""
    sizes = [4 * size * (width + size), 4 * size, size, size]
    both, bias, h, c, rest = torch.split(flat, [*sizes, len(flat) - sum(sizes)])
    rows = both.reshape(4 * size, width + size)
    w_ih, w_hh = rows[:, :width], rows[:, width:]
    return Layer(w_ih, w_hh, bias, torch.zeros_like(bias)), (h, c), rest
