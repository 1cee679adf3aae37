"""Opacus, where it is installed: one gradient for each sample of `unrolled.LSTM`.

Opacus hands a grad sampler what a layer read first and the gradient of what it gave first, and
nothing else.  A state to start from, lengths, a loss on the final state: all that would be left out
in silence.  So a model is prepared: what cannot be told is refused in the call that does it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import torch
from opacus.grad_sample import register_grad_sampler
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from unrolled.errors import InvalidStateError, InvalidValueError
from unrolled.layer.lstm import LSTM
from unrolled.layer.per_sample import check_quiet, per_sample_gradients

__all__ = ["prepare"]

Model = TypeVar("Model", bound=nn.Module)

_PREPARED = "_prepared_for_opacus"


def prepare(model: Model) -> Model:
    """Make a model's LSTMs ready for `opacus.PrivacyEngine.make_private`.

    Parameters
    ----------
    model : nn.Module
        With `unrolled.LSTM` inside, not of a subclass: Opacus goes by the class itself.

    Returns
    -------
    nn.Module
        The model itself.

    Raises
    ------
    ValueError
        If there is no `unrolled.LSTM` in it.
    RuntimeError
        If one draws masks: dropout between layers, zoneout and their like.

    Examples
    --------
    >>> from unrolled.estimators.opacus import prepare
    >>> model = prepare(nn.ModuleList([LSTM(3, 8, batch_first=True), nn.Linear(8, 1)]))
    """
    layers = [module for module in model.modules() if isinstance(module, LSTM)]
    if not layers:
        raise InvalidValueError("the model holds no unrolled.LSTM: there is nothing to prepare.")
    for layer in layers:
        _prepare(layer)
    return model


def _prepare(layer: LSTM) -> None:
    check_quiet(layer)
    if type(layer) is not LSTM:
        raise InvalidValueError(
            f"{type(layer).__name__} is a subclass of unrolled.LSTM, which Opacus would not take "
            "for one: expected unrolled.LSTM itself."
        )
    if not getattr(layer, _PREPARED, False):
        layer.register_forward_pre_hook(_look_at_call, with_kwargs=True)
        layer.register_forward_hook(_look_at_state)
        setattr(layer, _PREPARED, True)


def _private(layer: nn.Module) -> bool:
    """Whether Opacus takes notes of this call."""
    return layer.training and torch.is_grad_enabled()


def _look_at_call(layer: nn.Module, given: Sequence[Any], named: Mapping[str, Any]) -> None:
    if not _private(layer):
        return
    assert isinstance(layer, LSTM)
    check_quiet(layer)
    besides = [name for name, value in named.items() if value is not None and name != "reset_to"]
    besides += ["hx"] if len(given) > 1 and given[1] is not None else []
    packed = bool(given) and isinstance(given[0], PackedSequence)
    if packed or besides or not given:
        what = "a PackedSequence" if packed else ", ".join(f"{name}=" for name in besides)
        raise InvalidStateError(
            f"an LSTM that is trained with Opacus got {what or 'no input'}, which Opacus does not "
            "tell of: expected the input alone, a padded tensor, by its place."
        )


def _look_at_state(layer: nn.Module, given: Sequence[Any], out: Any) -> None:
    if _private(layer):
        for state in out[1]:
            if state.requires_grad:
                state.register_hook(_refuse)


def _refuse(gradient: Tensor | None) -> None:
    if gradient is not None:
        raise InvalidStateError(
            "the loss reads the final state of an LSTM that is trained with Opacus, which sees the "
            "gradient of the output alone: use the output's last step."
        )


@register_grad_sampler(LSTM)  # type: ignore[untyped-decorator]
def _sampler(
    layer: LSTM, activations: list[Tensor], backprops: Tensor
) -> dict[nn.Parameter, Tensor]:
    if not getattr(layer, _PREPARED, False):
        raise InvalidStateError(
            "this unrolled.LSTM is not prepared for Opacus: call "
            "unrolled.estimators.opacus.prepare(model) before make_private."
        )
    return per_sample_gradients(layer, activations[0], backprops)
