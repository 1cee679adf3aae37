"""Other people's libraries: tests with one that is missing are skipped, but required in .ci/run."""

from __future__ import annotations

import importlib.util
import os

import pytest

REQUIRED = os.environ.get("UNROLLED_REQUIRE_ECOSYSTEM") == "1"


def needs(*libraries: str) -> pytest.MarkDecorator:
    """Skip with a reason where one is missing; where they are required, let the test fail."""
    missing = [name for name in libraries if importlib.util.find_spec(name) is None]
    reason = f"{', '.join(missing)} is not installed: make ecosystem brings it"
    return pytest.mark.skipif(bool(missing) and not REQUIRED, reason=reason)
