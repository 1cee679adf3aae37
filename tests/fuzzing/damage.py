"""Runs that are damaged: a flipped bit, a state that makes no sense, a kill in the middle.

What is right is what the undamaged run gives: the same words, the same weights, bit for bit.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

from fuzzing.guarded import Ended, command, guarded, started
from fuzzing.inputs import complaint
from unrolled import cli

__all__ = ["RUNS", "flipped", "killed", "made", "put"]

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))

TEXT = "It was the best of times, it was the “worst” of times; 1775.\n" * 40
RUNS: dict[str, tuple[list[str], list[str]]] = {
    "adder": (["--hidden", "4", "--steps", "6", "--report-every", "2"], ["57", "68"]),
    "text": (
        ["--hidden", "4", "--learning-on", "0", "--steps", "6", "--report-every", "3"],
        ["--primer", "so be it", "--length", "40"],
    ),
    "series": (["--hidden", "4", "--steps", "6", "--report-every", "2"], ["7"]),
    "memory": (["--networks", "vanilla", "--steps", "6", "--report-every", "2"], ["0.5", "1"]),
}


def made(home: Path) -> Path:
    """A finished run of each recipe, below ``home``.

    They are made in this process, so that what the first use of a library costs is paid once.
    """
    runs = home / "runs"
    runs.mkdir()
    (runs / "t.txt").write_text(TEXT, encoding="utf-8")
    for name, (flags, _) in RUNS.items():
        data = ["--data", str(runs / "t.txt")] if name == "text" else []
        words = ["train", name, *flags, *data, "--out", str(runs / name)]
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            assert cli.main(words) in (0, None)
    return runs


def _read(name: str, run: Path, folder: Path, how: str) -> tuple[Ended, object]:
    """What a reader of a run gets: how a command ended, and what it gave."""
    if how == "resume":
        words = ["train", name, "--resume", "--steps", "8", "--out", str(run)]
        ended = command(words, folder)
        return ended, _weights(run) if ended.rc == 0 else None
    words = {"try": ["try", str(run), *RUNS[name][1]], "show": ["show", str(run)]}[how]
    ended = command(words, folder)
    return ended, ended.out.replace(str(run), "RUN")


def _weights(run: Path) -> list[Any]:
    from unrolled.training import checkpoint, runs

    weights = checkpoint.read_weights(run / runs.WEIGHTS)
    return [(name, t.dtype, t.tolist()) for name, t in weights.items()]


def flipped(r: random.Random, folder: Path, runs: Path) -> str | None:
    """Flip one bit of one file of a run: `check` tells, and nothing changes without a word."""
    name = r.choice(list(RUNS))
    how = r.choice(("try", "show", "resume"))
    whole, broken = (Path(shutil.copytree(runs / name, folder / k / "run")) for k in ("a", "b"))
    file = r.choice(sorted(p for p in broken.iterdir() if p.stat().st_size and p.suffix != ".png"))
    data = bytearray(file.read_bytes())
    bit = r.randrange(len(data) * 8)
    data[bit // 8] ^= 1 << bit % 8
    file.write_bytes(data)
    what = f"bit {bit} of {name}/{file.name}, {how}"
    told = command(["check", str(broken)], folder)
    if told.rc not in (1, 2) or "Traceback" in told.err:
        return f"{what}: check ended with {told.rc}: {told.out}{told.err}"
    ended, found = _read(name, broken, folder, how)
    why = complaint(ended)
    if why is None and ended.rc == 0 and found != _read(name, whole, folder, how)[1]:
        why = f"other results without a word: {ended.out[-500:]}{ended.err[-500:]}"
    return why and f"{what}: {why}"


def put(r: random.Random, folder: Path, runs: Path) -> str | None:
    """Put a state that makes no sense into a run, and go on with it."""
    import torch
    from test_sealed import CHANGES, _tree

    name = r.choice(("adder", "series", "text"))
    change = r.choice(list(CHANGES))
    whole, broken = (Path(shutil.copytree(runs / name, folder / k / "run")) for k in ("a", "b"))
    torch.manual_seed(r.randrange(2**31))

    def write() -> int:
        _tree(broken, CHANGES[change])
        return 0

    if guarded(write, folder).rc != 0:
        return None  # this change cannot be written down
    ended, found = _read(name, broken, folder, "resume")
    why = complaint(ended)
    if why is None and ended.rc == 0 and found != _read(name, whole, folder, "resume")[1]:
        why = "other weights without a word"
    return why and f"{change} in {name}: {why}"


def killed(r: random.Random, folder: Path, runs: Path) -> str | None:
    """Kill a run at up to three moments, going on each time: it ends with the same bits."""
    del runs
    name = r.choice(("adder", "memory", "series"))
    steps = str(r.randrange(20, 200))
    flags = [*RUNS[name][0][:-4], "--steps", steps, "--report-every", "5", "--save-every", "0"]
    straight, broken = folder / "straight", folder / "broken"
    right = command(["train", name, *flags, "--out", str(straight)], folder, 60)
    if right.rc != 0:
        return f"{name} {flags}: {right.err}"
    words = ["train", name, *flags, "--out", str(broken)]
    for _ in range(r.choice((1, 2, 3))):
        _kill_after(r.random() * right.seconds, words, folder)
        if broken.exists() and any(broken.iterdir()):
            words = ["train", name, "--resume", "--out", str(broken)]
    ended = command(words, folder, 60)
    if ended.rc != 0 and "finished" in ended.err:
        ended = ended._replace(rc=0)
    if ended.rc != 0 and _without_a_state(broken):
        return None  # killed before its first state was there: the sentence says so
    why = complaint(ended)
    if why is None and (ended.rc != 0 or _weights(broken) != _weights(straight)):
        why = f"other weights than without the kills: {ended.err[-500:]}"
    return why and f"{name} {' '.join(flags)}: {why}"


def _without_a_state(run: Path) -> bool:
    from unrolled.training import runs

    return not (run / runs.RESUME).exists()


def _kill_after(seconds: float, words: list[str], folder: Path) -> None:
    def run() -> int:
        return cli.main(words) or 0

    child, out, err = started(run, folder)
    time.sleep(seconds)
    try:
        os.killpg(child, signal.SIGKILL)
    except ProcessLookupError:  # it had not begun its own session yet, or has ended
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    out.close()
    err.close()
