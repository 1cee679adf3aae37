"""Other people's libraries that tests are held to: skipped without one, but required in .ci/run."""

from __future__ import annotations

import importlib.util
import os

import pytest

REQUIRED = os.environ.get("UNROLLED_REQUIRE_ECOSYSTEM") == "1"


def needs_library(name: str) -> pytest.MarkDecorator:
    """Skip with a reason where it is missing; where it is required, let the test fail."""
    missing = importlib.util.find_spec(name) is None
    return pytest.mark.skipif(
        missing and not REQUIRED, reason=f"{name} is not installed: make ecosystem brings it"
    )
