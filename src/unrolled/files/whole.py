"""Files that are whole at any moment, and written nowhere but at the path that was given.

A file is written beside its place, brought to the disk, and then moved there: it is the old one or
the new one, at any moment, never half of one.  What is no regular file is never replaced, and no
link is followed: a path may be mistyped, and a folder may come from a stranger.  Nothing else in
this package writes to a path; a test reads the source for it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path

from unrolled.errors import UnrolledError

__all__ = [
    "PlaceError",
    "check_place",
    "is_full",
    "make_folder",
    "open_unlinked",
    "replace_file",
]

_KINDS = {
    stat.S_IFLNK: "a link, which is not followed: remove it, or give another path",
    stat.S_IFIFO: "a named pipe: give another path",
    stat.S_IFSOCK: "a socket: give another path",
    stat.S_IFCHR: "a device: give another path",
    stat.S_IFBLK: "a device: give another path",
    stat.S_IFDIR: "a folder: give the path of a file",
    stat.S_IFREG: "a file: expected a folder",
}


class PlaceError(UnrolledError, OSError, ValueError):
    """A path where nothing of ours may be written, in one sentence."""


def check_place(
    path: Path, *, folder: bool = False, files: Iterable[str] = (), new: bool = False
) -> None:
    """Raise where a file, or a folder with files in it, may not be put; ask before the work begins.

    Parameters
    ----------
    path
        Where it is to be put.  What is there already is asked about itself, no link is followed.
    folder
        Whether it is a folder, which may be there: else it is a file, which is replaced.
    files
        What will be written into the folder.
    new
        Whether there may be nothing yet.

    Raises
    ------
    PlaceError
        If there is anything else: a link, a pipe, a device, a file for a folder, the root.
    OSError
        If it cannot be looked at.
    """
    kind = _kind(path)
    if kind is not None and new:
        raise PlaceError(
            f"{path} is there already and stays as it is: delete it, or give another name."
        )
    if kind not in (None, stat.S_IFDIR if folder else stat.S_IFREG):
        raise PlaceError(f"{path} is {_KINDS.get(kind, 'not a regular file: give another path')}.")
    if kind is None and not folder and not path.absolute().parent.is_dir():
        raise PlaceError(f"{path} cannot be written: there is no folder {path.parent}.")
    if folder and kind is not None and _is_root(path):
        raise PlaceError(f"{path} is the root of all files: give a folder below it.")
    for name in files if folder and kind is not None else ():
        check_place(path / name)


def _kind(path: Path) -> int | None:
    """What lies at a path, by the format bits of its mode; None: nothing."""
    try:
        return stat.S_IFMT(os.lstat(path).st_mode)
    except FileNotFoundError:
        return None
    except ValueError as error:  # a null character
        raise PlaceError(f"{os.fspath(path)!r} is no path: {error}.") from None


def _is_root(folder: Path) -> bool:
    return os.path.samestat(os.lstat(folder), os.lstat(folder / os.pardir))


def make_folder(path: Path) -> None:
    """Make a folder, and those that it lies in, where it is not there yet."""
    check_place(path, folder=True)
    path.mkdir(parents=True, exist_ok=True)


def replace_file(path: Path, write: Callable[[Path], object], *, new: bool = False) -> None:
    """Let ``write`` fill a file beside ``path``, bring it to the disk, and move it there.

    Raises
    ------
    OSError
        If it cannot be written: it names ``path``.
    """
    check_place(path, new=new)
    beside = path.with_name(f".{path.name}.writing")
    try:
        _fill(beside, write)
        check_place(path, new=new)
        os.replace(beside, path)
    except BaseException as error:
        beside.unlink(missing_ok=True)
        _name(error, path, beside)
        raise


def _name(error: BaseException, path: Path, beside: Path) -> None:
    """Let an error of the system name the path that was asked for; a write names none by itself."""
    if not isinstance(error, OSError) or error.errno is None:
        return
    if error.filename in (None, os.fspath(beside)):
        error.filename = os.fspath(path)


def _fill(beside: Path, write: Callable[[Path], object]) -> None:
    beside.unlink(missing_ok=True)  # what a killed process left, or a link that somebody planted
    os.close(open_unlinked(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    write(beside)
    with open(beside, "rb+") as file:
        os.fsync(file.fileno())


def open_unlinked(path: str | os.PathLike[str], flags: int) -> int:
    """`os.open` of a regular file alone; also an ``opener`` for `open`.

    Raises
    ------
    PlaceError
        If there is anything else, such as a link, with words that say so.
    """
    check_place(Path(path))
    try:
        return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise PlaceError(f"{os.fspath(path)} is a link, which is not followed.") from error


def is_full(error: BaseException) -> bool:
    """Whether there is no room for a file: on the disk, or by a limit."""
    full = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
    return isinstance(error, OSError) and error.errno in full
