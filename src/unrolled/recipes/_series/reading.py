"""A file as a panel: its groups, their columns, and what is known beyond the last value."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from unrolled.errors import InvalidValueError
from unrolled.files.columns import Floats
from unrolled.files.parts import AND, with_time
from unrolled.files.spacing import Spacing
from unrolled.files.tables import Table, read_table
from unrolled.files.timed import Timed, Timing, in_rows, on_time
from unrolled.files.timeline import Timeline
from unrolled.recipes._series.asked import Asked
from unrolled.recipes._series.calendar import calendar_features, calendar_names
from unrolled.recipes._series.panel import Panel, Strand, joined

__all__ = [
    "calendar",
    "cosine",
    "lengthened",
    "read_again",
    "read_panel",
    "with_ahead",
    "with_calendar",
]

ROOM = 1000  # rows beyond the end for which what is known ahead is kept, at the most


def cosine(spacing: float, count: int, horizon: int, line: Timeline) -> Panel:
    """The document's series."""
    values = np.cos(spacing * np.arange(count))[:, None]
    strand = Strand("", line, values, np.empty((count, 0)))
    return joined([strand], ("cosine",), (), (), horizon, "cosine")


def read_panel(asked: Asked, horizon: int, order: tuple[str, ...] = ()) -> Panel:
    """Read what was asked for; what was found out about the file is in the panel's ``said``.

    ``order`` has the groups that there have to be, and their order; none: those that there are.

    Raises
    ------
    ValueError
        In one sentence, where the file does not have it.
    """
    assert asked.data is not None, "a panel is of a file"
    table = with_time(read_table(asked.data, asked), asked.time).where(asked.where)
    roles = (asked.time, *asked.time.split(AND), asked.group, *asked.past, *asked.future)
    for name in filter(None, (asked.time, asked.group, *asked.past, *asked.future)):
        table.find(name)
    targets = tuple(dict.fromkeys(table.find(name, besides=roles) for name in asked.columns))
    parts = table.split(table.find(asked.group)) if asked.group else {"": table}
    if order:
        parts = _in_order(parts, order, asked)
    ahead = _table_ahead(asked)
    found = [_strand(name, part, targets, asked, ahead) for name, part in parts.items()]
    strands = [strand for strand, _ in found]
    _check_even(strands, table.file)
    beyond = max(len(strand.known) - len(strand.values) for strand in strands)
    subject = " and ".join(targets)
    names = (*asked.future, *(calendar(asked, strands[0].timeline) if asked.calendar else ()))
    said = (_said(table, [timed for _, timed in found], targets, strands),)
    room = max(horizon, min(beyond, ROOM))
    return joined(strands, targets, asked.past, names, room, subject, said)


def read_again(asked: Asked, like: Panel, window: int, horizon: int) -> Panel:
    """Read a new file as the one that a panel was of.

    Raises
    ------
    ValueError
        In one sentence, where it has not what the network reads.
    """
    panel = read_panel(asked, horizon, like.groups)
    rows = int(panel.counts.min())
    if rows < window:
        raise InvalidValueError(
            f"{asked.data} has {rows} steps, and the network reads {window}: bring more rows."
        )
    return panel


def with_ahead(panel: Panel, asked: Asked) -> Panel:
    """The same series with what a second file knows ahead of them."""
    table = _table_ahead(asked)
    assert table is not None, "a second file was given"

    def longer(known: Floats, line: Timeline, group: int) -> Floats:
        return _continued(known, line, _of_group(table, asked, panel.groups[group]), asked)

    return _beyond(panel, asked, longer)


def lengthened(panel: Panel, ahead: Sequence[Floats], asked: Asked) -> Panel:
    """The same series with what is known of their next steps: [steps, columns] of each."""

    def longer(known: Floats, line: Timeline, group: int) -> Floats:
        return np.concatenate((known[: int(panel.counts[group])], ahead[group]))

    return _beyond(panel, asked, longer)


def _beyond(panel: Panel, asked: Asked, longer: Callable[[Floats, Timeline, int], Floats]) -> Panel:
    own = len(asked.future)
    strands = []
    for group, (name, line) in enumerate(zip(panel.groups, panel.timelines, strict=True)):
        start, count = int(panel.starts[group]), int(panel.counts[group])
        after = [*panel.starts.tolist(), len(panel.values)][group + 1]
        known = longer(panel.known[start:after, :own], line, group)
        blank = np.flatnonzero(np.isnan(known[count:]).any(1))
        known = known[: count + int(blank[0])] if len(blank) else known
        if asked.calendar:
            known = _with_calendar(known, line, count, alone=False)
        strands.append(Strand(name, line, panel.values[start : start + count], known))
    room = max(len(strand.known) - len(strand.values) for strand in strands)
    room = max(room, int(len(panel.values) - panel.starts[-1] - panel.counts[-1]))
    return joined(strands, panel.targets, panel.past, panel.ahead, room, panel.subject)


def _in_order(parts: dict[str, Table], order: tuple[str, ...], asked: Asked) -> dict[str, Table]:
    different = set(parts) ^ set(order)
    if different:
        one = min(different)
        has = "has" if one in parts else "lacks"
        raise InvalidValueError(
            f"{asked.data} {has} the {asked.group} {one!r}, and the run learnt {', '.join(order)}: "
            "expected rows of just these; --where takes some of a file's."
        )
    return {name: parts[name] for name in order}


def _strand(
    name: str, table: Table, targets: tuple[str, ...], asked: Asked, ahead: Table | None
) -> tuple[Strand, Timed]:
    try:
        timed = on_time(table, asked.time, asked) if asked.time else in_rows(table)
    except InvalidValueError as error:
        if name:
            raise InvalidValueError(f"{asked.group} {name}: {error}") from error
        raise
    values = np.stack([timed.numbers(column) for column in (*targets, *asked.past)], 1)
    known = _columns(timed, asked.future)
    there = np.flatnonzero(np.isfinite(values[:, : len(targets)]).any(1))
    if not len(there):
        where = f" of {asked.group} {name}" if name else ""
        raise InvalidValueError(
            f"{' and '.join(targets)}{where} of {table.file} holds no number: choose another "
            "column."
        )
    count = int(there[-1]) + 1
    line = _cut(timed.timeline, count)
    if ahead is not None:
        known = _continued(known, line, _of_group(ahead, asked, name), asked)
    known = _whole(known, asked.future, table, timed, count)
    if asked.calendar:
        calendar(asked, line)
        known = _with_calendar(known, line, count, alone=not asked.future)
    return Strand(name, line, values[:count], known), timed


def _columns(timed: Timed, names: tuple[str, ...]) -> Floats:
    if not names:
        return np.empty((len(timed), 0))
    return np.stack([timed.numbers(name) for name in names], 1)


def _cut(line: Timeline, count: int) -> Timeline:
    if line.clock is not None:
        return Timeline.of_clock(line.clock, count)
    return Timeline(line.labels[:count], line.places[:count], line.name)


def _whole(known: Floats, names: tuple[str, ...], table: Table, timed: Timed, count: int) -> Floats:
    """What is known ahead, up to its first row beyond the end with a blank.

    A step without any row has none of its values either, and holds what was known before it.
    """
    rows = np.zeros(len(known), bool)
    rows[timed.places] = True
    for place, name in enumerate(names):
        gaps = np.flatnonzero(np.isnan(known[:count, place]) & rows[:count])
        if len(gaps):
            raise InvalidValueError(
                f"{name!r} of {table.file} is blank at {timed.timeline.name} "
                f"{timed.timeline.labels[int(gaps[0])]}, and was to be known ahead: fill it in, or "
                "give the column as --past."
            )
    beyond = np.flatnonzero(np.isnan(known[count:]).any(1))
    known = known[: count + int(beyond[0])] if len(beyond) else known
    last = np.maximum.accumulate(np.where(rows[:count], np.arange(count), 0))
    return np.concatenate((known[:count][last], known[count:]))


# --- what is known beyond the end, out of a second file ---


def _table_ahead(asked: Asked) -> Table | None:
    if asked.data_future is None:
        return None
    table = with_time(read_table(asked.data_future, asked), asked.time)
    conditions = [one for one in asked.where if one.partition("=")[0] in table.columns]
    for name in (*asked.future, asked.time):
        table.find(name)
    return table.where(conditions)


def _of_group(table: Table, asked: Asked, name: str) -> Table:
    if not asked.group or asked.group not in table.columns:
        return table
    return table.where((f"{asked.group}={name}",))


def _continued(known: Floats, line: Timeline, table: Table, asked: Asked) -> Floats:
    clock = line.clock
    assert clock is not None, "check_file asks for --time"
    spacing = clock.spacing if clock.spacing is not None else Spacing(1, "number")
    timed = on_time(table, asked.time, _plain_timing(asked))
    exact = spacing.steps(timed.timeline.places, clock.start)
    places = np.round(exact).astype(np.int64)
    off = np.flatnonzero(np.abs(exact - places) > 1e-3)
    if len(off):
        raise InvalidValueError(
            f"{table.file} has {asked.time} {timed.timeline.labels[int(off[0])]}, which is no step "
            f"of the series: expected {spacing.name}, as there."
        )
    size = max(len(known), int(places[-1]) + 1) if len(places) else len(known)
    longer = np.full((size, known.shape[1]), np.nan)
    longer[: len(known)] = known
    inside = places >= 0
    given = _columns(timed, asked.future)[inside]
    longer[places[inside]] = np.where(np.isnan(given), longer[places[inside]], given)
    return longer


def _plain_timing(asked: Asked) -> Timing:
    """How times are read, without what was said of the steps between them."""
    own = {f.name: getattr(asked, f.name) for f in dataclasses.fields(Timing)}
    return Timing(**{**own, "every": ""})


# --- the calendar ---


def _spacing(line: Timeline) -> Spacing:
    found = line.clock.spacing if line.clock is not None else None
    return Spacing(1, "number") if found is None else found


def calendar(asked: Asked, line: Timeline) -> tuple[str, ...]:
    """The names of what the calendar tells of each step.

    Raises
    ------
    ValueError
        If it tells nothing of such steps.
    """
    names = calendar_names(_spacing(line))
    if not names:
        raise InvalidValueError(
            f"calendar = True tells nothing of steps that are {_spacing(line).name}: leave it out."
        )
    return names


def with_calendar(strand: Strand, asked: Asked, known: bool) -> Strand:
    """The same series, told the hour, weekday and month of each step."""
    calendar(asked, strand.timeline)
    count = len(strand.values)
    features = _with_calendar(strand.known, strand.timeline, count, alone=not known)
    return dataclasses.replace(strand, known=features)


def _with_calendar(known: Floats, line: Timeline, count: int, alone: bool) -> Floats:
    """The columns known ahead and those of the calendar, as far as both are known."""
    rows = count + ROOM if alone else len(known)
    assert line.clock is not None, "check_file asks for --time"
    dates = line.clock.at(np.arange(rows))
    features = calendar_features(dates, _spacing(line))
    return np.concatenate((known if not alone else np.empty((rows, 0)), features), 1)


# --- what is said ---


def _check_even(strands: list[Strand], file: str) -> None:
    """Raise ValueError where two groups have steps of different length."""
    clocks = [strand.timeline.clock for strand in strands]
    spacings = {clock.spacing: s.name for clock, s in zip(clocks, strands, strict=True) if clock}
    known = {spacing: name for spacing, name in spacings.items() if spacing is not None}
    if len(known) > 1:
        (one, first), (two, second), *_ = known.items()
        raise InvalidValueError(
            f"the groups of {file} have steps of different length: {first} {one.name}, {second} "
            f"{two.name}; say which with --every."
        )


def _said(table: Table, timed: list[Timed], targets: tuple[str, ...], strands: list[Strand]) -> str:
    numbers = list(dict.fromkeys(w for name in targets for w in table.told_numbers(name)[1]))
    said = timed[0].summary(numbers)
    if len(timed) > 1:
        said += f"; that is {strands[0].name}, the first of {len(timed)} groups"
    late = len(timed[0]) - len(strands[0].values)
    return said + (f"; {late:,} steps after the last value" if late else "")
