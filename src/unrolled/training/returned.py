"""What a recipe's methods take and return is looked at where they are: the mistake lies there."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn

from unrolled.errors import InvalidTypeError
from unrolled.errors.mistakes import Place, one_line

__all__ = ["checked"]


class _Returned(NamedTuple):
    words: str
    holds: Callable[[Any], bool]


def _is_batch(value: Any) -> bool:
    return isinstance(value, tuple | list) and all(isinstance(t, Tensor) for t in value)


def _is_loss(value: Any) -> bool:
    pair = isinstance(value, tuple) and len(value) == 2
    return pair and isinstance(value[0], Tensor) and value[0].numel() == 1


def _is_figures(value: Any) -> bool:
    if not isinstance(value, Mapping):
        return False
    try:
        return all(isinstance(name, str) and float(v) is not None for name, v in value.items())
    except (TypeError, ValueError, RuntimeError):
        return False


_WORD = _Returned("a text", lambda value: isinstance(value, str))
_METHODS = {
    "model": _Returned("an nn.Module", lambda value: isinstance(value, nn.Module)),
    "batch": _Returned("a tuple of tensors", _is_batch),
    "batches": _Returned("a tuple of tensors", _is_batch),
    "loss": _Returned("a tensor of one number, and the state, in a tuple", _is_loss),
    "metrics": _Returned("a dictionary of numbers by their names", _is_figures),
    "result": _Returned("a dictionary", lambda value: isinstance(value, Mapping)),
    "report": _WORD,
    "summary": _WORD,
    "attempt": _WORD,
    "digest": _WORD,
    "draw": _Returned(
        "a list of paths",
        lambda value: isinstance(value, tuple | list) and all(isinstance(p, Path) for p in value),
    ),
}


def checked(recipe: type) -> None:
    """Let each method that a recipe's class defines be held to what it has to return."""
    for name, returned in _METHODS.items():
        method = vars(recipe).get(name)
        if inspect.isfunction(method):
            setattr(recipe, name, _held(method, returned))


def _held(method: Callable[..., Any], returned: _Returned) -> Callable[..., Any]:
    code = inspect.unwrap(method).__code__
    place = Place(code.co_filename, code.co_firstlineno)

    @functools.wraps(method)
    def held(*given: Any, **named: Any) -> Any:
        try:
            value = method(*given, **named)
        except TypeError as error:
            if error.__traceback__ is None or error.__traceback__.tb_next is not None:
                raise  # it is from within the method
            raise InvalidTypeError(
                f"{place}: {error}: expected what unrolled.training.Recipe.{method.__name__} takes."
            ) from error
        if not returned.holds(value):
            raise InvalidTypeError(
                f"{place}: {method.__name__} returned {_told(value)}: expected {returned.words}."
            )
        return value

    return held


def _told(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of the shape {list(value.shape)}"
    return one_line(repr(value), 60)
