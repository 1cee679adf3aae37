"""What becomes of OpenMP's threads where a process forks.

A child has its parent's memory and one of its threads.  OpenMP, on whose threads torch and the
native engine run, finds the others in that memory, hands them work, and waits for ever.  So they
are sent home before each fork, and parent and child start threads of their own with their next
work.  Where they cannot be sent home, the child makes do with the thread that it has.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

__all__ = ["watch"]

_SOFT = 1  # omp_pause_soft: what was set, as the number of threads, remains
_FORKED = 0x40  # PF_FORKNOEXEC of Linux: forked, and no other program begun since
_PATIENCE = 1.0  # seconds for what takes microseconds, on a machine that is busy otherwise


def watch() -> None:
    """Mend every fork to come, and the one that this process came from; once for a process."""
    if not hasattr(os, "register_at_fork"):  # Windows has no fork
        return
    _mend_own()
    os.register_at_fork(before=_before, after_in_child=_in_child)


def _sender() -> Callable[[int], int] | None:
    """OpenMP's own function for it, of the library that `import torch` makes visible to all."""
    with contextlib.suppress(OSError, AttributeError):
        found: Callable[[int], int] = ctypes.CDLL(None).omp_pause_resource_all
        return found
    return None


_send_home = None if sys.platform == "win32" else _sender()
_at_home = False


def _before() -> None:
    global _at_home
    _at_home = _send_home is not None and _send_home(_SOFT) == 0


def _in_child() -> None:
    if not _at_home:
        _make_do()


def _make_do() -> None:
    """Go on with one thread: the others are not there, and cannot be sent home either."""
    global _send_home
    _send_home = None
    torch.set_num_threads(1)


# --- a process that was forked before this package was there ---


def _mend_own() -> None:
    """Make do with one thread where OpenMP believes in threads that only the parent had.

    It answers no such question; but whoever sends these threads home waits for ever, and a child of
    this process can try.
    """
    global _send_home
    if _send_home is None or not _forked():
        return
    if not _alone():
        _send_home = None  # it cannot be tried, and no later fork may wait for ever
    elif _hangs(_send_home):
        _make_do()


def _forked() -> bool:
    with contextlib.suppress(OSError):  # not on Linux
        stat = Path("/proc/self/stat").read_text(encoding="utf-8", errors="replace")
        return bool(int(stat.rpartition(")")[2].split()[6]) & _FORKED)
    return False


def _alone() -> bool:
    """Whether this process has one thread: with more, OpenMP's may be among them."""
    return len(os.listdir("/proc/self/task")) == 1


def _hangs(send_home: Callable[[int], int]) -> bool:
    child = os.fork()
    if child == 0:
        send_home(_SOFT)
        os._exit(0)
    try:
        return not _ended(child)
    except ChildProcessError:  # it ended, and this process hears of no child's end
        return False


def _ended(child: int) -> bool:
    due = time.monotonic() + _PATIENCE
    while time.monotonic() < due:
        if os.waitpid(child, os.WNOHANG)[0]:
            return True
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False
