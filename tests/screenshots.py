"""Take the explorer's pictures for the docs: each activity, light and dark, wide and narrow.

    make screenshots            into docs/explorer/, from runs trained for it: some minutes
    make screenshots RUNS=DIR   the runs are kept in DIR, and taken from there the next time

Look at every one of them: that no text overlaps and nothing is cut off is for eyes to say.
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

from PIL import Image

from explorer_browser import Chromium, Opened, chromium
from unrolled import cli
from unrolled.cli.explore import explorables

ROOT = Path(__file__).parent.parent
OUT = ROOT / "docs" / "explorer"
SUNSPOTS = str(ROOT / "examples" / "sunspots.csv")
RUNS = {
    "adder": ["adder"],
    "memory": ["memory", "--networks", "vanilla", "carousel", "002", "--length", "20"],
    "series": ["series", "--data", SUNSPOTS, "--column", "sunspots", "--time", "year"],
    "text": ["text", "--hidden", "96", "--layers", "1", "--learning-on", "0", "--steps", "2000"],
}
SUM = {"input": {"a": "1023", "b": "5"}, "step": 5, "unit": 0}
BROKEN = [
    {"kind": "clamp", "layer": 0, "gate": "i", "unit": None, "from": 5, "to": None, "value": 0}
]

# The name of a picture: the run, what is looked at, and what is done before it is taken.
PICTURES: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "1-watch": ("text", {"tab": "watch", "step": 14, "unit": 8}, []),
    "1-watch-series": ("series", {"tab": "watch", "step": 9, "unit": 3}, []),
    "2-cell": ("adder", {**SUM, "tab": "cell"}, ["#tab-find", "#tab-cell", "summary"]),
    "3-reach": ("adder", {**SUM, "tab": "reach", "changes": BROKEN}, []),
    "4-gradient": ("adder", {**SUM, "tab": "gradient"}, ["#tab-find", "#tab-gradient"]),
    "5-find": ("adder", {**SUM, "tab": "find"}, ["#tab-find", ".kill >> nth=0", ".kill >> nth=1"]),
    "5-find-text": ("text", {"tab": "find", "step": 20}, ["#tab-find"]),
    "6-compare": ("memory", {"tab": "compare", "step": 8, "unit": 2, "other": 2}, []),
    "tour": ("adder", {}, ["text=Show me round", ".tour .primary", ".tour .primary"]),
}


def trained(root: Path) -> None:
    """Train the runs that are not there, and write their pages."""
    for name, words in RUNS.items():
        ahead = ["--horizon", "11"] if name == "series" else []
        if not (root / name / "result.json").exists():
            assert cli.main(["train", *words, *ahead, "--out", str(root / name)]) == 0
        assert cli.main(["explore", str(root / name)]) == 0


def take(browser: Chromium, root: Path, name: str, width: int, theme: str) -> Path:
    """One picture, in few colours."""
    run, state, clicks = PICTURES[name]
    networks = [one for one, _, _ in explorables(root / run, run)]
    page = Opened(
        browser,
        root / run / "explorer.html",
        networks,
        fragment="#" + quote(json.dumps(state)) if state else "",
        width=width,
        color_scheme=theme,
    )
    for click in clicks:
        page.page.locator(click).first.click()
        page.settle()
    page.page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    page.page.wait_for_timeout(250)
    whole = name != "tour"
    picture = Image.open(io.BytesIO(page.page.screenshot(full_page=whole)))
    path = OUT / f"{name}-{width}-{theme}.png"
    few = picture.convert("RGB").quantize(128, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    few.save(path, optimize=True)
    page.close()
    return path


def main() -> None:
    """Take all of them, or those whose names begin with one of the words."""
    kept = Path(sys.argv[1]) if len(sys.argv) > 1 and sys.argv[1] else None
    wanted = tuple(sys.argv[2:]) or ("",)
    OUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as own, chromium() as browser:
        root = kept or Path(own)
        trained(root)
        for name in PICTURES:
            for width in (1440, 390):
                for theme in ("light", "dark"):
                    if name.startswith(wanted):
                        path = take(browser, root, name, width, theme)
                        print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
