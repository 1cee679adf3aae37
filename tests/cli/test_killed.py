"""A command that is killed or stopped is gone on with to the same run, or says that there is none.

A stop is answered within a second, whatever is at work; how soon it is, is not asserted here.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from processes import one_sentence, python
from stopped import moments
from unrolled import cli
from unrolled.files.whole import replace_file
from unrolled.recipes.adder import Recipe
from unrolled.training import checkpoint, runs

TRAIN = ["train", "adder", "--hidden", "4", "--steps", "3", "--report-every", "2"]


Weights = dict[str, list[float]]


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    """The weights of a run that nothing stopped."""
    run = tmp_path_factory.mktemp("runs") / "straight"
    assert cli.main([*TRAIN, "--out", str(run)]) == 0
    return _weights(run)


def test_whenever_it_is_killed_resume_takes_the_settings_that_were_asked_for(
    straight: Weights,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # One file stands for the pictures: each is written as any other, and takes its time to draw.
    monkeypatch.setattr(Recipe, "draw", _drawn)
    gone_on = 0
    for count in moments(monkeypatch):
        run = tmp_path / f"killed-{count}"
        if not cli.main([*TRAIN, "--save-every", "0", "--out", str(run)]):
            break
        capsys.readouterr()
        status = cli.main(["train", "adder", "--resume", "--out", str(run)])
        if status:
            assert runs.is_empty(run), count
            assert "begun again with its flags" in one_sentence(capsys.readouterr().err)
            assert cli.main([*TRAIN, "--out", str(run)]) == 0
        gone_on += not status
        assert _weights(run) == straight, count
    assert gone_on > 10
    assert count > gone_on + 1, "no kill came before the settings were written"


def _drawn(recipe: Recipe, model: Any, history: Any, folder: Path) -> list[Path]:
    path = folder / "picture.png"
    replace_file(path, lambda beside: beside.write_bytes(b""))
    return [path]


def _weights(run: Path) -> Weights:
    found = checkpoint.read_weights(run / runs.WEIGHTS)
    return {name: tensor.tolist() for name, tensor in found.items()}


# A step that takes its time, as a search does; what is at work swallows the first way out, as a
# callback would.
SLOW = """
import os, signal, sys, time
from dataclasses import dataclass
import unrolled.cli.interrupts as interrupts
from unrolled.cli import main
from unrolled.recipes.adder import Recipe

def ask():
    os.kill(os.getpid(), signal.{signal})

def metrics(self, model):
    ask()
    if {swallowed}:
        try:
            time.sleep(60)
        except interrupts.GivenUp:
            pass
    time.sleep(60)
    return {{}}

def draw(self, model, history, folder):
    return metrics(self, model)

setattr(Recipe, "{where}", {where})
sys.exit(main([*{words!r}, "--out", "run"]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="timers are POSIX")
@pytest.mark.parametrize("where", ["metrics", "draw"])
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("swallowed", [False, True])
def test_a_stop_does_not_wait_for_what_takes_long(
    where: str,
    name: str,
    swallowed: bool,
    straight: Weights,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Recipe, "draw", _drawn)
    ended = python(SLOW.format(signal=name, where=where, swallowed=swallowed, words=TRAIN))
    assert ended.rc == 128 + getattr(signal, name), ended.err
    # The second step's report, or the pictures after the third.
    reached = "after step 1" if where == "metrics" else "after step 3"
    assert f"Stopped {reached} of 3. To go on:\n  unrolled train adder --resume" in ended.out
    assert cli.main(["train", "adder", "--resume", "--out", "run"]) == 0
    assert _weights(Path("run")) == straight
