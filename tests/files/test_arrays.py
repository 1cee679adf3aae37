"""NumPy files: what NumPy wrote is read as it was; what it did not write is refused in a word."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from unrolled.files.arrays import read_array
from unrolled.recipes._events.arrays import read_arrays


@pytest.mark.parametrize("form", ["C", "F", "two", "archive"])
def test_an_array_is_read_as_numpy_wrote_it(form: str, tmp_path: Path) -> None:
    array = np.arange(24.0).reshape(8, 3)
    given = np.asfortranarray(array) if form == "F" else array
    version = (2, 0) if form == "two" else None
    with open(tmp_path / "a.npy", "wb") as file:
        np.lib.format.write_array(file, given, version=version)
    np.savez(tmp_path / "a.npz", x=given)
    found = read_arrays(tmp_path / ("a.npz" if form == "archive" else "a.npy"))
    assert np.array_equal(np.stack([found.numbers(name) for name in found.names], 1), array)


def test_an_array_of_named_columns_is_read(tmp_path: Path) -> None:
    rows = np.array(
        [(1.5, 2, "ab"), (2.5, 3, "c")], dtype=[("a", "<f4"), ("b", ">i2"), ("c", "U2")]
    )
    np.save(tmp_path / "a.npy", rows)
    found = read_arrays(tmp_path / "a.npy")
    assert list(found.numbers("b")) == [2, 3]
    assert found.words("c") == ["ab", "c"]


def _file(header: bytes, data: bytes = bytes(24), version: bytes = b"\x01\x00") -> io.BytesIO:
    length = struct.pack("<H" if version == b"\x01\x00" else "<I", len(header))
    return io.BytesIO(b"\x93NUMPY" + version + length + header + data)


def _given(descr: str = "'<f8'", order: str = "False", shape: str = "(3,)") -> bytes:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}}}".encode()


def _read(file: io.BytesIO) -> np.ndarray:
    return read_array(file, len(file.getvalue()))


def test_a_header_as_python_2_wrote_it_is_read() -> None:
    assert _read(_file(_given(shape="(3L,)"))).shape == (3,)


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (_file(b"(" * 60000), "none that NumPy writes"),
        (_file(b"-" * 60000), "none that NumPy writes"),
        (_file(_given(shape="(" * 20 + ")" * 20)), "none that NumPy writes"),
        (_file(b"[1]"), "none that NumPy writes"),
        (_file(b""), "none that NumPy writes"),
        (_file(_given(shape="3")), "a shape that is none"),
        (_file(_given(shape="('a',)")), "a shape that is none"),
        (_file(_given(shape="(True,)")), "a shape that is none"),
        (_file(_given(shape="(0, 9999999999)")), "holds nothing"),
        (_file(_given(descr="'S0'", shape="(999999999999,)")), "holds nothing"),
        (_file(_given(shape="(4,)")), "promises 32 bytes and 24 follow"),
        (_file(_given(order="3")), "an order that is none"),
        (_file(_given(descr="'nonsense'")), "a type that NumPy does not know"),
        (_file(_given(descr="('<f8', (9, 9, 9))")), "promises 17,496 bytes"),
        (_file(_given(descr="'|O'")), "never read"),
        (_file(_given(descr="[('a', '|O')]")), "never read"),
        (_file(_given(), version=b"\x09\x00"), "a version that is not known"),
        (_file(b" " * (1 << 19), version=b"\x02\x00"), "524,288 bytes long"),
        (io.BytesIO(b"PK"), "does not begin as one"),
    ],
)
def test_what_numpy_did_not_write_is_refused(file: io.BytesIO, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        _read(file)


def test_a_damaged_archive_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", _file(_given(shape="(2000,)"), bytes(range(200)) * 80).getvalue())
    data = bytearray(path.read_bytes())
    for place in range(60, 90):
        data[place] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"^a\.npz is not a NumPy file of plain numbers"):
        read_arrays(path)
