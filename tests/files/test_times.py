"""Times out of text: what each word means, or why it cannot be read."""

from __future__ import annotations

import numpy as np
import pytest

from unrolled.files.moments import Column, moments


def column(*words: str, day_first: str = "") -> Column:
    return Column("t", np.array(words, dtype=object), lambda place: place + 2, day_first)


# --- words ---


@pytest.mark.parametrize(
    ("word", "time", "style"),
    [
        ("2020-04-29", "2020-04-29", "date"),
        ("2020-4-9", "2020-04-09", "date"),
        ("2020/04/29", "2020-04-29", "date"),
        ("2020.04.29", "2020-04-29", "date"),
        ("2020年4月29日", "2020-04-29", "date"),
        ("2020-04-29 13:30", "2020-04-29T13:30", "date"),
        ("2020-04-29T13:30:15.25", "2020-04-29T13:30:15.250", "date"),
        ("2020/04/29 1:30 PM", "2020-04-29T13:30", "date"),
        ("2020-04-29T13:30Z", "2020-04-29T13:30", "date"),
        ("2020-04-29 13:30:00 UTC", "2020-04-29T13:30", "date"),
        ("2020-04-29T13:30:00+02:00", "2020-04-29T13:30", "date"),
        ("04/29/2020", "2020-04-29", "date"),
        ("29.04.2020", "2020-04-29", "date"),
        ("29-4-2020", "2020-04-29", "date"),
        ("29/04/20", "2020-04-29", "date"),
        ("04/29/2020 1:30:05 pm", "2020-04-29T13:30:05", "date"),
        ("29.04.2020 13:30", "2020-04-29T13:30", "date"),
        ("29-Apr-20", "2020-04-29", "date"),
        ("29-APR-2020", "2020-04-29", "date"),
        ("29. April 2020", "2020-04-29", "date"),
        ("29th Apr 2020", "2020-04-29", "date"),
        ("Jan 1 2000", "2000-01-01", "date"),
        ("Jan-1-2000", "2000-01-01", "date"),
        ("April 29, 2020", "2020-04-29", "date"),
        ("Apr. 29, 2020 1:30 PM", "2020-04-29T13:30", "date"),
        ("Sept 9, 2020", "2020-09-09", "date"),
        ("Wed, 29 Apr 2020 13:30:00", "2020-04-29T13:30", "date"),
        ("Wed Apr 29 13:30:00 2020", "2020-04-29T13:30", "date"),
        ("20011229", "2001-12-29", "date"),
        ("2001122923", "2001-12-29T23", "date"),
        ("200112292359", "2001-12-29T23:59", "date"),
        ("20011229235958", "2001-12-29T23:59:58", "date"),
        ("2020Q2", "2020-04-01", "quarter"),
        ("2020-Q2", "2020-04-01", "quarter"),
        ("2020 q2", "2020-04-01", "quarter"),
        ("Q2 2020", "2020-04-01", "quarter"),
        ("Q2/2020", "2020-04-01", "quarter"),
        ("2020-W05", "2020-01-27", "week"),
        ("2020W5", "2020-01-27", "week"),
        ("W05 2020", "2020-01-27", "week"),
        ("2020-W53", "2020-12-28", "week"),
        ("1700", "1700-01-01", "year"),
        ("2020-05", "2020-05-01", "month"),
        ("2020/5", "2020-05-01", "month"),
        ("2020M05", "2020-05-01", "month"),
        ("2020-M05", "2020-05-01", "month"),
        ("202005", "2020-05-01", "month"),
        ("05/2020", "2020-05-01", "month"),
        ("May 2020", "2020-05-01", "month"),
        ("May-20", "2020-05-01", "month"),
        ("2020 May", "2020-05-01", "month"),
        ("1588118400", "2020-04-29", "epoch s"),
        ("1588118400.5", "2020-04-29T00:00:00.500", "epoch s"),
        ("1588118400123", "2020-04-29T00:00:00.123", "epoch ms"),
        ("1588118400123456", "2020-04-29T00:00:00.123456", "epoch us"),
        ("01/01/2020", "2020-01-01", "date"),  # in either order
    ],
)
def test_a_time_is_read(word: str, time: str, style: str) -> None:
    read = moments(column(word))
    assert read.values.tolist() == np.array([time], dtype="datetime64[us]").tolist()
    assert read.style == style


@pytest.mark.parametrize(
    ("words", "months"),
    [
        (["1958.2027", "1958.2877", "1958.3699"], ["1958-03", "1958-04", "1958-05"]),
        (["1958.0", "1958.083", "1958.167"], ["1958-01", "1958-02", "1958-03"]),
        (["2019.11", "2019.12", "2020.01"], ["2019-11", "2019-12", "2020-01"]),
        (["1960.0", "1960.25", "1960.5"], ["1960-01", "1960-04", "1960-07"]),
    ],
)
def test_decimal_years_are_months(words: list[str], months: list[str]) -> None:
    values = moments(column(*words)).values
    assert values.astype("datetime64[M]").astype(str).tolist() == months


def test_decimal_years_of_weeks_are_days() -> None:
    values = moments(column("1974.3795", "1974.3986", "1974.4178")).values
    days = values.astype("datetime64[D]").astype(str).tolist()
    assert days == ["1974-05-19", "1974-05-26", "1974-06-02"]


@pytest.mark.parametrize("words", [["0", "0.25", "0.5"], ["1", "2", "4"], ["12000", "12001"]])
def test_what_just_counts_stays_a_number(words: list[str]) -> None:
    read = moments(column(*words))
    assert read.style == "number"
    assert read.values.tolist() == [float(word) for word in words]


def test_zones() -> None:
    summer = ["2020-03-28T05:00+01:00", "2020-03-29T05:00+02:00"]
    read = moments(column(*summer))
    assert [str(t) for t in read.values.astype("datetime64[h]")] == [
        "2020-03-28T04",
        "2020-03-29T03",
    ]
    assert "UTC" in read.said[0]
    days = moments(column("2020-03-28T00:00:00+01:00", "2020-03-30T00:00:00+02:00")).values
    assert days.astype("datetime64[D]").astype(str).tolist() == ["2020-03-28", "2020-03-30"]
    with pytest.raises(ValueError, match=r"row 3 .*'2020-03-29T05:00', not a time as"):
        moments(column(summer[0], "2020-03-29T05:00"))


@pytest.mark.parametrize(
    ("words", "first", "said"),
    [
        (["01/02/2020", "15/02/2020"], "2020-02-01", "day first, as 15/02/2020 shows"),
        (["01/02/2020", "01/15/2020"], "2020-01-02", "month first, as 01/15/2020 shows"),
        (["01/02/2020", "08/02/2020", "15/02/2020"], "2020-02-01", "day first, as 15/02"),
        (["01/01/2020", "08/01/2020", "05/02/2020"], None, ""),
        (
            [f"{d:02}.03.2020" for d in (1, 3, 5, 7, 9, 11)],
            None,  # every second day, or month
            "",
        ),
        (
            ["11/02/2020", "12/02/2020", "01/03/2020", "02/03/2020"],
            None,
            "",
        ),
        (
            ["01/02/2020 22:00", "01/02/2020 23:00", "02/02/2020 00:00"],
            "2020-02-01",
            "day first, since so the rows are even",
        ),
    ],
)
def test_day_and_month_are_told_apart_or_refused(
    words: list[str], first: str | None, said: str
) -> None:
    if first is None:
        with pytest.raises(ValueError, match="can be read in two ways: --day-first yes gives"):
            moments(column(*words))
        return
    read = moments(column(*words))
    assert str(read.values[0].astype("datetime64[D]")) == first
    assert said in read.said[0]


def test_each_flag_reads_as_the_refusal_says() -> None:
    words = ["01/02/2020", "02/02/2020", "03/02/2020"]
    with pytest.raises(ValueError, match=r"yes gives 2020-02-01, .*no gives 2020-01-02"):
        moments(column(*words))
    for flag, first in (("yes", "2020-02-01"), ("no", "2020-01-02")):
        values = moments(column(*words, day_first=flag)).values
        assert str(values[0].astype("datetime64[D]")) == first
    with pytest.raises(ValueError, match="reading the year first gives 2020-04-29; write years"):
        moments(column("20-04-29", "20-04-30"))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["Mon", "Tue"],
            r"row 2 of column 't' is 'Mon', not a time that is read: expected such as",
        ),
        (["12:30", "12:31"], r"row 2 of column 't' is '12:30', not a time that is read"),
        (["now", "today"], r"row 2 of column 't' is 'now'"),
        (["2020-01-01", "foo"], r"row 3 .* is 'foo', not a time as '2020-01-01' in row 2 is"),
        (["2020-01-01", "2020-02-30"], r"row 3 .* is '2020-02-30', not a time as"),
        (["2020-01-01", "today"], r"row 3 .* is 'today', not a time as"),
        (["2020Q1", "2020Q5"], r"row 3 .* is '2020Q5', not a time as"),
        (["2020", "two"], r"row 3 .* is 'two', not a time as '2020'"),
        (["2020-01-01", " "], r"row 3 of column 't' is blank: expected when the row was"),
        (["31.01.2020", "32.01.2020"], r"row 3 .* is '32\.01\.2020', not a time as"),
        (["29-Apr-20", "30-Avr-20"], r"row 3 .* is '30-Avr-20', not a time as"),
    ],
)
def test_a_time_that_cannot_be_read_is_an_error(words: list[str], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as refusal:
        moments(column(*words))
    assert "\n" not in str(refusal.value)


# --- years of two digits, quarters of one ---


@pytest.mark.parametrize(
    ("words", "days"),
    [
        (["580329", "991225", "000101"], ["1958-03-29", "1999-12-25", "2000-01-01"]),
        (["Jan-67", "Jan-68", "Jan-69"], ["1967-01-01", "1968-01-01", "1969-01-01"]),
        (["1-Feb-01", "1-Jan-01", "5-Mar-58"], ["2001-02-01", "2001-01-01", "1958-03-05"]),
        (["29/11/58", "29/12/58", "30/01/99"], ["1958-11-29", "1958-12-29", "1999-01-30"]),
        (["Jan-01", "Jan-58", "Jan-59"], ["2001-01-01", "2058-01-01", "2059-01-01"]),
        (["1/31/2058", "1/31/2059", "1/31/2001"], ["2058-01-31", "2059-01-31", "2001-01-31"]),
    ],
)
def test_years_of_two_digits_are_of_the_century_that_runs_one_way(
    words: list[str], days: list[str]
) -> None:
    assert moments(column(*words)).values.astype("datetime64[D]").astype(str).tolist() == days


@pytest.mark.parametrize("mark", [":", "-", "/", " "])
def test_numbers_up_to_four_behind_a_year_are_quarters(mark: str) -> None:
    words = [f"{year}{mark}{n}" for year in (1950, 1951, 1952) for n in (1, 2, 3, 4)]
    read = moments(column(*words[1:-1]))
    assert read.style == "quarter"
    assert read.said == ["quarters, since no number is above 4"]
    assert read.values.astype("datetime64[M]").astype(str).tolist()[:4] == [
        "1950-04",
        "1950-07",
        "1950-10",
        "1951-01",
    ]


@pytest.mark.parametrize("mark", [":", "-"])
def test_numbers_behind_a_year_are_months_elsewhere(mark: str) -> None:
    year = [f"1950{mark}{n}" for n in range(1, 13)]
    assert moments(column(*year)).values.astype("datetime64[M]").astype(str)[-1] == "1950-12"
    few = [f"{year}{mark}{n}" for year in (1950, 1951, 1952) for n in (1, 2, 3)]
    assert moments(column(*few)).style == "month"
