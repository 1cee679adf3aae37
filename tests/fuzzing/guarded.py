"""A command in a process of its own that may write nowhere but in its folder.

Everything is imported once and each command is a fork of that.  In the child every attempt to
write, rename, remove, bind or start a program outside the folder ends the process at once, so the
campaign can be run by anybody, root included, and such an attempt is a finding.
"""

from __future__ import annotations

import gc
import itertools
import os
import resource
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["OUTSIDE", "Ended", "command", "guarded", "ready", "started", "waited"]

OUTSIDE = 99
SECONDS = 60.0
GIB = 2**30
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_PATHS = {
    "os.rename": 2,
    "os.remove": 1,
    "os.rmdir": 1,
    "os.mkdir": 1,
    "os.link": 2,
    "os.symlink": 2,
    "os.truncate": 1,
    "os.chmod": 1,
    "os.chown": 1,
    "os.utime": 1,
    "shutil.rmtree": 1,
}
_NEVER = {"os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "os.fork", "os.forkpty"}


class Ended(NamedTuple):
    """How a command ended: its status (minus a signal's number), and what it wrote."""

    rc: int
    out: str
    err: str
    seconds: float = 0.0


def ready(home: Path) -> None:
    """Import what the commands would, before the first fork, and keep caches in ``home``."""
    os.environ |= {"MPLCONFIGDIR": str(home), "HOME": str(home), "MPLBACKEND": "Agg"}
    import importlib
    import pkgutil

    import matplotlib.figure
    import matplotlib.pyplot
    import pandas
    import torch
    import torch._dynamo

    import unrolled

    torch.set_num_threads(1)
    for module in pkgutil.walk_packages(unrolled.__path__, "unrolled."):
        if not module.name.rpartition(".")[2].startswith("_"):
            importlib.import_module(module.name)
    assert pandas
    draw = matplotlib.figure.Figure.savefig
    turn = itertools.count()

    def now_and_then(figure: Any, to: Any, *given: Any, **more: Any) -> None:
        # To draw costs ten times the rest of a command: one picture of thirty is drawn.
        if (os.getpid() + next(turn)) % 30:
            to.write_bytes(b"") if isinstance(to, Path) else None
        else:
            draw(figure, to, *given, **more)

    matplotlib.figure.Figure.savefig = now_and_then  # type: ignore[method-assign]
    gc.freeze()  # a child whose collector leaves the parent's pages alone copies none of them


def command(words: list[str], folder: Path, seconds: float = SECONDS) -> Ended:
    """Run ``unrolled WORDS`` in a folder."""

    def run() -> int:
        from unrolled import cli

        return cli.main(words) or 0

    return guarded(run, folder, seconds)


def guarded(does: Callable[[], int], folder: Path, seconds: float = SECONDS) -> Ended:
    """Call a function in a forked process that is shut into a folder."""
    child, out, err = started(does, folder)
    began = time.monotonic()
    rc = waited(child, began + seconds)
    return Ended(rc, _read(out), _read(err), time.monotonic() - began)


def started(does: Callable[[], int], folder: Path) -> tuple[int, Any, Any]:
    """Fork; gives the child's number and the files that it writes to."""
    out, err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115
    child = os.fork()
    if child == 0:
        _child(does, folder, out.fileno(), err.fileno())
    return child, out, err


def _child(does: Callable[[], int], folder: Path, out: int, err: int) -> None:
    status = 1
    try:
        os.setsid()
        os.chdir(folder)
        tempfile.tempdir = str(folder)
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        resource.setrlimit(resource.RLIMIT_FSIZE, (GIB // 4, GIB // 4))
        resource.setrlimit(resource.RLIMIT_AS, (12 * GIB, 12 * GIB))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        sys.addaudithook(_guard(os.path.realpath(folder)))
        status = does()
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status & 0xFF)


def _guard(folder: str) -> Callable[[str, tuple[Any, ...]], None]:
    def inside(path: Any) -> bool:
        if isinstance(path, int):
            return True
        real = os.path.realpath(os.fsdecode(path))
        return real == os.devnull or real == folder or real.startswith(folder + os.sep)

    def guard(event: str, given: tuple[Any, ...]) -> None:
        ok = True
        if event == "open":
            ok = not (isinstance(given[2], int) and given[2] & _WRITES) or inside(given[0])
        elif event in _PATHS:
            ok = all(map(inside, given[: _PATHS[event]]))
        elif event == "socket.bind":
            ok = given[0].family != socket.AF_INET or given[1][0] in ("127.0.0.1", "localhost")
        elif event in _NEVER:
            ok = False
        if not ok:
            os.write(2, f"OUTSIDE ITS FOLDER: {event} {given}\n".encode())
            os._exit(OUTSIDE)

    return guard


def waited(child: int, due: float, kill: Callable[[int, int], None] = os.killpg) -> int:
    """The status of a child, which is killed at the time ``due``: minus the signal, then."""
    while time.monotonic() < due:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.004)
    kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _read(file: Any) -> str:
    file.seek(0)
    with file:
        return file.read().decode(errors="replace")
