"""How a file of pairs is to be read: flags of the recipe, for what the file does not tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from unrolled.errors.expected import Before, Expected, one_of
from unrolled.recipes._pairs.files import Asked

__all__ = ["ReadingPairs"]


@dataclass(frozen=True, kw_only=True)
class ReadingPairs:
    """What was said of a file of pairs; runs made before took every line as it was."""

    columns: Annotated[
        tuple[str, ...],
        Expected("two columns, by number or name, such as 1 2", lambda c: len(c) in (0, 2)),
        Before(()),
    ] = ()
    """Of a file: the source's column and the target's, by number from 1 or by name (not given: it
    has two)."""
    header: Annotated[str, one_of(("", "yes", "no")), Before("no")] = ""
    """Of a file: whether its first row names the columns (empty: found, or asked)."""
    quotes: Annotated[str, one_of(("", "yes", "no")), Before("no")] = ""
    """Of a file: whether double quotes around a cell are marks, as CSV has them, or characters
    (empty: found, or asked)."""
    separator: Annotated[
        str,
        Expected("one mark, tab or space", lambda s: s in ("", "tab", "space") or len(s) == 1),
        Before("tab"),
    ] = ""
    """Of a file: what divides cells: a mark, tab or space (empty: found)."""
    encoding: Annotated[str, Before("utf-8")] = ""
    """Of a file: how its letters are written, such as cp1252 or gb18030 (empty: as a mark at its
    beginning says, else UTF-8)."""
    leave_out: Annotated[bool, Before(False)] = False
    """Of a file: leave out, and count, rows that are blank, of another width, or without a source
    or a target; otherwise they are refused."""
    lowercase: Annotated[bool, Before(False)] = False
    """Of a file: make all letters small, in what is asked later too."""

    @property
    def asked(self) -> Asked:
        """All of it."""
        return Asked(
            self.columns,
            self.header,
            self.quotes,
            self.separator,
            self.encoding,
            self.leave_out,
            self.lowercase,
        )
