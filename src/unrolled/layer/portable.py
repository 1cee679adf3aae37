"""An LSTM whose recorded graph holds torch's own operations: for what runs without us."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import Any, Self

from torch import nn

from unrolled.engines import Forward
from unrolled.errors import InvalidValueError
from unrolled.layer.lstm import LSTM
from unrolled.layer.recurrence import recurrence

__all__ = ["PortableLSTM", "for_export"]


_HOOKS = (
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
)


class PortableLSTM(LSTM):
    """An `LSTM` that ``torch.export`` writes out: any number of steps and rows, no op of ours.

    It is called as the layer that it was made from, with ``lengths``, ``resets`` and ``mask``, and
    gives the same.
    """

    _run_layer: Callable[..., Forward] = staticmethod(partial(recurrence, portable=True))

    @classmethod
    def of(cls, lstm: LSTM) -> Self:
        """A copy of a layer, with weights of its own."""
        if "_run_layer" in vars(lstm):
            raise InvalidValueError(
                "this LSTM runs under an intervention, which is no part of its weights: export it "
                "outside of the `with`."
            )
        if type(lstm).forward is not LSTM.forward:
            raise InvalidValueError(
                f"{type(lstm).__name__} has a forward of its own, which would be left out: "
                "expected an unrolled.LSTM, with the rest in a module around it."
            )
        noise = lstm.noise
        copy = cls(
            lstm.input_size,
            lstm.hidden_size,
            lstm.num_layers,
            lstm.bias,
            lstm.batch_first,
            lstm.dropout if lstm.num_layers > 1 else 0.0,
            lstm.bidirectional,
            lstm.proj_size,
            device="meta",
            cell=lstm.cell,
            zoneout=(noise.zoneout_h, noise.zoneout_c),
            recurrent_dropout=noise.recurrent,
            update_dropout=noise.update,
        )
        for name in copy._names:
            weight = getattr(lstm, name)
            own = nn.Parameter(weight.detach().clone(), requires_grad=weight.requires_grad)
            copy.register_parameter(name, own)
        for name in _HOOKS:  # a hook is part of what a module gives
            getattr(copy, name).update(getattr(lstm, name))
        return copy.train(lstm.training)

    def _plain_layers(self) -> list[str]:
        return []


def for_export(module: nn.Module) -> Any:
    """A copy of a module in which each LSTM of ours is written out in torch's own operations.

    What ``torch.export`` records of it is saved and loaded where `unrolled` is not installed, for
    any number of steps and rows; each step is inside one operation, torch's scan.  Called in
    Python, it gives what the module gives.

    Parameters
    ----------
    module : nn.Module
        An `unrolled.LSTM`, or anything that has some in it.  It stays as it is.

    Raises
    ------
    ValueError
        If an LSTM runs under an intervention.

    Examples
    --------
    >>> from unrolled import LSTM
    >>> lstm = for_export(LSTM(3, 8, cell="coupled").eval())
    >>> steps = torch.export.Dim("steps")
    >>> shapes = {"input": {0: steps}}
    >>> program = torch.export.export(lstm, (torch.randn(5, 2, 3),), dynamic_shapes=shapes)
    >>> program.module()(torch.randn(9, 2, 3))[0].shape
    torch.Size([9, 2, 8])
    """
    return replaced(module, PortableLSTM.of)


def replaced(module: nn.Module, by: Callable[[LSTM], nn.Module]) -> nn.Module:
    """A copy of a module with something else in place of each LSTM."""
    if isinstance(module, LSTM):
        return by(module)
    copy = deepcopy(module)
    for name, child in list(copy.named_modules(remove_duplicate=False)):
        if isinstance(child, LSTM):
            above, _, own = name.rpartition(".")
            setattr(copy.get_submodule(above), own, by(child))
    return copy
