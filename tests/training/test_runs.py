"""A run's folder: what is written comes back, what is damaged is told in a sentence."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from unrolled.training import runs
from unrolled.training.runs import RunError


@dataclass(frozen=True)
class Fields:
    """Every kind of field that a recipe may have."""

    count: int = 3
    rate: float = 0.5
    name: str = "a"
    switch: bool = False
    data: Path | None = None
    way: Literal["up", "down"] = "up"
    sizes: tuple[int, ...] = (1, 2)
    pair: tuple[float, str] = (0.5, "b")


def test_fields_come_back_through_json(tmp_path: Path) -> None:
    for given in (Fields(), Fields(-1, 1e-300, "é", True, tmp_path / "x.csv", "down", (), (2, ""))):
        stored = json.loads(json.dumps(runs.encode_fields(given)))
        assert runs.decode_fields(Fields, stored) == given


def test_a_relative_path_is_stored_from_the_root() -> None:
    assert runs.encode_fields(Fields(data=Path("x.csv")))["data"] == str(Path.cwd() / "x.csv")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("count", 1.5),
        ("count", True),
        ("count", "3"),
        ("rate", "x"),
        ("rate", None),
        ("switch", 1),
        ("data", 3),
        ("way", "left"),
        ("sizes", [1, "x"]),
        ("sizes", 3),
        ("pair", [1.0]),
    ],
)
def test_a_field_of_another_kind_is_told(name: str, value: object) -> None:
    with pytest.raises(RunError, match=f"{name} = "):
        runs.decode_fields(Fields, {**runs.encode_fields(Fields()), name: value})


def test_fields_of_another_version_are_told() -> None:
    fields = runs.encode_fields(Fields())
    with pytest.raises(RunError, match="has 'more'"):
        runs.decode_fields(Fields, {**fields, "more": 1})
    del fields["rate"]
    with pytest.raises(RunError, match="has no 'rate'"):
        runs.decode_fields(Fields, fields)


def test_config_comes_back(tmp_path: Path) -> None:
    config = runs.new_config("adder", {"seed": 1})
    runs.write_config(tmp_path, config)
    assert runs.read_config(tmp_path) == config
    assert config.versions.keys() == {"unrolled", "torch", "numpy", "python"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ('{"recipe": "add', "not JSON"),
        ("[]", "no JSON object"),
        ("\udcff", "not JSON"),
        ('{"recipe": "adder"}', "'fields' is missing"),
        ('{"recipe": 3, "fields": {}, "versions": {}, "created": "", "threads": 1}', "'recipe'"),
    ],
)
def test_a_damaged_config_is_told(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / runs.CONFIG).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(RunError, match=message):
        runs.read_config(tmp_path)


def test_a_folder_that_is_no_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"has no config\.json"):
        runs.read_config(tmp_path)
    with pytest.raises(RunError, match="does not exist"):
        runs.read_config(tmp_path / "nowhere")


def test_a_new_run_takes_no_folder_of_anybody_elses(tmp_path: Path) -> None:
    runs.create(tmp_path / "deep" / "new")
    runs.create(tmp_path / "deep" / "new")  # empty still
    (tmp_path / "deep" / "new" / "letter.txt").touch()
    with pytest.raises(RunError, match="not empty"):
        runs.create(tmp_path / "deep" / "new")
    runs.write_config(tmp_path / "deep" / "new", runs.new_config("adder", {}))
    with pytest.raises(RunError, match="--resume"):
        runs.create(tmp_path / "deep" / "new")
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="is a file"):
        runs.create(tmp_path / "file")


def test_folders_are_numbered_and_the_last_is_found(tmp_path: Path) -> None:
    assert runs.latest_folder(tmp_path / "nowhere", "a") is None
    made = [runs.free_folder(tmp_path, "a") for _ in range(11)]
    assert [path.name for path in made[:3]] == ["a", "a-2", "a-3"]
    (tmp_path / "a-b").mkdir()
    assert runs.latest_folder(tmp_path, "a") is None
    for path in (*made, tmp_path / "a-b"):
        runs.write_config(path, runs.new_config("a", {}))
    assert runs.latest_folder(tmp_path, "a") == tmp_path / "a-11"


def test_metrics_come_back_and_a_torn_line_is_dropped(tmp_path: Path) -> None:
    rows = [{"step": n, "loss": 0.5 / n} for n in (1, 2, 3)]
    for row in rows:
        runs.append_metrics(tmp_path, row)
    with open(tmp_path / runs.METRICS, "a") as file:
        file.write('{"step": 4, "lo')
    assert runs.read_metrics(tmp_path) == rows
    runs.cut_metrics(tmp_path, 2)
    runs.append_metrics(tmp_path, rows[2])
    assert runs.read_metrics(tmp_path) == rows


def test_a_damaged_line_is_told(tmp_path: Path) -> None:
    (tmp_path / runs.METRICS).write_text('{"step": 1}\nx\n{"step": 3}\n')
    with pytest.raises(RunError, match="line 2"):
        runs.read_metrics(tmp_path)
    (tmp_path / runs.METRICS).write_text('{"loss": 1}\n')
    with pytest.raises(RunError, match="line 1: 'step' is missing"):
        runs.read_metrics(tmp_path)


def test_what_is_not_finite_is_null(tmp_path: Path) -> None:
    runs.append_metrics(tmp_path, {"step": 1, "ratio": math.nan})
    runs.write_result(tmp_path, {"figures": {"worst": [math.inf, 1.0]}})
    assert runs.read_metrics(tmp_path) == [{"step": 1, "ratio": None}]
    assert runs.read_result(tmp_path) == {"figures": {"worst": [None, 1.0]}}


def test_only_one_may_write(tmp_path: Path) -> None:
    with (
        runs.locked(tmp_path),
        pytest.raises(RunError, match="another process"),
        runs.locked(tmp_path),
    ):
        pass
    with runs.locked(tmp_path):
        pass


def test_a_file_is_old_or_new_and_never_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs.write_result(tmp_path, {"figures": {"n": 1}})

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, stop)
            with pytest.raises(KeyboardInterrupt):
                runs.write_result(tmp_path, {"figures": {"n": 2}})
        assert runs.read_result(tmp_path) == {"figures": {"n": 1}}


# --- links that somebody planted ------------------------------------------------------------


def test_no_link_in_a_folder_leads_out_of_it(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.write_text("kept")
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / ".result.json.writing").symlink_to(theirs)
    runs.write_result(folder, {"figures": {"n": 1}})
    assert runs.read_result(folder) == {"figures": {"n": 1}}
    (folder / "result.json").unlink()
    (folder / "result.json").symlink_to(theirs)
    with pytest.raises(OSError, match="is a link, which is not followed"):
        runs.write_result(folder, {"figures": {"n": 2}})
    (folder / ".lock").symlink_to(theirs)
    (folder / runs.METRICS).symlink_to(theirs)
    with pytest.raises(OSError, match="is a link, which is not followed"), runs.locked(folder):
        pass
    with pytest.raises(OSError, match="is a link, which is not followed"):
        runs.append_metrics(folder, {"step": 1})
    (folder / ".lock").unlink()
    (folder / ".lock").hardlink_to(theirs)
    with runs.locked(folder):
        pass
    assert theirs.read_text() == "kept"


def test_what_a_killed_process_left_beside_is_written_anew(tmp_path: Path) -> None:
    (tmp_path / ".result.json.writing").write_text("half of a much longer fi")
    assert runs.is_empty(tmp_path)
    runs.write_result(tmp_path, {})
    assert runs.read_result(tmp_path) == {}
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def test_whatever_is_written_beside_its_place_goes_through_one_function() -> None:
    source = Path(__file__).parents[2] / "src" / "unrolled"
    found = [p.name for p in source.rglob("*.py") if ".writing" in p.read_text(encoding="utf-8")]
    assert found == ["whole.py"]
