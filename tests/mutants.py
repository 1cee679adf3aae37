"""Break the code on purpose and see the tests go red: `make mutants`.

Each mutant is one edit of one file, in a copy of the package; the tests named beside it must fail.
A test that cannot fail proves nothing, and this is how we know.

    python tests/mutants.py               all of them
    python tests/mutants.py stepper       those in whose description a word stands
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import unrolled
from mutations import arithmetic, around, exported, formats

ROOT = Path(__file__).parent.parent
MUTANTS = [*arithmetic.MUTANTS, *around.MUTANTS, *exported.MUTANTS, *formats.MUTANTS]


def _lying(test: str) -> str:
    """Where the tests of that name lie."""
    (found,) = (ROOT / "tests").rglob(test)
    return str(found)


def killed(file: str, old: str, new: str, test: str) -> bool:
    """Whether the test is red on the mutant."""
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "unrolled"
        shutil.copytree(Path(unrolled.__file__).parent, package)  # with the extension
        source = (package / file).read_text()
        if source.count(old) != 1:
            raise SystemExit(f"{file}: {old!r} is there {source.count(old)} times, expected once.")
        (package / file).write_text(source.replace(old, new))
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "-x",
                "-p",
                "no:cacheprovider",
                str(_lying(test)),
            ],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": folder},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode not in (0, 1):
            raise SystemExit(f"pytest ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.returncode == 1


def main(words: list[str]) -> int:
    """Print a line for each mutant and test; the exit status counts the survivors.

    ``words``: those mutants alone in whose description one of them stands.
    """
    wanted = [m for m in MUTANTS if not words or any(word in m[0] for word in words)]
    pairs = [(what, *edit, test) for what, *edit, tests in wanted for test in tests]

    def red(pair: tuple[str, ...]) -> bool:
        what, *rest = pair
        dead = killed(*rest)
        print(f"{'red ' if dead else 'GREEN'}  {rest[-1]:22}  {what}", flush=True)
        return dead

    with ThreadPoolExecutor(2) as pool:  # each waits for a process of its own
        survivors = len(pairs) - sum(pool.map(red, pairs))
    print(f"{len(pairs)} pairs of a mutant and a test, {survivors} survived")
    return survivors


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
