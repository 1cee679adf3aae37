"""What a stranger claims in a run's JSON: changed, and sealed anew as the library would."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from unrolled.files import sealed
from unrolled.training import documents

__all__ = ["claim"]


def claim(path: Path, **changed: Any) -> None:
    """Let a JSON file of a run say something else."""
    value = json.loads(path.read_text(encoding="utf-8"))
    del value[sealed.KEY]
    documents.write_json(path, {**value, **changed}, documents.owner(path.parent).run)
