"""What the explorer's tests need beside Python: skipped without it, but required in .ci/run."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

import pytest

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser") if (path := shutil.which(name))), ""
)
REQUIRED = os.environ.get("UNROLLED_REQUIRE_BROWSER") == "1"
ROOT = Path(__file__).parent.parent

_MISSING = {
    "node": not shutil.which("node"),
    "tsc": not (ROOT / "node_modules" / "typescript").is_dir(),
    "chromium": not CHROMIUM or importlib.util.find_spec("playwright") is None,
}
_HOW = {
    "node": "node is not installed",
    "tsc": "typescript is not installed: npm ci brings it",
    "chromium": "Chromium or playwright is not installed: on Debian, apt-get install chromium",
}


def needs(what: str) -> pytest.MarkDecorator:
    """Skip with a reason where it is missing; where it is required, let the test fail."""
    return pytest.mark.skipif(_MISSING[what] and not REQUIRED, reason=_HOW[what])
