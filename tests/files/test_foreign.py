"""What a file of another kind is refused with: its kind, and what to save it as."""

from __future__ import annotations

from pathlib import Path

import pytest

from unrolled.files.tables import read_table


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b'[\n  { "date": "1854-04-01", "wounds": 0 },\n', "JSON"),
        (b'{"date": [1, 2]}', "JSON"),
        (b"[[1, 2], [3, 4]]", "JSON"),
        (b"[1.5, 2]", "JSON"),
        (b"\xef\xbb\xbf<!DOCTYPE html>\n<html><table>", "HTML"),
        (b'<?xml version="1.0"?>\n<rows>', "XML"),
        (b"# yearly\n#\n@relation M1\n@attribute start date\n@data\nT1:1972:3600,7700\n", "tsf"),
        (b"@problemName Gun\n@data\n1,2:3\n", "ts"),
        (b"ARROW1\0\0\xff\xff\xff\xffx\0", "Feather"),
        (b"r\x02\x01\0\x05\0\xbc\x01", "Stata"),
        (b"<stata_dta><header>", "Stata"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b"SQLite format 3\0", "SQLite"),
        (b"\x80\x04\x95\x10", "pickle"),
        (b"\x93NUMPY\x01\0", "NumPy"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "old Excel"),
        (b"%PDF-1.7\n", "PDF"),
    ],
)
def test_a_file_of_another_kind_is_refused_by_its_name(
    tmp_path: Path, data: bytes, kind: str
) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=kind) as refusal:
        read_table(path)
    assert str(refusal.value).endswith("not read: save the table as CSV, .xlsx or Parquet.")


@pytest.mark.parametrize("name", ["FEA1", "ORCL", "[1]", "[kW]", "a@relation", "<x>", "CDF", "RDA"])
def test_names_that_only_look_like_one_are_names(tmp_path: Path, name: str) -> None:
    path = tmp_path / "data.csv"
    path.write_text(f"{name},b\n1,2\n3,4\n5,6\n")
    assert read_table(path).names == [name, "b"]
