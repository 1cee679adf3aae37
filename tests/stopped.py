"""Being killed: at every moment of writing in its turn, and by kill -9 in a process of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from fresh import OPTIMISERS, FreshPython


class Killed(BaseException):
    """As sudden as a kill, but in this process."""


def moments(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Be killed at the first, second, … call that touches the disk, until one run survives."""
    count = 0
    left = 0

    def wrap(function: Any) -> Any:
        def call(*args: Any, **more: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                raise Killed
            return function(*args, **more)

        return call

    for name in ("fsync", "replace"):
        monkeypatch.setattr(os, name, wrap(getattr(os, name)))
    while left <= 0:
        count += 1
        left = count
        yield count


# Each goes on from where the one before was killed, a little later within a step or a checkpoint.
KILLS = """
import os, signal, sys, time
from itertools import islice
from pathlib import Path
import torch
torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)
sys.path.insert(0, {tests!r})
import echo
from unrolled.training import train

out = Path({out!r})
for number, wait in enumerate({waits!r}):
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        with os.fdopen(writes, "w") as says:
            for step in train(echo.{recipe}, out, resume=out.exists(), save_every={save_every!r}):
                print(step.step, file=says, flush=True)
        os._exit(0)
    os.close(writes)
    with os.fdopen(reads) as said:
        step = list(islice(said, wait))[-1]
        time.sleep(0.003 * number)
        os.kill(child, signal.SIGKILL)
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert ended == -signal.SIGKILL, ended
    print(int(step))
"""


def kill(
    fresh_python: FreshPython, recipe: str, out: Path, waits: Sequence[int], save_every: float
) -> list[int]:
    """Train that recipe of `echo`, killed whenever so many steps were told; gives those steps."""
    code = KILLS.format(
        tests=str(Path(__file__).parent),
        recipe=recipe,
        out=str(out),
        waits=tuple(waits),
        save_every=save_every,
    )
    done = fresh_python(code, having=OPTIMISERS)
    assert done.returncode == 0, done.stderr
    return [int(line) for line in done.stdout.split()]
