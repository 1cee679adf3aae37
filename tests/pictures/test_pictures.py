"""Pictures of the inside: whole, readable at half a page, and of what they were given."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from unrolled.inside.ablation import Ablation, UnitSearch
from unrolled.inside.passage import Question
from unrolled.pictures import curves, findings, letters, states, toolkit
from unrolled.pictures.toolkit import DARK, LIGHT, Theme

HISTORY = [{"step": n, "loss": 2.0**-n, "right": 1 / n, "seconds": 0.1} for n in (1, 2, 3)]
MAPS = {name: np.linspace(-1, 1, 60).reshape(12, 5) for name in "ifgoch"}
LIVES = {"layer 0": np.array([0.0, 1.5, 20.0, np.inf]), "layer 1": np.array([2.0, 3.0])}
SEARCH = UnitSearch(
    Ablation((), 1.0, 1.0),
    [Ablation((unit,), 1 - unit / 3, 1.0) for unit in range(3)],
    [Ablation((2,), 0.3, 1.0), Ablation((2, 0), 0.0, 0.9)],
)
QUESTION = Question("carry", lambda: (0.0, 0.0), "sums with a carry", "sums without")


def draw_learning(path: Path, theme: Theme) -> Path:
    published = {"right": (0.5, "a document as printed")}
    return curves.draw_learning(
        HISTORY, path, theme, metrics=["right"], published=published, title="learning"
    )


def draw_half_lives(path: Path, theme: Theme) -> Path:
    return curves.draw_half_lives(LIVES, path, theme, title="how long its units remember")


def draw_flow(path: Path, theme: Theme) -> Path:
    flows = {f"network {n}": ([0.1**k for k in range(9)], [0.0, *[0.5] * 8]) for n in range(5)}
    flows["Elman"] = ([0.5] * 9, [])
    return curves.draw_flow(flows, path, theme, following="the last logit", title="what gets back")


def draw_small_flow(path: Path, theme: Theme) -> Path:
    """Numbers that are written with a factor above the axis."""
    return curves.draw_flow({"": ([1e-6, 3e-6], [2e-6, 4e-6])}, path, theme, title="what gets back")


def draw_states(path: Path, theme: Theme) -> Path:
    return states.draw_states(
        MAPS,
        path,
        theme,
        inputs=[f"{n}\n$" for n in range(12)],
        outputs=["", *"abcdefghijk"],
        there={"inside brackets": np.arange(12) % 3 > 0},
        title="adder: gates, cell and hidden state",
    )


def draw_unit(path: Path, theme: Theme) -> Path:
    one = {name: values[:, 0] for name, values in MAPS.items()}
    there = {"carry": np.arange(12) % 3 > 0}
    words = ["a long word"] * 12
    return states.draw_unit(one, path, theme, inputs=words, there=there, title="adder: unit 5")


def draw_text(path: Path, theme: Theme) -> Path:
    tokens = list('He said: "$\\alpha$, <b>\t\U0001f600"\n') * 20
    values = np.sin(np.arange(len(tokens)))
    return states.draw_text(tokens, values, path, theme, title="unit 3", note="r = 0.9 with it")


def draw_tracking(path: Path, theme: Theme) -> Path:
    found = {
        "inside quotes": [("layer 1, unit 116", -0.99), ("layer 0, unit 3", 0.2)],
        "line position": [("layer 1, unit 9", 1.0)],
    }
    return findings.draw_tracking(found, path, theme, title="the units that best track")


def draw_search(path: Path, theme: Theme) -> Path:
    return findings.draw_search(SEARCH, QUESTION, path, theme, title="the carry")


EVERY = [
    draw_learning,
    draw_half_lives,
    draw_flow,
    draw_small_flow,
    draw_states,
    draw_unit,
    draw_text,
    draw_tracking,
    draw_search,
]
Draw = Callable[[Path, Theme], Path]
Once = Callable[[Draw, Theme], tuple[Path, Figure]]


def read_png(path: Path) -> np.ndarray:
    from matplotlib.image import imread

    return np.asarray(imread(path))[..., :3]


def colour(text: str) -> np.ndarray:
    return np.array([int(text[n : n + 2], 16) / 255 for n in (1, 3, 5)])


def amount(path: Path, wanted: str) -> int:
    """How many pixels have the colour."""
    return int((np.abs(read_png(path) - colour(wanted)).max(-1) < 0.02).sum())


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are written, to be looked at as matplotlib's objects."""
    figures: list[Figure] = []
    save = toolkit.save

    def keep(figure: Figure, *given: Any, **options: Any) -> Path:
        figures.append(figure)
        return save(figure, *given, **options)

    for module in (curves, findings, states):
        monkeypatch.setattr(module, "save", keep)
    return figures


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """A picture, drawn once for all that look at it, in a folder made for it, and its figure."""
    kept: dict[tuple[Draw, str], tuple[Path, Figure]] = {}
    save = toolkit.save

    def drawing(draw: Draw, theme: Theme) -> tuple[Path, Figure]:
        figures: list[Figure] = []
        path = tmp_path_factory.mktemp("once") / "new" / "picture.png"

        def keep(figure: Figure, *given: Any, **options: Any) -> Path:
            figures.append(figure)
            return save(figure, *given, **options)

        with pytest.MonkeyPatch.context() as patch:
            for module in (curves, findings, states):
                patch.setattr(module, "save", keep)
            assert draw(path, theme) == path
        (figure,) = figures
        return path, figure

    def once(draw: Draw, theme: Theme) -> tuple[Path, Figure]:
        key = (draw, theme.ground)
        if key not in kept:
            kept[key] = drawing(draw, theme)
        return kept[key]

    return once


def visible(figure: Figure) -> list[Text]:
    return [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]  # type: ignore[attr-defined]


def beyond_the_ends(figure: Figure) -> set[Text]:
    """The words of ticks that lie beyond their axis's ends: they are there, and are not drawn."""
    found: set[Text] = set()
    for axes in figure.findobj(Axes):
        for axis in (axes.xaxis, axes.yaxis):  # type: ignore[attr-defined]
            low, high = sorted(axis.get_view_interval())
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                if not low - 1e-9 <= tick.get_loc() <= high + 1e-9:
                    found |= {tick.label1, tick.label2}
    return found


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("draw", EVERY)
def test_a_picture_is_half_a_page_wide_and_can_be_read(
    draw: Draw, theme: Theme, once: Once
) -> None:
    path, figure = once(draw, theme)
    assert [file.name for file in path.parent.iterdir()] == ["picture.png"]
    assert figure.get_figwidth() * 25.4 == pytest.approx(LIGHT.width)
    picture = read_png(path)
    assert picture.shape[1] >= 800
    ground = colour(theme.ground)
    for edge in (picture[0], picture[-1], picture[:, 0], picture[:, -1]):
        assert np.abs(edge - ground).max() < 0.02  # nothing is cut off
    for text in visible(figure):
        assert text.get_fontsize() >= 5.9, text.get_text()


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("draw", [one for one in EVERY if one is not draw_text])
def test_words_stand_out_from_the_ground(draw: Draw, theme: Theme, once: Once) -> None:
    """By WCAG 2's contrast, 4.5 to 1; the letters of a text stand on colours of their own."""
    from matplotlib.colors import to_rgb

    def light(of: Any) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(of)]
        return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))

    for text in visible(once(draw, theme)[1]):
        pair = sorted((light(text.get_color()), light(theme.ground)))
        assert (pair[1] + 0.05) / (pair[0] + 0.05) > 4.5, text.get_text()


@pytest.mark.parametrize("draw", EVERY)
def test_words_do_not_lie_on_each_other(draw: Draw, once: Once) -> None:
    _, figure = once(draw, LIGHT)
    figure.draw_without_rendering()  # again, in the units in which it is measured
    beyond = beyond_the_ends(figure)
    shown = [t for t in visible(figure) if t.get_in_layout() and t not in beyond]
    boxes = [(t.get_text(), t.get_window_extent()) for t in shown]
    assert len(boxes) > 3
    for place, (text, box) in enumerate(boxes):
        for other, its in boxes[:place]:
            across = min(box.x1, its.x1) - max(box.x0, its.x0)
            down = min(box.y1, its.y1) - max(box.y0, its.y0)
            assert across < 2 or down < 2, f"{text!r} lies on {other!r}"


def test_colours_are_told_apart_by_colour_blind_eyes() -> None:
    """Seen without red or green receptors (Viénot et al. 1999), at least 0.1 of the range apart."""
    protan = np.array([[0.1124, 0.8876, 0], [0.1124, 0.8876, 0], [0.0040, -0.0040, 1]])
    deutan = np.array([[0.2926, 0.7074, 0], [0.2926, 0.7074, 0], [-0.0223, 0.0223, 1]])
    for theme in (LIGHT, DARK):
        known = [colour(line) for line in (*theme.lines, theme.ground)]
        for seen in (protan, deutan):
            values = [seen @ (one**2.2) for one in known]
            values = [np.clip(one, 0, 1) ** (1 / 2.2) for one in values]
            for k, one in enumerate(values):
                for other in values[:k]:
                    assert np.abs(one - other).max() > 0.1
        low, middle, high = (np.array(theme.signed(x)[:3]) for x in (0.0, 0.5, 1.0))
        assert np.abs(middle - colour(theme.ground)).max() < 0.02
        assert np.abs(low - high).max() > 0.3


def test_dark_and_light_are_two_pictures(tmp_path: Path) -> None:
    light, dark = draw_flow(tmp_path / "a.png", LIGHT), draw_flow(tmp_path / "b.png", DARK)
    assert read_png(light).mean() > 0.8 > 0.3 > read_png(dark).mean()


# --- they show what they were given ---


def test_the_published_figure_is_a_line_where_there_is_one(
    tmp_path: Path, drawn: list[Figure]
) -> None:
    draw_learning(tmp_path / "with.png", LIGHT)
    curves.draw_learning(HISTORY, tmp_path / "without.png", LIGHT, metrics=["right"])
    axes = drawn[0].axes[1]
    assert [line.get_ydata()[0] for line in axes.lines[1:]] == [0.5]
    assert "a document as printed: 0.5" in {text.get_text() for text in visible(drawn[0])}
    assert len(drawn[1].axes[1].lines) == 1
    shown = axes.lines[0]
    assert (list(shown.get_xdata()), list(shown.get_ydata())) == ([1, 2, 3], [1, 0.5, 1 / 3])


@pytest.mark.parametrize("history", [[], [{"step": 1, "loss": None}], HISTORY[:1]])
def test_a_history_may_be_short(history: list[dict[str, Any]], tmp_path: Path) -> None:
    assert curves.draw_learning(history, tmp_path / "a.png", LIGHT, metrics=["right"]).exists()


def test_a_heat_map_holds_the_values_and_their_scale(tmp_path: Path, drawn: list[Figure]) -> None:
    values = {name: np.random.default_rng(0).normal(size=(7, 3)) for name in "ifgoch"}
    values["c"] *= 5
    states.draw_states(values, tmp_path / "a.png", LIGHT)
    maps = [axes for axes in drawn[0].axes if axes.images]
    assert [axes.get_title(loc="left") for axes in maps] == list(toolkit.GATES.values())
    for axes, (name, given) in zip(maps, values.items(), strict=True):
        (image,) = axes.images
        np.testing.assert_array_equal(np.asarray(image.get_array()), given.T)
        low, high = image.get_clim()
        assert high == (1.0 if name != "c" else np.quantile(np.abs(given), 0.99))
        assert low == (0.0 if name in "ifo" else -high)


def test_a_long_passage_is_drawn_as_far_as_it_can_be_read(
    tmp_path: Path, drawn: list[Figure]
) -> None:
    states.draw_states({"h": np.zeros((1000, 3))}, tmp_path / "a.png", LIGHT)
    assert "the first 36 of 1,000 steps" in {text.get_text() for text in visible(drawn[0])}
    assert drawn[0].axes[0].images[0].get_array().shape == (3, 36)  # type: ignore[union-attr]


def test_words_along_the_axis_are_those_of_the_steps(tmp_path: Path, drawn: list[Figure]) -> None:
    draw_states(tmp_path / "a.png", LIGHT)
    said = {text.get_text() for text in visible(drawn[0])}
    assert {f"{n}\n$" for n in range(12)} <= said
    assert set("abcdefghijk") <= said
    many = [f"word {n}" for n in range(36)]
    states.draw_states({"h": np.zeros((36, 3))}, tmp_path / "b.png", LIGHT, inputs=many)
    shown = [text.get_text() for text in visible(drawn[1]) if text.get_text().startswith("word")]
    assert 4 < len(shown) < 36  # as many as there is room for
    assert all(word in many for word in shown)


def test_letters_are_all_there_as_long_as_there_is_room(
    tmp_path: Path, drawn: list[Figure]
) -> None:
    text = "the quick brown fox jumps over a dog"
    assert len(text) == 36
    values = {"h": np.zeros((36, 3))}
    there = {"never": np.zeros(36), "once": np.arange(36) == 3}
    states.draw_states(values, tmp_path / "a.png", LIGHT, inputs=list(text), there=there)
    said = "".join(t.get_text() for t in visible(drawn[0]) if len(t.get_text()) == 1)
    assert text.replace(" ", "\N{OPEN BOX}") in said
    strips = [axes for axes in drawn[0].axes if axes.images and not axes.get_title(loc="left")]
    assert [axes.get_yticklabels()[0].get_text() for axes in strips] == ["once"]


def test_those_that_never_forget_are_marked(tmp_path: Path, drawn: list[Figure]) -> None:
    draw_half_lives(tmp_path / "a.png", LIGHT)
    said = " ".join(text.get_text() for text in visible(drawn[0]))
    assert "layer 0: 4 units, the middle one 11 steps, 1 forget nothing" in said
    marks = {line.get_marker(): list(line.get_ydata()) for line in drawn[0].axes[0].lines[:3]}
    assert marks["o"] == [20.0, 1.5]
    assert len(marks["^"]) == len(marks["v"]) == 1
    assert marks["^"][0] > 20 > 0.5 > marks["v"][0]
    curves.draw_half_lives({"": np.array([np.inf, np.inf])}, tmp_path / "b.png", LIGHT)
    assert "2 of 2 units forget nothing" in " ".join(t.get_text() for t in visible(drawn[1]))


def test_a_gradient_that_is_zero_has_no_place_on_a_logarithmic_scale(
    tmp_path: Path, drawn: list[Figure]
) -> None:
    draw_flow(tmp_path / "a.png", LIGHT)
    cell, hidden = drawn[0].axes
    assert np.isnan(cell.lines[0].get_ydata()[0])
    assert hidden.get_yscale() == "log"
    assert len(cell.lines) == 5 + 1  # the Elman network has no c: an empty line
    assert len(hidden.lines) == 6


def test_bars_are_as_long_as_r(tmp_path: Path, drawn: list[Figure]) -> None:
    draw_tracking(tmp_path / "a.png", LIGHT)
    widths = [bar.get_width() for bar in drawn[0].axes[0].patches]  # type: ignore[attr-defined]
    assert widths == [0.99, 0.2, 1.0]
    assert "−0.99" in {text.get_text() for text in visible(drawn[0])}


def test_the_chosen_units_stand_out(tmp_path: Path, drawn: list[Figure]) -> None:
    draw_search(tmp_path / "a.png", LIGHT)
    from matplotlib.colors import to_hex

    axes = drawn[0].axes[0]
    heights = [bar.get_height() for bar in axes.patches]  # type: ignore[attr-defined]
    assert heights == [1.0, 1.0, 1 - 1 / 3, 1 - 2 / 3, 0.0]
    chosen = [to_hex(bar.get_facecolor()) == LIGHT.lines[1].lower() for bar in axes.patches]
    assert chosen == [False, True, False, True, True]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["none", "0", "1", "2", "2+0"]
    assert list(axes.lines[0].get_ydata()) == [1.0, 1.0, 1.0, 1.0, 0.9]


def test_a_letter_stands_on_its_tokens_colour(tmp_path: Path, drawn: list[Figure]) -> None:
    states.draw_text(["ab", "\n", "c"], np.array([1.0, 0.0, -0.5]), tmp_path / "a.png", LIGHT)
    axes = drawn[0].axes[0]
    shown = np.asarray(axes.images[0].get_array())
    assert shown[0, :3].tolist() == [1.0, 1.0, 0.0]
    assert shown[1, 0] == -0.5
    assert np.isnan(np.ma.filled(shown[1, 1:], np.nan)).all()
    assert [text.get_text() for text in axes.texts] == ["a", "b", "↵", "c"]


def test_letters_fill_lines_and_stop() -> None:
    cells = letters.places(["abc", "de", "\n", "f"], columns=4, lines=3)
    assert [(cell.line, cell.column, cell.token) for cell in cells] == [
        (0, 0, 0),
        (0, 1, 0),
        (0, 2, 0),
        (0, 3, 1),
        (1, 0, 1),
        (1, 1, 2),
        (2, 0, 3),
    ]
    assert len(letters.places(["x" * 100], columns=4, lines=3)) == 12


def test_a_tensor_that_is_traced_can_be_drawn(tmp_path: Path) -> None:
    values = {"h": torch.rand(4, 2).double().numpy()}
    assert amount(states.draw_states(values, tmp_path / "a.png", LIGHT), "#FFFFFF") > 1000
