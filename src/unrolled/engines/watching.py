"""What `torch.autocast` asks of a layer."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["autocast_dtype"]


def autocast_dtype(x: Tensor) -> torch.dtype | None:
    """The dtype that autocast wants where x is; None where it is off or leaves x alone."""
    device = x.device.type
    if x.dtype == torch.float64:
        return None
    if device not in ("cpu", "cuda") and not torch.amp.is_autocast_available(device):
        return None  # there, the question below is an error
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
