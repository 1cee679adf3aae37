"""The house rules: who may import whom, what is public, and what an import may cost."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import unrolled
from mutants import MUTANTS

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "unrolled"
FILES = sorted(SOURCE.rglob("*.py"))

# Each line may import the lines below it and its own; docs/architecture.md says why.
FLOORS = (
    {"__main__", "cli", "flags", "interrupts", "progress", "report", "reproduce", "showing"},
    {
        "recipes",
        "training",
        "session",
        "runs",
        "checkpoint",
        "optimizers",
        "auditing",
        "explorer",
        "trained",
        "bench",
    },
    {"many", "stepping"},
    {"program"},
    {"blocks", "losses", "network", "updates"},
    {"plots", "pictures", "forecast_pictures", "columns", "timeline", "forecaster", "forecasting"},
    {"inspection"},
    {"ablation"},
    {"passage", "intervention", "units"},
    {"lstm", "lstm_cell", "elman", "trace", "stepper", "faults"},
    {"direct", "plan"},
    {"settings", "layout", "initialisation", "regularisation", "recurrence", "autocast"},
    {"engines"},
    {"masks"},
    {"equations", "replacing"},
    {"_native"},
)
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}


def room(path: Path) -> str:
    """The part of the house that a file belongs to: its folder's name, or its own."""
    inside = path.relative_to(SOURCE)
    return inside.parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Every module that a file imports, in full, wherever in the file it does."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: say `from unrolled.x import y`, not `.x`"
            module = node.module or ""
            # `from unrolled import runs` names a module, `from unrolled.lstm import LSTM` does not.
            inner = module == "unrolled" or (SOURCE / Path(*module.split(".")[1:])).is_dir()
            found |= {f"{module}.{a.name}" if inner else module for a in node.names}
    return found


def rooms_imported(path: Path) -> set[str]:
    ours = {name.split(".")[1] for name in imported(path) if name.startswith("unrolled.")}
    return ours - {"__version__"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_file_imports_only_what_lies_below_it(path: Path) -> None:
    here = room(path)
    if here == "__init__":
        return
    assert here in FLOOR, f"{here} has no floor: say in FLOORS where it belongs"
    above = {name for name in rooms_imported(path) if FLOOR[name] < FLOOR[here]}
    assert not above, f"{here} imports {above}, which lie above it"


def test_training_knows_no_recipe_and_recipes_know_no_training() -> None:
    machinery = {"training", "session", "runs", "checkpoint", "optimizers"}
    for path in FILES:
        if room(path) in machinery:
            assert "recipes" not in rooms_imported(path), path.name
        if room(path) == "recipes":
            assert not machinery & rooms_imported(path), path.name


def test_engines_do_not_import_each_other() -> None:
    engines = [path for path in (SOURCE / "engines").glob("*.py") if path.stem != "__init__"]
    assert engines
    for path in engines:
        others = {f"unrolled.engines.{other.stem}" for other in engines if other != path}
        assert not others & imported(path), path.name


def test_only_the_cpu_engine_knows_the_extension() -> None:
    knowing = {path.name for path in FILES if "_native" in rooms_imported(path)}
    assert knowing <= {"cpu.py"}


def test_public_names_are_sorted_and_there() -> None:
    names = unrolled.__all__
    capitals_first = sorted(names, key=lambda name: (not name.isupper(), name))
    assert names == capitals_first
    assert all(hasattr(unrolled, name) for name in names)
    top = ast.parse((SOURCE / "__init__.py").read_text(encoding="utf-8")).body
    lines = [line for node in top for line in (node.body if isinstance(node, ast.If) else [node])]
    ours = [node for node in lines if isinstance(node, ast.ImportFrom) and node.module != "typing"]
    assert {a.name for node in ours for a in node.names} == set(names)


def test_importing_the_package_is_cheap() -> None:
    costly = {"triton", "matplotlib", "tyro", "rich", "statsmodels", "pandas", "scipy"}
    said = subprocess.run(
        [sys.executable, "-c", "import unrolled, sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {name.partition(".")[0] for name in said.stdout.split()}
    assert "unrolled" in loaded
    assert not costly & loaded
    assert not [name for name in said.stdout.split() if name.startswith("unrolled.explorer")]


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
