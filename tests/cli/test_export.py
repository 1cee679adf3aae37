"""`unrolled export`: which network, where it goes, and what is never replaced."""

from __future__ import annotations

import ctypes
import json
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from unrolled import cli
from unrolled.estimators.opened import open_trained


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "sums"
    assert cli.main(["train", "adder", "--steps", "3", "--out", str(folder)]) == 0
    return folder


def exported(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    status = cli.main(["export", *words])
    said = capsys.readouterr()
    return status, said.out, said.err


def test_two_formats_with_one_ending_do_not_replace_each_other(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, one, _ = exported(capsys, str(run), "--to", "rtneural")
    _, other, _ = exported(capsys, str(run), "--to", "guitarml")
    assert Path(one.strip()).name == "rtneural.json"
    assert Path(other.strip()).name == "guitarml.json"
    assert "layers" in json.loads(Path(one.strip()).read_text())


@pytest.mark.parametrize("name", ["weights.safetensors", "resume.safetensors"])
def test_a_run_keeps_its_own_files(
    run: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (run / name).read_bytes()
    status, _, said = exported(capsys, str(run), "--to", "torch", "--out", str(run / name))
    assert status == 2
    assert "is a file of the run itself: give another name" in said
    assert (run / name).read_bytes() == before


def test_what_is_asked_wrongly_is_one_sentence(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, sentence in (
        ((str(run), "--to", "nam", "--out", str(tmp_path / "amp.c")), "does not end in .nam"),
        ((str(tmp_path / "nope"), "--to", "onnx"), "is not a run"),
        ((str(run), "--to", "c", "--network", "two"), "expected one of network"),
        ((str(run), "--to", "tflite"), "invalid choice: 'tflite'"),
    ):
        status, _, said = exported(capsys, *words)
        assert status == 2
        assert sentence in said
        assert len(said.strip().splitlines()) == 1


def test_a_run_of_several_networks_asks_which(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "memory"
    words = ["--steps", "1", "--networks", "vanilla", "carousel", "--out", str(folder)]
    assert cli.main(["train", "memory", *words]) == 0
    status, _, said = exported(capsys, str(folder), "--to", "c")
    assert status == 2
    assert "holds the networks vanilla, carousel: say which, by --network NAME" in said
    assert exported(capsys, str(folder), "--to", "c", "--network", "carousel")[0] == 0


@pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc")
def test_the_c_of_a_run_gives_what_the_run_gives(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "sums.c"
    assert exported(capsys, str(run), "--to", "c", "--out", str(source))[0] == 0
    library = tmp_path / "sums.so"
    build = ["gcc", "-O2", "-shared", "-fPIC", "-o", str(library), str(source), "-lm"]
    subprocess.run(build, check=True)
    code = ctypes.CDLL(str(library))
    x = torch.randint(0, 2, (9, 1, 2)).float()
    y, state = torch.empty(9), torch.empty(4096)
    code.sums_reset(ctypes.c_void_p(state.data_ptr()))
    given = (ctypes.c_void_p(t.data_ptr()) for t in (state, x, y))
    code.sums_run(*given, ctypes.c_size_t(9))
    expected = open_trained(run).model(x)[0][:, 0]
    torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-5)
