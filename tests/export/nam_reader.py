"""Runs in a process of its own: Neural Amp Modeler opens files and plays samples.

What it imports to train, to draw and to read sound files is stood in for by nothing: reading a
``.nam`` file and playing it needs torch and pydantic alone.
"""

from __future__ import annotations

import json
import sys
from types import ModuleType
from typing import Any

for _name in ("librosa", "wavio", "tqdm", "nam.train"):
    sys.modules[_name] = ModuleType(_name)
sys.modules["tqdm"].tqdm = None  # type: ignore[attr-defined]


def played(path: str, samples: list[float]) -> dict[str, Any]:
    """What Neural Amp Modeler makes of a file, and of samples with it."""
    import torch
    from nam.models import init_from_nam

    with open(path, encoding="utf-8") as file:
        model = init_from_nam(json.load(file)).eval()
    with torch.no_grad():
        return {
            "samples": model(torch.tensor(samples)).tolist(),
            "sample_rate": model.sample_rate,
            "weights": model._export_weights().tolist(),
        }


if __name__ == "__main__":
    given = json.load(sys.stdin)
    json.dump([played(path, given) for path in sys.argv[1:]], sys.stdout)
