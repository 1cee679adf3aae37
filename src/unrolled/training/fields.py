"""What stands beside a recipe's fields, as ``Annotated[int, …]``; and fields that came later."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from typing import Any

from unrolled.errors.expected import Before

__all__ = ["Before", "beside", "completed"]


def beside(cls: type) -> Iterator[tuple[str, Any]]:
    """Each field's metadata, by its class and by those that it comes from, theirs first."""
    for owner in reversed(cls.__mro__):
        for name, hint in typing.get_type_hints(owner, include_extras=True).items():
            if name in vars(owner).get("__annotations__", ()):
                yield from ((name, given) for given in typing.get_args(hint))


def completed(cls: type, fields: Mapping[str, Any]) -> dict[str, Any]:
    """A run's fields as they were stored, and what holds for those that came after it."""
    later = {name: given.value for name, given in beside(cls) if isinstance(given, Before)}
    stored = {name: list(v) if isinstance(v, tuple) else v for name, v in later.items()}
    return stored | dict(fields)
