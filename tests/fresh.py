"""Fresh Pythons, for what an import does: each has imported torch and nothing of this library.

Torch takes seconds to import, and what its optimisers need of it nearly as long again.  One process
does it and waits; for each code that it is sent it forks a child, which runs the code and nothing
else.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

PARENT = """
import gc, importlib, json, os, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
gc.freeze()  # or each child would copy the pages that its collector walks over
del sys.argv[1:]
for line in sys.stdin:
    code, environment, place, folder = json.loads(line)
    child = os.fork()
    if child == 0:
        os.chdir(place)
        os.environ.clear()
        os.environ.update(environment)
        for number, name in enumerate(("stdin", "stdout", "stderr")):
            os.dup2(os.open(f"{folder}/{name}", os.O_RDWR | os.O_CREAT), number)
        exec(code, {"__name__": "__main__"})
        sys.exit()
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
os._exit(0)
"""
TORCH = ("torch",)
# The first optimiser of a process imports torch's compiler; here that is done once for all.
OPTIMISERS = (*TORCH, "torch._dynamo")


class FreshPython(Protocol):
    """Run code in a process of its own: in this one's folder and environment, and what is given.

    ``having`` are the modules that it has imported before.
    """

    def __call__(
        self, code: str, *, having: tuple[str, ...] = TORCH, **environment: str
    ) -> subprocess.CompletedProcess[str]: ...


@contextmanager
def fresh_pythons() -> Iterator[FreshPython]:
    """The processes that fresh ones are forked from; without a fork, each is started alone."""
    if not hasattr(os, "fork"):
        yield _alone
        return
    with ExitStack() as running:
        parents: dict[tuple[str, ...], subprocess.Popen[str]] = {}

        def run(
            code: str, *, having: tuple[str, ...] = TORCH, **environment: str
        ) -> subprocess.CompletedProcess[str]:
            if having not in parents:
                parents[having] = running.enter_context(_parent(having))
            return _forked(parents[having], code, environment)

        yield run


def _parent(having: tuple[str, ...]) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PARENT, *having]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _forked(
    parent: subprocess.Popen[str], code: str, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    assert parent.stdin is not None
    assert parent.stdout is not None
    with tempfile.TemporaryDirectory() as folder:
        asked = [code, os.environ | environment, os.getcwd(), folder]
        print(json.dumps(asked), file=parent.stdin, flush=True)
        status = int(parent.stdout.readline())
        texts = [Path(folder, name).read_text("utf-8") for name in ("stdout", "stderr")]
    return subprocess.CompletedProcess([code], status, *texts)


def _alone(
    code: str, *, having: tuple[str, ...] = TORCH, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
