"""A column of a CSV file: read as it stands, or refused with one sentence that helps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from unrolled.files.columns import read_labels, read_numbers

GOOD = "year,spots\n1700,5\n1701,11.5\n1702,-1e1\n"


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "data.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        GOOD.replace(",", ";"),
        GOOD.replace(",", "\t"),
        GOOD.replace("\n", "\r\n"),
        "\ufeffspots,year\n5,1700\n11.5,1701\n-10,1702\n",
        GOOD + "\n\n",
        GOOD.rstrip("\n"),
        GOOD.replace(",", " , "),
        'year,spots\n1700,"5"\n1701,"11.5"\n1702,"-10"\n',
        'note,spots\n"a\nb",5\n"c, d",11.5\n,-10\n',
    ],
)
def test_a_good_file_is_read(text: str, tmp_path: Path) -> None:
    assert read_numbers(written(tmp_path, text), "spots").tolist() == [5.0, 11.5, -10.0]


def test_one_column_needs_no_name(tmp_path: Path) -> None:
    path = written(tmp_path, "spots\n1\n2\n")
    assert read_numbers(path).tolist() == [1, 2]
    assert read_labels(path, "") == ["1", "2"]


@pytest.mark.parametrize(
    ("text", "column", "sentence"),
    [
        ("", "a", r"data\.csv is empty: expected a row of column names"),
        ("\n\n", "a", r"data\.csv is empty"),
        ("1700,5\n1701,6\n", "a", r"no header, its first row is 1700, 5: add a first row"),
        (GOOD, "sopts", r"no column 'sopts': its columns are year, spots\. Did you mean 'spots'\?"),
        (GOOD, "Spots", r"no column 'Spots': .* Did you mean 'spots'\?"),
        (GOOD, "", r"has the columns year, spots: say which with --column"),
        ("a,a\n1,2\n", "a", r"has 2 columns 'a': rename them"),
        ("a,b\n1,2\n3,x\n", "b", r"row 3 of column 'b' is 'x', not a number: mend it"),
        ("a;b\n1;2,5\n", "b", r"row 2 of column 'b' is '2,5', not a number: write it as 2\.5"),
        ("a,b\n1,1_000\n", "b", r"row 2 of column 'b' is '1_000', not a number"),
        ("a,b\n1,2\n3,\n5,6\n", "b", r"row 3 of column 'b' is blank: fill it in"),
        ("a,b\n1,2\n3,nan\n", "b", r"row 3 of column 'b' is nan, not a finite number"),
        ("a,b\n1,-inf\n", "b", r"row 2 of column 'b' is -inf, not a finite number"),
        ("a,b\n1,2\n\n3,4\n", "b", r"row 3 of data\.csv is blank: fill it in or delete it"),
        ("a,b\n1,1,000\n", "b", r"row 2 of data\.csv has 3 cells, but the header has 2: put a"),
        ("a,b\n1,2\n3\n", "b", r"row 3 of data\.csv has 1 cell, but the header has 2"),
        (b"a,b\n1,\xff\n", "b", r"is not UTF-8 text \(byte 6 is 0xff\): save it as UTF-8"),
        (GOOD.encode("utf-16"), "spots", r"is not UTF-8 text \(byte 0 is 0xff\)"),
        ('a,b\n1,"2\n', "b", r"is not a CSV file \(unexpected end of data\)"),
    ],
)
def test_a_bad_file_is_refused(
    text: str | bytes, column: str, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=sentence) as refusal:
        read_numbers(written(tmp_path, text), column)
    assert "\n" not in str(refusal.value)


def test_a_missing_file_or_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"there is no file .*none\.csv: check the path"):
        read_numbers(tmp_path / "none.csv", "a")
    with pytest.raises(ValueError, match="cannot be read: Is a directory"):
        read_numbers(tmp_path, "a")


def test_the_sunspots_are_whole() -> None:
    path = Path(__file__).parents[2] / "examples" / "sunspots.csv"
    years, spots = (read_numbers(path, column) for column in ("year", "sunspots"))
    np.testing.assert_array_equal(years, np.arange(1700, 2009))
    # As statsmodels ships them.
    assert (spots[0], spots[-1], spots.max()) == (5, 2.9, 190.2)
    assert spots.sum() == pytest.approx(15373.4)
