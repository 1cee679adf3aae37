"""The house rules: who may import whom, what is public, and what an import may cost."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

import unrolled
from fresh import FreshPython
from mutants import MUTANTS
from unrolled.engines import engine_names

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "unrolled"
FILES = sorted(SOURCE.rglob("*.py"))

# A room may import what lies on the lines below its own; docs/architecture.md says why.
FLOORS = (
    ("cli",),
    ("auditing", "reproduce", "export", "estimators"),
    ("bench", "recipes"),
    ("training", "pictures"),
    ("steps", "explorer", "inside"),
    ("layer",),
    ("faults", "engines"),
    ("equations", "files"),
    ("errors",),
    ("_native",),
)
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}

Arrows = dict[str, set[str]]


def module_of(path: Path) -> str:
    """A file's name as it is imported, below `unrolled`; "" is the front door."""
    return (
        ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix("__init__").strip(".")
    )


def arrows(sources: dict[str, str]) -> Arrows:
    """Which modules each module imports, wherever in the file it does.

    ``from unrolled.training import runs`` is an arrow to the module `training.runs`, and
    ``from unrolled.training import train`` one to the room's front door, `training`.
    """
    known = frozenset({*sources, "_native"})
    return {module: set(arrows_from(module, text, known)) for module, text in sources.items()}


@cache
def arrows_from(module: str, text: str, known: frozenset[str]) -> frozenset[str]:
    """Which of the known modules a module with that text imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: say `from unrolled.x import y`, not `.x`"
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [n if n.removeprefix("unrolled.") in known else str(node.module) for n in whole]
        else:
            continue
        ours = [name for name in names if name.partition(".")[0] == "unrolled"]
        found |= {name.removeprefix("unrolled").strip(".") for name in ours} - {module}
    return frozenset(found)


def room(module: str) -> str:
    """The part of the house that a module belongs to: its folder's name, or its own."""
    return module.partition(".")[0]


def against_the_rule(found: Arrows) -> list[str]:
    """Each arrow that points up, or to a neighbour on the same floor."""
    wrong = []
    for module, others in found.items():
        for other in others:
            here, there = room(module), room(other)
            if here in ("", "__main__") or here == there:
                continue
            assert here in FLOOR, f"{here} has no floor: say in FLOORS where it belongs"
            if not there:
                wrong.append(f"{module} imports the front door, which imports everybody")
            elif FLOOR[there] <= FLOOR[here]:
                wrong.append(f"{module} imports {other}, which does not lie below it")
    return wrong


def circles(found: Arrows) -> list[list[str]]:
    """What is left of the modules once all that lie in no circle are taken away, if anything is."""
    left = {module: set(others) & found.keys() for module, others in found.items()}
    while True:
        wanted = set().union(*left.values())
        kept = {m: others & left.keys() for m, others in left.items() if others and m in wanted}
        if kept == left:
            return [sorted(left)] if left else []
        left = kept


def by_room(found: Arrows) -> Arrows:
    """The arrows between rooms alone."""
    rooms: Arrows = {}
    for module, others in found.items():
        if module not in ("", "__main__"):
            inside = rooms.setdefault(room(module), set())
            inside |= {room(other) for other in others} - {room(module)}
    return rooms


SOURCES = {module_of(path): path.read_text(encoding="utf-8") for path in FILES}
ARROWS = arrows(SOURCES)


def test_every_arrow_points_down() -> None:
    assert not against_the_rule(ARROWS)


def test_there_is_no_circle_of_files_and_none_of_rooms() -> None:
    assert not circles(ARROWS)
    assert not circles(by_room(ARROWS))


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("engines.cpu", "from unrolled.layer.lstm import LSTM"),
        ("training.loop", "from unrolled import recipes"),
        ("steps.network", "def f():\n    import unrolled.training.runs"),
        ("files.columns", "from unrolled.equations import Cell"),  # one floor, two rooms
        ("layer.trace", "from unrolled import LSTM"),
    ],
)
def test_an_arrow_that_is_added_by_hand_is_seen(module: str, line: str) -> None:
    added = arrows(SOURCES | {module: f"{SOURCES[module]}\n\n{line}\n"})
    (wrong,) = against_the_rule(added)
    assert wrong.startswith(module)


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("layer.stepper", "from unrolled.layer.lstm import LSTM"),
        ("training.recipe", "from unrolled.training.session import Session"),
        ("engines.protocol", "from unrolled.engines import cpu"),
    ],
)
def test_a_circle_that_is_added_by_hand_is_seen(module: str, line: str) -> None:
    (circle,) = circles(arrows(SOURCES | {module: f"{SOURCES[module]}\n\n{line}\n"}))
    assert module in circle


def test_a_circle_of_rooms_is_seen_where_no_file_lies_in_one() -> None:
    around = {"a.one": {"b.one"}, "b.two": {"a.two"}, "a.two": set(), "b.one": set()}
    assert not circles(around)
    assert circles(by_room(around)) == [["a", "b"]]


def imported(path: Path) -> set[str]:
    """Every module that a file imports, in full, wherever in the file it does."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


def test_only_equations_lies_flat() -> None:
    flat = {path.stem for path in SOURCE.glob("*.py")}
    assert flat == {"__init__", "__main__", "equations"}


def test_training_knows_no_recipe() -> None:
    for module in ARROWS:
        if room(module) == "training":
            assert "recipes" not in {room(other) for other in ARROWS[module]}, module


def test_engines_do_not_import_each_other() -> None:
    engines = {f"engines.{name}" for name in engine_names()}
    for engine in engines:
        assert not (engines - {engine}) & ARROWS[engine], engine


def test_only_the_cpu_engine_knows_the_extension() -> None:
    assert {module for module in ARROWS if "_native" in ARROWS[module]} == {"engines.cpu"}


def test_only_one_file_knows_torchs_private_names() -> None:
    """`torch._C` and its like, the hooks' dictionaries, forward AD's level."""
    private = re.compile(
        r"torch\.[\w.]*\b_[a-zA-Z]\w*|\._current_level|\._\w*hooks\b|\._opt_called"
    )
    for module, text in SOURCES.items():
        if module != "engines.watching":
            assert not private.findall(text), module


def test_public_names_are_sorted_and_there() -> None:
    names = unrolled.__all__
    capitals_first = sorted(names, key=lambda name: (not name.isupper(), name))
    assert names == capitals_first
    assert all(hasattr(unrolled, name) for name in names)
    top = ast.parse((SOURCE / "__init__.py").read_text(encoding="utf-8")).body
    lines = [line for node in top for line in (node.body if isinstance(node, ast.If) else [node])]
    ours = [node for node in lines if isinstance(node, ast.ImportFrom) and node.module != "typing"]
    assert {a.name for node in ours for a in node.names} == set(names)


def test_importing_the_package_is_cheap(fresh_python: FreshPython) -> None:
    costly = {"triton", "matplotlib", "tyro", "rich", "statsmodels", "pandas", "scipy"}
    done = fresh_python("import unrolled, sys; print(*sys.modules)")
    assert done.returncode == 0, done.stderr
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "unrolled" in loaded
    assert not costly & loaded
    assert not [name for name in done.stdout.split() if name.startswith("unrolled.explorer")]


@pytest.mark.parametrize("folder", ["src", "tests"])
def test_files_are_short_and_named_for_what_they_hold(folder: str) -> None:
    for path in (ROOT / folder).rglob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, path.name
        assert path.stem not in {"utils", "util", "common", "helpers", "base", "misc"}, path.name


def test_every_mutant_still_has_its_code() -> None:
    """`make mutants` takes minutes; that it can begin is checked each time."""
    for what, file, old, _, _ in MUTANTS:
        assert (SOURCE / file).read_text(encoding="utf-8").count(old) == 1, what


def test_pictures_are_drawn_without_global_figures() -> None:
    for path in FILES:
        assert not {name for name in imported(path) if "pyplot" in name}, path.name


def test_nothing_is_pickled() -> None:
    for path in FILES:
        assert not {"pickle", "cloudpickle", "dill", "joblib", "shelve"} & imported(path), path.name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in ("load", "save"):
                owner = ast.unparse(node.value)
                assert owner not in ("torch", "np", "numpy"), f"{path.name}: {owner}.{node.attr}"
