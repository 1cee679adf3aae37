"""Arrays, Series and DataFrames as a panel of series, and forecasts as what `y` was."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unrolled.errors import InvalidTypeError, InvalidValueError
from unrolled.files.columns import Floats
from unrolled.files.spacing import Spacing, spacing_of
from unrolled.files.timeline import Clock, Timeline
from unrolled.recipes._series.panel import Strand
from unrolled.recipes._series.predicting import Ahead
from unrolled.recipes._series.seasons import spacing_of_frequency

__all__ = ["Shape", "ahead_of", "shaped", "strands_of"]


@dataclass(frozen=True)
class Shape:
    """What `y` was, so that forecasts are given back as it.

    ``kind`` is array, series or frame; ``index`` is rows (of an array, or a RangeIndex), number,
    datetime or the frequency of a PeriodIndex; ``targets`` are the columns' names, none of a plain
    array of one series.
    """

    kind: str
    index: str
    targets: tuple[str, ...]
    several: bool

    @property
    def flat(self) -> bool:
        """Whether a forecast has no axis of columns."""
        return not self.targets or self.kind == "series"


def strands_of(y: Any, X: Any, groups: Any) -> tuple[list[Strand], Shape, tuple[str, ...]]:
    """The series of `y`, what `y` was, and the names of X's columns.

    Raises
    ------
    TypeError, ValueError
        In one sentence, where they do not fit each other or hold no series.
    """
    values, targets, kind = _columns("y", y)
    known, names, _ = _columns("X", X) if X is not None else (np.empty((len(values), 0)), (), "")
    if len(known) != len(values):
        raise InvalidValueError(
            f"X has {len(known)} rows and y has {len(values)}: expected a row of X for each of y; "
            "what is known of the time to come goes to predict(X=...)."
        )
    if X is not None and np.isnan(known).any():
        raise InvalidValueError(
            f"X is missing (NaN) in row {int(np.isnan(known).any(1).argmax())}: expected a number "
            "in each, since it is to be known ahead; fill it in."
        )
    index, of = _index_and_groups(y, groups, len(values))
    strands, style = [], "rows"
    for name in dict.fromkeys(of):
        rows = np.flatnonzero(np.array([one == name for one in of]))
        own = None if index is None else index[rows]
        line, places, style = _line(own, len(rows), name)
        strands.append(Strand(str(name), line, *_on_steps(places, values[rows], known[rows])))
    several = groups is not None or _levels(y) > 1
    shape = Shape(kind, style, tuple(targets), several)
    return strands, shape, _besides(targets or ("y",), names)


def _besides(targets: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """X's names, each told from y's."""
    return tuple(f"X {name}" if name in targets else name for name in names)


def _numbered(name: str, values: Floats) -> tuple[str, ...]:
    many = values.shape[1]
    return () if many == 1 else tuple(f"{name}{n}" for n in range(many))


def _columns(name: str, given: Any) -> tuple[Floats, tuple[str, ...], str]:
    """Columns of float64 [T, C], their names, and what they came as."""
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(given, pandas.DataFrame):
        kind, names = "frame", tuple(map(str, given.columns))
    elif pandas is not None and isinstance(given, pandas.Series):
        kind, names = "series", (str(given.name) if given.name is not None else name,)
    else:
        kind, names = "array", ()
    try:
        values = np.array(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidTypeError(
            f"{name} is a {type(given).__name__} that holds more than numbers: expected an array, "
            f"a Series or a DataFrame of numbers ({error})."
        ) from error
    values = values[:, None] if values.ndim == 1 else values
    if values.ndim != 2 or not values.size:
        raise InvalidValueError(
            f"{name} has the shape {list(np.shape(given))}: expected [T] or [T, columns], with a "
            "row for each step in time."
        )
    if np.isinf(values).any():
        raise InvalidValueError(f"{name} holds an infinite value: expected numbers, or NaN.")
    if kind == "array":
        names = _numbered(name, values) or (() if name == "y" else (f"{name}0",))
    return values, names, kind


def _levels(y: Any) -> int:
    return getattr(getattr(y, "index", None), "nlevels", 1)


def _index_and_groups(y: Any, groups: Any, count: int) -> tuple[Any, list[Any]]:
    """When each row is, or None, and whose it is."""
    index = getattr(y, "index", None) if "pandas" in sys.modules else None
    if callable(index):  # a list has a method of that name
        index = None
    if index is not None and index.nlevels > 1:
        if groups is not None:
            raise InvalidValueError(
                "y has an index of several levels, which says whose each row is: leave out groups."
            )
        whose = index.droplevel(-1)
        return index.get_level_values(-1), list(whose)
    if groups is None:
        return index, [""] * count
    of = list(groups)
    if len(of) != count:
        raise InvalidValueError(
            f"groups has {len(of)} entries and y has {count} rows: expected one for each row."
        )
    return index, of


# --- when ---


def _line(index: Any, count: int, group: Any) -> tuple[Timeline, Any, str]:
    """A line of even steps, the step of each row, and the style of its times."""
    of = f" of {group}" if group != "" else ""
    if index is None or type(index).__name__ == "RangeIndex":
        start, step = (0, 1) if index is None else (index.start, index.step)
        clock = Clock(np.float64(start), Spacing(float(step), "number"), "number", "step")
        return Timeline.of_clock(clock, count), np.arange(count), "rows"
    style, times, known = _times(index)
    back = np.flatnonzero(times[1:] <= times[:-1])
    if len(back):
        at = int(back[0]) + 1
        raise InvalidValueError(
            f"y{of} has {index[at]} after {index[at - 1]}: expected a later time in each row; "
            "sort it with y.sort_index(), and give each time one row, or say with groups= whose "
            "each row is."
        )
    apart = np.diff(times)
    if style == "number" and (apart != apart[:1]).any():
        at = int((apart != apart[0]).argmax()) + 1
        raise InvalidValueError(
            f"the index of y{of} jumps from {index[at - 1]} to {index[at]}, as after rows were "
            "left out: give y an index of times, or, if its rows lie one step after the other, "
            "y.reset_index(drop=True)."
        )
    spacing = known or (spacing_of(times) if len(times) > 1 else Spacing(1.0, "number"))
    if spacing is None:
        raise InvalidValueError(
            f"the rows of y{of} are not evenly spaced: bring them to even steps, such as with "
            "y.resample('1D').mean(), which leaves NaN where there is nothing."
        )
    places = np.round(spacing.steps(times, times[0])).astype(np.int64)
    kind = "number" if style == "number" else "date"
    clock = Clock(times[0], spacing, kind, str(index.name or "time"))
    return Timeline.of_clock(clock, int(places[-1]) + 1), places, style


def _times(index: Any) -> tuple[str, Any, Spacing | None]:
    """The style of an index, its times, and its spacing where it says one."""
    name = type(index).__name__
    if name == "PeriodIndex":
        stamps = index.to_timestamp()
        return index.freqstr, np.asarray(stamps, dtype="datetime64[us]"), _known(index.freq)
    if name == "DatetimeIndex":
        naive = index.tz_localize(None) if index.tz is None else index.tz_convert("UTC")
        naive = naive.tz_localize(None) if naive.tz is not None else naive
        found = _known(index.freq) if index.freq is not None else None
        return "datetime", np.asarray(naive, dtype="datetime64[us]"), found
    try:
        return "number", np.array(index, dtype=np.float64), None
    except (TypeError, ValueError) as error:
        raise InvalidTypeError(
            f"the index of y holds {index.dtype}, such as {index[0]!r}: expected times, periods or "
            "numbers, in an index of several levels the times last; pandas.to_datetime(y.index, "
            "dayfirst=True) reads times such as 31.12.2020."
        ) from error


def _known(freq: Any) -> Spacing | None:
    spacing = spacing_of_frequency(freq)
    # Where a month's step lies is seen from its times.
    return None if spacing.unit == "month" else spacing


def _on_steps(places: Any, values: Floats, known: Floats) -> tuple[Floats, Floats]:
    """Rows at their steps: NaN where there is none, and what is known held over."""
    count = int(places[-1]) + 1
    if count == len(values):
        return values, known
    steps = np.full((count, values.shape[1]), np.nan)
    steps[places] = values
    row = np.zeros(count, np.int64)
    row[places] = np.arange(len(places))
    return steps, known[np.maximum.accumulate(row)]


def ahead_of(
    X: Any, groups: Sequence[str], names: tuple[str, ...], whose: Any, steps: int
) -> list[Floats]:
    """What is known of the steps to come, for each series: [steps, columns].

    Raises
    ------
    ValueError
        If it is not a row for each step.
    """
    if np.ndim(X) == 0:
        raise InvalidTypeError(
            f"X = {X!r} is no row for each step to come: for so many say predict(steps={X!r})."
        )
    values, _, _ = _columns("X", X)
    if values.shape[1] != len(names):
        raise InvalidValueError(
            f"X has {values.shape[1]} columns, and fit had {len(names)}: expected the same."
        )
    _, of = (
        _index_and_groups(X, whose, len(values)) if len(groups) > 1 else (None, [""] * len(values))
    )
    found = []
    for group in groups:
        rows = values[[str(one) == group for one in of]] if len(groups) > 1 else values
        if len(rows) < steps or np.isnan(rows[:steps]).any():
            raise InvalidValueError(
                f"X has {len(rows)} rows{f' of {group}' if group else ''}: expected a row of "
                f"numbers for each of the {steps} steps to come, one after the other."
            )
        found.append(rows)
    return found


# --- what comes out ---


def shaped(ahead: Sequence[Ahead], values: Sequence[Floats], shape: Shape) -> Any:
    """Forecasts [steps, targets] of each series, as what `y` was."""
    if shape.kind == "array":
        whole = np.stack([v[:, 0] if shape.flat else v for v in values])
        return whole if shape.several else whole[0]
    import pandas as pd

    indexes = [_index(one, shape) for one in ahead]
    if shape.several:
        names = [one.group for one in ahead]
        pairs = [(n, t) for n, index in zip(names, indexes, strict=True) for t in index]
        index = pd.MultiIndex.from_tuples(pairs, names=["group", indexes[0].name])
    else:
        index = indexes[0]
    whole = np.concatenate(values)
    if shape.kind == "series":
        return pd.Series(whole[:, 0], index, name=shape.targets[0])
    return pd.DataFrame(whole, index, columns=list(shape.targets))


def _index(one: Ahead, shape: Shape) -> Any:
    import pandas as pd

    if shape.index in ("rows", "number"):
        places = np.asarray(one.places)
        whole = places.astype(np.int64)
        return pd.Index(whole if (whole == places).all() else places)
    stamps = pd.DatetimeIndex(one.places)
    return stamps if shape.index == "datetime" else stamps.to_period(shape.index)
