"""What exists is not replaced, unless it is a regular file: for every path a command writes."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from processes import one_sentence
from unrolled import cli
from unrolled.files.whole import replace_file

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
