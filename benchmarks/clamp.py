"""How fast the explorer's page answers a clamp: 64 units, 200 steps, headless Chromium.

    .venv/bin/python benchmarks/clamp.py

From the press of a button to the end of drawing, the browser's own clock; reported, not asserted.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

import torch
from torch import nn

import unrolled

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from explorer_browser import Opened, chromium

UNITS, STEPS = 64, 200
BUSY = """() => {
  const begun = performance.now();
  for (let n = 0; n < 20; n++) {
    unrolled.store.change([{ ...unrolled.store.state.changes[0], value: n / 40 }]);
    for (const listener of unrolled.store.listeners) listener();
  }
  return (performance.now() - begun) / 20;
}"""


def main() -> None:
    """Press and drag, and tell the times."""
    x = torch.randn(STEPS, 8, generator=torch.Generator().manual_seed(0))
    model = nn.ModuleList([unrolled.LSTM(8, UNITS), nn.Linear(UNITS, 10)])
    page = unrolled.explore(model, x)
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        path = page.save(Path(folder) / "page.html")
        opened = Opened(browser, path, page.networks)
        for tab in ("watch", "reach", "gradient", "compare"):
            opened.tab(tab)
            times = []
            for n in range(30):
                change = {"kind": "clamp", "layer": 0, "gate": "f", "unit": None}
                change |= {"from": None, "to": None, "value": n / 30}
                opened.page.evaluate("performance.clearMeasures()")
                opened.page.evaluate("(c) => unrolled.store.change([c])", change)
                opened.settle()
                entries = "performance.getEntriesByName('answer').map((e) => e.duration)"
                times += opened.page.evaluate(entries)
            busy = opened.page.evaluate(BUSY)
            middle, worst = statistics.median(times), max(times)
            print(
                f"{tab:<9} median {middle:5.1f} ms, worst of {len(times)} {worst:5.1f} ms "
                f"to the end of drawing; of it computing and drawing {busy:5.1f} ms"
            )
        opened.close()


if __name__ == "__main__":
    main()
