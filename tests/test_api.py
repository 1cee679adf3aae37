"""What is public: `__all__`, what the API reference lists, and what `dir` shows are one list."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import unrolled

API = Path(__file__).parent.parent / "docs" / "api"
SOURCE = Path(unrolled.__file__).parent
# Front doors of commands: what they promise is the command line.
COMMANDS = {"cli", "bench", "reproduce"}
PUBLIC = (
    "unrolled",
    "unrolled.auditing",
    "unrolled.engines",
    "unrolled.errors",
    "unrolled.equations",
    "unrolled.estimators",
    "unrolled.explorer",
    "unrolled.export",
    "unrolled.faults",
    "unrolled.recipes",
    "unrolled.training",
)
NAMES = [(module, name) for module in PUBLIC for name in import_module(module).__all__]


def page_of(module: str) -> Path:
    return API / f"{module.rpartition('.')[2]}.md"


def listed(page: Path) -> list[str]:
    """The names that a page of the API reference documents, in its order."""
    return re.findall(r"^::: (\S+)$", page.read_text(encoding="utf-8"), re.MULTILINE)


def front_doors() -> dict[str, ModuleType]:
    """Every room of the house, and `equations`, which is a file."""
    rooms = [path.parent.name for path in SOURCE.glob("[!_]*/__init__.py")]
    return {room: import_module(f"unrolled.{room}") for room in [*rooms, "equations"]}


@pytest.mark.parametrize("module", PUBLIC)
def test_the_reference_lists_what_a_front_door_gives_and_nothing_else(module: str) -> None:
    names = import_module(module).__all__
    assert sorted(listed(page_of(module))) == sorted(f"{module}.{name}" for name in names)


def test_every_front_door_that_gives_names_is_in_the_reference() -> None:
    giving = {room for room, door in front_doors().items() if getattr(door, "__all__", [])}
    assert giving - COMMANDS == {module.partition(".")[2] for module in PUBLIC} - {""}
    pages = {path.name for path in API.glob("*.md")}
    assert pages == {"index.md", *(page_of(module).name for module in PUBLIC)}


def test_the_index_says_of_every_room_what_it_is() -> None:
    index = (API / "index.md").read_text(encoding="utf-8")
    for room in front_doors():
        assert f"`unrolled.{room}`" in index or f"`{room}`" in index, room
    for module in PUBLIC[1:]:
        assert f"[`{module}`]({page_of(module).name})" in index, module


def test_dir_shows_the_public_names_and_the_version() -> None:
    assert dir(unrolled) == sorted([*unrolled.__all__, "__version__"])


@pytest.mark.parametrize(("module", "name"), NAMES, ids=[f"{m}.{n}" for m, n in NAMES])
def test_a_public_name_begins_its_docstring_with_a_sentence(module: str, name: str) -> None:
    value = getattr(import_module(module), name)
    if not callable(value):  # a table: Python gives it no docstring of its own
        assert f"`{name}`" in page_of(module).read_text(encoding="utf-8")
        return
    first = (inspect.getdoc(value) or "").split("\n\n")[0]
    made = rf"{name}\(.*\)"  # what a dataclass or a NamedTuple says where nobody wrote anything
    assert not re.fullmatch(made, first, re.DOTALL), f"{module}.{name} has no docstring of its own"
    assert re.fullmatch(r"\S+ .*[.:]", first, re.DOTALL), f"{module}.{name}: {first!r}"
