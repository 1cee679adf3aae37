"""Text from a file: in UTF-8, or as a mark or a name says; whole, block by block, or refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from unrolled.errors import InvalidValueError
from unrolled.files.encodings import MARKS, codec

__all__ = ["MOST", "encoding_of", "read_text", "text_blocks"]

MOST = 1 << 31  # bytes of a file that is read whole: in memory it takes several times as much
BLOCK = 1 << 20  # bytes that are read at a time


def read_text(path: Path, encoding: str = "") -> str:
    """Read a whole file, its line ends as they are.

    Raises
    ------
    ValueError
        If there is no such file, it cannot be read, is not in its encoding (and where), or larger
        than `MOST`.
    """
    if path.is_file() and (size := path.stat().st_size) > MOST:
        raise InvalidValueError(
            f"{path.name} has {size:,} bytes, and is read whole: expected {MOST:,} or fewer; "
            "divide it."
        )
    return "".join(text_blocks(path, encoding=encoding))


def encoding_of(path: Path, asked: str = "") -> str:
    """How a file's letters are written: as asked, as the mark at its beginning says, or UTF-8.

    Nothing is guessed from the letters: what is read in the wrong alphabet would be learnt.
    """
    if asked:
        return codec(asked).name.removesuffix("-sig")
    begin = _opened(path)
    found = next((name for mark, name in MARKS if begin.startswith(mark)), "utf-8")
    return found.removesuffix("-sig")


def text_blocks(path: Path, size: int = BLOCK, encoding: str = "") -> Iterator[str]:
    """Read a file of any length, ``size`` bytes at a time; a byte order mark is no part of it.

    Raises
    ------
    ValueError
        If there is no such file, it cannot be read, or is not in its encoding (and where).
    """
    name = encoding_of(path, encoding)
    make = codec(name).incrementaldecoder
    assert make is not None
    decoder = make("strict")
    at, first = 0, True
    try:
        with open(path, "rb") as file:
            while True:
                block = file.read(size)
                held = len(decoder.getstate()[0])
                text = decoder.decode(block, final=not block)
                if first and text:  # of a decoder that was named without its mark
                    text, first = text.removeprefix("\ufeff"), False
                if text.count("\0") * 4 > len(text) and not encoding:  # as letters of 2 bytes have
                    raise InvalidValueError(
                        f"{path.name} holds bytes of 0 all through, as UTF-16 does: say so "
                        "with --encoding utf-16-le, or say --encoding utf-8 to take them as they "
                        "are."
                    )
                yield text
                if not block:
                    return
                at += len(block)
    except UnicodeDecodeError as error:
        raise _no_text(path, name, at - held + error.start, error) from None
    except UnicodeError:
        raise InvalidValueError(
            f"{path.name} is not {name} text: say in which encoding it is with --encoding NAME."
        ) from None
    except OSError as error:
        raise _unreadable(path, error) from None


def _opened(path: Path) -> bytes:
    """The first bytes of a file."""
    try:
        with open(path, "rb") as file:
            return file.read(4)
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> Exception:
    if isinstance(error, FileNotFoundError):
        return InvalidValueError(f"there is no file {path}: check the path.")
    return InvalidValueError(f"{path} cannot be read: {error.strerror}.")


def _no_text(path: Path, name: str, at: int, error: UnicodeDecodeError) -> Exception:
    shown = "UTF-8" if name == "utf-8" else name
    byte = error.object[error.start : error.start + 1]
    return InvalidValueError(
        f"{path.name} is not {shown} text (byte {at} is 0x{byte.hex()}): save it as UTF-8, or say "
        "in which encoding it is with --encoding NAME."
    )
