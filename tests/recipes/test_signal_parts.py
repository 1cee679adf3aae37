"""What `signal` is made of: the delay, the linear filter, the parts, the files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from processes import one_sentence
from unrolled.files.sound import write_sound
from unrolled.files.tables import Reading
from unrolled.recipes._signal.delay import delay_between, shifted
from unrolled.recipes._signal.judging import error_to_signal
from unrolled.recipes._signal.linear import LinearFilter
from unrolled.recipes._signal.made_up import drive, played
from unrolled.recipes._signal.network import BLOCK, _blocks
from unrolled.recipes._signal.parts import Windows, divide, drawn, scales_of, windows_of
from unrolled.recipes._signal.reading import Asked, Signal, read_signal


def sound(steps: int = 40_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    x = played(steps, seed)
    return x, drive(x)


@pytest.mark.parametrize("late", [0, 37, 1234, -500])
def test_a_delay_is_found_of_what_is_no_filter(late: int) -> None:
    x, y = sound()
    front = np.zeros(abs(late))
    pair = (x, np.append(front, y)) if late > 0 else (np.append(front, x), y)
    count = min(map(len, pair))
    found = delay_between(pair[0][:count], pair[1][:count], 5000)
    assert abs(found - late) <= 2
    if not late:
        assert found == 0


@pytest.mark.parametrize("late", [0, 300, 6000])
@pytest.mark.parametrize("effect", [np.abs, np.square])
def test_where_the_sign_is_lost_there_is_no_delay_to_say(effect: Any, late: int) -> None:
    x = played(48_000, 3).astype(np.float64)
    assert delay_between(x, np.roll(effect(x), late), 4000) is None


def test_a_delay_that_lies_beyond_what_is_looked_at_is_none() -> None:
    x = played(48_000, 3).astype(np.float64)
    assert delay_between(x, np.roll(np.tanh(4 * x), 6000), 4000) is None
    assert delay_between(x, np.roll(np.tanh(4 * x), 3000), 4000) == 3000


def test_a_filter_that_answers_slowly_makes_no_delay() -> None:
    x, _ = sound()
    y = x
    for _ in range(3):  # the cross-correlation is largest some steps later
        y = np.convolve(y, 0.3 * 0.7 ** np.arange(64))[: len(x)]
    assert delay_between(x, y, 5000) == 0


def test_what_is_shifted_lies_beside_what_it_answers_to() -> None:
    x = np.arange(10)
    for late in (3, -3):
        one, other = shifted(x, x - late, late)
        assert len(one) == len(other) == 7
        assert np.array_equal(other, one)


def test_least_squares_finds_a_filter_of_several_inputs_and_outputs() -> None:
    random = np.random.default_rng(0)
    x, taps = random.standard_normal((3000, 2)) + 5, random.standard_normal((5, 2, 3))
    y = sum(np.pad(x, ((k, 0), (0, 0)))[: len(x)] @ taps[k] for k in range(5)) - 1
    found = LinearFilter.fit(x[100:], y[100:], 8)
    assert np.abs(found.taps[:5] - taps).max() < 0.05
    assert np.abs(found(x) - y)[20:].max() < 0.2


def test_the_linear_filter_is_that_of_least_squares_written_out() -> None:
    random = np.random.default_rng(1)
    x, y = random.standard_normal((400, 1)), random.standard_normal((400, 1))
    found = LinearFilter.fit(x, y, 6)
    past = np.pad(x - x.mean(0), ((5, 6), (0, 0)))[:, 0]
    # The signal is taken to be silent before and after, as correlations take it.
    tail = np.lib.stride_tricks.sliding_window_view(past, 6)[:, ::-1]
    wanted = np.append((y - y.mean(0))[:, 0], np.zeros(len(tail) - len(y)))
    known = np.linalg.lstsq(tail, wanted, rcond=None)[0]
    assert np.allclose(found.taps[:, 0, 0], known, atol=1e-6)


def test_the_share_of_an_error() -> None:
    y = np.array([[1.0, 10.0], [-1.0, 12.0]])
    assert error_to_signal(y, y, np.zeros(2)) == 0
    assert error_to_signal(np.zeros((2, 2)), y, np.zeros(2)) == 1
    assert error_to_signal(np.array([[1.0, 11.0], [-1.0, 11.0]]), y, np.array([0, 11.0])) == 0.5


def test_parts_lie_one_after_the_other_and_scales_are_the_first_ones() -> None:
    x = np.random.default_rng(0).standard_normal((1000, 2))
    signal = Signal(x, 3 * x[:, :1] + 7, (("a", "b"), ("c",)))
    parts = divide(signal, 0.2, 0.1)
    assert (parts.first, parts.second, parts.test) == (700, 900, (900, 1000))
    scales = scales_of(parts.training)
    assert np.allclose(scales.mean_out, signal.outputs[:700].mean(0))
    assert np.allclose(scales.size_in, x[:700].std(0))
    quiet = Signal(x, signal.outputs, signal.names, 48_000, "16-bit")
    assert not scales_of(quiet).mean_out.any()


def test_windows_follow_each_other_in_each_row() -> None:
    values = torch.arange(40.0)[:, None]
    found = drawn(values, torch.tensor([0, 7]), Windows(4, 3, 0))
    assert found.shape == (3, 4, 2, 1)
    assert found[:, :, 1, 0].flatten().tolist() == [*range(7, 19)]


@pytest.mark.parametrize(
    ("asked", "message"),
    [((100, 12, None), "lower --window"), ((10, 4, 10), "lower --warm-up")],
)
def test_windows_that_do_not_fit_are_refused(asked: tuple[int, int, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        windows_of(1000, *asked)


# --- files ---


def asked(data: Path, target: Path | None = None, ins: str = "", outs: str = "") -> Asked:
    return Asked(data, target, tuple(ins.split()), tuple(outs.split()), Reading())


def test_two_sounds_are_a_pair(tmp_path: Path) -> None:
    x, y = sound(2000)
    one, two = tmp_path / "in.wav", tmp_path / "out.wav"
    write_sound(one, [x], 44_100, "16-bit")
    write_sound(two, [np.column_stack([y, -y])[:1900]], 44_100, "24-bit")
    found = read_signal(asked(one, two))
    assert (found.inputs.shape, found.outputs.shape) == ((1900, 1), (1900, 2))
    assert (found.rate, found.depth) == (44_100, "24-bit")
    assert "in.wav is longer by 100 steps" in found.said[-1]


def test_a_table_and_an_array_are_read_alike(tmp_path: Path) -> None:
    values = np.random.default_rng(0).standard_normal((100, 3))
    table, array, other = (tmp_path / name for name in ("a.csv", "a.npy", "b.npy"))
    rows = "\n".join(",".join(map(repr, row)) for row in values.tolist())
    table.write_text("rain,sun,flow\n" + rows)
    np.save(array, values[:, :2])
    np.save(other, values[:, 2])
    found = read_signal(asked(table, outs="flow"))
    assert found.names == (("rain", "sun"), ("flow",))
    again = read_signal(asked(array, other))
    assert np.allclose(found.inputs, again.inputs, rtol=1e-14)
    assert np.allclose(found.outputs, again.outputs, rtol=1e-14)


@pytest.mark.parametrize(
    ("data", "target", "ins", "outs", "message"),
    [
        ("a.wav", "", "", "", "add --target"),
        ("a.wav", "b.wav", "", "", "44,100 Hz and b.wav 48,000 Hz"),
        ("a.wav", "t.csv", "", "", "another kind"),
        ("a.wav", "a.wav", "x", "", "names columns"),
        ("a.wav", "none.wav", "", "", "there is no file"),
        ("t.csv", "", "", "", "--outputs COLUMN"),
        ("t.csv", "", "x", "x", "among --inputs and --outputs"),
        ("t.csv", "", "z", "y", "has no column 'z'"),
        ("t.csv", "", "x", "blank", "has no value"),
        ("t.csv", "", "x", "same", "at every step"),
        ("short.csv", "", "x", "y", "there are 9 steps"),
        ("words.csv", "", "x", "y", "row"),
        ("silent.wav", "silent.wav", "", "", "at every step"),
        (".", "", "", "", "is a folder"),
    ],
)
def test_what_is_no_pair_is_one_sentence(
    tmp_path: Path, data: str, target: str, ins: str, outs: str, message: str
) -> None:
    x, _ = sound(500)
    write_sound(tmp_path / "a.wav", [x], 44_100)
    write_sound(tmp_path / "b.wav", [x], 48_000)
    write_sound(tmp_path / "silent.wav", [np.zeros(500)], 44_100)
    rows = [f"{k % 7},{k % 5},{'' if k == 50 else 1 + k % 2},3" for k in range(100)]
    (tmp_path / "t.csv").write_text("\n".join(["x,y,blank,same", *rows]))
    (tmp_path / "short.csv").write_text("\n".join(["x,y", *["1,2"] * 8, "3,4"]))
    (tmp_path / "words.csv").write_text("\n".join(["x,y", *["1,2"] * 80, "three,4"]))
    with pytest.raises(ValueError, match=message) as caught:
        read_signal(asked(tmp_path / data, tmp_path / target if target else None, ins, outs))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (range(1, 199), "a.csv has 200 rows and b.csv 198"),
        (range(100, 300), "row 2 of column 'day' is 'd0' in a.csv and 'd100' in b.csv"),
    ],
)
def test_two_tables_of_other_days_are_no_pair(tmp_path: Path, rows: Any, sentence: str) -> None:
    for name, column, days in (("a", "rain", range(200)), ("b", "flow", rows)):
        lines = [f"day,{column}", *(f"d{day},{day % 7}" for day in days)]
        (tmp_path / f"{name}.csv").write_text("\n".join(lines))
    asked = Asked(tmp_path / "a.csv", tmp_path / "b.csv", ("rain",), ("flow",), Reading())
    with pytest.raises(ValueError, match=sentence) as caught:
        read_signal(asked)
    assert one_sentence(caught.value)


def test_a_long_piece_is_cut_as_many_short_ones_are() -> None:
    values = np.arange(5 * BLOCK + 7.0, dtype=np.float32)[:, None]
    whole = list(_blocks([values]))
    parts = list(_blocks(values[k : k + 999] for k in range(0, len(values), 999)))
    assert [len(block) for block in whole] == [*[BLOCK] * 5, 7]
    assert all(map(np.array_equal, whole, parts))
