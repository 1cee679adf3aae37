"""The pages teach what is so: their numbers are what the code gives, their pictures are there."""

from __future__ import annotations

import importlib.util
import re
import shlex
from contextlib import redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path
from types import ModuleType

import pytest
import torch

from unrolled import cli
from unrolled.cli.main import COMMANDS
from unrolled.inside.ablation import Ablation

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "lstm.md").read_text(encoding="utf-8")
BLOCKS = ("arithmetic", "addition", "forgetting", "faded", "kill", "killed")


@pytest.fixture(scope="module")
def make() -> ModuleType:
    """docs/lstm/make.py."""
    spec = importlib.util.spec_from_file_location("make_lstm_page", DOCS / "lstm" / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shown(block: str) -> str:
    found = re.findall(rf"<!-- numbers: {block} -->\n```text\n(.*?)\n```", PAGE, re.DOTALL)
    assert len(found) == 1
    return str(found[0])


@pytest.mark.parametrize("block", BLOCKS)
def test_the_pages_numbers_are_what_the_code_gives(block: str, make: ModuleType) -> None:
    assert shown(block) == getattr(make, block)()


def test_no_block_of_numbers_is_left_out(make: ModuleType) -> None:
    assert tuple(re.findall(r"<!-- numbers: (\w+) -->", PAGE)) == BLOCKS
    assert tuple(make.numbers()) == BLOCKS
    assert make.filled(PAGE, make.numbers()) == PAGE
    with pytest.raises(SystemExit, match="has 0 places for the numbers 'other'"):
        make.filled(PAGE, {"other": ""})


def test_the_pages_arithmetic_is_the_networks(make: ModuleType) -> None:
    """The page reads in float64 by the equations; the model says the same in its own way."""
    model, _, unit = make.taught()
    x, reading = make.read(make.SUM, 5)
    with torch.no_grad():
        trace = model.recurrent.trace(x[:, None].float())
        logits = model(x[:, None].float())[0][:, 0]
    for t, gates in enumerate(reading.gates):
        for name, value in gates._asdict().items():
            torch.testing.assert_close(
                getattr(trace, name)[t, 0].double(), value, rtol=0, atol=1e-5
            )
        assert logits[t].item() == pytest.approx(reading.logits[t], abs=1e-4)
    words = shown("addition").splitlines()[1:]
    assert [row.split()[-2] for row in words] == [
        f"{float(gates.h[unit]):.2f}".replace("-", "−") for gates in reading.gates
    ]


def test_what_the_page_says_of_its_adder_is_so(make: ModuleType) -> None:
    """Its prose: one unit is the carry, no other is, and forced to yes it breaks the others."""
    _, inspection, unit = make.taught()
    search = inspection.search
    assert search is not None
    assert search.chosen == [Ablation((unit,), 0.0, 1.0)]
    assert search.intact == Ablation((), 1.0, 1.0)
    for one in search.alone:
        if one.units != (unit,):
            assert min(one.needing, one.others) > 0.99
    assert make.forced(True).others < 0.01
    best = inspection.tracking("carry", most=1)[0]
    assert (best.unit, best.r < -0.9) == (unit, True)
    fading = make.fading()
    shares = {name: (c or h)[-41] for name, (h, c) in fading.items()}
    assert 1e-11 < shares["Elman network"] < 1e-10  # ten zeros behind the point
    assert shares["forget gate"] > 1e7 * shares["Elman network"]
    assert shares["carousel of 1997"] > 1


def test_every_picture_is_there_and_small() -> None:
    names = re.findall(r'(?:src|srcset)="([^"]+)"', PAGE)
    assert len(names) == 10
    for name in names:
        path = DOCS / name
        assert path.read_bytes().startswith(b"\x89PNG")
        assert path.stat().st_size < 100_000
    assert {DOCS / name for name in names} == set((DOCS / "lstm").glob("*.png"))
    light = [name for name in names if "_dark" not in name]
    assert all(name.replace(".png", "_dark.png") in names for name in light)


def test_the_pictures_can_be_made_again(make: ModuleType, tmp_path: Path) -> None:
    made = {path.name for path in make.draw(tmp_path)}
    assert made == {path.name for path in (DOCS / "lstm").glob("*.png")}


# --- every page: its links, its paths, its commands, its code ---

ROOT = DOCS.parent
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
NOT_RUN = "# Not run by the tests: "  # the first line of a snippet, and the reason

# What a page names in backticks may lie beside the page, at the root, or where its readers look.
LOOKED_IN = ("", "src/unrolled", "src/native", "src/unrolled/explorer")
READERS_OWN = {"my_lstm.py", "config.json"}  # what a reader makes, and a run holds
FILE = re.compile(r"[\w.\-/]+\.(?:py|hpp|cpp|js|md|toml|sh|ya?ml|lock|json|csv|html|txt)")

FOLDER = re.compile(r"(?:src|tests|docs|examples|benchmarks)/[\w./\-]*")


def named(pages: list[Path]) -> list[str]:
    return [str(page.relative_to(ROOT)) for page in pages]


def blocks(page: Path, language: str) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def prose(page: Path) -> str:
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.M)


def is_there(path: str, page: Path) -> bool:
    places = [page.parent, *(ROOT / place for place in LOOKED_IN)]
    return any((place / path).exists() for place in places)


@pytest.mark.parametrize("page", PAGES, ids=named(PAGES))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", prose(page)):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=named(PAGES))
def test_every_path_that_a_page_names_is_there(page: Path) -> None:
    for words in re.findall(r"`([^`\n]+)`", prose(page)):
        if (FILE.fullmatch(words) and words not in READERS_OWN) or FOLDER.fullmatch(words):
            assert is_there(words, page), words


@pytest.mark.parametrize("page", PAGES, ids=named(PAGES))
def test_the_code_of_a_page_runs(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From top to bottom, in one namespace, as a reader would type it."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    names: dict[str, object] = {"__name__": "a_page"}
    for code in blocks(page, "python"):
        if code.startswith(NOT_RUN):
            assert len(code.splitlines()[0]) > len(NOT_RUN) + 10, "say why"
            continue
        exec(compile(code, str(page), "exec"), names)


def commands(page: Path, program: str) -> list[list[str]]:
    lines = "\n".join(blocks(page, "sh")).splitlines()
    words = [shlex.split(line, comments=True) for line in lines if line.startswith(f"{program} ")]
    inline = re.findall(rf"`({program} [^`\n]+)`", prose(page))
    return words + [shlex.split(line) for line in inline]


@pytest.mark.parametrize("page", PAGES, ids=named(PAGES))
def test_every_target_of_make_that_a_page_names_is_there(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for words in commands(page, "make"):
        for target in words[1:]:
            assert "=" in target or re.search(rf"^{target}:", makefile, re.M), " ".join(words)


@cache
def help_of(*words: str) -> str:
    """What `unrolled COMMAND --help` prints."""
    with redirect_stdout(StringIO()) as said:
        assert cli.main([*words, "--help"]) == 0
    return said.getvalue()


@pytest.mark.parametrize("page", PAGES, ids=named(PAGES))
def test_every_command_and_flag_that_a_page_names_is_there(page: Path) -> None:
    for words in commands(page, "unrolled"):
        command = words[1]
        if command.startswith("-") or command.isupper() or "RECIPE" in words:
            continue
        assert command in COMMANDS, " ".join(words)
        flags = [word for word in words[2:] if word.startswith("--")]
        if command == "train" and flags and words[2].endswith(".py"):
            words[2] = str(ROOT / words[2])
        told = help_of(command, *words[2:3]) if command == "train" and flags else help_of(command)
        for flag in flags:
            if command != "try" or flag == "--trust":  # the others are the recipe's own
                assert flag in told, " ".join(words)


def test_every_page_is_in_the_sites_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    docs = ROOT / "docs"
    pages = [str(page.relative_to(docs)) for page in docs.rglob("*.md")]
    assert [page for page in pages if page not in navigation] == []
