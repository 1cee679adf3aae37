"""Chromium, driven: a page that is opened from disk, and whose every request and error is kept."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from explorer_cases import Change, gradients, plain, walk
from explorer_needs import CHROMIUM
from unrolled.explorer import Explorable

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
Visited = TypeVar("Visited")
SEEN = "localStorage.setItem('unrolled: the tour was seen', 'yes')"


LOG = logging.getLogger("explorer_browser")
AGAIN = "Chromium was started again"


class Chromium:
    """A browser without a window; one that has died is started again, and what it lost repeated.

    Parameters
    ----------
    launch
        Starts a browser.
    """

    def __init__(self, launch: Callable[[], Any]) -> None:
        self._launch = launch
        self._running = launch()

    def visit(self, begin: Callable[[Any], Visited]) -> Visited:
        """What ``begin`` makes of the browser; where it fails, once more, of a new browser."""
        from playwright.sync_api import Error

        try:
            return begin(self._running)
        except Error as error:
            LOG.warning("%s: %s", AGAIN, str(error).partition("\n")[0])
        self.close()
        self._running = self._launch()
        return begin(self._running)

    def new_context(self, **settings: Any) -> Any:
        """A visitor of whom nothing is known."""
        return self.visit(lambda running: running.new_context(**settings))

    def process(self) -> int:
        """The number under which the system knows it."""
        told = self._running.new_browser_cdp_session().send("SystemInfo.getProcessInfo")
        (number,) = (one["id"] for one in told["processInfo"] if one["type"] == "browser")
        return int(number)

    def close(self) -> None:
        """End it, if it is still there."""
        if self._running.is_connected():
            self._running.close()


@contextmanager
def chromium() -> Iterator[Chromium]:
    """The browser, as long as it is wanted."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launch = playwright.chromium.launch
        browser = Chromium(lambda: launch(executable_path=CHROMIUM, args=ARGUMENTS))
        yield browser
        browser.close()


class Opened:
    """A page that was opened from disk, and what it should compute.

    Parameters
    ----------
    browser : Chromium
    path : Path
        Of the page.
    networks : list of Explorable
        What the page holds, as Python has it.
    """

    def __init__(
        self,
        browser: Chromium,
        path: Path,
        networks: list[Explorable],
        *,
        first_visit: bool = False,
        fragment: str = "",
        width: int = 1440,
        **settings: Any,
    ) -> None:
        self.networks = networks
        size = {"width": width, "height": 900}
        address = path.as_uri() + fragment

        def begin(running: Any) -> None:
            self.context = running.new_context(viewport=size, **settings)
            self._begin(address, first_visit)

        browser.visit(begin)

    def _begin(self, address: str, first_visit: bool) -> None:
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self.page = self.context.new_page()
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda said: self.complaints.append(f"{said.type}: {said.text}"))
        if not first_visit:
            self.page.add_init_script(SEEN)
        self.page.goto(address)
        self.page.wait_for_selector("#panel h2:not(:empty)")

    def close(self) -> None:
        """Leave, after nothing was fetched and nothing went wrong."""
        self.context.close()
        beyond = [url for url in self.asked if not url.startswith(("file:", "data:"))]
        assert not beyond
        assert len(self.asked) == 1, self.asked
        assert not self.complaints

    def tab(self, name: str) -> None:
        """Go to an activity."""
        self.page.click(f"#tab-{name}")
        self.settle()

    def settle(self) -> None:
        """Wait until what was asked has been drawn."""
        self.page.evaluate(
            "() => new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)))"
        )

    def state(self, key: str) -> Any:
        """What the page looks at."""
        return self.page.evaluate(f"unrolled.store.state.{key}")

    def text(self, selector: str) -> str:
        """The first such element's text."""
        return str(self.page.inner_text(selector))

    # --- held against Python ---

    def expected(self, number: int = 0, text: str = "") -> dict[str, Any]:
        """What torch makes of the same input under the same hands, in float64."""
        net = self.networks[number]
        for layer in (*net.layers, *([net.head] if net.head else [])):
            layer.double()
        changes: list[Change] = self.state("changes")
        return walk(net, net.inputs.read(text).x.double(), changes)

    def check_values(self, number: int = 0, text: str = "") -> dict[str, Any]:
        """Every gate, state and output of the page is Python's to 1e-5."""
        self.settle()
        found = self.expected(number, text)
        theirs, ours = plain(found), self.page.evaluate(f"unrolled.trace({number})")
        for key in ("x", "logits", "values"):
            _close(ours[key], theirs[key], 1e-5, key)
        for n, (a, b) in enumerate(zip(ours["layers"], theirs["layers"], strict=True)):
            for gate in "ifgoch":
                _close(a[gate], b[gate], 1e-5, f"{gate} of layer {n}")
        return found

    def check_gradient(self, number: int = 0, text: str = "") -> dict[str, Any]:
        """The gradient that the page shows is autograd's to 1e-4."""
        self.settle()
        target = self.page.evaluate("unrolled.store.target()")
        found = self.expected(number, text)
        theirs = gradients(self.networks[number], found, target["step"], target["output"])
        ours = self.page.evaluate(
            f"unrolled.store.gradient({number})"
            ".map((g) => ({x: [...g.x], h: [...g.h], c: [...g.c]}))"
        )
        _close(ours[0]["x"], np.ravel(theirs["x"]), 1e-4, "∂/∂x")
        for n, layer in enumerate(theirs["layers"]):
            _close(ours[n]["h"], np.ravel(layer["h"]), 1e-4, f"∂/∂h of layer {n}")
            _close(ours[n]["c"], np.ravel(layer["c"]), 1e-4, f"∂/∂c of layer {n}")
        return theirs


def _close(ours: Any, theirs: Any, bound: float, what: str) -> None:
    a, b = np.asarray(ours, dtype=float), np.asarray(theirs, dtype=float)
    assert a.shape == b.shape, what
    assert np.abs(a - b).max() <= bound, what


def number(text: str) -> float:
    """A number as the page writes it."""
    return float(text.strip().lstrip("=").strip().replace("\N{MINUS SIGN}", "-"))


# --- runs to open --------------------------------------------------------------------------

Visit = Callable[..., Opened]

STORY = 'He said "no (not yet)" and left.\nShe said "so be it" (and more).\n'
SHORT = ["--training-windows", "500", "--test-windows", "50"]
RUNS = {
    "adder": ["adder", "--steps", "400"],
    "text": ["text", "--hidden", "12", "--layers", "2", "--steps", "30", "--learning-on", "0"],
    "series": ["series", "--steps", "60", "--hidden", "8", "--horizon", "3", *SHORT],
    "memory": ["memory", "--networks", "vanilla", "carousel", "002", "--steps", "150"],
}


def typed(page: Opened, name: str) -> str:
    """1. Type and watch: another input; gives it as `unrolled explore --input` would take it."""
    text = {
        "adder": "57 75",
        "text": 'so "be (it)',
        "series": "0.1 0.9 0.8 0.2 -0.5 0.3 0.4 0.35 0.2 0.1",
        "memory": "0.5 -0.25 1 0 0.75",
    }[name]
    if name == "adder":
        a, b = page.page.locator(".editor input").all()
        a.fill("57")
        b.fill("75")
    else:
        page.page.fill(".editor textarea, .editor input.list", text)
    return text
