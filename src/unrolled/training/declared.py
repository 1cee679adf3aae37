"""What a file of a run has to say, as data: a tree of what each value is expected to be.

`held` walks it once beside what was read.  Nothing is taken that is not declared, and nothing that
is declared may be missing, so that whoever uses a value need not ask again.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from unrolled.errors import InvalidValueError
from unrolled.errors.expected import Expected

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "ANYTHING",
    "CARRIED",
    "DICTIONARY",
    "FIGURE",
    "NAMES",
    "SECONDS",
    "WORDS",
    "Declared",
    "Some",
    "held",
    "same",
    "tensor_like",
    "tensor_of_shape",
]

Declared: TypeAlias = "Expected | Mapping[Any, Declared] | Sequence[Declared]"


MOST_SECONDS = 1e12


class Some(dict[Any, Any]):
    """A dictionary of which any keys may be missing."""


def held(found: Any, declared: Declared, name: str = "") -> None:
    """Refuse what is not as declared.

    Raises
    ------
    InvalidValueError
        In one sentence that names the value by the way to it: ``'optimizer.param_groups.0.lr'``.
    """
    if isinstance(declared, Expected):
        _held_value(found, declared, name)
    elif isinstance(declared, Mapping):
        _held_dictionary(found, declared, name)
    else:
        _held_list(found, declared, name)


def _held_value(found: Any, expected: Expected, name: str) -> None:
    refusal = expected.refusal(lambda one: f"{name!r} = {_shown(one)}", found)
    if refusal is not None:
        raise InvalidValueError(refusal)


def _held_dictionary(found: Any, declared: Mapping[Any, Declared], name: str) -> None:
    _held_value(found, DICTIONARY, name)
    missing = [] if isinstance(declared, Some) else [k for k in declared if k not in found]
    if missing:
        raise InvalidValueError(f"{_joined(name, missing[0])!r} is missing{_more(missing)}.")
    unknown = [key for key in found if key not in declared]
    if unknown:
        raise InvalidValueError(f"{_joined(name, unknown[0])!r} is unknown{_more(unknown)}.")
    for key, value in found.items():
        held(value, declared[key], _joined(name, key))


def _held_list(found: Any, declared: Sequence[Declared], name: str) -> None:
    many = len(declared)
    count = Expected(f"a list of {many}", lambda value: _is_list(value) and len(value) == many)
    _held_value(found, count, name)
    for number, (value, one) in enumerate(zip(found, declared, strict=True)):
        held(value, one, _joined(name, number))


def _joined(name: str, key: Any) -> str:
    key = key if isinstance(key, str) else _shown(key)
    return f"{name}.{key[:60]}" if name else key[:60]


def _more(names: Sequence[Any]) -> str:
    return f", and {len(names) - 1} more" if len(names) > 1 else ""


def _shown(value: Any) -> str:
    """A value in a few words, however large it is."""
    if _is_tensor(value):
        return _tensor(value.dtype, value.shape)
    if type(value) is dict or (_is_list(value) and len(repr(value)) > 60):
        return f"a {type(value).__name__} of {len(value)}"
    return reprlib.repr(value)


def _tensor(dtype: Any, shape: Iterable[int]) -> str:
    return f"a {str(dtype).removeprefix('torch.')} tensor of shape {list(shape)}"


# --- what a value may be ---


def tensor_like(model: Tensor) -> Expected:
    """A tensor of that one's dtype and shape."""
    wanted = (model.dtype, model.shape)
    return Expected(_tensor(*wanted), lambda v: _is_tensor(v) and (v.dtype, v.shape) == wanted)


def tensor_of_shape(model: Tensor) -> Expected:
    """A tensor of that one's shape, whose numbers may have more or fewer bits."""

    def fits(value: Any) -> bool:
        kinds = [(t.is_floating_point(), t.is_complex()) for t in (value, model)]
        return value.shape == model.shape and (
            value.dtype == model.dtype or (kinds[0] == kinds[1] and any(kinds[0]))
        )

    return Expected(
        _tensor(model.dtype, model.shape), lambda value: _is_tensor(value) and fits(value)
    )


def same(wanted: Any) -> Expected:
    """That value, and no other."""
    return Expected(_shown(wanted), lambda value: _equal(value, wanted))


def _equal(value: Any, wanted: Any) -> bool:
    if _is_list(value) and _is_list(wanted):
        return len(value) == len(wanted) and all(map(_equal, value, wanted))
    if _is_tensor(value) or _is_tensor(wanted):
        both = _is_tensor(value) and _is_tensor(wanted)
        return both and value.dtype == wanted.dtype and value.equal(wanted)
    return isinstance(value, bool) == isinstance(wanted, bool) and bool(value == wanted)


def _is_tensor(value: Any) -> bool:
    from torch import Tensor

    return isinstance(value, Tensor)


def _is_list(value: Any) -> bool:
    return type(value) in (list, tuple)


def _is_time(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= MOST_SECONDS


def _are_names(value: Any) -> bool:
    return type(value) is list and all(isinstance(name, str) for name in value)


ANYTHING = Expected("anything", lambda value: True)
CARRIED = Expected(
    "none, a tensor, or several things in a list or a dictionary",
    lambda value: value is None or _is_tensor(value) or isinstance(value, list | tuple | dict),
)
"""The state that a recipe carries from batch to batch, which is its own affair but no number."""
DICTIONARY = Expected("a dictionary", lambda value: type(value) is dict)
FIGURE = Expected("a number or null", lambda value: isinstance(value, int | float | None))
NAMES = Expected("a list of names", _are_names)
SECONDS = Expected("a number of seconds, 0 or more", _is_time)
WORDS = Expected("words", lambda value: isinstance(value, str))
