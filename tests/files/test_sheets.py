"""Excel and Parquet: numbers and dates are what they are, and the table is found among the rest."""

from __future__ import annotations

import datetime
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unrolled.files.sheets import of_objects, text_of
from unrolled.files.tables import Reading, read_table
from unrolled.files.timed import on_time

DAYS = [datetime.datetime(2020, 1, day) for day in range(1, 10)]


def sheet(path: Path, *rows: Any, more: bool = False) -> Path:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.title = "Last"
    for row in rows:
        book.active.append(row)
    if more:
        book.create_sheet("Preis").append(["tag", "preis"])
        for day in DAYS:
            book["Preis"].append([day, 2])
    book.save(path)
    return path


ROWS = [[day, 20.038 + n, "Nord"] for n, day in enumerate(DAYS)]


def test_a_sheet_is_read(tmp_path: Path) -> None:
    path = sheet(tmp_path / "a.xlsx", ["Last in MW"], [], ["Tag", "MW", "Ort"], *ROWS, ["Summe", 1])
    table = read_table(path)
    assert table.numbers("MW").tolist() == [20.038 + n for n in range(9)]
    assert table.words("Ort") == ["Nord"] * 9
    assert table.rows[0] == 4
    timed = on_time(table, "Tag")
    assert timed.timeline.ahead(1) == ["2020-01-10"]
    assert timed.summary() == (
        "read as: Excel, 1 below the data left out, 'Summe', above the names 'Last in MW'; "
        "9 rows, daily"
    )


def test_a_sheet_is_chosen_by_name(tmp_path: Path) -> None:
    path = sheet(tmp_path / "a.xlsx", ["Tag", "MW", "Ort"], *ROWS, more=True)
    assert "sheet 'Last' of 2" in read_table(path).said
    assert read_table(path, Reading(sheet="Preis")).numbers("preis").tolist() == [2] * 9
    with pytest.raises(ValueError, match="no sheet 'Pries': its sheets are Last, Preis; did you"):
        read_table(path, Reading(sheet="Pries"))


def test_numbers_that_are_text_in_a_sheet(tmp_path: Path) -> None:
    path = sheet(tmp_path / "a.xlsx", ["n", "x"], [1, "1.234,5"], [2, None], [3, 20.038])
    with pytest.raises(ValueError, match=r"row 2 of column 'x' is '1\.234,5'|row 4 of column 'x'"):
        read_table(path).numbers("x")
    path = sheet(tmp_path / "a.xlsx", ["n", "x"], [1, "1,5"], [2, None], [3, "20,25"])
    np.testing.assert_array_equal(read_table(path).numbers("x"), [1.5, np.nan, 20.25])


def test_a_parquet_file_is_read(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    import pandas as pd

    path = tmp_path / "a.parquet"
    index = pd.date_range("2020-01-01", periods=9, freq="h", tz="Europe/Oslo", name="t")
    frame = pd.DataFrame({"x": [20.038, None, *range(7)], "n": range(9), "s": list("abcdefghi")})
    frame.set_index(index).to_parquet(path)
    table = read_table(path)
    np.testing.assert_array_equal(table.numbers("x"), [20.038, np.nan, *range(7)])
    assert table.numbers("n").tolist() == list(range(9))
    assert table.words("s")[0] == "a"
    timed = on_time(table, "t")
    assert timed.timeline.labels[0] == "2019-12-31 23:00"  # UTC
    assert timed.timeline.ahead(1) == ["2020-01-01 08:00"]
    with pytest.raises(ValueError, match=r"column 't' of a\.parquet holds times, not numbers"):
        table.numbers("t")


@pytest.mark.parametrize(
    ("needed", "name", "begin"),
    [("pyarrow", "a.parquet", b"PAR1"), ("openpyxl", "a.xlsx", b"PK\x03\x04")],
)
def test_what_is_not_installed_is_named(
    needed: str, name: str, begin: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / name
    if needed == "openpyxl":
        import zipfile

        with zipfile.ZipFile(path, "w") as box:
            box.writestr("[Content_Types].xml", "")
    else:
        path.write_bytes(begin * 9)
    monkeypatch.setitem(sys.modules, needed, None)
    with pytest.raises(ValueError, match=f"for which {needed} is needed: pip install {needed}"):
        read_table(path)


def test_objects_become_columns() -> None:
    assert of_objects([1, 2.5, None]).tolist()[:2] == [1, 2.5]
    assert of_objects([datetime.date(2020, 1, 1), None]).dtype == "datetime64[us]"
    mixed = of_objects([1, "x", 20.038, float("nan"), datetime.datetime(2020, 1, 1, 5)])
    assert mixed.tolist() == ["1", "x", "20.0380", "", "2020-01-01 05:00:00"]
    assert text_of(True) == "True"


def test_a_sheet_without_names(tmp_path: Path) -> None:
    path = sheet(tmp_path / "a.xlsx", *([n, n + 0.5] for n in range(1, 9)))
    with pytest.raises(ValueError, match=r"no header .* say --header no"):
        read_table(path)
    table = read_table(path, Reading(header="no"))
    assert table.numbers("column 2").tolist() == [n + 0.5 for n in range(1, 9)]
    assert table.rows[0] == 1
    named = read_table(path, Reading(header="yes"))
    assert named.names == ["1", "1.5"]
