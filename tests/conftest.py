"""What every test runs under: one thread, and NaN wherever memory was not written."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings

from explorer_browser import AGAIN, RUNS, STORY, Chromium, Opened, Visit, chromium
from fresh import FreshPython, fresh_pythons
from unrolled import cli
from unrolled.cli.explore import explorables

settings.register_profile("unrolled", deadline=None, print_blob=True, derandomize=True)
settings.load_profile("unrolled")

torch.set_num_threads(1)
# torch.empty() is filled with NaN under deterministic algorithms, so that an output nobody wrote
# cannot pass for a result.
torch.use_deterministic_algorithms(True)
torch.utils.deterministic.fill_uninitialized_memory = True


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="session")
def fresh_python() -> Iterator[FreshPython]:
    with fresh_pythons() as run:
        yield run


# --- the explorer, in a browser ---


class Explored(dict[str, Path]):
    """A small run of each recipe that can be explored, and its page; made when it is wanted.

    ``root`` is the same folder for all processes of a session: what one makes, the others find.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def __missing__(self, name: str) -> Path:
        folder = self.root / name
        with _alone(self.root / f"{name}.lock"):
            if not (folder / "explorer.html").is_file():  # the last file that is written
                self._make(name, folder)
        self[name] = folder
        return folder

    def _make(self, name: str, folder: Path) -> None:
        data: list[str] = []
        if name == "text":
            story = self.root / "story.txt"
            story.write_text(STORY * 60, encoding="utf-8")
            data = ["--data", str(story)]
        assert cli.main(["train", *RUNS[name], *data, "--out", str(folder)]) == 0
        assert cli.main(["explore", str(folder)]) == 0


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Whoever else wants this file waits."""
    import fcntl  # where browsers are driven, it is there

    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Explored:
    own = tmp_path_factory.getbasetemp()
    root = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "explored"
    root.mkdir(exist_ok=True)
    return Explored(root)


@pytest.fixture(scope="session")
def browser() -> Iterator[Chromium]:
    with chromium() as found:
        yield found


@pytest.fixture
def visit(browser: Chromium, folders: dict[str, Path]) -> Iterator[Visit]:
    """Open a run's page; in the end nothing was fetched, and nothing complained."""
    opened: list[Opened] = []

    def visit(name: str, **settings: Any) -> Opened:
        networks = [one for one, _, _ in explorables(folders[name], name)]
        page = Opened(browser, folders[name] / "explorer.html", networks, **settings)
        opened.append(page)
        return page

    yield visit
    for page in opened:
        page.close()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say where a browser had died, also of tests that passed in the end."""
    reports = [report for some in terminalreporter.stats.values() for report in some]
    lines = [(r.nodeid, line) for r in reports for line in getattr(r, "caplog", "").splitlines()]
    for test, line in dict.fromkeys(lines):
        if AGAIN in line:
            terminalreporter.write_line(f"{test}: {line}")
