"""What a network does with an input, computed by torch: the data of `unrolled explore --json`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from unrolled.equations import Gates
from unrolled.explorer.explorable import Explorable

__all__ = ["trace"]


def trace(explorable: Explorable, text: str = "") -> dict[str, Any]:
    """Every gate, cell and hidden state at every step, and the output.

    Parameters
    ----------
    explorable : Explorable
    text : str
        The input as it would be typed; empty: the example.

    Returns
    -------
    dict
        ``name``; ``steps``, a word each; ``x`` [T, I]; ``layers``, each with i, f, g, o, c and h
        [T, H], and its ``name``: ``l0`` and so on, as in `LSTM.places`, counted through where
        several LSTMs lie one on the other; ``logits`` [T, O], the head's numbers; ``values``
        [T, O], what is made of them.
    """
    labels, x = explorable.inputs.read(text)[::-1]
    stack = explorable.stack()
    dtype = stack[0].weight_ih_l0.dtype
    with torch.no_grad():
        read = x.to(dtype)
        layers: list[Gates] = []
        for lstm in stack:
            batched = read[:, None]  # [T, 1, I], whatever the layer's own layout
            found = lstm.trace(batched.transpose(0, 1) if lstm.batch_first else batched)
            for gates in found.directions.values():
                flat = [t[0] if lstm.batch_first else t[:, 0] for t in gates]
                layers.append(Gates(*flat))
            read = layers[-1].h
        heard = torch.cat([s.h for s in layers], -1) if explorable.reads == "all" else read
        logits = heard if explorable.head is None else explorable.head(heard)
        values = _spoken(explorable.output.kind, logits)
    return {
        "name": explorable.name,
        "steps": labels,
        "x": x.tolist(),
        "layers": [
            {"name": f"l{number}"} | {key: t.tolist() for key, t in gates._asdict().items()}
            for number, gates in enumerate(layers)
        ],
        "logits": logits.tolist(),
        "values": values.tolist(),
    }


def _spoken(kind: str, logits: Tensor) -> Tensor:
    if kind == "sigmoid":
        return logits.sigmoid()
    return logits.softmax(-1) if kind == "softmax" else logits
