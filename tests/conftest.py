"""What every test runs under: one thread, and NaN wherever memory was not written."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings

from explorer_browser import RUNS, STORY, Opened, Visit, chromium
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


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small run of each recipe that can be explored, and its page."""
    root = tmp_path_factory.mktemp("explored")
    story = root / "story.txt"
    story.write_text(STORY * 60, encoding="utf-8")
    found = {}
    for name, words in RUNS.items():
        folder = root / name
        data = ["--data", str(story)] if name == "text" else []
        assert cli.main(["train", *words, *data, "--out", str(folder)]) == 0
        assert cli.main(["explore", str(folder)]) == 0
        found[name] = folder
    return found


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture
def visit(browser: Any, folders: dict[str, Path]) -> Iterator[Visit]:
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
