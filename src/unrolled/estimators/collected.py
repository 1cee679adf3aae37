"""Sequences as people hand them over: lists of arrays, padded arrays with lengths, one array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import column_or_1d

from unrolled.errors import InvalidTypeError, InvalidValueError

__all__ = ["collected", "finite", "named", "paired"]

Floats = npt.NDArray[np.float64]


def collected(X: Any, lengths: Any = None) -> list[Floats]:
    """Sequences [T_i, C] of float64, out of X in any of its forms.

    Parameters
    ----------
    X : list of arrays [T_i, C] or [T_i], or array [N, T, C] or [N, T]
        Of an array, the steps at a sequence's end that are NaN in every channel are padding: a
        sequence ends before them.  Elsewhere NaN is a value that is missing.
    lengths : sequence of N whole numbers, optional
        Of an array: how many steps of each sequence count; what lies behind is not looked at.

    Raises
    ------
    ValueError, TypeError
        In one sentence that says which sequence is wrong and how to mend it.
    """
    if hasattr(X, "toarray"):
        raise InvalidTypeError(
            "X is a sparse matrix, expected a dense array of sequences: X.toarray() makes one."
        )
    array = _one_array(X)
    if array is None:
        if lengths is not None:
            raise InvalidValueError(
                "lengths was given with a list of arrays, which have lengths of their own: leave "
                "it out, or give one padded array [N, T, C]."
            )
        return [_sequence(one, n) for n, one in enumerate(X)]
    whole = _whole(array)
    ends = _ends(whole) if lengths is None else _checked(lengths, whole)
    cut = [one[:end] for one, end in zip(whole, ends, strict=True)]
    for number, one in enumerate(cut):
        _check_finite(one, f"sequence {number} of X")
    return cut


def _one_array(X: Any) -> npt.NDArray[Any] | None:
    """X as one array, or None where it is several."""
    if isinstance(X, (str, bytes, dict)) or not (hasattr(X, "__len__") or hasattr(X, "__array__")):
        raise InvalidTypeError(
            f"X is a {type(X).__name__}: expected a list of arrays [steps, channels], or one array "
            "[sequences, steps, channels]."
        )
    if isinstance(X, (list, tuple)):
        if not X:
            raise InvalidValueError("X has 0 sample(s), expected a sequence or more.")
        return None  # each has its own length, whatever the others have
    found = np.asarray(X)
    return None if found.dtype == object and found.ndim == 1 else found


def _whole(array: npt.NDArray[Any]) -> Floats:
    """[N, T, C] of numbers."""
    if array.ndim not in (2, 3):
        raise InvalidValueError(
            f"X has the shape {array.shape}: expected [sequences, steps, channels], or [sequences, "
            "steps] of one channel. Reshape your data: one sequence is X[None]."
        )
    if 0 in array.shape:
        what = "feature(s)" if array.shape[0] else "sample(s)"
        raise InvalidValueError(
            f"X has 0 {what} (shape={array.shape}) while a minimum of 1 is required: a sequence "
            "has a step or more, and a step a channel or more."
        )
    values = _numbers(array, "X")
    return values[..., None] if values.ndim == 2 else values


def _sequence(one: Any, number: int) -> Floats:
    array = np.asarray(one)
    if array.ndim not in (1, 2) or not array.size:
        raise InvalidValueError(
            f"sequence {number} of X has the shape {array.shape}: expected [steps, channels], at "
            "least one of each, or [steps]."
        )
    values = _numbers(array, f"sequence {number} of X")
    _check_finite(values, f"sequence {number} of X")
    return values[:, None] if values.ndim == 1 else values


def _numbers(array: npt.NDArray[Any], what: str) -> Floats:
    if np.iscomplexobj(array):
        raise InvalidValueError(f"Complex data not supported: {what} is complex, expected reals.")
    try:
        values = np.asarray(array, dtype=np.float64)
    except (TypeError, ValueError) as error:
        kind = InvalidTypeError if isinstance(error, TypeError) else InvalidValueError
        raise kind(f"{what} holds what is no number ({error}): expected numbers.") from None
    return values


def _check_finite(values: Floats, what: str) -> None:
    if np.isinf(values).any():
        place = int(np.argwhere(np.isinf(values))[0][0])
        raise InvalidValueError(
            f"{what} holds an infinity at step {place}: expected finite numbers, or NaN where a "
            "value is missing."
        )


def _ends(whole: Floats) -> list[int]:
    """How many steps each sequence has before the padding."""
    there = np.asarray(~np.isnan(whole).all(axis=2))
    none = np.flatnonzero(~there.any(axis=1))
    if len(none):
        raise InvalidValueError(
            f"sequence {none[0]} of X is NaN throughout: expected a step or more with a number."
        )
    ends: list[int] = (whole.shape[1] - there[:, ::-1].argmax(1)).tolist()
    return ends


def _checked(lengths: Any, whole: Floats) -> Sequence[int]:
    found = np.asarray(lengths)
    right = found.shape == whole.shape[:1] and found.dtype.kind in "iu"
    if not right or found.min() < 1 or found.max() > whole.shape[1]:
        raise InvalidValueError(
            f"lengths has the shape {found.shape} and holds {found.dtype}: expected "
            f"{len(whole)} whole numbers from 1 to {whole.shape[1]}, one for each sequence."
        )
    ends: list[int] = found.tolist()
    return ends


# --- what is to be said of them ---


def named(groups: Any) -> list[str]:
    """The names of groups, each of which is one."""
    if np.ndim(groups) != 1:
        raise InvalidTypeError(
            f"groups is {type(groups).__name__} of {np.ndim(groups)} dimensions: expected a name "
            "for each sequence."
        )
    for number, name in enumerate(groups):
        if name is None or name != name or name == "":
            raise InvalidValueError(
                f"groups[{number}] is {name!r}: expected the name of a group for each sequence."
            )
    return [str(name) for name in groups]


def paired(X: Any, y: Any, lengths: Any) -> tuple[list[Floats], npt.NDArray[Any]]:
    """Sequences, and an answer for each."""
    if y is None:
        raise InvalidValueError("fit requires y to be passed, but the target y is None.")
    sequences, answers = collected(X, lengths), np.asarray(y)
    if not answers.ndim:
        raise InvalidTypeError(f"y is {y!r}: expected an answer for each sequence.")
    if answers.ndim == 2 and answers.shape[1] == 1:
        answers = column_or_1d(answers, warn=True)
    if len(answers) != len(sequences):
        raise InvalidValueError(
            f"X has {len(sequences)} sequences and y {len(answers)} answers: expected as many."
        )
    if len(sequences) < 2:
        raise InvalidValueError("X has 1 sample: expected 2 or more, one of which chooses weights.")
    return sequences, answers


def finite(given: npt.NDArray[Any]) -> Floats:
    """Answers that are numbers, [N] or [N, K]."""
    try:
        numbers = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise InvalidValueError(f"y holds {given.dtype}, expected numbers.") from None
    if numbers.ndim not in (1, 2) or not np.isfinite(numbers).all():
        raise InvalidValueError(
            "y holds NaN or an infinity, or has more than two dimensions: expected finite numbers "
            "[N] or [N, K]."
        )
    return numbers
