"""Functions run in processes of their own: what crashes or hangs there fails one test here.

Torch takes seconds to import, so a group of cases shares it: one process imports the test's file
and forks for each case, before it has run any thread.
"""

from __future__ import annotations

import functools
import gc
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import unrolled
from fuzzing.guarded import waited

__all__ = ["Ended", "environment", "one_sentence", "outcome", "python", "succeeds"]

TESTS = Path(__file__).parent
HUNG = -signal.SIGKILL


class Ended(NamedTuple):
    """How a process ended: its status (minus a signal's number), and what it wrote."""

    rc: int
    out: str
    err: str


def python(code: str, *, seconds: float = 60, cwd: Path | None = None) -> Ended:
    """Run a program in a process of its own, which is killed when its time is over."""
    command = [sys.executable, "-c", code]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, cwd=cwd, env=environment()
        )
    except subprocess.TimeoutExpired as late:
        return Ended(HUNG, _text(late.stdout), f"did not end within {seconds} s")
    return Ended(done.returncode, done.stdout, done.stderr)


def succeeds(file: str, table: str, name: str, seconds: float = 20) -> None:
    """Fail unless the function ``name`` of the dictionary ``table`` in ``file`` returns."""
    ended = outcome(file, table, seconds)[name]
    assert ended.rc == 0, f"status {ended.rc}: {ended.err[-2000:]}"


@functools.cache
def outcome(file: str, table: str, seconds: float = 20) -> dict[str, Ended]:
    """How each function of the dictionary ``table`` in ``file`` ended, each in its own process."""
    done = subprocess.run(
        [sys.executable, __file__, file, table, str(seconds)],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )
    assert done.returncode == 0, done.stderr
    ended: dict[str, list] = json.loads(done.stdout)
    return {name: Ended(*words) for name, words in ended.items()}


def one_sentence(error: BaseException | str) -> str:
    """What an error says, if that is one line that can be read at a glance; else this fails."""
    text = str(error).strip()
    assert text, "it says nothing"
    assert "\n" not in text, f"it says several lines: {text}"
    assert len(text) <= 400, f"it says too much: {text}"
    return text


def environment() -> dict[str, str]:
    # The package that this process has, wherever it was imported from, and no other.
    package = str(Path(unrolled.__file__).parents[1])
    paths = [str(TESTS), package, os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}


def _text(given: bytes | str | None) -> str:
    return given.decode(errors="replace") if isinstance(given, bytes) else given or ""


# --- the process that forks ---


def _serve(file: str, table: str, seconds: float) -> None:
    import importlib.util

    import torch

    torch.set_num_threads(1)
    spec = importlib.util.spec_from_file_location(Path(file).stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    getattr(module, "warm", lambda: None)()  # what would be imported once for each case
    cases = getattr(module, table)
    gc.freeze()  # or each child would copy the pages that its collector walks over
    print(json.dumps({name: _forked(case, seconds) for name, case in cases.items()}))


def _forked(case, seconds: float) -> Ended:
    import tempfile

    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            _child(case, out.fileno(), err.fileno())
        rc = waited(child, time.monotonic() + seconds, os.kill)
        for file in (out, err):
            file.seek(0)
        return Ended(rc, *(f.read().decode(errors="replace") for f in (out, err)))


def _child(case, out: int, err: int) -> None:
    """Run a case and end; nothing of the parent's is run or written on the way."""
    import traceback

    status = 1
    try:
        os.dup2(out, 1)
        os.dup2(err, 2)
        case()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    _serve(sys.argv[1], sys.argv[2], float(sys.argv[3]))
