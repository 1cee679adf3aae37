"""How the library refuses: one root for all that it raises, and one sentence for each refusal.

``except unrolled.UnrolledError`` catches everything that is raised on purpose.  Each member is also
the ValueError, TypeError or RuntimeError that torch would raise in its place, so that code written
for `torch.nn.LSTM` goes on catching what it caught.
"""

__all__ = ["InvalidStateError", "InvalidTypeError", "InvalidValueError", "UnrolledError"]


class UnrolledError(Exception):
    """Whatever this library raises on purpose: a sentence that says how to mend it."""


class InvalidValueError(UnrolledError, ValueError):
    """A value that cannot be taken: the sentence names it, what was expected, and the mending."""


class InvalidTypeError(UnrolledError, TypeError):
    """A value of a type that cannot be taken."""


class InvalidStateError(UnrolledError, RuntimeError):
    """Something that cannot be done as things are: shapes, dtypes or devices do not fit."""
