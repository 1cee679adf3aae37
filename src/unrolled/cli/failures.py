"""How every failure of the command line ends: one sentence, and a status that is not 0.

======  ==========================================================================================
1       what was begun did not succeed: a loss that is not finite, results that differ
2       what was asked cannot be done: a word, a file, a recipe, the memory, the disk
70      a fault of ours
130     Ctrl-C
141     nobody reads what is printed
======  ==========================================================================================
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import traceback
from collections.abc import Sequence

from unrolled.errors import UnrolledError
from unrolled.errors.mistakes import Place, chain, mistake, one_line, place_of, said
from unrolled.files.whole import is_full

__all__ = ["DEBUG", "debugged", "ended", "flush", "is_memory"]

DEBUG = "the traceback too, where something fails"  # --debug
MOST = 380  # letters of a sentence

# torch, NumPy and Python each say in their own words that a size cannot be had.
_MEMORY = re.compile(
    r"allocate|out of memory|overflow|too large to convert|too big|too large"
    r"|array is too|dimension size must be|Maximum allowed dimension|maximum possible size",
    re.IGNORECASE,
)


def debugged(words: Sequence[str]) -> tuple[list[str], bool]:
    """The words without ``--debug``, which may stand anywhere, and whether it was there."""
    rest = [word for word in words if word != "--debug"]
    return rest, len(rest) < len(words)


def ended(error: BaseException, debug: bool) -> int:
    """Say on standard error why a command ended; returns the exit status."""
    if isinstance(error, BrokenPipeError):  # `unrolled … | head`
        sys.stderr.close()
        return 141
    status, sentence = _failure(error)
    if debug and sentence:
        traceback.print_exception(error)
    if sentence:
        line = one_line(sentence, MOST)
        print(f"unrolled: {line}{'' if line[-1] in '.?!…' else '.'}", file=sys.stderr)
    return status


def flush() -> None:
    """Print what has been printed so far: a full disk is told now, not when Python ends."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        error.filename = "standard output"
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - nor tried again
        raise


def is_memory(error: BaseException) -> bool:
    """Whether an error says that a size cannot be had."""
    if isinstance(error, UnrolledError):
        return False
    if isinstance(error, MemoryError | OverflowError):
        return True
    kinds = RuntimeError | ValueError | TypeError
    return isinstance(error, kinds) and _MEMORY.search(said(error)) is not None


def _failure(error: BaseException) -> tuple[int, str]:
    """The exit status, and the sentence; an empty one where all is said."""
    if isinstance(error, KeyboardInterrupt):
        return 130, "stopped at once"
    if isinstance(error, SystemExit) and _is_help(error):
        return error.code if isinstance(error.code, int) else 0, ""
    status, sentence = _told(error, place_of(error))
    # What stays of a run.
    notes = [note for one in chain(error) for note in getattr(one, "__notes__", ())]
    return status, "; ".join([sentence.rstrip("."), *notes]) if notes else sentence


def _told(error: BaseException, place: Place | None) -> tuple[int, str]:
    from unrolled.bench.timing import BenchError
    from unrolled.steps.program import TrainingError

    ours = isinstance(error, UnrolledError)
    if isinstance(error, OSError) and not ours and (place is None or is_full(error)):
        return 2, f"{error.filename or 'a file'}: {error.strerror or said(error)}"
    if place is not None:
        return 2, mistake(error, place)
    if ours:
        return 1 if isinstance(error, TrainingError | BenchError) else 2, one_line(said(error))
    if is_memory(error):
        return 2, f"there is not enough memory for that ({one_line(said(error), 200)})"
    return 70, _fault(error)


def _fault(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    at = f" in {os.path.basename(frames[-1].filename)}, line {frames[-1].lineno}" if frames else ""
    return (
        f"this is a fault of unrolled: {type(error).__name__}{at}: "
        f"{one_line(said(error), 200) or 'no message'}; --debug shows where; please report it"
    )


def _is_help(stop: SystemExit) -> bool:
    """Whether a parser ended the program, which has said why, or been asked for help."""
    frames = [frame for frame, _ in traceback.walk_tb(stop.__traceback__)]
    last = frames[-1].f_code.co_filename if frames else ""
    return not isinstance(stop.code, str) and (last == argparse.__file__ or place_of(stop) is None)
