"""The weights in a safetensors file, by the names that `torch.nn.LSTM` gives them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from unrolled.export.orders import check_sayable
from unrolled.export.parts import ExportError, parts_of
from unrolled.files.whole import replace_file

__all__ = ["write"]


def write(module: nn.Module, path: Path) -> list[Path]:
    """What the target ``torch`` does: ``weight_ih_l0`` … and ``head.weight``, ``head.bias``.

    ``nn.LSTM(…).load_state_dict`` takes those without ``head.``; an `nn.Linear` takes the others.

    Raises
    ------
    ExportError
        If `torch.nn.LSTM` has no such cell, or safetensors is not installed.
    """
    lstm, head = parts_of(module)
    check_sayable(lstm, "torch.nn.LSTM", projected=True)
    # By name: where a weight is made of other parameters, those are called something else.
    state = {name: getattr(lstm, name) for name in lstm._names}
    if head is not None:
        of_head = {"head.weight": head.weight, "head.bias": head.bias}
        state |= {name: weight for name, weight in of_head.items() if weight is not None}
    tensors = {name: weight.detach().cpu().clone() for name, weight in state.items()}
    data = _safetensors().save(tensors, {"format": "pt"})  # its save_file makes a file of mode 600
    replace_file(path, lambda beside: beside.write_bytes(data))
    return [path]


def _safetensors() -> Any:
    try:
        import safetensors.torch
    except ImportError as error:
        raise ExportError(
            "a safetensors file needs safetensors: pip install 'unrolled[cli]' brings it."
        ) from error
    return safetensors.torch
