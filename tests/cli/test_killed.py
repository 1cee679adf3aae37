"""A command that is killed and gone on with gives the same run, or says that there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from processes import one_sentence
from stopped import moments
from unrolled import cli
from unrolled.training import checkpoint, runs

TRAIN = ["train", "adder", "--hidden", "4", "--steps", "3", "--report-every", "2"]


def test_whenever_it_is_killed_resume_takes_the_settings_that_were_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*TRAIN, "--out", str(tmp_path / "straight")]) == 0
    right = _weights(tmp_path / "straight")
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
        assert _weights(run) == right, count
    assert gone_on > 10
    assert count > gone_on + 1, "no kill came before the settings were written"


def _weights(run: Path) -> dict[str, list[float]]:
    found = checkpoint.read_weights(run / runs.WEIGHTS)
    return {name: tensor.tolist() for name, tensor in found.items()}
