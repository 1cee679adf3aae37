"""The command line ends every failure in one sentence, with a status that is not 0."""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path

import pytest
import torch

from any_recipe import FILE
from claims import claim
from processes import Ended, one_sentence, python
from unrolled import cli
from unrolled.cli.main import COMMANDS

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


def test_a_full_disk_later_says_from_where_to_go_on(folder: Path, capsys: Captured) -> None:
    words = ["train", "adder", "--save-every", "0", "--out", "run"]
    assert cli.main([*words, "--steps", "2"]) == 0
    ended = full(" ".join([*words, "--steps", "9", "--resume"]), 3000)
    assert "run/ keeps the run's state of step 2: free some space and go on" in ended.err
    one_sentence(ended.err)
    assert "resume.safetensors" in ended.err
    assert cli.main([*words, "--steps", "9", "--resume"]) == 0
    assert "step 9/9" in capsys.readouterr().out


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is full")
def test_nowhere_to_print_to_is_a_sentence() -> None:
    code = "import sys; from unrolled import cli; sys.stdout = open('/dev/full', 'w')"
    ended = python(f"{code}; status = cli.main(['list']); sys.stdout = None; sys.exit(status)")
    assert ended.rc == 2
    assert "standard output: No space left" in ended.err.splitlines()[0]


# --- whatever else is raised ---


class Mute(Exception):
    """An error that cannot say what it is."""

    def __str__(self) -> str:
        raise TypeError


FAULTS = [
    KeyError("a"),
    RecursionError("maximum recursion depth exceeded"),
    RuntimeError("one line\n\tand another\nException raised from at::native:\nframe #0: 0x7f"),
    Mute(),
    ZeroDivisionError(),
    RuntimeError("word " * 999),
    RuntimeError("x" * 9999),
]


@pytest.mark.parametrize("error", FAULTS, ids=lambda error: type(error).__name__)
def test_a_fault_of_ours_says_so(error: Exception, capsys: Captured) -> None:
    said = failing(error)(capsys)
    assert said.startswith(f"unrolled: this is a fault of unrolled: {type(error).__name__}")
    assert said.endswith("please report it.")
    assert "frame #0" not in said


def failing(error: BaseException, status: int = 70):
    """Let `unrolled list` raise an error out of code that lies in no file."""

    def said(capsys: Captured) -> str:
        space = {"error": error}
        exec(compile("def run(arguments): raise error", "<nowhere>", "exec"), space)
        with pytest.MonkeyPatch.context() as patch:
            one = COMMANDS["list"]._replace(run=space["run"])
            patch.setitem(COMMANDS, "list", one)
            assert cli.main(["list"]) == status
        return one_sentence(capsys.readouterr().err)

    return said


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (MemoryError(), 2, "there is not enough memory for that"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), 2, "not enough memory"),
        (OSError(28, "No space left on device", "a"), 2, "a: No space left on device."),
        (OSError("no number"), 2, "no number."),
        (KeyboardInterrupt(), 130, "stopped at once."),
        (SystemExit("why"), 70, "SystemExit"),
    ],
)
def test_what_is_nobodys_fault(
    error: BaseException, status: int, words: str, capsys: Captured
) -> None:
    assert words in failing(error, status)(capsys)


def test_a_mistake_in_a_file_beside_ones_recipe_is_named(folder: Path, capsys: Captured) -> None:
    (folder / "beside.py").write_text("def weights():\n    return {}['none']\n")
    new = f"import sys; sys.path.insert(0, {str(folder)!r}); import beside; beside.weights()"
    (folder / "mine.py").write_text(FILE.replace("return nn.Linear(1, 1)", new))
    said = refused(capsys, "train", "mine.py", "--out", "run")
    assert said == "unrolled: beside.py, line 2: KeyError: 'none'."


def test_what_a_recipe_refuses_is_told_as_it_says(folder: Path, capsys: Captured) -> None:
    check = '    def check(self): \n        raise ValueError("steps = 3 is odd: expected 2.")\n'
    (folder / "mine.py").write_text(FILE + check)
    assert refused(capsys, "train", "mine.py") == "unrolled: steps = 3 is odd: expected 2."
    assert not list(folder.glob("runs/*"))


def test_a_trusted_runs_mistake_names_its_line(folder: Path, capsys: Captured) -> None:
    (folder / "mine.py").write_text(FILE)
    assert cli.main(["train", "mine.py", "--out", "run"]) == 0
    wrong = FILE.replace('" ".join(arguments)', "arguments[7]")
    (folder / "other.py").write_text(wrong)
    config = folder / "run" / "config.json"
    changed = json.loads(config.read_text().replace("mine.py", "other.py"))
    claim(config, **{name: changed[name] for name in ("recipe",)})
    said = refused(capsys, "try", "run", "--trust", "1")
    assert "other.py, line " in said
    assert "IndexError" in said


def test_debug_may_stand_anywhere(folder: Path, capsys: Captured) -> None:
    for words in (
        ["--debug", "show", "run"],
        ["show", "--debug", "run"],
        ["show", "run", "--debug"],
    ):
        assert cli.main(words) == 2
        said = capsys.readouterr().err
        assert said.startswith("Traceback")
        assert said.splitlines()[-1].startswith("unrolled: run is not a run")
