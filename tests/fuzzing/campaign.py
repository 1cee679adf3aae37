"""`make fuzz`: a bounded campaign of wrong inputs, damaged runs and kills.

3,000 commands with something wrong in their files or flags; 500 flipped bits over every file of
runs of four recipes; 60 states that make no sense; 60 runs killed in the middle.  Each ends in one
sentence, or gives what is right: no crash, no hang, no traceback, no result that changed without a
word.  It takes some minutes of two cores and writes nowhere but in a folder of its own.

    python tests/fuzzing/campaign.py                   everything, with a seed that is printed
    python tests/fuzzing/campaign.py --seed 5          the same campaign again
    python tests/fuzzing/campaign.py --seed 5 --only inputs:123     one case of it
    python tests/fuzzing/campaign.py --share 0.05      a twentieth
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzzing import damage, guarded, inputs

__all__ = ["PARTS", "findings"]

Part = Callable[[random.Random, Path, Path], str | None]
PARTS: dict[str, tuple[int, Part]] = {
    "inputs": (3000, inputs.tried),
    "bits": (500, damage.flipped),
    "states": (60, damage.put),
    "kills": (60, damage.killed),
}


def findings(
    seed: int, share: float = 1.0, only: str = "", processes: int = 2, say: bool = False
) -> list[str]:
    """Run a share of the campaign; what there is to complain of, a line or more for each case."""
    cases = list(_cases(share, only))
    random.Random(seed).shuffle(cases)
    with tempfile.TemporaryDirectory(prefix="unrolled-fuzz-") as place:
        home = Path(place).resolve()
        guarded.ready(home)
        runs = damage.made(home)
        context = multiprocessing.get_context("fork")
        results = context.Queue()
        workers = [
            context.Process(target=_work, args=(cases[k::processes], seed, home, runs, results))
            for k in range(processes)
        ]
        for worker in workers:
            worker.start()
        found = _gathered(results, len(cases), say)
        for worker in workers:
            worker.join()
    return found


def _cases(share: float, only: str) -> Iterator[tuple[str, int]]:
    part, _, number = only.partition(":")
    for name, (count, _) in PARTS.items():
        if part in ("", name):
            numbers = [int(number)] if number else range(max(1, round(count * share)))
            yield from ((name, k) for k in numbers)


def _work(cases: list[tuple[str, int]], seed: int, home: Path, runs: Path, results) -> None:
    for name, k in cases:
        folder = home / f"{name}-{k}"
        folder.mkdir()
        try:
            why = PARTS[name][1](random.Random(f"{seed} {name} {k}"), folder, runs)
        except Exception as error:
            why = f"the campaign itself failed: {type(error).__name__}: {error}"
        shutil.rmtree(folder, ignore_errors=True)
        results.put(why and f"{name}:{k}  {why}")


def _gathered(results, count: int, say: bool) -> list[str]:
    found: list[str] = []
    began = time.monotonic()
    for k in range(1, count + 1):
        why = results.get()
        if why:
            found.append(why)
            if say:
                print(f"\n{why}\n", flush=True)
        if say and (k % 200 == 0 or k == count):
            spent = time.monotonic() - began
            print(f"{k} of {count} cases, {len(found)} findings, {spent:.0f} s", flush=True)
    return found


def _main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=None, help="the campaign to run again")
    parser.add_argument("--share", type=float, default=1.0, help="how much of it")
    parser.add_argument("--only", default="", help="a part, or one case of it: inputs:123")
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if given.seed is None else given.seed
    print(f"seed {seed}", flush=True)
    found = findings(seed, given.share, given.only, say=True)
    print(f"seed {seed}: {len(found)} findings" if found else f"seed {seed}: nothing found")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(_main())
