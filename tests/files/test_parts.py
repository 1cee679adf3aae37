"""Times that several columns say together: how they are joined, and when they are proposed."""

from __future__ import annotations

from pathlib import Path

import pytest

from unrolled.files.parts import with_time
from unrolled.files.tables import read_table
from unrolled.files.timed import Timed, Timing, on_time


def timed(folder: Path, text: str, time: str) -> Timed:
    path = folder / "data.csv"
    path.write_text(text)
    return on_time(with_time(read_table(path), time), time, Timing())


def rows(*cells: str) -> str:
    return "".join(f"{row},{n}\n" for n, row in enumerate(cells))


YEARS = [(year, part) for year in (1959, 1960, 1961) for part in (1, 2, 3, 4)]


@pytest.mark.parametrize(
    ("text", "time", "name", "first", "ahead"),
    [
        (
            "year,quarter,x\n" + rows(*(f"{y},{q}" for y, q in YEARS)),
            "year+quarter",
            "quarterly",
            "1959Q1",
            "1962Q1",
        ),
        (
            "Year,Period,x\n" + rows(*(f"{y},Q0{q}" for y, q in YEARS)),
            "Year+Period",
            "quarterly",
            "1959Q1",
            "1962Q1",
        ),
        (
            "Year,Period,x\n" + rows(*(f"1959,M{m:02}" for m in range(1, 13))),
            "Year+Period",
            "monthly",
            "1959-01",
            "1960-01",
        ),
        (
            "YR,MON,x\n" + rows(*(f"1959.0,{m}" for m in range(1, 13))),
            "YR+MON",
            "monthly",
            "1959-01",
            "1960-01",
        ),
        (
            "year,month,day,hour,x\n" + rows(*(f"2020,1,1,{h}" for h in range(22))),
            "year+month+day+hour",
            "hourly",
            "2020-01-01 00:00",
            "2020-01-01 22:00",
        ),
        (
            "year,month,x\n" + rows(*(f"1991,{m}" for m in ("Jul", "Aug", "Sep"))),
            "year+month",
            "monthly",
            "1991-07",
            "1991-10",
        ),
        (
            "Date,Time,x\n" + rows("13.01.2020,09:30", "13.01.2020,10:00", "13.01.2020,10:30"),
            "Date+Time",
            "every 30 min",
            "2020-01-13 09:30",
            "2020-01-13 11:00",
        ),
        (
            "Date,hour,x\n" + rows("2020-01-13,8", "2020-01-13,9", "2020-01-13,10"),
            "Date+hour",
            "hourly",
            "2020-01-13 08:00",
            "2020-01-13 11:00",
        ),
    ],
)
def test_columns_are_joined_as_people_divide_times(
    tmp_path: Path, text: str, time: str, name: str, first: str, ahead: str
) -> None:
    found = timed(tmp_path, text, time)
    assert found.said[1] == name
    assert found.timeline.labels[0] == first
    assert found.timeline.ahead(1) == [ahead]
    assert found.numbers("x").tolist() == list(range(len(found)))


@pytest.mark.parametrize(
    ("names", "cells", "advice"),
    [
        ("year,quarter,x", [f"{y},{q}" for y, q in YEARS], "--time year+quarter."),
        ("year,Period,x", [f"{y},Q0{q}" for y, q in YEARS], "--time year+Period."),
        ("year,mon,dd,x", [f"2020,1,{d}" for d in range(1, 9)], "--time year+mon+dd."),
    ],
)
def test_a_part_of_a_time_is_refused_with_the_whole(
    tmp_path: Path, names: str, cells: list[str], advice: str
) -> None:
    text = f"{names}\n{rows(*cells)}"
    with pytest.raises(ValueError, match="says only a part of when it was") as refusal:
        timed(tmp_path, text, "year")
    assert str(refusal.value).endswith(advice)
    assert len(timed(tmp_path, text, advice.split()[1][:-1])) == len(cells)


def test_columns_of_the_same_name_elsewhere_do_not_matter(tmp_path: Path) -> None:
    text = "YR,MON,a,ANOM,b,ANOM\n" + "".join(f"1950,{m},1,2,3,4\n" for m in range(1, 9))
    with pytest.raises(ValueError, match=r"--time YR\+MON\.$"):
        timed(tmp_path, text, "YR")


def test_a_part_that_is_no_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no column 'quater'.* did you mean 'quarter'"):
        timed(tmp_path, "year,quarter,x\n1959,1,2\n1959,2,3\n", "year+quater")


def test_a_column_whose_name_has_a_plus_is_itself(tmp_path: Path) -> None:
    found = timed(tmp_path, "a+b,x\n2020-01-01,1\n2020-01-02,2\n", "a+b")
    assert found.said[1] == "daily"
