"""Text from a file: whole or in blocks of any size, or refused with one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from unrolled.files import text
from unrolled.files.text import read_text, text_blocks

WORDS = "a\r\nß\n\N{SNOWMAN}\r\N{GRINNING FACE} end"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("mark", ["", "\N{BYTE ORDER MARK}"])
def test_blocks_of_any_size_are_the_text(tmp_path: Path, size: int, mark: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes((mark + WORDS).encode())
    assert "".join(text_blocks(path, size)) == WORDS
    assert read_text(path) == WORDS


@pytest.mark.parametrize("size", [1, 2, 4, 1000])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize(("before", "wrong"), [("ab", b"\xff"), ("aß\N{SNOWMAN}", b"\xe2\x98")])
def test_the_byte_that_is_not_utf_8_is_named(
    tmp_path: Path, size: int, mark: bytes, before: str, wrong: bytes
) -> None:
    path = tmp_path / "a.txt"
    start = mark + before.encode()
    path.write_bytes(start + wrong)
    told = rf"^a\.txt is not UTF-8 text \(byte {len(start)} is 0x{wrong[0]:02x}\): save it as UTF-8"
    with pytest.raises(ValueError, match=told):
        list(text_blocks(path, size))


def test_what_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"there is no file .*none\.txt: check the path"):
        read_text(tmp_path / "none.txt")
    with pytest.raises(ValueError, match="cannot be read: Is a directory"):
        read_text(tmp_path)
    (tmp_path / "a.txt").write_text("12345")
    monkeypatch.setattr(text, "MOST", 5)
    assert read_text(tmp_path / "a.txt") == "12345"
    monkeypatch.setattr(text, "MOST", 4)
    with pytest.raises(ValueError, match=r"^a\.txt has 5 bytes, .*expected 4 or fewer; divide it"):
        read_text(tmp_path / "a.txt")
