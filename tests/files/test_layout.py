"""Where names and data are: files without names, rules between parts, marks at lines' ends."""

from __future__ import annotations

import gzip
import shlex
from pathlib import Path

import numpy as np
import pytest

from unrolled.files.tables import Reading, Table, read_table
from unrolled.files.timed import in_rows


def read(folder: Path, text: str | bytes, **fields: object) -> Table:
    path = folder / "data.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_table(path, Reading(**fields))  # type: ignore[arg-type]


NAMELESS = {
    "commas": ("1,-0.780473\n2,-0.771591\n3,-0.767739\n", "column 2"),
    "spaces": ("1700   5\n1701  11\n1702  16\n1703  23\n", "column 2"),
    "alone": ("315.58\n316.39\n316.79\n", "column 1"),
    "words": ("MLO    580329   4    0         316.10\n" * 4, "column 5"),
    "blank": ("1,0.58,1770.7\n2,0.7,1768\n,,1766.5\n", "column 3"),
    "repeated": ("0,0,5,13\n0,0,0,12\n0,0,4,11\n", "column 4"),
}


@pytest.mark.parametrize("case", NAMELESS)
def test_a_file_without_names_is_refused_with_two_flags_that_work(
    tmp_path: Path, case: str
) -> None:
    text, last = NAMELESS[case]
    with pytest.raises(ValueError, match=r"say --header no.* say --header yes\.$"):
        read(tmp_path, text)
    table = read(tmp_path, text, header="no")
    lines = text.splitlines()
    ends = [float(line.replace(",", " ").split()[-1]) for line in lines]
    assert table.numbers(last).tolist() == ends
    assert table.rows.tolist() == list(range(1, len(lines) + 1))
    assert table.said[-1] == "no names above the data"
    named = read(tmp_path, text, header="yes")
    assert len(named) == len(lines) - 1


def test_packed_and_without_names(tmp_path: Path) -> None:
    table = read(tmp_path, gzip.compress(b"1.51e+02\n7.5e+01\n1.41e+02\n"), header="no")
    assert table.numbers("").tolist() == [151, 75, 141]
    assert "gzip" in table.said


def test_numbers_that_are_names(tmp_path: Path) -> None:
    text = ",0\n1821,269\n1822,321\n1823,585\n"  # as pandas writes a series without a name
    with pytest.raises(ValueError, match="its first row is , 0: "):
        read(tmp_path, text)
    table = read(tmp_path, text, header="yes")
    assert table.names == ["column 1", "0"]
    assert table.numbers("0").tolist() == [269, 321, 585]


def test_times_side_by_side_are_no_series(tmp_path: Path) -> None:
    text = "Country,Code,1960,1961,1962,1963\nAruba,ABW,4.82,4.6,4.4,\nChad,TCD,6.3,6.3,6.3,6.4\n"
    with pytest.raises(ValueError, match=r"times side by side \(1960, 1961, 1962, …\)") as refusal:
        read(tmp_path, text)
    assert "--header yes" in str(refusal.value)
    assert read(tmp_path, text, header="yes").numbers("1961").tolist() == [4.6, 6.3]


def test_skipped_lines_and_no_names(tmp_path: Path) -> None:
    text = "Station 4\nfive rows\n" + "".join(f"{n} {n}.5\n" for n in range(5))
    table = read(tmp_path, text, skip=2, header="no")
    assert table.numbers("column 2").tolist() == [n + 0.5 for n in range(5)]
    assert table.rows.tolist() == [3, 4, 5, 6, 7]


def test_rules_above_and_below_the_names(tmp_path: Path) -> None:
    rows = "".join(f"{1749 + n}  {n}.0  {n}.5\n" for n in range(12))
    text = (
        f"   MEAN SUNSPOTS\n{'=' * 40}\nYear   Jan   Feb\n{'-' * 40}\n{rows}{'-' * 40}\nNote: x.\n"
    )
    table = read(tmp_path, text)
    assert table.names == ["Year", "Jan", "Feb"]
    assert table.numbers("Feb").tolist() == [n + 0.5 for n in range(12)]
    assert table.rows[0] == 5


def test_dashes_for_what_is_missing_are_no_rule(tmp_path: Path) -> None:
    table = read(tmp_path, "a b c\n- - -\n1 2 3\n4 5 6\n7 8 9\n")
    assert np.isnan(table.numbers("a")[0])
    assert len(table) == 4


def test_a_banner_and_prose_above_numbers(tmp_path: Path) -> None:
    banner = f"{'*' * 30}\n*** Weekly averages, from air ***\n{'*' * 30}\n\n"
    prose = "These averages, based on air, are\nof several towers, of steady air, from days\n\n"
    rows = "".join(f"MLO  580{n}  4  {n}.5\n" for n in range(400, 440))
    table = read(tmp_path, banner + prose + rows, header="no")
    assert table.numbers("column 4").tolist() == [n + 0.5 for n in range(400, 440)]


@pytest.mark.parametrize("rows", ["1,2\n3,4\n5,6\n7,8\n", "1,2,\n3,4,\n5,6,\n7,8,\n"])
@pytest.mark.parametrize("names", ["a,b", "a,b,"])
def test_a_mark_at_the_end_of_some_lines_is_no_cell(tmp_path: Path, names: str, rows: str) -> None:
    table = read(tmp_path, f"Series Id: x\n\nSource: y of 2020\n\n{names}\n{rows}")
    assert table.names == ["a", "b"]
    assert table.numbers("b").tolist() == [2, 4, 6, 8]


def test_a_cell_too_many_is_still_damage(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"row 2 of .* 3 cells, but the header above it has 2"):
        read(tmp_path, "a,b\n1,2,3\n3,4,5\n5,6,7\n")


def test_what_is_advised_can_be_typed(tmp_path: Path) -> None:
    table = read(tmp_path, ",KSI\n1969-01-01,1687\n1969-02-01,1508\n1969-03-01,1507\n")
    said = in_rows(table).said[-1]
    assert shlex.split(said)[-2:] == ["--time", "column 1"]


def test_a_column_without_a_name_is_refused_with_a_flag_that_works(tmp_path: Path) -> None:
    text = '"Weight","Feed","Time"\n' + "".join(f'"{n}",{n}.5,NA,{n}\n' for n in range(1, 9))
    with pytest.raises(ValueError, match=r"row 2 of .* 4 cells, .* 3: .* say --header no"):
        read(tmp_path, text)
    table = read(tmp_path, text, header="no")
    assert table.numbers("column 2").tolist() == [n + 0.5 for n in range(1, 9)]
    assert table.said[-2] == "above the names 'Weight, Feed, Time'"


@pytest.mark.parametrize(
    "above",
    [
        "Verkaufsbericht;;;\n;;;\n",
        ";;;\n",
        "Verkaufsbericht\n;;;\nErstellt am 03.01.2024;;;\n;;;\n",
    ],
)
def test_an_empty_row_of_a_spreadsheet_above_the_names_is_nothing(
    tmp_path: Path, above: str
) -> None:
    rows = "".join(f"{day:02}.08.2022;Bergen;1.{day:03},50 €;0\n" for day in range(1, 21))
    path = tmp_path / "export.csv"
    path.write_bytes(f"{above}Datum;Filiale;Umsatz;Aktion\n{rows}".encode("cp1252"))
    table = read_table(path, Reading())
    assert table.names == ["Datum", "Filiale", "Umsatz", "Aktion"]
    assert table.numbers("Umsatz")[:2].tolist() == [1001.5, 1002.5]
    assert len(table) == 20
