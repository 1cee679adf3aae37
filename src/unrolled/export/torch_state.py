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
    state = lstm.state_dict()
    if head is not None:
        state |= {f"head.{name}": weight for name, weight in head.state_dict().items()}
    tensors = {name: weight.detach().cpu().clone() for name, weight in state.items()}
    replace_file(path, lambda beside: _safetensors().save_file(tensors, beside, {"format": "pt"}))
    return [path]


def _safetensors() -> Any:
    try:
        import safetensors.torch
    except ImportError as error:
        raise ExportError(
            "a safetensors file needs safetensors: pip install 'unrolled[cli]' brings it."
        ) from error
    return safetensors.torch
