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
from unrolled.steps.stepping import MOST_THREADS, steps_until

__all__ = ["Job", "Trained", "train_many"]


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
        Of every step; of those before the one that was not finite, where there was such a one.
    error : TrainingError or None
        Why it stopped before its end.
    """

    losses: Tensor
    error: TrainingError | None = None


def train_many(
    jobs: Iterable[Job], *, threads: int | None = None, engine: str = "auto", progress: bool = True
) -> list[Trained]:
    """Train many models, each in a thread of its own, as many at a time as there are cores.

    A model is trained by one thread, so it ends with the bits that `unrolled.train_steps` gives it
    with ``threads=1``, whatever the others are.  A loss that is not finite ends its own job alone.

    Parameters
    ----------
    jobs : iterable of Job
        Taken as threads become free, so that a generator may make each model and its data in its
        turn.  No two may share a parameter or an optimiser.
    threads : int, optional
        As many as this process may use cores, if left out.
    engine : {"auto", "native", "plain"}
        As `unrolled.train_steps` has it.
    progress : bool
        Whether to keep a line on the terminal, if standard error is one.

    Returns
    -------
    list of Trained
        In the order of the jobs.

    Raises
    ------
    ValueError, TypeError, unrolled.Declined
        For a job that makes no sense, with its number as a note; the others' threads end first.

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
    count = _cores() if threads is None else threads
    total = len(jobs) if isinstance(jobs, Sized) else None
    halt = threading.Event()
    found: dict[int, Trained] = {}
    line = _Line(total, progress)
    with ThreadPoolExecutor(count) as pool:
        running: dict[Future[Trained], int] = {}
        coming = enumerate(jobs)
        seen: WeakKeyDictionary[object, int] = WeakKeyDictionary()
        try:
            while _start(coming, running, pool, 2 * count, engine, halt, seen) or running:
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    found[running.pop(future)] = future.result()
                    line.tell(len(found))
        finally:
            halt.set()
            for future in running:
                future.cancel()
            line.end()
    return [found[k] for k in range(len(found))]


def _start(
    coming: Iterator[tuple[int, Job]],
    running: dict[Future[Trained], int],
    pool: ThreadPoolExecutor,
    most: int,
    engine: str,
    halt: threading.Event,
    seen: WeakKeyDictionary[object, int],
) -> bool:
    """Hand out jobs until ``most`` are; False where there are no more."""
    while len(running) < most:
        number, job = next(coming, (-1, None))
        if number < 0:
            return False
        if not isinstance(job, Job):
            raise InvalidTypeError(f"job {number} is a {type(job).__name__}, expected a Job.")
        for what, one in (("network", job.network), ("optimizer", job.optimizer)):
            if one in seen:
                raise InvalidValueError(
                    f"jobs {seen[one]} and {number} share their {what}: each needs one of its own."
                )
            seen[one] = number
        running[pool.submit(_train, number, job, engine, halt)] = number
    return True


def _train(number: int, job: Job, engine: str, halt: threading.Event) -> Trained:
    network, optimizer, loss, batches, clip, state = job
    try:
        losses = steps_until(
            halt.is_set, network, optimizer, loss, batches, clip, state, engine, threads=1
        )
    except TrainingError as error:
        return Trained(
            torch.empty(0, device="cpu") if error.losses is None else error.losses, error
        )
    except (ValueError, TypeError, RuntimeError) as error:
        error.add_note(f"job {number}")
        raise
    return Trained(losses)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Line:
    """One line on a terminal that the next one replaces; nothing elsewhere."""

    def __init__(self, total: int | None, wanted: bool) -> None:
        self._total = total
        self._seen = wanted and sys.stderr.isatty()
        self._began = time.perf_counter()
        self._next = 0.0

    def tell(self, done: int) -> None:
        """Say how far it is, ten times a second at the most."""
        now = time.perf_counter()
        if not self._seen or now < self._next:
            return
        self._next = now + 0.1
        rate = done / max(now - self._began, 1e-9)
        words = f"{done:,} models, {rate:,.1f} models/s"
        if self._total is not None:
            left = (self._total - done) / rate
            words = f"{done:,}/{self._total:,} models, {rate:,.1f} models/s, {left:.0f} s left"
        print(f"\r\x1b[K{words}", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Leave the terminal as it was."""
        if self._seen:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
