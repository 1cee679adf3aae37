"""What is exported of a module: its LSTM, and the linear head that reads it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import linear

from unrolled.errors import UnrolledError
from unrolled.layer.effect import Effect
from unrolled.layer.lstm import LSTM
from unrolled.layer.portable import PortableLSTM
from unrolled.steps.network import Network

__all__ = ["ExportError", "Parts", "parts_of"]


class ExportError(UnrolledError, ValueError):
    """What a target cannot say, in one sentence that says how to mend it."""


class Parts(NamedTuple):
    """A recurrent layer, and the `nn.Linear` that reads its h at each step, if there is one."""

    lstm: LSTM
    head: nn.Linear | None


def parts_of(module: nn.Module) -> Parts:
    """The one LSTM in a module, and its linear head.

    Parameters
    ----------
    module : nn.Module
        An `unrolled.LSTM`, an `unrolled.Network`, or anything that has one LSTM and at most one
        `nn.Linear` in it.

    Raises
    ------
    ExportError
        If there is no LSTM in it, or more than one; or if what else has weights is no head of it.
    """
    for one in module.modules():
        if isinstance(one, Effect) and (one.skip or not one.starts_at_zero):
            more = f"skip={one.skip}" if one.skip else "a state of its own to start from"
            raise ExportError(
                f"the Effect has {more}, which this target cannot say: expected its lstm and head "
                "alone."
            )
    layers = [one for one in module.modules() if isinstance(one, LSTM)]
    heads = [one for one in module.modules() if isinstance(one, nn.Linear)]
    name = type(module).__name__
    if len(layers) != 1:
        found = f"{len(layers)} of them" if layers else "none"
        raise ExportError(
            f"{name} has {found}: expected one unrolled.LSTM, with an nn.Linear as its head or "
            "without one."
        )
    if len(heads) > 1:
        raise ExportError(
            f"{name} has {len(heads)} linear layers beside its LSTM: expected one head at most."
        )
    lstm, head = layers[0], heads[0] if heads else None
    if any(weight.is_meta for weight in module.parameters()):
        raise ExportError(f"{name} has no numbers yet: it is on the device meta.")
    known = {id(p) for part in (lstm, head) if part is not None for p in part.parameters()}
    others = [n for n, p in module.named_parameters() if id(p) not in known]
    if others:
        raise ExportError(
            f"{name} has weights of its own, {', '.join(others)}: expected an LSTM and an "
            "nn.Linear alone."
        )
    acting = _acting(module)
    if acting:
        raise ExportError(
            f"{name} has more in it than an LSTM and an nn.Linear: {', '.join(acting)}, which "
            "would be left out; export a module without that."
        )
    units = getattr(module, "units", None)
    if isinstance(module, Network) and units is not None and units < _width(lstm):
        raise ExportError(
            f"{name} has units={units} and so gives a part of h: expected all of h or a head."
        )
    if head is not None and head.in_features != _width(lstm):
        raise ExportError(
            f"the linear layer of {name} reads {head.in_features} numbers and the LSTM gives "
            f"{_width(lstm)}: expected a head that reads h as it is."
        )
    if not _gives(module, lstm, head):
        raise ExportError(
            f"{name} gives something else for x than its {'linear layer' if head else 'LSTM'} "
            "does, or cannot be asked: what its forward does beside that would be left out; export "
            "unrolled.Network(lstm, head), and do the rest outside."
        )
    return Parts(lstm, head)


def _gives(module: nn.Module, lstm: LSTM, head: nn.Linear | None) -> bool:
    """Whether a module gives what its parts alone give, at every step or after the last.

    True too where it cannot be asked and is known to do nothing else: a container, or a network of
    this library that reads symbols.
    """
    clean = PortableLSTM.of(lstm)  # its weights alone: no hook, no intervention
    if not all(bool(weight.isfinite().all()) for weight in module.parameters()):
        return True  # NaN is like nothing: each target says of its own whether it takes that
    generator = torch.Generator().manual_seed(0)
    shape = (2, 3) if lstm.batch_first else (3, 2)
    x = torch.rand(*shape, lstm.input_size, generator=generator)
    x = x.to(lstm.weight_ih_l0.device, lstm.weight_ih_l0.dtype)
    were = [(one, one.training) for one in module.modules()]
    module.eval()
    clean.eval()
    try:
        with torch.no_grad():
            given = module(x)
            output = clean.forward(x)[0]
            output = output if head is None else linear(output, head.weight, head.bias)
    except Exception:  # whatever somebody else's forward raises for numbers
        return _does_nothing(module)
    finally:
        for one, was in were:
            one.training = was
    given = given[0] if isinstance(given, tuple) else given
    if not isinstance(given, torch.Tensor):
        return _does_nothing(module)
    last = output[:, -1] if lstm.batch_first else output[-1]
    near = 1e-6 if torch.finfo(output.dtype).bits >= 32 else 1e-2
    return any(
        given.numel() == one.numel()
        and torch.allclose(given.reshape(one.shape), one, rtol=near, atol=near, equal_nan=True)
        for one in (output, last)
    )


def _does_nothing(module: nn.Module) -> bool:
    """Whether it is known to do nothing beside its parts: it only holds them, or it is ours."""
    holds = isinstance(module, (nn.Sequential, nn.ModuleList, nn.ModuleDict))
    silent = type(module).forward is nn.Module.forward
    return holds or silent or type(module).__module__.partition(".")[0] == "unrolled"


def _acting(module: nn.Module) -> list[str]:
    """The parts without parts of their own that may change a number and are not exported."""
    if isinstance(module, (LSTM, nn.Linear, nn.Identity, nn.Dropout)):
        return []
    parts = list(module.children())
    if parts or isinstance(module, (nn.Sequential, nn.ModuleList, nn.ModuleDict)):
        return [name for part in parts for name in _acting(part)]
    return [type(module).__name__]


def _width(lstm: LSTM) -> int:
    """How many numbers the LSTM gives at each step."""
    return (lstm.proj_size or lstm.hidden_size) * (2 if lstm.bidirectional else 1)
