"""Blocks of batches as an iterable makes them: one ahead, and each owned by whoever trains on it.

The iterable is anybody's code.  It may wait for as long as it likes, and fill one buffer anew for
each block: the one must not hold up the end of a training, nor the other change what it learns.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from torch import Tensor

from unrolled.engines.memory import check, reason
from unrolled.steps.batches import Batches

__all__ = ["each_ahead"]

_HEARD = 0.2  # seconds after which a halt is heard while a block is waited for
_GRACE = 0.3  # seconds that a block in the making is given when it is not wanted any more
_END = object()


@contextmanager
def each_ahead(given: Any, halt: Callable[[], bool]) -> Iterator[Iterator[Any]]:
    """The blocks of an iterable, each made in a thread of its own while the one before it is used.

    Each is copied before the next is asked for.  What nobody's code makes meanwhile is given as it
    is: a single block, and those of a list or a tuple.  What the iterable raises is raised here, in
    its turn; once ``halt`` says so, no block is waited for.
    """
    if isinstance(given, Batches) or (isinstance(given, (tuple, list)) and _is_block(given)):
        yield iter((given,))
        return
    if type(given) in (tuple, list):
        yield iter(given)
        return
    reader = _Reader(iter(given))
    try:
        yield reader.blocks(halt)
    finally:
        reader.end()


def _is_block(given: Any) -> bool:
    return 2 <= len(given) <= 5 and isinstance(given[0], Tensor)


class _Reader:
    """The thread that makes the blocks, which nobody waits for who is interrupted."""

    def __init__(self, source: Iterator[Any]) -> None:
        self._source = source
        self._asked: SimpleQueue[bool] = SimpleQueue()
        self._made: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
        self._not_closed: BaseException | None = None
        self._thread = Thread(target=self._read, name="unrolled blocks", daemon=True)
        self._thread.start()

    def blocks(self, halt: Callable[[], bool]) -> Iterator[Any]:
        """Block after block; the next is asked for when one is given."""
        self._asked.put(True)
        while (block := self._next(halt)) is not _END:
            self._asked.put(True)
            yield block

    def end(self) -> None:
        """Ask for no more, and wait for the thread if that does not take long.

        Raises
        ------
        BaseException
            What the end of a generator raises.
        """
        self._asked.put(False)
        self._thread.join(_GRACE)
        if self._not_closed is not None:
            raise self._not_closed

    def _next(self, halt: Callable[[], bool]) -> Any:
        while not halt():
            try:
                block, error = self._made.get(timeout=_HEARD)
            except Empty:
                continue
            if error is None:
                return block
            try:
                raise error
            finally:
                del error  # its traceback holds this frame
        return _END

    def _read(self) -> None:
        try:
            while self._asked.get():
                self._made.put((_owned(next(self._source, _END)), None))
        except BaseException as error:
            self._made.put((None, error))
        finally:
            self._close()

    def _close(self) -> None:
        try:
            if isinstance(self._source, Generator):
                self._source.close()
        except BaseException as error:
            self._not_closed = error


def _owned(given: Any) -> Any:
    """A block with memory of its own; what is none is given back, to be refused."""
    if isinstance(given, Batches):
        return Batches(*map(_copy, Batches._fields, given))
    if isinstance(given, (tuple, list)) and 2 <= len(given) <= len(Batches._fields):
        return tuple(map(_copy, Batches._fields, given))
    return given


def _copy(name: str, t: Any) -> Any:
    """A tensor's copy, which takes no more memory than it: a view may show a number many times."""
    if not isinstance(t, Tensor):
        return t
    check(name, t)
    if reason(name, t) is None and not t.is_contiguous() and not t.is_neg():
        span = 1 + sum((n - 1) * s for n, s in zip(t.shape, t.stride(), strict=True))
        if span < t.numel():
            return t.as_strided((span,), (1,)).clone().as_strided(t.shape, t.stride())
    return t.clone()
