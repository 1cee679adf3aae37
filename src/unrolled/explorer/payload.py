"""A network as data for the page: JSON, in which an array is base64 of its little-endian bytes."""

from __future__ import annotations

import base64
import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from unrolled.explorer.explorable import Explorable, ExplorerError
from unrolled.layer.lstm import LSTM

__all__ = ["VERSION", "network", "packed", "written"]

VERSION = 1
_NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_ph")


def packed(value: Any) -> Any:
    """JSON for a tree of tensors, sequences, mappings, numbers and words.

    float64 stays float64, so that the page computes from the very weights; all else is float32.
    """
    if isinstance(value, Tensor):
        kind = "f8" if value.dtype == torch.float64 else "f4"
        flat = value.detach().cpu().to(torch.float64 if kind == "f8" else torch.float32)
        data = flat.contiguous().numpy().astype(f"<{kind}").tobytes()
        return {"dtype": kind, "shape": list(value.shape), "data": base64.b64encode(data).decode()}
    if isinstance(value, Mapping):
        return {str(key): packed(v) for key, v in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [packed(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ExplorerError(f"a number of the series or its scaling is {value}: nothing to draw.")
    return value


def _layers(lstm: LSTM) -> list[dict[str, Any]]:
    layers = []
    for number in range(lstm.num_layers):
        weights: dict[str, Any] = {
            name: getattr(lstm, f"{name}_l{number}", None) for name in _NAMES
        }
        layers.append(
            {
                "input_size": weights["weight_ih"].shape[1],
                "hidden_size": lstm.hidden_size,
                "cell": dataclasses.asdict(lstm.cell),
                "weights": {key: packed(w) for key, w in weights.items() if w is not None},
            }
        )
    return layers


def network(explorable: Explorable, run: str, about: str) -> dict[str, Any]:
    """One network: its weights, what it reads and says, where it comes from.

    Raises
    ------
    ExplorerError
        If the page does not compute such a network.
    """
    stack = explorable.stack()
    head = explorable.head
    return {
        "name": explorable.name,
        "run": run,
        "about": about,
        "layers": [layer for lstm in stack for layer in _layers(lstm)],
        "reads": explorable.reads,
        "head": None
        if head is None
        else {
            "weight": packed(head.weight),
            "bias": packed(
                head.weight.new_zeros(len(head.weight)) if head.bias is None else head.bias
            ),
        },
        "output": packed(dataclasses.asdict(explorable.output)),
        "inputs": {"kind": explorable.inputs.kind, **packed(explorable.inputs.told())},
    }


def written(title: str, networks: Sequence[Mapping[str, Any]]) -> str:
    """The payload as JSON."""
    tree = {"version": VERSION, "title": title, "networks": list(networks)}
    return json.dumps(tree, allow_nan=False, separators=(",", ":"))
