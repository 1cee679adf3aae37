"""No picture holds an empty box: a font has each character, or its code point is drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from matplotlib.backends.backend_agg import RendererAgg

from unrolled.pictures import fonts, plots
from unrolled.recipes._text.pictures import surprise

NOWHERE = "\U0003fffd"  # a code point that nothing is assigned to


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str]]]:
    """Every string that reaches the glyphs, and its fonts."""
    found: list[tuple[str, list[str]]] = []
    draw = RendererAgg.draw_text

    def note(
        self: Any, gc: Any, x: Any, y: Any, s: str, prop: Any, *more: Any, **named: Any
    ) -> None:
        found.append((s, prop.get_family()))
        draw(self, gc, x, y, s, prop, *more, **named)

    monkeypatch.setattr(RendererAgg, "draw_text", note)
    return found


def test_a_character_without_a_shape_is_its_code_point_wherever_it_stands(
    tmp_path: Path, drawn: list[tuple[str, list[str]]]
) -> None:
    """Matplotlib's warning of a missing glyph is an error here."""
    words = f"a{NOWHERE}\x07"
    plots.bars([words], [1.0], tmp_path / "a.png", title=words, ylabel=words)
    plots.table([words], [[words]], tmp_path / "b.png", title=words)
    texts = [text for text, _ in drawn]
    assert "aU+3FFFDU+0007" in texts
    assert sum(text.count("U+3FFFD") for text in texts) == 6
    assert not any(NOWHERE in text or "\x07" in text for text in texts)
    assert fonts.shown("Ωж✓ é$") == "Ωж✓ é$"


def test_in_a_grid_of_letters_it_stands_in_two_lines(
    tmp_path: Path, drawn: list[tuple[str, list[str]]]
) -> None:
    surprise(["a", NOWHERE, "\x07", "\n"], [1, 2, 3, 4], tmp_path / "a.png")
    texts = [text for text, _ in drawn]
    assert [text for text in texts if text in ("a", "3FF", "FD", "00", "07", "↵")] == [
        *("a", "3FF", "FD", "00", "07", "↵")
    ]


def test_a_font_that_has_it_draws_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drawn: list[tuple[str, list[str]]]
) -> None:
    fonts._family.cache_clear()
    monkeypatch.setattr(fonts, "_installed", lambda: [("STIXGeneral", frozenset({0x2322}))])
    plots.bars(["x \u2322"], [1.0], tmp_path / "a.png")
    fonts._family.cache_clear()
    families = next(families for text, families in drawn if text == "\u2322")
    assert families[-1] == "STIXGeneral"


def test_the_fonts_here_are_looked_through() -> None:
    found = dict(fonts._installed())
    assert ord("a") in found["DejaVu Serif"]
    assert not any(name.startswith("cm") for name in found)
    assert fonts._points("none.ttf") == frozenset()
