"""`train_many`: many small models side by side, one to a core, each as if it were alone."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sized
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from unrolled.errors import InvalidTypeError, InvalidValueError
from unrolled.errors.expected import check_argument, whole
from unrolled.steps.losses import Loss
from unrolled.steps.network import Network
from unrolled.steps.program import State, TrainingError
from unrolled.steps.stepping import MOST_THREADS, check_engine, steps_until

__all__ = ["Job", "Trained", "train_many"]

_HEARD = 0.2  # seconds after which Ctrl-C is heard, where waiting is not interrupted by it


class Job(NamedTuple):
    """One model and what it learns: the arguments of `unrolled.train_steps`."""

    network: Network
    optimizer: torch.optim.Optimizer
    loss: Loss | str | nn.Module
    batches: Any
    clip: float = 0.0
    state: State = None


class Trained(NamedTuple):
    """What came of a job.

    Parameters
    ----------
    losses : Tensor, [N]
        Of every step; of those before the one that was not finite, where there was such a one;
        none after any other error.
    error : Exception or None
        Why it stopped before its end.  The job's number is in its message, as ``job 3: …``; or in
        a note, where the message is not one text that can be added to.
    """

    losses: Tensor
    error: Exception | None = None


def train_many(
    jobs: Iterable[Job],
    *,
    threads: int | None = None,
    engine: str = "auto",
    progress: bool = True,
    stop_at_first: bool = False,
) -> list[Trained]:
    """Train many models, each in a thread of its own, as many at a time as there are cores.

    A model is trained by one thread, so it ends with the bits that `unrolled.train_steps` gives it
    with ``threads=1``, whatever the others are.  An error ends its own job alone, and is given back
    in its place: look at each ``error``, or ask for ``stop_at_first``.

    Parameters
    ----------
    jobs : iterable of Job
        Taken as threads become free, so that a generator may make each model and its data in its
        turn.  No two may share a parameter or an optimiser.  What the iterable raises itself is the
        last job's error, and no more are taken.
    threads : int, optional
        As many as this process may use cores, if left out.
    engine : {"auto", "native", "plain"}
        As `unrolled.train_steps` has it.
    progress : bool
        Whether to keep a line on the terminal, if standard error is one; it ends with how many
        failed, if any did.
    stop_at_first : bool
        Whether the first error is raised, once the others' threads have ended, and nothing given
        back.

    Returns
    -------
    list of Trained
        In the order of the jobs.

    Raises
    ------
    ValueError, TypeError
        Before anything is trained: for an argument that makes no sense, and for a list or a tuple
        with something in it that is no `Job`, or shares its network or optimiser with another.
    Exception
        With ``stop_at_first``, the first error of a job, with its number.

    Examples
    --------
    >>> from unrolled import LSTM
    >>> def job(rate):
    ...     network = Network(LSTM(1, 8), nn.Linear(8, 1))
    ...     x = torch.rand(100, 10, 1, 1)
    ...     optimizer = torch.optim.SGD(network.parameters(), rate)
    ...     return Job(network, optimizer, "squared_error", (x, x))
    >>> [len(trained.losses) for trained in train_many(map(job, (0.1, 0.2)))]
    [100, 100]
    """
    if threads is not None:
        check_argument("threads", threads, whole(1, MOST_THREADS))
    check_engine(engine)
    if isinstance(jobs, (list, tuple)):
        _check_all(jobs)
    count = _cores() if threads is None else threads
    line = _Line(len(jobs) if isinstance(jobs, Sized) else None, progress)
    with ThreadPoolExecutor(count) as pool:
        many = _Many(_each(jobs), pool, 2 * count, engine)
        try:
            for trained in many.finished():
                line.tell(trained)
                if stop_at_first and trained.error is not None:
                    raise trained.error
        finally:
            many.stop()
            line.end()
    return many.in_order()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# --- what there is to do ---

Seen = WeakKeyDictionary[
    object, int
]  # the networks and optimisers so far, with their jobs' numbers


def _check_all(jobs: Iterable[Job]) -> None:
    seen: Seen = WeakKeyDictionary()
    for number, job in enumerate(jobs):
        refusal = _refusal(number, job, seen)
        if refusal is not None:
            raise refusal


def _each(jobs: Iterable[Job]) -> Iterator[Job | Exception]:
    """Job after job; in place of one that makes no sense, or is not even made, why not."""
    seen: Seen = WeakKeyDictionary()
    number, coming = 0, iter(jobs)
    while True:
        try:
            job = next(coming)
        except StopIteration:
            return
        except Exception as error:  # the iterable is anybody's code, and at its end now
            yield _numbered(number, error)
            return
        yield _refusal(number, job, seen) or job
        number += 1


def _refusal(number: int, job: Job, seen: Seen) -> Exception | None:
    if not isinstance(job, Job):
        return InvalidTypeError(f"job {number} is a {type(job).__name__}, expected a Job.")
    for what, kind in (("network", nn.Module), ("optimizer", torch.optim.Optimizer)):
        one = getattr(job, what)
        if not isinstance(one, kind):
            continue  # it is refused with its other arguments
        if one in seen:
            return InvalidValueError(
                f"jobs {seen[one]} and {number} share their {what}: give job {number} one of its "
                "own."
            )
        seen[one] = number
    return None


def _numbered(number: int, error: Exception) -> Exception:
    """The same exception, which says whose it is: in its message, or in a note if that is not text.

    Its class is kept, and so are arguments that mean something to it.
    """
    if error.args == (str(error),):
        error.args = (f"job {number}: {error}",)
    else:
        error.add_note(f"job {number}")
    return error


# --- the doing ---


class _Many:
    """Jobs as they are handed out to threads, and what came of each."""

    def __init__(
        self, coming: Iterator[Job | Exception], pool: ThreadPoolExecutor, most: int, engine: str
    ) -> None:
        self._coming, self._pool, self._most, self._engine = coming, pool, most, engine
        self._halt = threading.Event()
        self._running: dict[Future[Trained], int] = {}
        self._found: dict[int, Trained] = {}

    def finished(self) -> Iterator[Trained]:
        """What came of each job as soon as it has ended, while the next are handed out."""
        while True:
            yield from self._hand_out()
            if not self._running:
                return
            done, _ = wait(self._running, _HEARD, FIRST_COMPLETED)
            for future in done:
                number = self._running.pop(future)
                self._found[number] = future.result()
                yield self._found[number]

    def stop(self) -> None:
        """Begin no more, and end those that run between two calls of the kernel."""
        self._halt.set()
        for future in self._running:
            future.cancel()

    def in_order(self) -> list[Trained]:
        """What came of each job, in the order in which they were given."""
        return [self._found[k] for k in range(len(self._found))]

    def _hand_out(self) -> Iterator[Trained]:
        """Hand out jobs until enough are; those that cannot be begun have ended."""
        while len(self._running) < self._most:
            job = next(self._coming, None)
            number = len(self._found) + len(self._running)
            if job is None:
                return
            if isinstance(job, Exception):
                self._found[number] = _failed(job)
                yield self._found[number]
            else:
                future = self._pool.submit(_train, number, job, self._engine, self._halt)
                self._running[future] = number


def _train(number: int, job: Job, engine: str, halt: threading.Event) -> Trained:
    network, optimizer, loss, batches, clip, state = job
    try:
        losses = steps_until(
            halt.is_set, network, optimizer, loss, batches, clip, state, engine, threads=1
        )
    except Exception as error:  # anybody's code may run: batches, hooks, an optimiser of one's own
        return _failed(_numbered(number, error))
    return Trained(losses)


def _failed(error: Exception) -> Trained:
    losses = error.losses if isinstance(error, TrainingError) else None
    return Trained(torch.empty(0, device="cpu") if losses is None else losses, error)


class _Line:
    """One line on a terminal that the next one replaces; nothing elsewhere."""

    def __init__(self, total: int | None, wanted: bool) -> None:
        self._total = total
        self._seen = wanted and sys.stderr.isatty()
        self._began = time.perf_counter()
        self._next = 0.0
        self._done = 0
        self._failed = 0

    def tell(self, trained: Trained) -> None:
        """Count one more, and say how far it is, ten times a second at the most."""
        self._done += 1
        self._failed += trained.error is not None
        now = time.perf_counter()
        if self._seen and now >= self._next:
            self._next = now + 0.1
            self._write(self._words(now - self._began))

    def end(self) -> None:
        """Leave the terminal as it was; a line more where jobs failed."""
        if self._seen:
            said = f"{self._failed:,} of {self._done:,} models failed\n" if self._failed else ""
            self._write(said)

    def _words(self, seconds: float) -> str:
        of = "" if self._total is None else f"/{self._total:,}"
        failed = f", {self._failed:,} failed" if self._failed else ""
        rate = self._done / max(seconds, 1e-9)
        left = "" if self._total is None else f", {(self._total - self._done) / rate:.0f} s left"
        return f"{self._done:,}{of} models{failed}, {rate:,.1f} models/s{left}"

    def _write(self, words: str) -> None:
        print(f"\r\x1b[K{words}", end="", file=sys.stderr, flush=True)
