"""The parts of the explorer's page: types, modules and how they are joined, its policy."""

from __future__ import annotations

import html
import re
import subprocess

import pytest
import torch
from torch import nn

from explorer_needs import ROOT, needs
from unrolled import LSTM
from unrolled.explorer import Explorable, Output, Tokens, build
from unrolled.explorer.pages import page_of

PAGE = ROOT / "src" / "unrolled" / "explorer" / "page"


@needs("tsc")
def test_the_types_of_the_page_are_right() -> None:
    tsc = ROOT / "node_modules" / ".bin" / "tsc"
    done = subprocess.run([tsc], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_modules_are_short_and_fetch_nothing() -> None:
    files = [path for path in PAGE.iterdir() if path.suffix in (".js", ".css")]
    assert len(files) > 20
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) < 400, path.name
        for word in (
            "innerHTML",
            "outerHTML",
            "insertAdjacent",
            "document.write",
            "eval(",
            "fetch(",
        ):
            assert word not in text, f"{path.name}: {word}"
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), path.name


def test_the_equations_stand_there_under_their_numbers() -> None:
    lines = (PAGE / "lstm.js").read_text(encoding="utf-8").splitlines()
    numbered = [found[1] for line in lines if (found := re.match(r"\s*// (E\d): ", line))]
    assert numbered == ["E1", "E2", "E3", "E4", "E5", "E6", "E6", "E5", "E4", "E3", "E2", "E1"]


def test_what_is_drawn_has_the_colours_of_the_style() -> None:
    drawn = (PAGE / "heatmap.js").read_text(encoding="utf-8")
    style = (PAGE / "a-theme.css").read_text(encoding="utf-8")
    light, dark = style.split(':root[data-theme="dark"]')
    for theme, part in (("light", light), ("dark", dark)):
        ink, card, hand = (re.search(rf"--{n}: (\S+);", part)[1] for n in ("ink", "card", "hand"))  # type: ignore[index]
        assert f'{theme}: {{ ink: "{ink}", paper: "{card}", hand: "{hand}" }}' in drawn


def test_modules_are_joined_in_the_order_in_which_they_need_each_other() -> None:
    sources = {
        "main": 'import { two } from "./two.js";\nimport { one } from "./one.js";\ntwo();\n',
        "two": 'import { one } from "./one.js";\nexport function two() {\n  return 2 * one;\n}\n',
        "one": "export const one = 1;\n",
    }
    script = build.join(sources, "main")
    assert script.index("$one =") < script.index("$two =") < script.index("$main =")
    assert "export " not in script
    assert "return { two };" in script


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"main": 'import { a } from "./no.js";\n'}, "no.js, which is not there"),
        ({"main": 'import { b } from "./a.js";\n', "a": "export const a = 1;\n"}, "no such name"),
        ({"main": 'import a from "./a.js";\n'}, "is not joined"),
        ({"main": "export default 3;\n"}, "is not joined"),
        (
            {
                "main": 'import { a } from "./a.js";\nexport const m = 1;\n',
                "a": 'import { m } from "./main.js";\nexport const a = 1;\n',
            },
            "in a circle: main → a → main",
        ),
    ],
)
def test_what_cannot_be_joined_is_said(wrong: dict[str, str], words: str) -> None:
    with pytest.raises(build.BuildError, match=re.escape(words)):
        build.join(wrong, "main")


def test_a_page_allows_itself_nothing_but_its_own_script_and_style() -> None:
    page = build.page("t", "{}")
    policy = html.unescape(re.search(r'Security-Policy" content="([^"]*)"', page)[1])  # type: ignore[index]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert not re.findall(r'\b(?:src|href)="', page)


def test_a_page_for_128_units_is_below_a_megabyte() -> None:
    lstm, head = LSTM(64, 128), nn.Linear(128, 100)
    vectors = torch.randn(100, 64, generator=torch.Generator().manual_seed(0))
    tokens = Tokens([chr(33 + n) for n in range(100)], "characters", vectors, "a", "b" * 2000)
    explorable = Explorable([lstm], head, tokens, Output("softmax", tokens.tokens))
    page = page_of("t", [(explorable, "run", "")])
    assert len(page.html.encode()) < 1_000_000
