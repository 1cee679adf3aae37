"""Other people's libraries: tests with one that is missing are skipped, but required in .ci/run."""

from __future__ import annotations

import importlib
import importlib.util
import os
from types import ModuleType

import pytest

REQUIRED = os.environ.get("UNROLLED_REQUIRE_ECOSYSTEM") == "1"


def needs(*libraries: str) -> pytest.MarkDecorator:
    """Skip with a reason where one is missing; where they are required, let the test fail."""
    missing = [name for name in libraries if importlib.util.find_spec(name) is None]
    reason = f"{', '.join(missing)} is not installed: make ecosystem brings it"
    return pytest.mark.skipif(bool(missing) and not REQUIRED, reason=reason)


def needed(name: str) -> ModuleType:
    """The module of that name; where it is not installed, skip, or fail where it is required."""
    if REQUIRED:
        return importlib.import_module(name)
    found: ModuleType = pytest.importorskip(name, reason=f"make ecosystem brings {name}")
    return found
