"""`unrolled apply`: a file of any length goes through what was learnt, block by block."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from unrolled.cli.main import main
from unrolled.files import sound as sounds
from unrolled.files.sound import read_sound, sound_file, write_sound
from unrolled.recipes._signal.made_up import played

SIZES = {"steps": 2, "report-every": 2, "hidden": 20, "batch-size": 2, "windows": 4}
QUICK = [word for name, size in SIZES.items() for word in (f"--{name}", str(size))]
Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def amp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("amp") / "run"
    words = ["--length", "9000", "--window", "64"]
    assert main(["train", "signal", *QUICK, *words, "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def river(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("river")
    values = np.random.default_rng(0).random((400, 2))
    rows = "\n".join(f"{a:.6f},{b:.6f},{a + b:.6f}" for a, b in values)
    (folder / "days.csv").write_text("rain,sun,flow\n" + rows)
    words = ["--data", str(folder / "days.csv"), "--outputs", "flow", "--window", "20"]
    assert main(["train", "signal", *QUICK, *words, "--out", str(folder / "run")]) == 0
    return folder


@pytest.fixture
def music(tmp_path: Path) -> Path:
    path = tmp_path / "music.wav"
    write_sound(path, [played(10_000, 5)], 48_000, "16-bit")
    return path


def refused(capsys: Captured, *words: Any) -> str:
    capsys.readouterr()
    assert main(["apply", *map(str, words)]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "Traceback" not in err
    return err


def test_how_a_file_is_read_changes_no_bit(amp: Path, music: Path, tmp_path: Path) -> None:
    written = []
    for block in (1_000_000, 4_096, 777, 5_000):
        out = tmp_path / f"{block}.wav"
        words = [str(amp), str(music), "--out", str(out), "--block", str(block)]
        assert main(["apply", *words, "--depth", "32-bit float"]) == 0
        written.append(read_sound(out)[1])
    assert all(np.array_equal(written[0], other) for other in written[1:])
    assert written[0].std() > 0


def test_what_comes_out_has_the_depth_of_what_goes_in(
    amp: Path, music: Path, tmp_path: Path, capsys: Captured
) -> None:
    out = tmp_path / "o.wav"
    assert main(["apply", str(amp), str(music), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert sound_file(out).depth == "16-bit"
    assert sound_file(out).length == 10_000
    assert "times real time" in said
    assert main(["apply", str(amp), str(music), "--out", str(out), "--depth", "24-bit"]) == 0
    assert sound_file(out).depth == "24-bit"


def test_each_channel_goes_through_by_itself(amp: Path, music: Path, tmp_path: Path) -> None:
    x, both, out = read_sound(music)[1], tmp_path / "two.wav", tmp_path / "o.wav"
    write_sound(both, [np.column_stack([x, 0 * x])], 48_000)
    assert main(["apply", str(amp), str(both), "--out", str(out)]) == 0
    found = read_sound(out)[1]
    alone = tmp_path / "one.wav"
    words = [str(amp), str(music), "--out", str(alone), "--depth", "32-bit float"]
    assert main(["apply", *words]) == 0
    assert np.allclose(found[:, :1], read_sound(alone)[1], atol=1e-6)
    assert found[:, 1].std() < found[:, 0].std()


def test_a_depth_that_cannot_be_written_becomes_another_which_is_said(
    amp: Path, tmp_path: Path, capsys: Captured
) -> None:
    data = tmp_path / "law.wav"
    soundfile.write(data, played(10_000, 5), 48_000, subtype="ULAW")
    assert main(["apply", str(amp), str(data), "--out", str(tmp_path / "o.wav")]) == 0
    assert "U-Law cannot be written into o.wav: it becomes 32-bit float" in capsys.readouterr().out
    assert sound_file(tmp_path / "o.wav").depth == "32-bit float"


def test_columns_are_found_by_their_names(river: Path, tmp_path: Path, capsys: Captured) -> None:
    """By apply and by try, which says the same of a table whose columns stand in another order."""
    table = [line.split(",") for line in (river / "days.csv").read_text().splitlines()]
    other = tmp_path / "other.csv"
    other.write_text("\n".join(f"{sun},{flow},{rain}" for rain, sun, flow in table))
    said, played_out = [], []
    for data in (river / "days.csv", other):
        out = tmp_path / f"{data.stem}-out.csv"
        assert main(["apply", str(river / "run"), str(data), "--out", str(out)]) == 0
        played_out.append(out.read_text())
        capsys.readouterr()
        assert main(["try", str(river / "run"), str(data)]) == 0
        said.append(capsys.readouterr().out.splitlines()[-1])
    assert played_out[0] == played_out[1]
    assert said[0] == said[1]
    assert "error-to-signal ratio" in said[0]


def test_what_clips_is_said(
    amp: Path, music: Path, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    from unrolled.recipes._signal import network

    def loud(*_: Any, **__: Any) -> Any:
        return iter([np.full((10, 1), 2.0)])

    monkeypatch.setattr(network, "stream", loud)
    assert main(["apply", str(amp), str(music), "--out", str(tmp_path / "o.wav")]) == 0
    assert "10 numbers lay beyond full scale" in capsys.readouterr().out


def test_what_was_there_stays_where_it_is_interrupted(
    amp: Path, music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "o.wav"
    out.write_bytes(b"good")
    read = sounds._read

    def stopped(path: Path, file: Any, size: int, at: int) -> Any:
        if at:
            raise KeyboardInterrupt
        return read(path, file, size, at)

    monkeypatch.setattr(sounds, "_read", stopped)
    assert main(["apply", str(amp), str(music), "--out", str(out), "--block", "5000"]) == 130
    assert out.read_bytes() == b"good"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["music.wav", "o.wav"]


def test_tables_and_arrays_go_through(river: Path, tmp_path: Path) -> None:
    table, array = tmp_path / "o.csv", tmp_path / "o.npy"
    run, data = str(river / "run"), str(river / "days.csv")
    assert main(["apply", run, data, "--out", str(table), "--block", "7"]) == 0
    assert main(["apply", run, data, "--out", str(array)]) == 0
    head, *rows = table.read_text().splitlines()
    assert head == "flow"
    found = np.load(array)
    assert found.shape == (400, 1)
    assert np.allclose([float(row) for row in rows], found[:, 0], rtol=1e-7)


def test_what_cannot_be_played_is_one_sentence(
    amp: Path, river: Path, music: Path, tmp_path: Path, capsys: Captured
) -> None:
    out = tmp_path / "o.wav"
    other = tmp_path / "other.wav"
    write_sound(other, [np.zeros(10)], 44_100)
    said = refused(capsys, amp, other, "--out", out)
    assert "44,100 Hz" in said
    assert "48,000 Hz" in said
    assert "is what goes in" in refused(capsys, amp, music, "--out", music)
    assert "is sound" in refused(capsys, river / "run", music, "--out", out)
    assert "is a table" in refused(capsys, amp, river / "days.csv", "--out", out)
    assert "no file" in refused(capsys, amp, tmp_path / "none.wav", "--out", out)
    assert "--depth" in refused(capsys, amp, music, "--out", out, "--depth", "loud")
    assert "--block" in refused(capsys, amp, music, "--out", out, "--block", "0")
    assert "no ending" in refused(capsys, amp, music, "--out", tmp_path / "o.xyz")
    assert "no folder" in refused(capsys, amp, music, "--out", tmp_path / "no" / "o.wav")
    assert "is not a run" in refused(capsys, tmp_path, music, "--out", out)
    run = river / "run"
    assert ".csv or .npy" in refused(capsys, run, river / "days.csv", "--out", out)
    (tmp_path / "dry.csv").write_text("rain,flow\n1,2\n")
    assert "has no column 'sun'" in refused(
        capsys, run, tmp_path / "dry.csv", "--out", tmp_path / "o.csv"
    )
    assert not out.exists()
