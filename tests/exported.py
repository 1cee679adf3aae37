"""Example inputs of a layer, and what ONNX Runtime makes of them in a file that we wrote."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ecosystem_needs import needed
from unrolled import LSTM

State = tuple[Tensor, Tensor]
NEAR = {"rtol": 1e-6, "atol": 1e-6}


def states(lstm: LSTM, rows: int) -> State:
    count = lstm.num_layers * (2 if lstm.bidirectional else 1)
    width = lstm.proj_size or lstm.hidden_size
    return torch.randn(count, rows, width), torch.randn(count, rows, lstm.hidden_size)


def example(lstm: LSTM, steps: int, rows: int, lengths: bool = False) -> dict[str, Any]:
    shape = (rows, steps) if lstm.batch_first else (steps, rows)
    given: dict[str, Any] = {
        "input": torch.randn(*shape, lstm.input_size),
        "hx": states(lstm, rows),
    }
    if lengths:
        given["lengths"] = torch.tensor([steps, *torch.randint(0, steps, (rows - 1,)).tolist()])
    return given


def leaves(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        yield from leaves(list(value.values()))
    elif value is not None:
        for one in value:
            yield from leaves(one)


def ran(path: Path, given: Any) -> list[np.ndarray]:
    """What ONNX Runtime makes of a file."""
    session = needed("onnxruntime").InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]
    arrays = [t.detach().numpy() for t in leaves(given)]
    found: list[np.ndarray] = session.run(None, dict(zip(names, arrays, strict=True)))
    return found


def hold(found: list[np.ndarray], expected: Any) -> None:
    for one, own in zip(found, leaves(expected), strict=True):
        assert one.dtype == own.detach().numpy().dtype
        np.testing.assert_allclose(one, own.detach().numpy(), **NEAR)


def nodes(path: Path) -> list[str]:
    """The kinds of the recurrent nodes in a file."""
    kinds = [node.op_type for node in needed("onnx").load(path).graph.node]
    return [kind for kind in kinds if kind in ("LSTM", "Scan")]
