"""Pictures: that they are there, whole, and show what they were given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pixels import has_colour, margins_are_white, read_png
from unrolled.pictures import plots, toolkit

HISTORY = [{"step": n, "loss": 2.0**-n, "rmse": 1 / n, "seconds": 0.1} for n in (1, 2, 3)]


def draw_learning(path: Path) -> Path:
    return plots.learning_curve(
        HISTORY, path, metric="rmse", published=0.5, levels={"AR(9)": 0.4}, title="a title"
    )


def draw_bars(path: Path) -> Path:
    return plots.bars(["one bar", "another"], [1.0, 2.0], path, title="a title", ylabel="height")


def draw_forecast(path: Path) -> Path:
    years, truth = np.arange(1900.0, 1920), np.sin(np.arange(20.0))
    said = {"LSTM": truth + 0.1, "AR(9)": truth - 0.1, "persistence": truth + 0.3}
    fan = plots.Fan(years[:5], {name: values[:5] for name, values in said.items()})
    return plots.forecast(years, truth, said, path, fans=[fan], title="t", xlabel="x", ylabel="y")


def draw_gates(path: Path) -> Path:
    trace = {name: torch.rand(7, 3, requires_grad=True) for name in "ifgoch"}
    return plots.gates(trace, path, steps=[f"step {n}" for n in range(7)], title="a title")


@pytest.mark.parametrize("draw", [draw_learning, draw_bars, draw_forecast, draw_gates])
def test_a_picture_is_whole_and_alone(draw, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "new folder" / "picture.png"
    assert draw(path) == path
    assert [file.name for file in path.parent.iterdir()] == ["picture.png"]
    assert margins_are_white(path)
    assert min(read_png(path).shape[:2]) >= 400  # readable at half a page


def test_a_picture_replaces_an_older_one(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_text("old")
    draw_bars(path)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_a_published_figure_is_drawn_only_where_there_is_one(tmp_path: Path) -> None:
    with_it = plots.learning_curve(HISTORY, tmp_path / "a.png", metric="rmse", published=0.5)
    without = plots.learning_curve(HISTORY, tmp_path / "b.png", metric="rmse")
    assert has_colour(with_it, toolkit.ORANGE)
    assert not has_colour(without, toolkit.ORANGE)


def test_a_history_may_be_short_or_have_gaps(tmp_path: Path) -> None:
    rows = [{"step": 1, "loss": None}, {"step": 2, "loss": 1.0}, {"step": 3, "loss": float("nan")}]
    for name, history in (("empty", []), ("gaps", rows)):
        assert plots.learning_curve(history, tmp_path / f"{name}.png", metric="rmse").exists()


def test_forecasts_without_a_horizon_show_errors(tmp_path: Path) -> None:
    truth = np.sin(np.arange(500.0))
    path = plots.forecast(np.arange(500), truth, {"LSTM": truth}, tmp_path / "a.png")
    assert has_colour(path, toolkit.BLUE)


def test_gates_draw_what_there_is(tmp_path: Path) -> None:
    plots.gates({"f": np.ones((4, 1)), "g": None}, tmp_path / "one.png")
    with pytest.raises(ValueError, match="holds none of i, f, g, o, c, h"):
        plots.gates({"x": np.ones((4, 1))}, tmp_path / "none.png")
    with pytest.raises(ValueError, match=r"one sequence; this is \(4, 2, 1\)"):
        plots.gates({"f": np.ones((4, 2, 1))}, tmp_path / "batch.png")


def test_a_gate_at_zero_and_at_one_look_different(tmp_path: Path) -> None:
    closed = plots.gates({"f": np.zeros((4, 2))}, tmp_path / "closed.png")
    opened = plots.gates({"f": np.ones((4, 2))}, tmp_path / "open.png")
    assert not np.array_equal(read_png(closed), read_png(opened))
