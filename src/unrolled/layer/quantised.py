"""What ``quantize_dynamic`` made of an LSTM, as weights in floating point again."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.ao.nn.quantized import dynamic

from unrolled.errors import InvalidValueError

__all__ = ["is_quantised", "unpacked", "unpacked_state"]

_LAYER = re.compile(r"(.*?)_all_weight_values\.(\d+)\.param", re.DOTALL)
_CELL = re.compile(r"(.*?)_packed_weight_(ih|hh)", re.DOTALL)


def is_quantised(module: nn.Module) -> bool:
    """Whether it is a layer or a cell that ``quantize_dynamic`` made."""
    return isinstance(module, (dynamic.LSTM, dynamic.LSTMCell))


def unpacked(module: Any) -> dict[str, Tensor]:
    """The weights of such a module by torch's names; a warning says that they were rounded."""
    _say()
    return _floating({**module.get_weight(), **module.get_bias()})


def unpacked_state(state: Mapping[str, Any], bidirectional: bool | None) -> Mapping[str, Any]:
    """A state dict with tensors in place of what ``quantize_dynamic`` packed, if it packed any.

    Parameters
    ----------
    state
    bidirectional
        Whether there are two directions, where it is known: packed weights have no names.

    Raises
    ------
    InvalidValueError
        If it has to be known and is not.
    """
    found: dict[str, Any] = {}
    layers: dict[str, list[tuple[Any, ...]]] = {}
    for name, value in state.items():
        if (layer := _LAYER.fullmatch(str(name))) is not None:
            layers.setdefault(layer[1], []).append(_of_layer(value))
        elif (cell := _CELL.fullmatch(str(name))) is not None:
            weight, bias = value.__getstate__()[0]
            found |= {f"{cell[1]}weight_{cell[2]}": weight, f"{cell[1]}bias_{cell[2]}": bias}
        else:
            found[name] = value
    for prefix, parts in layers.items():
        found |= {f"{prefix}{name}": t for name, t in _by_name(parts, bidirectional).items()}
    if found.keys() == state.keys():
        return state
    _say()
    return _floating(found)


def _say() -> None:
    warnings.warn(
        "the weights were quantised: they are taken as they were rounded, in floating point.",
        UserWarning,
        stacklevel=5,
    )


def _floating(weights: Mapping[str, Any]) -> dict[str, Any]:
    def floating(weight: Any) -> Any:
        return weight.dequantize() if getattr(weight, "is_quantized", False) else weight

    return {name: floating(weight) for name, weight in weights.items() if weight is not None}


def _of_layer(packed: Any) -> tuple[Any, ...]:
    """W_ih, W_hh, b_ih and b_hh of one layer and direction, as torch's own module reads them."""
    (w_ih, b_ih), (w_hh, b_hh) = (
        half.__getstate__()[0] for half in packed.__getstate__()[0][4][:2]
    )
    return w_ih, w_hh, b_ih, b_hh


def _by_name(parts: list[tuple[Any, ...]], bidirectional: bool | None) -> dict[str, Any]:
    two = _has_two_directions(parts) if bidirectional is None else bidirectional
    ends = ("", "_reverse") if two else ("",)
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    return {
        f"{name}_l{k // len(ends)}{ends[k % len(ends)]}": weight
        for k, part in enumerate(parts)
        for name, weight in zip(names, part, strict=True)
    }


def _has_two_directions(parts: list[tuple[Any, ...]]) -> bool:
    """Whether the second of the parts reads what the first does, by how much each reads."""
    if len(parts) % 2:
        return False
    first, hidden = parts[0][0].shape[1], parts[0][1].shape[1]
    if len(parts) == 2 and first == hidden:
        raise InvalidValueError(
            "two layers and two directions look alike in these packed weights: say bidirectional="
            "False or True."
        )
    second, third = parts[1][0].shape[1], parts[2][0].shape[1] if len(parts) > 2 else 2 * hidden
    return bool(second == first and third == 2 * hidden)
