"""Which training steps the kernel can make, and why not the others."""

from __future__ import annotations

from torch import Tensor, nn, optim, strided

from unrolled.engines import Request, cpu
from unrolled.engines.memory import check
from unrolled.engines.watching import hooked, process_reason, tensor_hooked
from unrolled.equations import Cell
from unrolled.layer.elman import Elman
from unrolled.layer.lstm import LSTM
from unrolled.layer.regularisation import Noise
from unrolled.steps import updates
from unrolled.steps.losses import as_loss
from unrolled.steps.network import Network

__all__ = ["supports"]


def supports(network: Network, optimizer: optim.Optimizer, loss: object) -> str | None:
    """Why the native engine cannot make these training steps; None where it can."""
    around = process_reason()
    if around is not None:
        return around
    found = as_loss(loss)
    if isinstance(found, str):
        return found
    recurrent = network.recurrent
    if type(network) is not Network or type(recurrent) not in (LSTM, Elman):
        return "it has Network of LSTM or Elman as they are, and no class made from them"
    if network.head is not None and type(network.head) is not nn.Linear:
        return "its head is an nn.Linear as it is, and no class made from it"
    for module in network.modules():
        if hooked(module):
            return f"there are hooks on {type(module).__name__}"
    return (
        _why_not_layer(recurrent)
        or _why_not_parameters(network)
        or updates.reason(optimizer, _learned(network))
    )


def _why_not_layer(recurrent: LSTM | Elman) -> str | None:
    weight = recurrent.weight_ih_l0
    cell = recurrent.cell if isinstance(recurrent, LSTM) else Cell()
    projected = isinstance(recurrent, LSTM) and recurrent.proj_size > 0
    reason = cpu.supports(Request(cell, (), weight.dtype, weight.device.type, projected))
    if reason is not None:
        return reason
    if isinstance(recurrent, Elman):
        return None
    if recurrent.bidirectional:
        return "it has one direction"
    if recurrent.noise != Noise() or (recurrent.dropout and recurrent.training):
        return "it has neither dropout nor zoneout"
    if recurrent.engine not in ("auto", "cpu"):
        return f"the layer was given engine={recurrent.engine!r}"
    return None


def _why_not_parameters(network: Network) -> str | None:
    kind = network.recurrent.weight_ih_l0.dtype
    seen: dict[int, str] = {}
    for name, p in network.named_parameters(remove_duplicate=False):
        plain = type(p) is nn.Parameter and p.layout is strided and p.is_contiguous()
        if not plain or p.is_neg() or p.dtype != kind or p.device.type != "cpu":
            return f"{name} is no dense parameter of {kind} on the CPU"
        check(name, p)
        if p.data_ptr() in seen:
            return f"{name} shares its memory with {seen[p.data_ptr()]}"
        seen[p.data_ptr()] = name
        if tensor_hooked(p):
            return f"there are hooks on {name}"
    return None


def _learned(network: Network) -> list[Tensor]:
    return [p for p in network.parameters() if p.requires_grad]
