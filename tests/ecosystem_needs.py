"""Other people's libraries that run what we write: skipped without, required in .ci/run."""

from __future__ import annotations

import importlib
import os
from types import ModuleType

import pytest

REQUIRED = os.environ.get("UNROLLED_REQUIRE_ECOSYSTEM") == "1"


def needed(name: str) -> ModuleType:
    """The module of that name; where it is not installed, skip, or fail where it is required."""
    if REQUIRED:
        return importlib.import_module(name)
    found: ModuleType = pytest.importorskip(name, reason=f"make ecosystem brings {name}")
    return found
