"""Being killed in the middle of writing, at every moment in its turn."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest


class Killed(BaseException):
    """As sudden as a kill, but in this process."""


def moments(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Be killed at the first, second, … call that touches the disk, until one run survives."""
    count = 0
    left = 0

    def wrap(function: Any) -> Any:
        def call(*args: Any, **more: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                raise Killed
            return function(*args, **more)

        return call

    for name in ("fsync", "replace"):
        monkeypatch.setattr(os, name, wrap(getattr(os, name)))
    while left <= 0:
        count += 1
        left = count
        yield count
