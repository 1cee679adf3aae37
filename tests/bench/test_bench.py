"""`unrolled bench`: who takes part, that they must agree, and what is left behind; no times."""

from __future__ import annotations

import csv
import importlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from pixels import has_colour, margins_are_white, read_png
from unrolled import LSTM, cli
from unrolled.bench import (
    BenchError,
    BenchOptions,
    contests,
    drawn,
    peers,
    picture,
    running,
    timing,
)
from unrolled.bench.options import SECTIONS, USUAL, Size, options_from
from unrolled.bench.timing import Field, NotMeasured, Peer
from unrolled.cli.refusals import Parser
from unrolled.equations import CELLS
from unrolled.pictures import toolkit

Captured = pytest.CaptureFixture[str]
SMALL = "5,2,3,4"
OPTIONAL = ("onnxruntime", "onnx", "torchrecurrent", "threadpoolctl")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def _nothing_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in OPTIONAL else find(name)
    )


def bench(capsys: Captured, *words: str) -> tuple[int, str, str]:
    status = cli.main(["bench", "--seconds", "1e-9", *words])
    out, err = capsys.readouterr()
    return status, out, err


def numbers() -> list[dict[str, str]]:
    with open("runs/bench/bench.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def table(lines: Sequence[str]) -> list[list[str]]:
    return [[c.strip() for c in line.split("|")[1:-1]] for line in lines if line[:1] == "|"]


# --- what is measured ---


@pytest.mark.usefixtures("_nothing_optional")
def test_all_that_is_usual_is_measured_and_written(capsys: Captured) -> None:
    status, out, err = bench(capsys, "--sizes", SMALL)
    assert (status, err) == (0, "")
    folder = Path("runs/bench")
    assert sorted(p.name for p in folder.iterdir()) == ["bench.csv", "bench.md", "bench.png"]
    found = numbers()
    assert list(dict.fromkeys(row["section"] for row in found)) == list(USUAL)
    assert {row["peer"] for row in found} == {
        *("torch.nn.LSTM", "torch.nn.LSTMCell", "NumPy (its threads not pinned)"),
        *("loop written in torch", "loop over LSTMCell", "loop over nn.LSTM", "PackedSequence"),
        *("ours, every step", "our vanilla", "forward of training", "our layer, torch's SGD"),
    }
    assert len([row for row in found if row["section"] == "masks"]) == len(CELLS) * 5 - 1
    for row in found:
        quotient = float(row["peer_us"]) / float(row["ours_us"])
        assert float(row["ratio"]) == pytest.approx(quotient)
        assert 0 < float(row["of_peak"]) < 1
        wanted = ["1" if row["section"] == "stream" else "5", "2", "3", "4"]
        assert [row[k] for k in "TBIH"] == wanted
    # The same on the screen and in the file, a line for each row.
    written = (folder / "bench.md").read_text(encoding="utf-8").splitlines()
    assert table(written) == table(out.splitlines())
    assert len(table(written)) == len(found) + 2
    assert margins_are_white(folder / "bench.png")
    assert min(read_png(folder / "bench.png").shape[:2]) >= 400


@pytest.mark.usefixtures("_nothing_optional")
def test_who_is_not_installed_is_named_once(capsys: Captured) -> None:
    _, out, _ = bench(capsys, "--only", "stream", "variants", "--sizes", SMALL, "6,1,2,2")
    missing = [line for line in out.splitlines() if line.startswith("not measured: ")]
    assert len(missing) == len(set(missing))
    assert sum("ONNX Runtime" in line for line in missing) == 1
    assert any("torchrecurrent is not installed" in line for line in missing)
    assert all("unrolled[bench]" in line for line in missing if "not installed" in line)


def test_only_what_was_asked_for(capsys: Captured) -> None:
    assert bench(capsys, "--only", "trace", "resets", "--sizes", SMALL, "--out", "here")[0] == 0
    with open("here/bench.csv", encoding="utf-8") as file:
        assert {row["section"] for row in csv.DictReader(file)} == {"trace", "resets"}


def test_slower_sizes_are_named(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    def with_times(theirs: float) -> str:
        def timed(field: Field, *rest: object) -> tuple[timing.Time, dict[str, timing.Time]]:
            return timing.Time(2.0, 0.1), {"torch.nn.LSTM": timing.Time(theirs, 0.1)}

        monkeypatch.setattr(running, "timed", timed)
        return bench(capsys, "--grid", "--sizes", SMALL, "6,1,2,2")[1]

    slow, quick = with_times(1.0), with_times(4.0)
    assert "slower than torch.nn.LSTM: inference at 5,2,3,4 (0.50), training at 5,2,3,4" in slow
    assert "training at 6,1,2,2 (0.50)." in slow
    assert "No size was slower than torch.nn.LSTM." in quick


def test_the_grid_is_the_whole_grid() -> None:
    asked = contests.contests(BenchOptions(sections=("grid",)))
    sizes = {(c.size.T, c.size.B, c.size.H) for c in asked}
    assert len(sizes) == 4 * 4 * 5
    assert len(asked) == 2 * len(sizes)
    assert (1000, 256, 512) in sizes


def test_a_size_that_does_not_fit_is_left_out(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(contests.SIZES, "trace", (Size(5, 2, 3, 4), Size(500, 2, 3, 4)))
    monkeypatch.setattr(running, "memory", lambda: 50_000)
    out = bench(capsys, "--only", "trace")[1]
    assert [row["T"] for row in numbers()] == ["5"]
    assert "not measured: trace at 500,2,3,4: it needs some 0 GB." in out


def test_threads_are_those_asked_for_and_then_those_before(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Only told, not done: a second thread of OpenMP on a busy machine costs seconds.
    told, seen = [7], []
    monkeypatch.setattr(torch, "get_num_threads", lambda: told[-1])
    monkeypatch.setattr(torch, "set_num_threads", told.append)
    build = drawn.Drawn.__init__

    def watched(self: drawn.Drawn, size: Size, **arguments: object) -> None:
        seen.append(torch.get_num_threads())
        build(self, size, **arguments)

    monkeypatch.setattr(drawn.Drawn, "__init__", watched)
    words = ["--only", "threads", "trace", "--sizes", SMALL, "6,1,2,2", "--threads", "3"]
    assert bench(capsys, *words)[0] == 0
    assert set(seen) == {3}
    assert set(told) == {7, 3, 2, 1}
    assert told[-1] == 7


def test_the_global_generator_is_left_alone(capsys: Captured) -> None:
    before = torch.get_rng_state()
    bench(capsys, "--only", "masks", "--sizes", "3,2,2,2")
    assert torch.equal(torch.get_rng_state(), before)


def test_ctrl_c_keeps_what_was_measured(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    real = timing.timed

    def timed(field: Field, seconds: float, where: str, note: object) -> object:
        if where.startswith("training"):
            raise KeyboardInterrupt
        return real(field, seconds, where, note)  # type: ignore[arg-type]

    monkeypatch.setattr(running, "timed", timed)
    status, out, _ = bench(capsys, "--only", "inference", "training", "--sizes", SMALL)
    assert status == 130
    assert "not measured: all that came after Ctrl-C." in out
    assert [row["section"] for row in numbers()] == ["inference"]


# --- that they agree ---


def test_a_peer_that_computes_something_else_stops_it(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = peers.torch_layer

    def wrong(ours: LSTM) -> torch.nn.LSTM:
        layer = real(ours)
        with torch.no_grad():
            layer.weight_hh_l0[0, 0] += 0.1
        return layer

    monkeypatch.setattr(peers, "torch_layer", wrong)
    status, out, err = bench(capsys, "--only", "training", "--sizes", SMALL)
    assert status == 1
    assert err.startswith("unrolled: training at 5,2,3,4: unrolled and torch.nn.LSTM differ by ")
    assert err.count("\n") == 1
    assert len(table(out.splitlines())) == 2
    assert not list(Path("runs/bench").iterdir())


def test_differences() -> None:
    one, nan = torch.ones(3), torch.tensor([1, 1, float("nan")])
    assert timing.difference((one,), (one,)) == 0
    assert timing.difference((one,), (one * 1.1,)) == pytest.approx(0.1 / 1.1)
    for other in ((nan,), (one, one), (torch.ones(4),)):
        assert timing.difference((one,), other) == float("inf")
        assert timing.difference(other, (one,)) == float("inf")


def test_the_second_call_and_the_witness_are_held_too() -> None:
    ours, calls = Peer("ours", lambda: (torch.zeros(1),)), []

    def forgets() -> tuple[torch.Tensor, ...]:
        calls.append(0)
        return (torch.full((1,), float(len(calls) > 1)),)

    for field in (
        Field(ours, [lambda: Peer("forgetful", forgets)]),
        Field(ours, [], Peer("forgetful", lambda: (torch.ones(1),))),
    ):
        with pytest.raises(BenchError, match="here: ours and forgetful differ by 1 of the largest"):
            timing.timed(field, 1e-9, "here", lambda note: None)
    unlike = Field(ours, [lambda: Peer("unlike", lambda: (torch.ones(1),), alike=False)])
    assert set(timing.timed(unlike, 1e-9, "here", lambda note: None)[1]) == {"unlike"}


@pytest.mark.parametrize("name", CELLS)
def test_the_loop_by_hand_is_the_cell(name: str, generator: torch.Generator) -> None:
    layer = LSTM(3, 5, cell=name, dtype=torch.float64)
    with torch.no_grad():
        for weight in layer.parameters():
            weight.normal_(generator=generator)
    x = torch.randn(7, 2, 3, generator=generator, dtype=torch.float64)
    loop = peers.written_loop(layer.cell, list(layer.parameters()))
    torch.testing.assert_close(loop(x), layer(x)[0])


@pytest.mark.parametrize("module", ["torchrecurrent", "onnxruntime"])
def test_a_library_that_is_installed_takes_part(capsys: Captured, module: str) -> None:
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed: pip install 'unrolled[bench]'")
    section = {"torchrecurrent": "variants", "onnxruntime": "stream"}[module]
    assert bench(capsys, "--only", section, "--sizes", "4,3,5,6")[0] == 0
    taking_part = {"torchrecurrent": "torchrecurrent", "onnxruntime": "ONNX Runtime"}[module]
    assert taking_part in {row["peer"] for row in numbers()}


@pytest.mark.parametrize("there", [False, True])
def test_without_a_compiler_a_loop_is_not_compiled(
    monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    def cannot(run: peers.Run, **options: object) -> peers.Run:
        def fails(x: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("not a word of C++\nand a long trace")

        return fails

    monkeypatch.setattr(peers.shutil, "which", lambda name: name if there else None)
    monkeypatch.setattr(torch, "compile", cannot)
    reason = r"the loop: torch.compile failed \(not a word of C\+\+\)$" if there else "no C.. comp"
    with pytest.raises(NotMeasured, match=reason):
        peers.compiled("the loop", lambda x: x, lambda run: lambda: (run(torch.ones(1)),))


# --- the picture ---


def test_ratios_below_one_look_different(tmp_path: Path) -> None:
    fast = picture.ratios({"a": {"x": [2.0], "y": [1.5, 3.0]}}, tmp_path / "fast.png", title="t")
    slow = picture.ratios({"a": {"x": [0.5]}}, tmp_path / "slow.png", xlabel="ratio")
    assert has_colour(fast, toolkit.BLUE)
    assert not has_colour(fast, toolkit.ORANGE)
    assert has_colour(slow, toolkit.ORANGE)
    assert not has_colour(slow, toolkit.BLUE)
    with pytest.raises(ValueError, match="nothing to draw"):
        picture.ratios({"a": {}}, tmp_path / "none.png")


def test_two_columns_are_of_about_one_height() -> None:
    heights = {"a": 13, "b": 13, "c": 10, "d": 4, "e": 4, "f": 6}
    left, right = picture.columns(heights)
    assert [*left, *right] == list(heights)
    assert left == ["a", "b"]
    assert picture.columns({"a": 3, "b": 5}) == [["a", "b"]]


# --- what cannot be asked for ---


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--sizes 1,2,3", "--sizes 1,2,3 is not a size: expected T,B,I,H, four whole numbers"),
        ("--sizes 1,2,3,0", "1,2,3,0 is not a size"),
        ("--sizes 1,2,3,4 8x1x2x32", "8x1x2x32 is not a size"),
        ("--sizes 1,2,3,4.5", "such as 100,32,64,128"),
        ("--sizes 99999,99999,99,99", "is too large: it needs some"),
        ("--seconds 0", "expected a number above 0"),
        ("--seconds nan", "expected a number above 0"),
        ("--seconds soon", "soon"),
        ("--threads 0", "--threads 0 makes no sense: expected 1 to 1024"),
        ("--only speed", "speed"),
        ("--only", "--only"),
        ("now", "now"),
        ("--out file", "file"),
    ],
)
def test_bad_input_is_one_sentence(capsys: Captured, words: str, message: str) -> None:
    Path("file").touch()
    status, out, err = bench(capsys, *words.split())
    assert (status, out) == (2, "")
    assert err.startswith("unrolled: ")
    assert message in err
    assert err.count("\n") == 1
    assert not Path("runs").exists()


def test_help_names_every_section(capsys: Captured) -> None:
    out = bench(capsys, "--help")[1]
    for name, what in SECTIONS.items():
        assert f"{name:<10} {what}" in out


def test_flags_are_read(capsys: Captured) -> None:
    parser = Parser()
    words = "--grid --only trace --sizes 1,2,3,4 --seconds 2 --threads 3 --compile --out there"
    assert options_from(parser, words.split()) == BenchOptions(
        ("trace", "grid"), (Size(1, 2, 3, 4),), 2.0, 3, Path("there"), True
    )
