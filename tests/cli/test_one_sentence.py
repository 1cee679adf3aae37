"""The command line ends every failure in one sentence, with a status that is not 0."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import pytest
import torch

from any_recipe import FILE
from processes import Ended, one_sentence, python
from unrolled import cli

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(capsys: Captured, *words: str) -> str:
    """The one line on standard error with which a command ended."""
    capsys.readouterr()
    assert cli.main(list(words)) not in (0, None)
    said = one_sentence(capsys.readouterr().err)
    assert said.startswith("unrolled: ")
    assert "Traceback" not in said
    return said


HEADERS = {
    "three brackets": b"(((",
    "many brackets": b"(" * 60000,
    "no dictionary": b"[1, 2]",
    "a call": b"{'descr': open('done', 'w'), 'fortran_order': False, 'shape': (3,)}",
    "a huge shape": b"{'descr': '<f8', 'fortran_order': False, 'shape': (2**62, 2**62)}",
    "huge numbers": b"{'descr': '<f8', 'fortran_order': False, 'shape': (9223372036854775807,)}",
    "a negative shape": b"{'descr': '<f8', 'fortran_order': False, 'shape': (-3,)}",
    "objects": b"{'descr': '|O', 'fortran_order': False, 'shape': (3,)}",
    "no type": b"{'descr': 'nothing', 'fortran_order': False, 'shape': (3,)}",
    "null bytes": b"\0\0\0",
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", HEADERS)
def test_a_header_of_an_array_that_makes_no_sense(
    name: str, folder: Path, capsys: Captured
) -> None:
    header = HEADERS[name] + b"\n"
    data = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(240)
    (folder / "a.npy").write_bytes(data)
    said = refused(capsys, "train", "events", "--data", "a.npy")
    assert "a.npy" in said
    assert not (folder / "runs").exists() or not list((folder / "runs").iterdir())
    assert not (folder / "done").exists()


# --- somebody's own recipe ---

MORE = """\
    def check(self): pass
    def result(self, model): return self.metrics(model)
    def draw(self, model, history, folder): return []
"""
MISTAKES = {
    "sys.exit()": ("SOURCE = ", "import sys; sys.exit()\nSOURCE = ", "leave"),
    "sys.exit(0) in model": ("return nn.Linear(1, 1)", "raise SystemExit(0)", "leave"),
    "a name": ("return nn.Linear(1, 1)", "return nn.Liner(1, 1)", "Liner"),
    "in the batch": ("torch.randn(4, 2, 1, ", "torch.rand_n(4, 2, 1, ", "rand_n"),
    "in the loss": ("model(batch[0])", "model(batch[7])", "index"),
    "in metrics": ("{'bias'", "{1 / 0: 1, 'bias'", "zero"),
    "in result": ("return self.metrics(model)", "raise KeyError('figure')", "figure"),
    "in draw": ("return []", "return [][3]", "index"),
    "in check": ("def check(self): pass", "def check(self): self.nothing()", "nothing"),
    "in a base class": ("import dataclasses\n", "import dataclasses\nnowhere\n", "nowhere"),
    "no syntax": ("def check(self): pass", "def check(self) pass", "syntax"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_ones_own_recipe_names_file_and_line(
    name: str, folder: Path, capsys: Captured
) -> None:
    old, new, said = MISTAKES[name]
    text = FILE.replace('"bias"', "'bias'") + MORE
    assert old in text
    (folder / "mine.py").write_text(text.replace(old, new))
    line = text[: text.index(old)].count("\n") + 1
    found = refused(capsys, "train", "mine.py", "--out", "run")
    assert "mine.py" in found
    assert any(f"line {n}" in found or f"mine.py:{n}" in found for n in (line, line + 1))
    assert said.lower() in found.lower()


def test_debug_shows_the_traceback(folder: Path, capsys: Captured) -> None:
    (folder / "mine.py").write_text(FILE.replace("nn.Linear(1, 1)", "nn.Liner(1, 1)"))
    assert cli.main(["train", "mine.py", "--out", "run", "--debug"]) not in (0, None)
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert "AttributeError" in said


@pytest.mark.parametrize(
    "words",
    [
        ["text", "--batch-size", "1000000000000"],
        ["memory", "--batch-size", "1000000000000"],
        ["adder", "--hidden", "1000000000000"],
        ["text", "--hidden", "1000000000000"],
    ],
    ids=" ".join,
)
def test_a_size_that_cannot_be_had_leaves_no_folder(
    words: list[str], folder: Path, capsys: Captured
) -> None:
    said = refused(capsys, "train", *words, "--steps", "2", "--out", "run")
    assert "memory" in said or words[1] in said
    assert not (folder / "run").exists()


@pytest.mark.parametrize("wrong", ["names", "one name", "a shape"])
def test_weights_that_do_not_fit_are_told_in_one_line(
    wrong: str, folder: Path, capsys: Captured
) -> None:
    from unrolled.training import checkpoint

    assert cli.main(["train", "adder", "--steps", "2", "--out", "run"]) == 0
    weights = checkpoint.read_weights(folder / "run" / "weights.safetensors")
    last = list(weights)[-1]
    others = {
        f"x.{name}" if wrong == "names" or (wrong == "one name" and name == last) else name: (
            torch.zeros(3, 7, 2) if wrong == "a shape" and name == last else t
        )
        for name, t in weights.items()
    }
    checkpoint.write_weights(folder / "run" / "weights.safetensors", others)
    for words in (["try", "run", "1", "2"], ["show", "run", "--plots"], ["explore", "run"]):
        assert "weights" in refused(capsys, *words)


# --- a full disk ---


def full(command: str, size: int) -> Ended:
    """A command in a process that may write no file beyond ``size`` bytes."""
    return python(
        f"""
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from unrolled import cli
resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))
sys.exit(cli.main({command.split()!r}))
"""
    )


@pytest.mark.skipif(sys.platform == "win32", reason="limits are POSIX")
@pytest.mark.parametrize("size", [100, 3000])
def test_a_full_disk_names_the_file_and_what_stays(size: int, folder: Path) -> None:
    ended = full("train adder --steps 400 --save-every 0 --out run", size)
    assert ended.rc not in (0, -25), ended.err
    said = one_sentence(ended.err)
    assert said.startswith("unrolled: ")
    assert "run/" in said or "run keeps" in said or "run has" in said
    assert "too large" in said or "space" in said
    left = {p.name for p in (folder / "run").iterdir()} if (folder / "run").exists() else set()
    assert not {name for name in left if name.endswith(".writing")}
