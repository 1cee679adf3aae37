"""Runs that come from a stranger: what they name is not run, and what they claim is a sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from unrolled import cli

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each test has a folder of its own to be in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def made(*words: str) -> Path:
    """A run of one step."""
    assert cli.main(["train", *words, "--steps", "1", "--hidden", "2", "--out", "run"]) == 0
    return Path("run")


def claim(run: Path, **fields: Any) -> None:
    """Let a run's config.json say something else of its recipe."""
    path = run / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "fields": {**config["fields"], **fields}}))


def run(capsys: Captured, *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    status = cli.main(list(words))
    return status, *capsys.readouterr()


def refused(capsys: Captured, *words: str) -> str:
    """The one sentence that a refusal is."""
    status, out, err = run(capsys, *words)
    assert status == 2, out
    assert err.startswith("unrolled: ")
    assert err.count("\n") == 1
    return err


@pytest.mark.parametrize(
    "words", [["try", "run", "1"], ["show", "run", "--plots"], ["explore", "run"]]
)
def test_code_that_a_run_names_is_not_run(capsys: Captured, words: list[str]) -> None:
    made("adder")
    Path("evil.py").write_text("open('done', 'w').close()\n")
    path = Path("run/config.json")
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "recipe": str(Path("evil.py").resolve())}))
    said = refused(capsys, *words)
    assert "evil.py, whose code would be run to read it: add --trust if it is yours" in said
    assert run(capsys, "show", "run")[0] == 0
    assert not Path("done").exists()
    refused(capsys, *words, "--trust")  # which is to be trusted, but no recipe
    assert Path("done").exists()
