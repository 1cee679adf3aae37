"""What exists is not replaced, unless it is a regular file: for every path a command writes."""

from __future__ import annotations

import ast
import contextlib
import errno
import os
import socket
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import unrolled
from processes import one_sentence
from unrolled import cli
from unrolled.files.whole import PlaceError, check_place, is_full, replace_file
from unrolled.training import runs

LEARNERS = Path(__file__).parents[2] / "examples" / "my_lstm.py"


@contextlib.contextmanager
def _pipe(folder: Path) -> Iterator[Path]:
    os.mkfifo(folder / "there")
    yield folder / "there"


@contextlib.contextmanager
def _device(folder: Path) -> Iterator[Path]:
    """A node like /dev/null, but in a folder of ours: what is tried must do no harm."""
    try:
        os.mknod(folder / "there", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root may make a device")
    yield folder / "there"


@contextlib.contextmanager
def _socket(folder: Path) -> Iterator[Path]:
    # A socket's path is short, so it is bound from its folder.
    with socket.socket(socket.AF_UNIX) as one, tempfile.TemporaryDirectory() as short:
        one.bind(f"{short}/s")
        os.rename(f"{short}/s", folder / "there")
        yield folder / "there"


@contextlib.contextmanager
def _link(folder: Path) -> Iterator[Path]:
    (folder / "elsewhere").write_text("somebody's")
    (folder / "there").symlink_to(folder / "elsewhere")
    yield folder / "there"
    assert (folder / "elsewhere").read_text() == "somebody's"


@contextlib.contextmanager
def _folder_link(folder: Path) -> Iterator[Path]:
    (folder / "elsewhere").mkdir()
    (folder / "there").symlink_to(folder / "elsewhere")
    yield folder / "there"
    assert not list((folder / "elsewhere").iterdir())


THERE = {"pipe": _pipe, "device": _device, "socket": _socket, "link": _link}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that can be shown and explored."""
    folder = tmp_path_factory.mktemp("run") / "adder"
    words = ["train", "adder", "--steps", "2", "--report-every", "2", "--out", str(folder)]
    assert cli.main(words) == 0
    return folder


COMMANDS: dict[str, Callable[[Path, Path], list[str]]] = {
    "train": lambda out, _: ["train", "adder", "--steps", "1", "--out", str(out)],
    "explore": lambda out, run: ["explore", str(run), "--out", str(out)],
    "show": lambda out, run: ["show", str(run), "--plots", "--out", str(out)],
    "audit": lambda out, _: ["audit", str(LEARNERS), "--out", str(out)],
    "audit --template": lambda out, _: ["audit", "--template", str(out)],
    "bench": lambda out, _: [
        "bench",
        "--only",
        "inference",
        "--seconds",
        "0.001",
        "--out",
        str(out),
    ],
    "reproduce": lambda out, _: ["reproduce", "--out", str(out)],
}


@pytest.fixture
def harmless(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is to be refused is refused before the work: none of it is done here."""
    from unrolled import bench, reproduce
    from unrolled.auditing import command

    def reached(*_: Any, **__: Any) -> Any:
        raise AssertionError("it began its work")

    monkeypatch.setattr(bench, "run", reached)
    monkeypatch.setattr(reproduce, "rows_of", reached)
    monkeypatch.setattr(command, "audit_file", reached)


def _refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert cli.main(words) not in (0, None)
    said = one_sentence(capsys.readouterr().err)
    assert said.startswith("unrolled: ")
    assert "it began its work" not in said


@pytest.mark.usefixtures("harmless")
@pytest.mark.parametrize("there", THERE)
@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_writes_where_something_else_is(
    command: str, there: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with THERE[there](tmp_path) as path:
        before = os.lstat(path)
        _refused(COMMANDS[command](path, run), capsys)
        after = os.lstat(path)
        assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)


@pytest.mark.usefixtures("harmless")
@pytest.mark.parametrize("command", ["train", "show", "audit", "bench", "reproduce"])
def test_a_link_to_a_folder_is_not_followed(
    command: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with _folder_link(tmp_path) as path:
        _refused(COMMANDS[command](path, run), capsys)


AT_ROOT = ("train", "explore", "audit", "audit --template", "bench", "reproduce")


@pytest.mark.usefixtures("harmless")
@pytest.mark.parametrize("command", AT_ROOT)
def test_the_root_is_refused(command: str, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is written to it even where the refusal is missing: see `harmless`."""
    _refused(COMMANDS[command](Path("/"), run), capsys)


@pytest.mark.parametrize("command", ["train", "explore", "audit --template"])
def test_somebodys_folder_is_refused(
    command: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "somebody's").write_text("")
    _refused(COMMANDS[command](tmp_path, run), capsys)
    assert [p.name for p in tmp_path.iterdir()] == ["somebody's"]


@pytest.mark.parametrize("there", THERE)
def test_a_file_is_put_in_no_place_of_another_kind(there: str, tmp_path: Path) -> None:
    with THERE[there](tmp_path) as path:
        before = os.lstat(path)
        with pytest.raises(OSError, match=r"is a|not a regular file") as caught:
            replace_file(path, lambda beside: beside.write_text("ours"))
        one_sentence(caught.value)
        assert os.lstat(path).st_ino == before.st_ino
    assert not [p for p in tmp_path.iterdir() if p.name.endswith(".writing")]


def test_the_root_has_a_sentence() -> None:
    with pytest.raises((OSError, ValueError)) as caught:
        replace_file(Path("/"), lambda beside: None)
    assert "is a folder" in one_sentence(caught.value)


def test_a_regular_file_is_replaced_and_a_new_one_made(tmp_path: Path) -> None:
    for text in ("one", "two"):
        replace_file(tmp_path / "a", lambda beside, text=text: beside.write_text(text))
        assert (tmp_path / "a").read_text() == text


# --- the source: nothing else writes to a path ---

ROOT = Path(unrolled.__file__).parent
WRITING = {"a", "w", "x", "+"}
BY_SYSTEM = {"copy", "copy2", "copyfile", "copytree", "move", "symlink", "link", "mknod", "mkfifo"}
BY_NAME = {"rename", "renames", "touch", "symlink_to", "hardlink_to", "mkdir", "makedirs", "tofile"}
BY_NAME |= {"savetxt", "savez", "savez_compressed", "to_csv", "NamedTemporaryFile"}
BY_NAME |= {"write_text", "write_bytes"}


def _writes(call: ast.Call) -> str | None:
    """What a call would write to; None: it writes to no path, or to what replace_file gave."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ast.unparse(call.func)
    owner = ast.unparse(call.func.value) if isinstance(call.func, ast.Attribute) else None
    values = [*call.args, *(k.value for k in call.keywords)]
    place = owner
    if name in ("open", "memmap") and owner in (None, "os", "io", "codecs", "np"):
        place = ast.unparse(call.args[0])
    if name in ("open", "memmap"):
        modes = [v.value for v in values if isinstance(v, ast.Constant)]
        told = any(isinstance(m, str) and len(m) <= 3 and WRITING & set(m) for m in modes)
        flags = any("O_WRONLY" in ast.unparse(v) or "O_RDWR" in ast.unparse(v) for v in values)
        if not (told or flags) or any(k.arg == "opener" for k in call.keywords):
            return None
    elif name == "savefig":
        place = ast.unparse(call.args[0])
    elif name == "replace":  # of a path, not of a text or of a dataclass
        if owner in (None, "dataclasses") or len(values) != (2 if owner == "os" else 1):
            return None
    elif name not in BY_NAME and not (name in BY_SYSTEM and owner in ("os", "shutil")):
        return None
    return None if place in ("beside", "os.devnull") else f"{place}.{name}"


def writers(source: str) -> list[str]:
    """All that writes to a path by itself."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [found for call in calls if (found := _writes(call)) is not None]


def test_only_one_file_writes_to_a_path() -> None:
    # A folder that must be new is made by mkdir itself, which follows no link.
    known = {"files/whole.py": None, "training/runs.py": {"folder.mkdir"}}
    for path in sorted(ROOT.rglob("*.py")):
        found = set(writers(path.read_text(encoding="utf-8")))
        allowed = known.get(path.relative_to(ROOT).as_posix(), set())
        assert allowed is None or found <= allowed, f"{path}: {found}"


@pytest.mark.parametrize(
    "line",
    [
        "open(path, 'w')",
        "open(path, mode='ab')",
        "path.open('x', encoding='utf-8')",
        "os.open(path, os.O_WRONLY | os.O_CREAT)",
        "path.write_text('')",
        "(folder / 'a').write_bytes(data)",
        "figure.savefig(path)",
        "os.replace(a, b)",
        "a.replace(b)",
        "shutil.copy(a, b)",
        "path.parent.mkdir(parents=True)",
        "path.touch()",
    ],
)
def test_another_way_to_write_is_seen(line: str) -> None:
    assert writers(f"def f(path):\n    {line}\n")


@pytest.mark.parametrize(
    "line",
    [
        "replace_file(path, lambda beside: beside.write_text(text))",
        "replace_file(path, lambda beside: figure.savefig(beside, dpi=9))",
        "open(path, 'rb')",
        "open(path, 'a', opener=open_unlinked)",
        "text.replace('a', 'b')",
        "dataclasses.replace(recipe, steps=2)",
        "replace(signal, values=values)",
    ],
)
def test_what_reads_or_is_given_its_place_may_stay(line: str) -> None:
    assert not writers(line)


# --- what is said, and when ---


def test_what_is_there_already_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("somebody's")
    with pytest.raises(PlaceError, match="is there already and stays as it is"):
        replace_file(tmp_path / "a", lambda beside: beside.write_text("ours"), new=True)
    assert (tmp_path / "a").read_text() == "somebody's"


def test_what_comes_while_a_file_is_written_is_not_replaced(tmp_path: Path) -> None:
    def write(beside: Path) -> None:
        beside.write_text("ours")
        os.mkfifo(tmp_path / "a")

    with pytest.raises(PlaceError, match="is a named pipe"):
        replace_file(tmp_path / "a", write)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_pipe_among_a_runs_files_is_not_opened(tmp_path: Path) -> None:
    """To open it would wait for somebody at the other end."""
    os.mkfifo(tmp_path / "metrics.jsonl")
    with pytest.raises(PlaceError, match="is a named pipe"):
        runs.append_metrics(tmp_path, {"step": 1})


def test_a_folder_is_asked_about_what_will_be_written_in_it(tmp_path: Path) -> None:
    check_place(tmp_path, folder=True, files=["a.png"])
    (tmp_path / "a.png").symlink_to(tmp_path / "nowhere")
    check_place(tmp_path, folder=True)
    with pytest.raises(PlaceError, match=r"a\.png is a link"):
        check_place(tmp_path, folder=True, files=["a.png"])


def test_a_file_in_no_folder_is_refused_by_its_own_name(tmp_path: Path) -> None:
    with pytest.raises(PlaceError, match="cannot be written: there is no folder"):
        check_place(tmp_path / "none" / "a")
    with pytest.raises(PlaceError, match="is no path"):
        check_place(Path("a\0b"))


def test_a_full_disk_is_told_by_the_files_own_name(tmp_path: Path) -> None:
    def write(beside: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match=r"No space.*a'$") as caught:
        replace_file(tmp_path / "a", write)
    assert is_full(caught.value)
    assert not list(tmp_path.iterdir())
