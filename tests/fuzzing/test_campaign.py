"""A twentieth of `make fuzz`, with a seed of its own; and the campaign finds what there is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fuzzing.guarded import OUTSIDE, Ended, guarded
from fuzzing.inputs import complaint
from processes import environment

CAMPAIGN = Path(__file__).with_name("campaign.py")


def test_a_twentieth_of_the_campaign_finds_nothing() -> None:
    words = [sys.executable, str(CAMPAIGN), "--seed", "20", "--share", "0.05"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment())
    assert done.returncode == 0, done.stdout + done.stderr
    assert "181 of 181 cases" in done.stdout


@pytest.mark.parametrize(
    "ended",
    [
        Ended(-11, "", ""),
        Ended(1, "", "Traceback (most recent call last):\nValueError: 5"),
        Ended(0, "", "Traceback (most recent call last):\nValueError: 5"),
        Ended(1, "", ""),
        Ended(2, "", "unrolled: one.\nunrolled: two."),
        Ended(70, "", "unrolled: this is a fault of unrolled: …"),
    ],
    ids=str,
)
def test_what_ends_badly_is_complained_of(ended: Ended) -> None:
    assert complaint(ended)


def test_a_sentence_is_not_complained_of() -> None:
    assert (
        complaint(Ended(2, "", "unrolled: steps = -1 makes no sense: expected 1 or more.")) is None
    )


def test_nothing_is_written_outside_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()

    def write() -> int:
        (tmp_path / "in" / "ours").write_text("")
        (tmp_path / "out").write_text("")
        return 0

    ended = guarded(write, tmp_path / "in")
    assert ended.rc == OUTSIDE
    assert (tmp_path / "in" / "ours").exists()
    assert not (tmp_path / "out").exists()
