"""Every character of a picture is drawn: by a font that has it, or else as its code point.

One mechanism for all text: `Canvas` draws with a renderer that looks at every string on its way to
the glyphs, titles, ticks and tables alike.  A character that no font here has is written as U+4E2D;
an empty box, and a warning that nobody reads, would not tell which it was.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterable
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font

__all__ = ["Canvas", "code_point", "columns_of", "has_glyph", "shown"]

FAMILY = "DejaVu Sans"  # matplotlib brings it
STRANGE = ("cm", "Last Resort", "STIXNonUnicode", "STIXSize")  # their places hold other shapes


class Canvas(FigureCanvasAgg):
    """matplotlib's own canvas, but for its fonts."""

    def get_renderer(self) -> RendererAgg:
        """The renderer, one for each size of the figure."""
        width, height = self.figure.bbox.size
        key = width, height, self.figure.dpi
        if key != getattr(self, "_key", None):
            self.renderer, self._key = _Renderer(*key), key  # type: ignore[no-untyped-call]
        else:
            self.renderer.clear()
        found: RendererAgg = self.renderer
        return found


class _Renderer(RendererAgg):
    def draw_text(
        self,
        gc: Any,
        x: float,
        y: float,
        s: str,
        prop: FontProperties,
        angle: float,
        ismath: Any = False,
        mtext: Any = None,
    ) -> None:
        s, prop = _mended(s, prop, ismath)
        super().draw_text(gc, x, y, s, prop, angle, ismath, mtext)  # type: ignore[no-untyped-call]

    def get_text_width_height_descent(
        self, s: str, prop: FontProperties, ismath: Any
    ) -> tuple[float, float, float]:
        s, prop = _mended(s, prop, ismath)
        width, height, descent = super().get_text_width_height_descent(s, prop, ismath)  # type: ignore[no-untyped-call]
        return width, height, descent


def _mended(text: str, font: FontProperties, is_formula: Any) -> tuple[str, FontProperties]:
    """A text that can be drawn, and the fonts that draw it; plain ASCII stays as it is."""
    if is_formula or (text.isascii() and text.isprintable()):
        return text, font
    text = shown(text)
    families = [*font.get_family(), *_families(text)]
    font = font.copy()
    font.set_family(list(dict.fromkeys(families)))
    return text, font


def shown(text: str) -> str:
    """A text with the code point of each character that cannot be drawn."""
    return "".join(letter if has_glyph(letter) else code_point(letter) for letter in text)


def columns_of(text: str) -> int:
    """How wide a text is in letters of one width; those of East Asia take two."""
    return sum(1 + (unicodedata.east_asian_width(letter) in "WF") for letter in text)


def code_point(letter: str) -> str:
    """What stands for a character without a shape, such as U+4E2D."""
    return f"U+{ord(letter):04X}"


def has_glyph(letter: str) -> bool:
    """Whether a font has a shape for a character."""
    return letter == " " or (unicodedata.category(letter) != "Cc" and bool(_family(letter)))


def _families(text: Iterable[str]) -> list[str]:
    return [family for letter in dict.fromkeys(text) if (family := _family(letter))]


@functools.cache
def _family(letter: str) -> str:
    """The first family that has a character; empty where none has."""
    point = ord(letter)
    if get_font(findfont(FontProperties(family=FAMILY))).get_char_index(point):
        return FAMILY
    return next((name for name, points in _installed() if point in points), "")


@functools.cache
def _installed() -> list[tuple[str, frozenset[int]]]:
    """The other families, and the characters of each: found once, if ever one is needed."""
    files: dict[str, str] = {}
    for entry in sorted(fontManager.ttflist, key=lambda e: (e.name, e.style != "normal")):
        if not entry.name.startswith(STRANGE):
            files.setdefault(entry.name, entry.fname)
    return [(name, found) for name, file in files.items() if (found := _points(file))]


def _points(file: str) -> frozenset[int]:
    try:
        return frozenset(get_font(file).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()  # a file that is no font, or no longer there
