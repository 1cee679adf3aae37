"""Rows in time: their order, how far they are apart, what is missing, and what comes next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unrolled.files.spacing import parse_spacing, spacing_of
from unrolled.files.tables import read_table
from unrolled.files.timed import Timed, Timing, first_missing, in_rows, on_time

DAYS = np.arange("2020-01-01", "2020-04-30", dtype="datetime64[D]")


def timed(folder: Path, times: Any, text: str = "", **fields: Any) -> Timed:
    rows = "".join(f"{time},{n}\n" for n, time in enumerate(times))
    path = folder / "data.csv"
    path.write_text(text or f"t,x\n{rows}")
    return on_time(read_table(path), "t", Timing(**fields))


MONTHS = np.arange("2019-01", "2021-01", dtype="datetime64[M]")
ENDS = (MONTHS + 1).astype("datetime64[D]") - np.timedelta64(1, "D")


@pytest.mark.parametrize(
    ("times", "name", "ahead"),
    [
        (DAYS, "daily", ["2020-04-30", "2020-05-01"]),
        ([d for d in DAYS if np.is_busday(d)], "business days", ["2020-04-30", "2020-05-01"]),
        ([d for d in DAYS[:10] if np.is_busday(d)], "business days", ["2020-01-13", "2020-01-14"]),
        (DAYS[::7], "weekly", ["2020-05-06", "2020-05-13"]),
        (DAYS[::2], "every 2 days", ["2020-04-30", "2020-05-02"]),
        (MONTHS, "monthly", ["2021-01", "2021-02"]),
        (ENDS, "monthly, at its end", ["2021-01-31", "2021-02-28"]),
        (ENDS[2::3], "quarterly, at its end", ["2021-03-31", "2021-06-30"]),
        ([f"{m}-30" for m in MONTHS[2:12]], "monthly", ["2020-01-30", "2020-02-29"]),
        ([f"20{y}Q{q}" for y in (18, 19) for q in (1, 2, 3, 4)], "quarterly", ["2020Q1", "2020Q2"]),
        ([f"2020-W{w:02}" for w in range(1, 53)], "weekly", ["2020-W53", "2021-W01"]),
        (range(1700, 1760), "yearly", ["1760", "1761"]),
        ([1588118400 + 3600 * n for n in range(9)], "hourly", ["1588150800", "1588154400"]),
        (
            [1588118400500 + 1000 * n for n in range(9)],
            "every 1 s",
            ["1588118409500", "1588118410500"],
        ),
        ([f"2020-01-01 00:00:{s:02}" for s in (0, 30)], "every 30 s", ["2020-01-01 00:01:00"]),
        ([f"2020-01-01 {h:02}:30" for h in range(24)], "hourly", ["2020-01-02 00:30"]),
        ([f"2020-01-01 00:{m:02}" for m in range(0, 60, 15)], "every 15 min", ["2020-01-01 01:00"]),
        ([20011229, 20011230, 20011231], "daily", ["2002-01-01", "2002-01-02"]),
        ([n / 4 for n in range(30)], "every 0.25", ["7.5", "7.75"]),
        ([10**7 + n for n in range(9)], "every 1", ["10000009", "10000010"]),
    ],
)
def test_rows_are_evenly_spaced_and_go_on_with_real_dates(
    times: Any, name: str, ahead: list[str], tmp_path: Path
) -> None:
    found = timed(tmp_path, times)
    assert name in found.said
    assert "gap" not in "".join(found.said)
    assert len(found) == len(list(times))
    assert found.numbers("x").tolist() == list(range(len(found)))
    assert found.timeline.ahead(len(ahead)) == ahead
    later = found.timeline.places_ahead(2)
    assert later[0] > found.timeline.places[-1]
    assert later[1] > later[0]


def test_labels_are_the_times_of_the_file(tmp_path: Path) -> None:
    for times in (DAYS, MONTHS, range(1700, 1760), [1588118400 + n for n in range(9)]):
        words = [str(time) for time in times]
        labels = timed(tmp_path, times).timeline.labels
        assert list(labels) == words
        assert labels[-3:] == words[-3:]
        assert labels[-1] == words[-1]
        assert labels[::2] == words[::2]


def test_newest_first_is_turned_round_and_said(tmp_path: Path) -> None:
    found = timed(tmp_path, [f"04/{d:02}/2020" for d in range(29, 0, -1)])
    assert found.numbers("x").tolist() == list(range(28, -1, -1))
    assert found.timeline.labels[0] == "2020-04-01"
    assert found.timeline.ahead(1) == ["2020-04-30"]
    assert "newest first: turned round" in found.said
    assert "month first, as 04/29/2020 shows" in found.said


def test_gaps_are_steps_without_a_value(tmp_path: Path) -> None:
    kept = DAYS[np.arange(len(DAYS)) % 4 != 2]
    found = timed(tmp_path, kept)
    assert "30 gaps, the first after 2020-01-02" in found.said
    values = found.numbers("x")
    assert len(values) == len(DAYS) - (len(DAYS) % 4 == 3)
    assert np.isnan(values).sum() == 30
    np.testing.assert_array_equal(values[np.isin(DAYS[: len(values)], kept)], range(len(kept)))
    assert first_missing(values, found.timeline) == "30 of 120 steps, the first at t 2020-01-03"
    assert first_missing(values[:2], found.timeline) == ""


@pytest.mark.parametrize(
    ("times", "gaps"),
    [
        (np.delete(MONTHS, [5, 6]), "2 gaps, the first after 2019-05"),
        (np.delete(np.arange(1700, 1760), 7), "1 gap, the first after 1706"),
        ([1, 2, 4, 5, 6], "1 gap, the first after 2"),
        ([d for d in DAYS if np.is_busday(d) and d != np.datetime64("2020-01-20")], "1 gap, the"),
    ],
)
def test_gaps_of_every_spacing(times: Any, gaps: str, tmp_path: Path) -> None:
    assert any(said.startswith(gaps) for said in timed(tmp_path, times).said)


def test_every_averages_the_rows_of_a_step(tmp_path: Path) -> None:
    times = ["2020-01-01 00:00", "2020-01-01 00:37", "2020-01-01 01:12", "2020-01-01 03:00"]
    with pytest.raises(ValueError, match=r"not evenly spaced: mostly .* --every 1min, which"):
        timed(tmp_path, times)
    found = timed(tmp_path, times, every="1h")
    np.testing.assert_array_equal(found.numbers("x"), [0.5, 2, np.nan, 3])
    assert "averaged into 4 steps" in found.said
    months = timed(tmp_path, DAYS, every="MS")
    assert months.numbers("x").tolist() == [15, 45, 75, 105]
    assert months.timeline.ahead(1) == ["2020-05-01"]
    nearly = timed(tmp_path, [1588118400.0, 1588118400.999, 1588118402.002], every="1s")
    assert nearly.numbers("x").tolist() == [0, 1, 2]  # each to the nearest
    assert "2 rows moved to the step nearest or before" in nearly.said


@pytest.mark.parametrize(
    ("every", "name"),
    [
        ("1h", "hourly"),
        ("30s", "every 30 s"),
        ("15min", "every 15 min"),
        ("1D", "daily"),
        ("2 days", "every 2 days"),
        ("B", "business days"),
        ("W", "weekly"),
        ("MS", "monthly"),
        ("3MS", "quarterly"),
        ("month", "monthly"),
        ("ME", "monthly, at its end"),
        ("QS", "quarterly"),
        ("Y", "yearly"),
        ("100ms", "every 100 ms"),
    ],
)
def test_what_every_says(every: str, name: str) -> None:
    assert parse_spacing(every, DAYS[:2].astype("datetime64[us]")).name == name


@pytest.mark.parametrize("every", ["foo", "0h", "-1h", "1.5 months", "5"])
def test_what_every_cannot_say(every: str) -> None:
    with pytest.raises(ValueError, match=f"--every {every} makes no sense"):
        parse_spacing(every, DAYS[:2].astype("datetime64[us]"))


def test_numbers_have_numbers_between_them() -> None:
    assert parse_spacing("0.5", np.array([0.0, 1.0])).count == 0.5
    with pytest.raises(ValueError, match="expected a number, as the times are"):
        parse_spacing("1h", np.array([0.0, 1.0]))
    assert spacing_of(np.array([1.0, 2.0, 4.1])) is None


SHOPS = [(day, shop) for shop in ("Bergen", "New Oslo") for day in DAYS]


@pytest.mark.parametrize(
    ("rows", "at"),
    [
        (SHOPS, "row 122 of data.csv: t is 2020-01-01 after 2020-04-29"),
        (sorted(SHOPS), "row 3 of data.csv: t is 2020-01-01 after 2020-01-01"),
        (SHOPS[::-1], "row 122 of data.csv: t is 2020-04-29 after 2020-01-01"),
    ],
)
@pytest.mark.parametrize("fields", [{}, {"sort": True}, {"every": "1D"}])
def test_several_series_in_one_file_are_named(
    rows: Any, at: str, fields: dict[str, Any], tmp_path: Path
) -> None:
    text = "t,shop,x\n" + "".join(f"{day},{shop},{n}\n" for n, (day, shop) in enumerate(rows))
    with pytest.raises(ValueError, match="2 series, one for each shop: take one") as refusal:
        timed(tmp_path, [], text, **fields)
    assert str(refusal.value).startswith(at)
    assert "--group shop" in str(refusal.value)
    table = read_table(tmp_path / "data.csv")
    assert len(on_time(table.where(["shop=New Oslo"]), "t")) == 120
    assert "--where shop=Bergen" in str(refusal.value) or "'shop=New Oslo'" in str(refusal.value)


def test_rows_in_no_order_are_refused_unless_sorting_is_asked_for(tmp_path: Path) -> None:
    times = ["2020-01-01", "2020-01-03", "2020-01-02", "2020-01-04"]
    with pytest.raises(ValueError, match=r"row 4 .* is 2020-01-02 after 2020-01-03, so .*--sort"):
        timed(tmp_path, times)
    found = timed(tmp_path, times, sort=True)
    assert found.numbers("x").tolist() == [0, 2, 1, 3]
    assert "sorted by time" in found.said


def test_the_same_time_twice_is_named(tmp_path: Path) -> None:
    times = ["2020-01-01", "2020-01-02", "2020-01-02", "2020-01-04"]
    for fields in ({}, {"sort": True}):
        with pytest.raises(ValueError, match=r"rows 3 and 4 .* both at t 2020-01-02: keep one"):
            timed(tmp_path, times, **fields)
    np.testing.assert_array_equal(
        timed(tmp_path, times, every="1D").numbers("x"), [0, 1.5, np.nan, 3]
    )


def test_a_step_that_is_far_too_short_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"--every makes 10,281,601 steps of 120 rows"):
        timed(tmp_path, DAYS, every="1s")


def test_one_row_has_no_spacing(tmp_path: Path) -> None:
    found = timed(tmp_path, ["2020-01-01"])
    assert (len(found), found.timeline.ahead(2)) == (1, ["+1", "+2"])


def test_rows_as_they_lie(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("day,x\n2020-01-03,5\n2020-01-01,6\n")
    found = in_rows(read_table(path))
    assert found.timeline.labels == ["2", "3"]
    assert found.timeline.ahead(2) == ["4", "5"]
    assert found.numbers("x").tolist() == [5, 6]
    assert found.summary() == "read as: commas, utf-8; 2 rows, as they lie, for want of --time day"


def test_the_line_that_says_how_a_file_was_read(tmp_path: Path) -> None:
    rows = "".join(f"{day};{n},5\n" for n, day in enumerate(DAYS) if n not in (64, 70))
    path = tmp_path / "data.csv"
    path.write_bytes(f"Tag;Größe\n{rows}".encode("cp1252"))
    table = read_table(path)
    assert on_time(table, "Tag").summary(table.told_numbers("Größe")[1]) == (
        "read as: semicolons, decimal comma, cp1252; "
        "118 rows, daily, 2 gaps, the first after 2020-03-04"
    )


@pytest.mark.parametrize("rate", [60, 64, 128, 300])
@pytest.mark.parametrize("rounded", [np.round, np.floor])
def test_times_that_were_rounded_are_as_even_as_they_were(
    tmp_path: Path, rate: int, rounded: Any
) -> None:
    exact = np.arange(3000) * 1000 / rate
    kept = np.delete(rounded(exact).astype(np.int64), slice(1000, 1200))
    begin = np.datetime64("2020-01-01T00:04:40", "ms")
    found = timed(tmp_path, begin + kept.astype("timedelta64[ms]"))
    assert found.said[1] == f"every {1000 / rate:.6g} ms"
    assert len(found) == 3000
    assert found.said[2] == "200 gaps, the first after " + found.timeline.labels[999]
    off = found.timeline.places - begin - exact * np.timedelta64(1000, "us")
    assert np.abs(off.astype(np.int64)).max() <= 1
    numbers = timed(tmp_path, [f"{n / 1000:.3f}" for n in kept])
    assert len(numbers) == 3000
    assert numbers.timeline.places[-1] == pytest.approx(2999 / rate)


def test_days_that_are_missing_are_no_rounding() -> None:
    days = DAYS[np.tile([True, True, False], 40)[: len(DAYS)]].astype("datetime64[us]")
    found = spacing_of(days)
    assert found is not None
    assert found.name == "daily"
