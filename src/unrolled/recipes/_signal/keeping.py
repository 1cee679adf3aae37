"""What a run keeps of its signal, to be of use without its files; and what is shown of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from unrolled.explorer import Explorable, Numbers, Output
from unrolled.files.columns import Floats
from unrolled.inside.passage import Passage
from unrolled.layer.lstm import LSTM
from unrolled.recipes._signal.network import SignalNetwork
from unrolled.recipes._signal.parts import Scales, Windows
from unrolled.recipes._signal.reading import Signal

__all__ = ["explorable", "kept", "no_scales", "passage", "revived"]

STRETCH = 96_000  # steps that are kept: of sound two seconds
SHOWN, EXAMPLES = 160, 6  # steps in one picture of the network, and how many such are offered


def kept(signal: Signal, windows: Windows) -> dict[str, Any]:
    """A tree of tensors and words."""
    end = signal.part(max(len(signal) - STRETCH, 0), len(signal))
    return {
        "inputs": torch.from_numpy(np.array(end.inputs, order="C")),
        "outputs": torch.from_numpy(np.array(end.outputs, order="C")),
        "names": [list(names) for names in signal.names],
        "rate": signal.rate,
        "depth": signal.depth,
        "windows": [windows.size, windows.count, windows.warm_up],
    }


def revived(tree: Mapping[str, Any]) -> tuple[Signal, Windows]:
    """What `kept` made a tree of.

    Raises
    ------
    KeyError, TypeError, ValueError, AttributeError
        If it is no such tree.
    """
    ins, outs = (tuple(map(str, names)) for names in tree["names"])
    x, y = _floats(tree["inputs"], len(ins)), _floats(tree["outputs"], len(outs))
    if len(x) != len(y) or not len(x):
        raise ValueError("its signals are not as long as each other")
    size, count, warm_up = map(int, tree["windows"])
    rate = int(tree["rate"])
    if rate < 0 or rate > 2**31:
        raise ValueError("its rate makes no sense")
    return Signal(x, y, (ins, outs), rate, str(tree["depth"])), Windows(size, count, warm_up)


def _floats(tensor: torch.Tensor, columns: int) -> Floats:
    if not tensor.is_floating_point() or tensor.dim() != 2 or tensor.shape[1] != columns:
        raise ValueError("its signals are no columns of numbers")
    if not bool(tensor.isfinite().all()):
        raise ValueError("its signals are not finite")
    found: Floats = tensor.numpy()
    return found


def no_scales(signal: Signal) -> Scales:
    """Those of a model whose own are read from its weights."""
    ins, outs = signal.inputs.shape[1], signal.outputs.shape[1]
    return Scales(np.zeros(ins), np.ones(ins), np.zeros(outs), np.ones(outs))


def _begins(signal: Signal) -> list[int]:
    """Where the stretches begin that are shown: evenly spread, the loudest first."""
    last = max(len(signal) - SHOWN, 0)
    begins = sorted({round(place) for place in np.linspace(0, last, 8 * EXAMPLES)})
    begins.sort(key=lambda b: -float(np.square(signal.outputs[b : b + SHOWN]).mean()))
    return begins[:EXAMPLES]


def passage(model: SignalNetwork, signal: Signal) -> Passage:
    """The loudest of some short stretches."""
    begin = _begins(signal)[0]
    values = torch.from_numpy(np.ascontiguousarray(signal.inputs[begin : begin + SHOWN]))[:, None]
    return Passage(
        call=lambda: model(values),
        inputs=[f"{t}" for t in range(len(values))],
        followed=lambda: model(values)[0][-1].sum(),
        following="the last step's output",
        properties={
            f"input {name}": values[:, :, k].double() for k, name in enumerate(signal.names[0])
        },
    )


def explorable(model: SignalNetwork, signal: Signal) -> Explorable:
    """The network over some short stretches, as it reads them."""
    lstm, head = model.network.recurrent, model.network.head
    assert isinstance(lstm, LSTM)
    examples = {}
    for begin in _begins(signal):
        part = signal.part(begin, begin + SHOWN)
        values = torch.from_numpy(np.ascontiguousarray(part.inputs))
        examples[f"the end, from step {begin:,} on"] = model.scaled(values)
    every = torch.cat(list(examples.values()))
    numbers = Numbers(
        [f"input {name}" for name in signal.names[0]],
        examples,
        float(every.min()),
        float(every.max()),
    )
    names = [f"output {name}" for name in signal.names[1]]
    return Explorable([lstm], head, numbers, Output("linear", names))
