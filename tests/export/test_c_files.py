"""The C file as a file: what is declined, what is written, and that the two belong together."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from c_compilers import STRICT, needs
from unrolled import LSTM, Network, cli
from unrolled.export import ExportError, c, to_c
from unrolled.files.whole import PlaceError


def with_weight(value: float, name: str = "weight_hh_l0") -> LSTM:
    lstm = LSTM(1, 3)
    with torch.no_grad():
        getattr(lstm, name)[1] = value
    return lstm


@pytest.mark.parametrize(
    ("module", "sentence"),
    [
        (LSTM(1, 3, bidirectional=True), "a bidirectional layer cannot be written in C"),
        (LSTM(1, 3, proj_size=2), "proj_size=2 cannot be written in C"),
        (LSTM(1, 3, dtype=torch.float64), "the layer's weights are torch.float64"),
        (
            Network(LSTM(1, 3), nn.Linear(3, 1).to(torch.bfloat16)),
            "the head's weights are torch.bf",
        ),
        (
            with_weight(float("nan")),
            "weight_hh_l0 has 3 numbers that are not finite, the first is nan",
        ),
        (
            with_weight(float("-inf"), "bias_ih_l0"),
            "bias_ih_l0 has 1 number that is not finite: -inf",
        ),
        (nn.Linear(1, 1), "has none: expected one unrolled.LSTM"),
        (nn.Sequential(LSTM(1, 3), nn.ReLU(), nn.Linear(3, 1)), "ReLU, which would be left out"),
        (Network(LSTM(1, 3), units=1), "units=1 and so gives a part of h"),
    ],
)
def test_what_c_cannot_say_is_declined(module: nn.Module, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError) as refusal:
        to_c(module, tmp_path / "net.c")
    assert sentence in str(refusal.value)
    assert str(refusal.value).endswith(".")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("file", "options", "sentence"),
    [
        ("net.txt", {}, "net.txt cannot be a C file: expected a name that ends in .c"),
        ("my-net.c", {}, "'my-net', the file's name, cannot begin the names of C"),
        ("2.c", {}, "'2', the file's name, cannot begin"),
        ("_net.c", {}, "'_net', the file's name, cannot begin"),
        ("net.c", {"name": "café"}, "name='café' cannot begin"),
        ("net.c", {"name": ""}, "name='' cannot begin"),
        ("math.c", {}, "math.h would hide C's own <math.h>"),
        ('a"b.c', {"name": "net"}, "cannot be included from C"),
        ("net.c", {"weights": "int4"}, "weights='int4' is not known: use 'float' or 'int8'"),
    ],
)
def test_names_that_make_no_c_are_declined(
    file: str, options: dict[str, str], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(ExportError) as refusal:
        to_c(LSTM(1, 3), tmp_path / file, **options)  # type: ignore[arg-type]
    assert sentence in str(refusal.value)
    assert not list(tmp_path.iterdir())


def test_a_file_may_have_any_name_where_the_names_in_it_are_given(tmp_path: Path) -> None:
    source, header = to_c(LSTM(1, 3), tmp_path / "my-net.c", name="mine")
    assert [source.name, header.name] == ["my-net.c", "my-net.h"]
    assert "void mine_step(mine_state *state, const float *x, float *y);" in header.read_text()
    assert '#include "my-net.h"' in source.read_text()


def test_both_files_are_written_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "net.c"
    to_c(LSTM(1, 3), path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert sorted(before) == ["net.c", "net.h"]
    fill, filled = c._fill, []

    def full(place: Path, text: str) -> None:
        filled.append(place)
        if len(filled) == 2:
            raise OSError(28, "No space left on device")
        fill(place, text)

    monkeypatch.setattr(c, "_fill", full)
    with pytest.raises(OSError, match="No space left"):
        to_c(LSTM(1, 4), path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize("end", [".c", ".h"])
def test_what_is_no_file_is_not_replaced(end: str, tmp_path: Path) -> None:
    (tmp_path / f"net{end}").mkdir()
    with pytest.raises(PlaceError, match=f"net{end} is a folder"):
        to_c(LSTM(1, 3), tmp_path / "net.c")
    assert [file.name for file in tmp_path.iterdir()] == [f"net{end}"]


@needs("gcc")
def test_files_of_two_exports_do_not_compile_together(tmp_path: Path) -> None:
    source, header = to_c(LSTM(1, 3), tmp_path / "net.c")
    old = header.read_text()
    to_c(LSTM(1, 3), source)
    command = ["gcc", *STRICT, "-c", str(source), "-o", str(tmp_path / "net.o")]
    assert subprocess.run(command, check=False).returncode == 0
    header.write_text(old)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "net.h and net.c are of two exports: take both of one" in done.stderr


def test_the_same_network_gives_the_same_files(tmp_path: Path) -> None:
    lstm = LSTM(1, 3)
    first = [path.read_bytes() for path in to_c(lstm, tmp_path / "net.c")]
    assert first == [path.read_bytes() for path in to_c(lstm, tmp_path / "net.c")]
    assert all(line.isascii() and len(line) <= 110 for file in first for line in file.splitlines())


def test_a_weight_that_is_made_of_others_is_written_as_it_is(tmp_path: Path) -> None:
    lstm = LSTM(1, 3)
    plain, _ = to_c(lstm, tmp_path / "plain.c", name="net")
    weight_norm(lstm, "weight_hh_l0", dim=None)
    made, _ = to_c(nn.Sequential(lstm, nn.Dropout()), tmp_path / "made.c", name="net")
    numbers = [
        [float(n) for n in re.findall(r"(-?[\d.e-]+)f[,\n]", path.read_text())]
        for path in (plain, made)
    ]
    assert len(numbers[0]) > 60
    assert numbers[1] == pytest.approx(numbers[0], rel=1e-6)


@needs("gcc")
def test_a_weight_that_is_hardly_there_is_the_same_float(tmp_path: Path) -> None:
    lstm = with_weight(1e-45)
    source, _ = to_c(lstm, tmp_path / "net.c")
    assert "1.40129846e-45f" in source.read_text()
    command = ["gcc", *STRICT, "-c", str(source), "-o", str(tmp_path / "net.o")]
    assert subprocess.run(command, check=False).returncode == 0


def test_the_command_writes_both_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert cli.main(["train", "adder", "--steps", "20", "--hidden", "4", "--out", str(run)]) == 0
    capsys.readouterr()
    assert cli.main(["export", str(run), "--to", "c", "--out", str(tmp_path / "adder.c")]) == 0
    assert capsys.readouterr().out.split() == [str(tmp_path / "adder.c"), str(tmp_path / "adder.h")]
    assert cli.main(["export", str(run), "--to", "c", "--out", str(tmp_path / "adder-4.c")]) != 0
    assert "cannot begin the names of C" in capsys.readouterr().err


GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "export-c.md"


@needs("gcc")
def test_what_the_guide_says_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its Python, its C, its command, and what comes out, for whatever the last bits are here."""
    text = GUIDE.read_text(encoding="utf-8")
    blocks = {kind: re.search(rf"```{kind}\n(.*?)```", text, re.DOTALL) for kind in ("python", "c")}
    python, main = (found[1] for found in blocks.values() if found)
    monkeypatch.chdir(tmp_path)
    exec(compile(python, str(GUIDE), "exec"), {})
    Path("main.c").write_text(main, encoding="utf-8")
    (command,) = re.findall(r"^gcc .*$", text, re.MULTILINE)
    subprocess.run([*command.split(), *STRICT], check=True)
    out = subprocess.run("./sine", capture_output=True, text=True, check=True).stdout
    (shown,) = re.findall(r"```text\n(.*?)```", text, re.DOTALL)
    rows, expected = ([line.split() for line in t.splitlines()] for t in (out, shown))
    assert len(rows) == len(expected) == 10
    for row, published in zip(rows, expected, strict=True):
        assert row[0::3] == published[0::3]
        assert float(row[1]) == pytest.approx(float(published[1]), abs=1e-2)
