"""For the API reference: what the docstrings of this house leave to the reader, put down in full.

NumPy's style lets several parameters share one line and one description (``bias, dropout``).  The
site would give them all the first one's type, so each gets an entry, and a type, of its own.
"""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

SHARED = re.compile(r"^(?P<names>\w+(?:, \w+)+)\n(?P<told>(?:    .*\n?)+)", re.MULTILINE)


class OneByOne(Extension):
    """Splits the entries that several parameters share and that name no type."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Rewrite the docstring before it is parsed."""
        if obj.docstring is not None:
            obj.docstring.value = SHARED.sub(split, obj.docstring.value)


def split(found: re.Match[str]) -> str:
    """One entry for each name."""
    told = found["told"].rstrip("\n")
    return "".join(f"{name}\n{told}\n" for name in found["names"].split(", "))
