"""Files that are whole at any moment, and written nowhere but at the path that was given.

A file is written beside its place, brought to the disk, and then moved there: it is the old one or
the new one, at any moment, never half of one.  The folder may come from a stranger, who may have
left a link where we are about to write: no link is followed.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

__all__ = ["open_unlinked", "replace_file"]


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a file beside ``path``, bring it to the disk, and move it there."""
    beside = path.with_name(f".{path.name}.writing")
    beside.unlink(missing_ok=True)  # what a killed process left, or a link that somebody planted
    os.close(open_unlinked(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    try:
        write(beside)
        with open(beside, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def open_unlinked(path: str | os.PathLike[str], flags: int) -> int:
    """`os.open`, but for a link; also an ``opener`` for `open`.

    Raises
    ------
    OSError
        If the file is a link, with words that say so.
    """
    try:
        return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        told = "is a link, which is not followed: remove it"
        raise OSError(errno.ELOOP, told, os.fspath(path)) from error
