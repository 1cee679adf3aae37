"""A table out of any file: read for what it says, with what was found said, or refused with why."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unrolled.files.tables import Reading, Table, read_table

GOOD = "year,spots\n1700,5\n1701,11.5\n1702,-1e1\n"
DAYS = [f"2020-01-{day:02}" for day in range(1, 10)]


def written(folder: Path, text: str | bytes, name: str = "data.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def read(folder: Path, text: str | bytes, **fields: Any) -> Table:
    return read_table(written(folder, text), Reading(**fields))


def said(table: Table, column: str) -> str:
    return ", ".join((*table.said, *table.told_numbers(column)[1]))


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        GOOD.replace(",", ";"),
        GOOD.replace(",", "\t"),
        GOOD.replace(",", "|"),
        GOOD.replace(",", "   "),
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("\n", "\r"),
        "\ufeffspots,year\n5,1700\n11.5,1701\n-10,1702\n",
        GOOD + "\n\n",
        GOOD.rstrip("\n"),
        GOOD.replace(",", " , "),
        GOOD.replace("\n", ",\n"),
        'year,spots\n1700,"5"\n1701,"11.5"\n1702,"-10"\n',
        'note,spots\n"a\nb",5\n"c, d",11.5\n,-10\n',
        "spots\n5\n11.5\n-10\n",
        "# measured, daily\n# by hand\n" + GOOD,
        "% measured\n" + GOOD,
        "// measured\n\n" + GOOD,
        "# year,spots\n1700,5\n1701,11.5\n1702,-10\n",
        "Spots of the sun\n\n" + GOOD,
        "Spots of the sun,\n" + GOOD,
        GOOD.replace("spots\n", "spots\nyyyy,1/day\n"),
        GOOD.replace("spots\n", "spots\n,[n]\n"),
        GOOD + "\nSource: the sun, mostly\n",
        GOOD + "Total,6.5\n",
        GOOD + "*) estimated\n\nQuelle: ich\n",
        GOOD.replace("1701", "\n\n1701"),
    ],
)
def test_a_good_file_is_read(text: str, tmp_path: Path) -> None:
    assert read(tmp_path, text).numbers("spots").tolist() == [5.0, 11.5, -10.0]


@pytest.mark.parametrize(
    ("text", "column", "values", "words"),
    [
        ("t;x\n1;20037,72\n2;1,5\n", "x", [20037.72, 1.5], "semicolons, utf-8, decimal comma"),
        ("t;x\n1;20.037,72\n2;1,5\n", "x", [20037.72, 1.5], "decimal comma, a dot between"),
        ("t;x\n1;20 037,72\n2;1,5\n", "x", [20037.72, 1.5], "decimal comma, a space between"),
        ("t;x\n1;20\u202f037\n2;1,5\n", "x", [20037, 1.5], "decimal comma, a space between"),
        ("t;x\n1;20'037.72\n2;1.5\n", "x", [20037.72, 1.5], "decimal point, an apostrophe"),
        ('t,x\n1,"$20,037.72"\n2,"$1,000.00"\n', "x", [20037.72, 1000], "point, a comma between"),
        ('t,x\n1,"20,037.72"\n2,"20,038"\n', "x", [20037.72, 20038], "a comma between thousands"),
        ('t,x\n1,"1,234,567"\n2,"20,038"\n', "x", [1234567, 20038], "a comma between thousands"),
        ('t,x\n1,"20,038"\n2,"0,5"\n', "x", [20.038, 0.5], "decimal comma"),
        ('t,x\n1,"20,038"\n2,12345\n', "x", [20.038, 12345], "decimal comma"),
        ('t,x\n1,"20,038"\n2,"12345,678"\n', "x", [20.038, 12345.678], "decimal comma"),
        ("t,x\n1,20.04%\n2,21 %\n", "x", [20.04, 21], "per cent"),
        ("t;x\n1;5 €\n2;(3,5) €\n3;-4 €\n4;2-\n", "x", [5, -3.5, -4, -2], "decimal comma, €"),
        ("t,x\n1,−5\n2,+3\n", "x", [-5, 3], "commas"),
        ("t,x\n1,20.038\n2,21.038\n", "x", [20.038, 21.038], "commas, utf-8, decimal point"),
        ("t;x;y\n1;20.038;1,5\n2;21.038;2\n", "x", [20038, 21038], "decimal comma, a dot"),
        ("t;x;y\n1;20.038;1.5\n2;21.038;2\n", "x", [20.038, 21.038], "semicolons"),
        ("date;load, MW\n1;20037,72\n2;3\n", "load, MW", [20037.72, 3], "semicolons"),
        ("x\n1,5\n2,5\n", "x", [1.5, 2.5], "one column, utf-8, decimal comma"),
        ("x\n$20,037.72\n$1.50\n", "x", [20037.72, 1.5], "one column"),
        ("t;x\n1;12.34.567\n2;1.234.567\n", "x", [1234567, 1234567], "a dot between thousands"),
    ],
)
def test_numbers_are_read_as_they_are_meant(
    text: str, column: str, values: list[float], words: str, tmp_path: Path
) -> None:
    table = read(tmp_path, text)
    assert table.numbers(column).tolist() == values
    assert words in said(table, column)


@pytest.mark.parametrize(
    "word", ["", " ", "NA", "n/a", "N/A", "-", ".", "NaN", "null", "#N/A", "—"]
)
@pytest.mark.parametrize("text", ["t,x\n1,1.5\n2,{}\n3,4\n", "t;x\n1;1,5\n2;{}\n3;4\n"])
def test_a_word_for_missing_is_missing(word: str, text: str, tmp_path: Path) -> None:
    values = read(tmp_path, text.format(word)).numbers("x")
    np.testing.assert_array_equal(values, [1.5, np.nan, 4])


@pytest.mark.parametrize(
    ("text", "one", "other"),
    [
        ('t,x\n1,"20,038"\n2,"21,038"\n', ("thousands", ","), ("decimal", ",")),
        ("t;x\n1;20,038\n2;21,038\n", ("thousands", ","), ("decimal", ",")),
        ("t;x\n1;20.038\n2;21.038\n", ("thousands", "."), ("decimal", ".")),
        ("x\n987\n1,234\n2,522\n", ("thousands", ","), ("decimal", ",")),
    ],
)
def test_two_readings_are_refused_with_both_and_each_flag_reads_as_it_says(
    text: str, one: tuple[str, str], other: tuple[str, str], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="can be read in two ways") as refusal:
        read(tmp_path, text).numbers("x")
    sentence = str(refusal.value)
    for field, mark in (one, other):
        value = read(tmp_path, text, **{field: mark}).numbers("x")
        first = next(v for v in value if v != 987)
        assert f"--{field} {mark}" in sentence
        assert f"{first:g}" in sentence
    assert sentence.startswith("row ")
    assert "\n" not in sentence


@pytest.mark.parametrize(
    ("encoding", "text", "column"),
    [
        ("utf-8-sig", "tag,größe\n1,5\n2,6\n", "größe"),
        ("utf-16", "tag\tgröße\n1\t5\n2\t6\n", "größe"),
        ("utf-16-le", "tag\tgröße\n1\t5\n2\t6\n", "größe"),
        ("utf-16-be", "tag\tgröße\n1\t5\n2\t6\n", "größe"),
        ("latin-1", "tag;größe\n1;5\n2;6\n", "größe"),
        ("cp1252", "tag;“größe” in €\n1;5\n2;6\n", "“größe” in €"),
        ("cp1252", "day;shop’s\n1;5\n2;6\n", "shop’s"),  # ’s is a kanji in Shift-JIS
        ("gb18030", "日期,气温\n1,5\n2,6\n", "气温"),
        ("cp932", "日付,気温\n1,5\n2,6\n", "気温"),
        ("cp932", "日付,カレンダー\n1,5\n2,6\n", "カレンダー"),
    ],
)
def test_letters_are_read_in_the_encoding_that_they_are_in(
    encoding: str, text: str, column: str, tmp_path: Path
) -> None:
    table = read(tmp_path, text.encode(encoding))
    assert table.numbers(column).tolist() == [5, 6]
    known = {"utf-8-sig": "utf-8", "latin-1": "cp1252"}
    assert known.get(encoding, encoding) in table.said


def test_an_encoding_that_is_asked_for_is_taken(tmp_path: Path) -> None:
    data = "дата;цена\n1;5\n2;6\n".encode("cp1251")
    assert "цена" not in read(tmp_path, data).names
    assert read(tmp_path, data, encoding="cp1251").numbers("цена").tolist() == [5, 6]
    with pytest.raises(ValueError, match=r"is not ascii text \(byte 0 is 0xe4\): say in which"):
        read(tmp_path, data, encoding="ascii")
    with pytest.raises(ValueError, match="--encoding klingon is not known"):
        read(tmp_path, data, encoding="klingon")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_packed_file_is_unpacked(pack: Any, tmp_path: Path) -> None:
    assert read(tmp_path, pack(GOOD.encode())).numbers("spots").tolist() == [5, 11.5, -10]
    with pytest.raises(ValueError, match=r"data\.csv is packed, and cannot be unpacked"):
        read(tmp_path, pack(GOOD.encode() * 99)[:-9])


def archive(**files: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as box:
        for name, text in files.items():
            box.writestr(name, text)
    return packed.getvalue()


def test_a_zip_file_holds_one_table(tmp_path: Path) -> None:
    table = read(tmp_path, archive(a=GOOD))
    assert table.numbers("spots").tolist() == [5, 11.5, -10]
    assert "zip" in table.said
    with pytest.raises(ValueError, match=r"data\.csv holds 2 files \(a, b\): expected one"):
        read(tmp_path, archive(a=GOOD, b=GOOD))


def test_what_was_found_is_said(tmp_path: Path) -> None:
    rows = "".join(f"{day};{n},5\n" for n, day in enumerate(DAYS))
    text = f"Last in München\n\nTag;Last\nyyyy-mm-dd;MW\n{rows}Summe;36\nQuelle: Amt\n"
    table = read(tmp_path, text.encode("cp1252"))
    assert table.numbers("Last").tolist() == [n + 0.5 for n in range(9)]
    assert said(table, "Last") == (
        "semicolons, cp1252, above the names 'Last in München', units yyyy-mm-dd, MW, "
        "2 below the data left out, 'Summe;36', decimal comma"
    )
    assert table.rows.tolist() == list(range(5, 14))  # as a spreadsheet counts


def test_flags_say_what_the_file_does_not(tmp_path: Path) -> None:
    assert read(tmp_path, "a:b\n1:2\n3:4\n", separator=":").numbers("b").tolist() == [2, 4]
    two = "Sales in thousands, 2020\nday, sales\n1,2\n3,4\n"
    with pytest.raises(ValueError, match=r"2 rows of words .* --skip 1 takes 'day, sales'"):
        read(tmp_path, two)
    assert read(tmp_path, two, skip=1).numbers("sales").tolist() == [2, 4]
    years = "2000,2001\n1,2\n3,4\n"
    assert read(tmp_path, years, skip=0).numbers("2001").tolist() == [2, 4]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"decimal": ";"}, "decimal"),
        ({"thousands": ";"}, "thousands"),
        ({"separator": "ab"}, "one mark, tab or space"),
        ({"skip": -1}, "0 or more"),
    ],
)
def test_a_flag_that_makes_no_sense_is_refused(fields: dict[str, Any], words: str) -> None:
    from unrolled import training
    from unrolled.recipes.series import Recipe

    with pytest.raises(ValueError, match=words):
        training.check(Recipe(**fields))


@pytest.mark.parametrize(
    ("text", "column", "sentence"),
    [
        ("", "a", r"data\.csv is empty: expected a row of column names"),
        ("\n\n", "a", r"data\.csv is empty"),
        ("a,b\n", "a", r"data\.csv has no row below its header"),
        ("1700,5\n1701,6\n", "a", r"no header .* its first row is 1700, 5: .* say --header no"),
        (GOOD, "sopts", r"no column 'sopts': its columns are year, spots; did you mean 'spots'\?"),
        (GOOD, "Spots", r"no column 'Spots': .* did you mean 'spots'\?"),
        (GOOD, "", r"has the columns year, spots: say which with --column"),
        ("a,a\n1,2\n", "a", r"has several columns 'a': rename them"),
        ("a,b\n1,2\n3,x\n", "b", r"row 3 of column 'b' is 'x', not a number: mend the cell"),
        ("a,b\n1,1_000\n", "b", r"row 2 of column 'b' is '1_000', not a number"),
        ("a;b\n1;1.234,5\n2;1,234.5\n", "b", r"row . of column 'b' is '1.234.5', not a number w"),
        ("a;b\n1;1,5\n2;2,5\n3;2.5\n", "b", r"row 4 .*'2\.5', not a number with a decimal comma"),
        ("a,b\n1,٥\n2,6\n", "b", r"row 2 of column 'b' is '٥', not a number"),
        ("a,b\n1,-inf\n", "b", r"row 2 of column 'b' is -inf, not a finite number"),
        ("a,b\n1,1e999\n", "b", r"row 2 of column 'b' is 1e999, not a finite number"),
        ("a,b\n1,2\n3,1,000\n", "b", r"row 3 of data\.csv has 3 cells, but the header has 2: put"),
        ("a,b\n1,2\n3\n4,5\n", "b", r"row 3 of data\.csv has 1 cell, but the header has 2: it is"),
        ("a,b\n1,2\n3\n", "b", r"row 3 of data\.csv has 1 cell, but the header has 2: it is cut"),
        ("d,x\n2020-01-01,20037,72\n2020-01-02,3,5\n", "x", r"row 2 .* 3 cells, but the header"),
        ('a,b\n1,"2\n', "b", r"cut short or damaged: row 2 opens a quote that no other closes"),
        ("a;b\n1;5 €\n2;$4\n", "b", r"is '5 €' but row 3 is '\$4': expected one unit"),
        ("a;b\n1;5%\n2;4\n", "b", r"is '5%' but row 3 is '4': expected one unit"),
        ("d,x\n2020-01-01,5\n2020-01-02,6\n2020-12-3", "x", r"row 4 .* has 1 cell, .* cut short"),
        (b"a,b\n1,\0\n", "b", r"holds bytes of 0, so it is no text"),
        (b"\xd0\xcf\x11\xe0" * 9, "b", r"old Excel \(\.xls\)"),
        (b"PAR1" * 9, "b", r"Parquet"),
        (archive(**{"[Content_Types].xml": ""}), "b", r"Excel"),
    ],
)
def test_a_bad_file_is_refused(
    text: str | bytes, column: str, sentence: str, tmp_path: Path
) -> None:
    def numbers() -> Any:
        table = read(tmp_path, text)
        return table.numbers(table.find(column))

    with pytest.raises(ValueError, match=sentence) as refusal:
        numbers()
    assert "\n" not in str(refusal.value)


def test_a_missing_file_or_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"there is no file .*none\.csv: check the path"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(ValueError, match="is a folder: expected a file"):
        read_table(tmp_path)


# --- some of the rows ---

SHOPS = "day,shop,sold\n" + "".join(
    f"{day},{shop},{n}\n" for shop in ("Bergen", "Oslo") for n, day in enumerate(DAYS)
)


def test_the_rows_of_one_group_or_of_each(tmp_path: Path) -> None:
    table = read(tmp_path, SHOPS)
    oslo = table.where(["shop=Oslo"])
    assert oslo.numbers("sold").tolist() == list(range(9))
    assert oslo.rows[0] == 11
    assert len(table.where(["shop=Oslo", "sold=3"])) == 1
    parts = table.split("shop")
    assert list(parts) == ["Bergen", "Oslo"]
    assert parts["Oslo"].rows.tolist() == oslo.rows.tolist()


@pytest.mark.parametrize(
    ("condition", "sentence"),
    [
        ("shop=Osl", "nowhere 'Osl': it holds Bergen, Oslo; did you mean 'Oslo'"),
        ("shop", "--where shop names no value: expected COLUMN=VALUE"),
        ("city=Oslo", "no column 'city'"),
    ],
)
def test_a_condition_that_no_row_meets_is_refused(
    condition: str, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=sentence):
        read(tmp_path, SHOPS).where([condition])


def test_a_row_of_no_group_is_refused(tmp_path: Path) -> None:
    table = read(tmp_path, SHOPS.replace("2020-01-03,Oslo", "2020-01-03,"))
    with pytest.raises(ValueError, match="row 13 of column 'shop' is blank: expected the name"):
        table.split("shop")


# --- files of others, and large ones ---


def test_the_sunspots_are_whole() -> None:
    table = read_table(Path(__file__).parents[2] / "examples" / "sunspots.csv")
    np.testing.assert_array_equal(table.numbers("year"), np.arange(1700, 2009))
    spots = table.numbers("sunspots")
    # As statsmodels ships them.
    assert (spots[0], spots[-1], spots.max()) == (5, 2.9, 190.2)
    assert spots.sum() == pytest.approx(15373.4)


@pytest.mark.parametrize("marks", [",.", ";,"])
def test_a_million_rows_are_read(marks: str, tmp_path: Path) -> None:
    values = np.round(np.random.default_rng(0).normal(0, 1000, 1_000_000), 2)
    body = "\n".join(map("{:.2f}".format, values.tolist()))
    text = "\n".join(f"{n}\0{word}" for n, word in enumerate(body.split("\n")))
    text = text.replace(".", marks[1]).replace("\0", marks[0])
    table = read(tmp_path, f"n{marks[0]}x\n{text}\n")
    np.testing.assert_array_equal(table.numbers("x"), values)
    assert table.rows[-1] == 1_000_001
