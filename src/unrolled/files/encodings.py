"""The text of a file in any encoding: what its bytes are is found, said, or asked."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from typing import NamedTuple

from unrolled.errors import InvalidValueError

__all__ = ["MARKS", "Decoded", "codec", "decode"]

MARKS = (  # the longer first: UTF-32's begins as UTF-16's does
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
USUAL = 0.8  # the share of characters that are common ones where an East Asian encoding is right
LOOKED_AT = 200_000  # bytes from which an encoding is told


class Decoded(NamedTuple):
    """A text, and the name of its encoding where that is not UTF-8."""

    text: str
    encoding: str


def decode(data: bytes, file: str, asked: str = "") -> Decoded:
    """Decode bytes strictly.

    Without a mark at its begin, text is UTF-8 if it can be; else GB18030 or Shift-JIS where nearly
    all of its characters are common ones there; else cp1252, which Latin-1 is a part of.

    Raises
    ------
    ValueError
        If the bytes are no text in the encoding asked for, or in any of these.
    """
    if asked:
        return Decoded(_strictly(data, asked, file), asked)
    for mark, name in MARKS:
        if data.startswith(mark):
            return Decoded(_strictly(data, name, file), name.removesuffix("-sig"))
    wide = _without_mark(data)
    if wide:
        return Decoded(_strictly(data, wide, file), wide)
    if b"\0" in data:
        raise InvalidValueError(
            f"{file} holds bytes of 0, so it is no text: expected a table as CSV or other text, "
            "Excel (.xlsx) or Parquet."
        )
    try:
        return Decoded(data.decode("utf-8"), "utf-8")
    except UnicodeDecodeError:
        pass
    asian = [name for name, usual in ASIAN.items() if _usual(data, name, usual)]
    if len(asian) > 1:
        raise InvalidValueError(
            f"{file} is not UTF-8, and reads as well in {' as in '.join(asian)}: say which with "
            f"--encoding {asian[0]} or --encoding {asian[1]}."
        )
    name = asian[0] if asian else "cp1252"
    return Decoded(_strictly(data, name, file), name)


def codec(encoding: str) -> codecs.CodecInfo:
    """The codec of that name, which turns bytes into text.

    Raises
    ------
    ValueError
        If there is none, or if it is of another kind, such as hex.
    """
    try:
        found = codecs.lookup(encoding)
    except (LookupError, ValueError, UnicodeError):
        found = None
    if found is None or not found._is_text_encoding or found.incrementaldecoder is None:
        raise InvalidValueError(
            f"--encoding {encoding} is not known: expected a name such as utf-8, cp1252 or gb18030."
        )
    return found


def _strictly(data: bytes, encoding: str, file: str) -> str:
    try:
        return codec(encoding).decode(data, "strict")[0].removeprefix("\ufeff")
    except UnicodeError as error:
        at = getattr(error, "start", 0)
        raise InvalidValueError(
            f"{file} is not {encoding} text (byte {at} is 0x{data[at : at + 1].hex()}): say in "
            "which it is with --encoding NAME."
        ) from None


def _without_mark(data: bytes) -> str:
    """UTF-16 that lacks its mark, of mostly Latin letters: every second byte is 0."""
    begin = data[: LOOKED_AT // 2 * 2]
    if len(begin) < 4 or len(data) % 2:
        return ""
    for name, zeros in (("utf-16-le", begin[1::2]), ("utf-16-be", begin[::2])):
        if zeros.count(0) > 0.8 * len(zeros):
            return name
    return ""


def _is_level_1_chinese(pair: bytes) -> bool:
    """Whether two bytes are one of the 3,755 common Chinese characters, or a sign beside them."""
    return pair[1] >= 0xA1 and (0xB0 <= pair[0] <= 0xD7 or 0xA1 <= pair[0] <= 0xA3)


def _is_level_1_japanese(pair: bytes) -> bool:
    """Whether two bytes are kana, a full-width sign or one of the 2,965 common kanji."""
    return 0x81 <= pair[0] <= 0x83 or 0x88 <= pair[0] <= 0x98


ASIAN: dict[str, Callable[[bytes], bool]] = {
    "gb18030": _is_level_1_chinese,
    "cp932": _is_level_1_japanese,
}


def _usual(data: bytes, encoding: str, usual: Callable[[bytes], bool]) -> bool:
    """Whether nearly every character that is not ASCII is a common one in that encoding."""
    begin = data[:LOOKED_AT]
    begin = begin[: begin.rfind(b"\n") + 1] or begin
    try:
        text = begin.decode(encoding)
    except UnicodeDecodeError:
        return False
    strange = re.findall(r"[^\x00-\x7f]", text)
    # Quotation marks of cp1252 and the letter after them are kanji too, but stand alone.
    together = "".join(re.findall(r"[^\x00-\x7f]{2,}", text)) if encoding == "cp932" else strange
    pairs = [pair for pair in map(_encoder(encoding), together) if len(pair) == 2 and usual(pair)]
    return bool(strange) and len(pairs) >= USUAL * len(strange)


def _encoder(encoding: str) -> Callable[[str], bytes]:
    return lambda character: character.encode(encoding)
