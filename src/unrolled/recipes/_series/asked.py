"""What is asked of a forecast: which columns of which file, which parts, how sure it is to be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from unrolled.errors import InvalidValueError
from unrolled.errors.expected import Expected, distinct, each
from unrolled.files.tables import Reading
from unrolled.files.timed import Timing

__all__ = ["Asked"]

_PERCENT = Expected("a number of per cent between 0 and 100", lambda value: 0 < value < 100)
_PART = Expected("a share of 0 or more, below 1", lambda value: 0 <= value < 1)


@dataclass(frozen=True, kw_only=True)
class Asked(Reading, Timing):
    """Of a file: what is forecast, from what, and how it is judged; each field is a flag."""

    data: Path | None = None
    """A table with the names of its columns: CSV and its like in any dialect and encoding, Excel,
    Parquet; none: the cosine."""
    column: str | tuple[str, ...] = ""
    """The column to forecast, or several."""
    time: str = ""
    """The column that says when (dates, quarters, years, …): rows are put in their places in time,
    and the future has dates; year+quarter where two columns say it; empty: the rows as they lie."""
    where: tuple[str, ...] = ()
    """Of a file: the rows to take, as COLUMN=VALUE, such as shop=Bergen."""
    group: str = ""
    """Of a file: the column that says which of several series a row is of, such as shop: one
    network learns all, each scaled by itself."""
    past: tuple[str, ...] = ()
    """Of a file: columns that are known up to now, such as a temperature."""
    future: tuple[str, ...] = ()
    """Of a file: columns that are known ahead, such as a price or a holiday: their values beyond
    the last of the column to forecast are read from the file, or from --data-future."""
    data_future: Path | None = None
    """A table with what --future names, and --time, for the steps beyond the file's end."""
    calendar: bool = False
    """Of a file with dates in --time: tell the network the hour, weekday and month, as far as steps
    have them."""
    test_share: Annotated[float, _PART] = 0.2
    """Of a file: the share of rows, the last ones, that nothing is learnt from, nor chosen by; 0:
    none, so that nothing is judged, and the future is forecast from all there is."""
    validation_share: Annotated[float, _PART] = 0.15
    """Of a file: the share of rows before those that chooses the weights and makes the intervals
    honest; 0: none, so that the last weights are kept."""
    coverage: Annotated[tuple[float, ...], each(_PERCENT), distinct] = (80.0, 95.0)
    """Of a file: how many per cent of what comes each interval is to hold; none: no intervals."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns to forecast, as they were named."""
        return (self.column,) if isinstance(self.column, str) else self.column

    @property
    def quantiles(self) -> tuple[float, ...]:
        """What the network forecasts: the ends of every interval, and the median between them."""
        if self.data is None:
            return ()
        below = [round(0.5 - percent / 200, 9) for percent in sorted(self.coverage, reverse=True)]
        return (*below, 0.5, *(round(1 - level, 9) for level in reversed(below)))

    def check_file(self) -> None:
        """Raise ValueError where what is asked needs a file, or a time, that was not given."""
        if self.column == ():
            raise InvalidValueError(
                "column = () names nothing: give --column a name, or leave it out where the file "
                "has one column beside the time."
            )
        names = ("column", "time", "where", "group", "past", "future", "data_future", "calendar")
        for name in names:
            if self.data is None and (value := getattr(self, name)):
                raise InvalidValueError(
                    f"{name} = {value!r} names a column of no file: add --data FILE."
                )
        for name in ("calendar", "data_future"):
            if getattr(self, name) and not self.time:
                raise InvalidValueError(
                    f"{name} = {getattr(self, name)} needs to know when each row was: add --time "
                    "COLUMN."
                )
        if self.data_future is not None and not self.future:
            raise InvalidValueError(
                f"data_future = {self.data_future} has the columns that are known ahead: name them "
                "with --future."
            )
        self._check_roles()

    def _check_roles(self) -> None:
        """Raise ValueError where one column is given two parts to play."""
        roles = {"column": self.columns, "past": self.past, "future": self.future}
        roles |= {"time": (self.time,), "group": (self.group,)}
        seen: dict[str, str] = {}
        for role, names in roles.items():
            for name in filter(None, names):
                if name in seen:
                    raise InvalidValueError(
                        f"{role} names {name!r}, which {seen[name]} names too: give each column "
                        "one part."
                    )
                seen[name] = role
