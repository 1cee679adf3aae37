"""Runs that come from a stranger: what they name is not run, and what they claim is a sentence."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import claims
from unrolled import cli
from unrolled.training import checkpoint, runs

Captured = pytest.CaptureFixture[str]
Make = Callable[..., Path]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each test has a folder of its own to be in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """A run of one step, trained once for all tests; each has a copy of it."""
    kept: dict[tuple[str, ...], Path] = {}

    def made(*words: str) -> Path:
        if words not in kept:
            kept[words] = tmp_path_factory.mktemp("made") / "run"
            few = ["--steps", "1", "--hidden", "2", "--out", str(kept[words])]
            assert cli.main(["train", *words, *few]) == 0
        return Path(shutil.copytree(kept[words], "run"))

    return made


def claim(run: Path, **fields: Any) -> None:
    """Let a run's config.json say something else of its recipe."""
    config = json.loads((run / "config.json").read_text())
    claims.claim(run / "config.json", fields={**config["fields"], **fields})


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
def test_code_that_a_run_names_is_not_run(capsys: Captured, made: Make, words: list[str]) -> None:
    made("adder")
    Path("evil.py").write_text("open('done', 'w').close()\n")
    claims.claim(Path("run/config.json"), recipe=str(Path("evil.py").resolve()))
    said = refused(capsys, *words)
    assert "evil.py, whose code would be run to read it: add --trust if it is yours" in said
    assert run(capsys, "show", "run")[0] == 0
    assert not Path("done").exists()
    refused(capsys, *words, "--trust")  # which is to be trusted, but no recipe
    assert Path("done").exists()


# --- what a config.json claims --------------------------------------------------------------

COMMANDS = [["try", "run"], ["show", "run", "--plots"], ["explore", "run"]]


@pytest.mark.parametrize("words", COMMANDS)
def test_a_pipe_or_a_device_is_no_data(capsys: Captured, made: Make, words: list[str]) -> None:
    made("series")
    os.mkfifo("pipe")
    for name in (str(Path("pipe").resolve()), "/dev/zero"):
        claim(Path("run"), data=name)
        assert f"names {name}, which is no file to read" in refused(capsys, *words)


def test_whose_data_a_page_holds_is_said(capsys: Captured, made: Make) -> None:
    Path("private.txt").write_text("abc, abd. " * 200)
    made("text", "--data", "private.txt", "--learning-on", "0")
    told = f"data from {Path('private.txt').resolve()}\n"
    _, out, err = run(capsys, "explore", "run")
    assert told in err
    assert told not in out
    status, out, err = run(capsys, "explore", "run", "--json")
    assert status == 0
    assert json.loads(out)
    assert told in err
    assert told in run(capsys, "show", "run", "--plots")[1]
    assert told not in "".join(run(capsys, "explore", "run", "--trust")[1:])


@pytest.mark.parametrize("words", COMMANDS)
def test_a_finished_forecast_reads_no_file_whatever_it_names(
    capsys: Captured, made: Make, words: list[str]
) -> None:
    rows = "\n".join(str(n % 7) for n in range(200))
    Path("own.csv").write_text(f"n\n{rows}\n")
    made("series", "--data", "own.csv")
    Path("own.csv").unlink()
    for claimed in (None, "/dev/zero"):
        if claimed is not None:
            claim(Path("run"), data=claimed)
        status, *said = run(capsys, *words)
        assert status == 0
        assert "data from" not in "".join(said)


@pytest.mark.parametrize("words", COMMANDS)
@pytest.mark.parametrize("claimed", [{"hidden": 100_000}, {"layers": 10**9}, {"window": 10**12}])
def test_sizes_that_the_weights_do_not_have_are_a_sentence(
    capsys: Captured, made: Make, words: list[str], claimed: dict[str, int]
) -> None:
    claim(made("series"), **claimed)
    assert "config.json" in refused(capsys, *words)


# --- files that are damaged, or lie ---------------------------------------------------------


@pytest.mark.parametrize("pictures", [[1], 5])
def test_pictures_that_are_no_names(capsys: Captured, made: Make, pictures: Any) -> None:
    claims.claim(made("adder") / "result.json", pictures=pictures)
    told = refused(capsys, "show", "run")
    assert (
        f"result.json is damaged: 'pictures' = {pictures} makes no sense: expected a list" in told
    )


def test_a_loss_that_is_no_number(capsys: Captured, made: Make) -> None:
    folder = made("adder")
    (folder / "metrics.jsonl").unlink()
    runs.append_metrics(folder, {"step": 1, "loss": "x"})
    told = refused(capsys, "show", "run", "--plots")
    assert "line 1: 'loss' = 'x' makes no sense: expected a number" in told


def test_what_is_not_finite_is_null_in_the_json(capsys: Captured, made: Make) -> None:
    path = made("adder") / "weights.safetensors"
    weights = checkpoint.read_weights(path)
    checkpoint.write_weights(path, {k: torch.full_like(v, torch.nan) for k, v in weights.items()})
    status, out, _ = run(capsys, "explore", "run", "--json")
    assert status == 0
    assert "NaN" not in out
    assert json.loads(out)["networks"][0]["logits"][0][0] is None


def test_nothing_in_a_config_steers_the_terminal(capsys: Captured, made: Make) -> None:
    claim(made("series"), data="\x1b]0;pwned\x07\nfinished: well\ud800")
    status, out, err = run(capsys, "show", "run")
    assert status == 0
    assert "data = \\x1b]0;pwned\\x07\\nfinished: well\\ud800" in out
    assert "\x1b" not in out + err
    claims.claim(Path("run/config.json"), recipe="\x1b[31mx.py")
    assert "\x1b" not in refused(capsys, "explore", "run")
    assert "\x1b" not in run(capsys, "show", "run")[1]
