"""Signals out of CSV, NumPy and EEG files: read as they stand, or refused with one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recordings import where, written
from unrolled.recipes._events.signals import read_signal, thin, widen

GOOD = "t,A,B,seizure\n0,1,5,0\n1,2,6,1\n2,3,7,1.0\n3,4,8,0\n"


# --- tables ---


def test_a_table_gives_channels_events_and_times(tmp_path: Path) -> None:
    signal = read_signal(written(tmp_path, GOOD), "seizure", time="t")
    assert signal.channels == ("A", "B")
    assert signal.values.tolist() == [[1, 5], [2, 6], [3, 7], [4, 8]]
    assert where(signal) == {"seizure=1": [1, 2]}
    assert (signal.times.name, signal.times.labels) == ("t", ["0", "1", "2", "3"])
    signal = read_signal(written(tmp_path, GOOD), "seizure", ("B", "t"))
    assert signal.channels == ("B", "t")
    assert signal.values[1].tolist() == [6, 1]
    assert signal.times.labels[0] == "2"  # as a spreadsheet counts


@pytest.mark.parametrize(
    ("event", "found"),
    [
        ("stage", {"stage=REM": [2, 3], "stage=deep": [4]}),
        ("stage=REM", {"stage=REM": [2, 3]}),
        ("stage=no", {"stage=no": [0, 1]}),
        ("n", {"n=2": [1], "n=5": [3]}),
        ("n=2.0", {"n=2": [1]}),
        ("a=b", {"a=b=1": [0]}),
    ],
)
def test_each_value_but_none_is_an_event(
    event: str, found: dict[str, list[int]], tmp_path: Path
) -> None:
    text = "x,stage,n,a=b\n1,no,0,1\n2,no,2,0\n3,REM,0.0,0\n4,REM,5,0\n5,deep,0,0\n"
    assert where(read_signal(written(tmp_path, text), event, ("x",))) == found


def test_a_file_to_label_may_lack_the_event(tmp_path: Path) -> None:
    path = written(tmp_path, "A,B\n1,2\n3,4\n")
    signal = read_signal(path, "seizure", ("B",), labelled=False)
    assert signal.events is None
    assert signal.values.tolist() == [[2], [4]]
    path = written(tmp_path, "A,B,seizure\n1,2,0\n3,4,0\n")
    assert read_signal(path, "seizure", ("B",), labelled=False).events == {}
    assert where(read_signal(path, "seizure=7", ("B",), labelled=False)) == {"seizure=7": []}


@pytest.mark.parametrize(
    ("text", "event", "sentence"),
    [
        ("", "seizure", r"data\.csv is empty: expected a row of column names"),
        (GOOD, "", r"columns t, A, B, seizure: say which one holds the event with --event COLUMN"),
        (GOOD, "siezure", r"no column 'siezure': its columns are .*; did you mean 'seizure'\?"),
        (GOOD, "seizure=2", r"'seizure' has no value '2': its values are 0, 1"),
        (
            GOOD.replace(",6,", ",nan,"),
            "seizure",
            r"row 3 of column 'B' has no value",
        ),
        (
            GOOD.replace(",6,", ",,"),
            "seizure",
            r"row 3 of column 'B' has no value",
        ),
        (GOOD.replace("7,1.0", "7,"), "seizure", r"row 4 of column 'seizure' is blank: write 0"),
        (GOOD.replace("7,1.0", "7,NaN"), "seizure", r"row 4 of column 'seizure' is NaN: write 0"),
        (GOOD.replace(",1", ",0"), "seizure", r"column 'seizure' is 0 in every row: there is no"),
        (b"A,e\n1,\0\n", "e", r"data\.csv holds bytes of 0, so it is no text"),
        ("e\n1\n", "e", r"data\.csv has no column but the event's: expected one or more channels"),
        (
            "A,e\n" + "".join(f"1,{n}\n" for n in range(22)),
            "e",
            r"column 'e' holds 21 different events, more than 20: .* --event e=VALUE",
        ),
    ],
)
def test_a_bad_table_is_refused(
    text: str | bytes, event: str, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=sentence) as refusal:
        read_signal(written(tmp_path, text), event)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("channels", "time", "sentence"),
    [
        (("A", "C"), "", r"no column 'C': its columns are t, A, B, seizure"),
        (("A", "seizure"), "", r"column 'seizure' is the event: it cannot be one of the channels"),
        ((), "when", r"no column 'when'"),
        ((), "B", None),
    ],
)
def test_channels_and_time_must_be_there(
    channels: tuple[str, ...], time: str, sentence: str | None, tmp_path: Path
) -> None:
    path = written(tmp_path, GOOD)
    if sentence is None:
        assert read_signal(path, "seizure", channels, time).channels == ("t", "A")
        return
    with pytest.raises(ValueError, match=sentence):
        read_signal(path, "seizure", channels, time)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("x.mat", r"x\.mat is of a kind that is not read: expected a file in \.csv,"),
        ("x.eeg", r"\(of a BrainVision recording, name the \.vhdr file\)"),
    ],
)
def test_other_kinds_of_file_are_refused(name: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=sentence):
        read_signal(written(tmp_path, "", name), "e")
    with pytest.raises(ValueError, match=r"there is no file .*none\.csv"):
        read_signal(tmp_path / "none.csv", "e")


# --- NumPy ---


def saved(folder: Path, name: str, *array: Any, **arrays: Any) -> Path:
    path = folder / name
    (np.savez if arrays else np.save)(path, *array, **arrays)
    return path


def test_the_columns_of_an_array_are_numbered(tmp_path: Path) -> None:
    path = saved(tmp_path, "x.npy", np.array([[1, 5, 0], [2, 6, 1]]))
    signal = read_signal(path, "2")
    assert (signal.channels, signal.values.tolist()) == (("0", "1"), [[1, 5], [2, 6]])
    assert where(signal) == {"2=1": [1]}
    assert signal.times.labels == ["0", "1"]


def test_a_structured_array_and_an_archive_have_names(tmp_path: Path) -> None:
    table = np.array([(1.5, "no"), (2.5, "spindle")], dtype=[("C3", "f4"), ("mark", "U9")])
    assert where(read_signal(saved(tmp_path, "x.npy", table), "mark")) == {"mark=spindle": [1]}
    path = saved(tmp_path, "x.npz", eeg=np.eye(3)[:, :2], mark=np.array([False, True, True]))
    signal = read_signal(path, "mark")
    assert signal.channels == ("eeg.0", "eeg.1")
    assert signal.values.tolist() == [[1, 0], [0, 1], [0, 0]]
    assert where(signal) == {"mark=1": [1, 2]}


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"x": np.array([1.0, np.nan]), "e": np.ones(2)}, r"row 1 \(from 0\) of column 'x' is nan"),
        ({"x": np.ones(3), "e": np.ones(2)}, r"not of one length: x has 3, e has 2 rows"),
        (
            {"x": np.ones((2, 2, 2)), "e": np.ones(2)},
            r"array 'x' in x\.npz is of shape \(2, 2,",
        ),
        ({"x": np.array([{}, {}]), "e": np.ones(2)}, r"not a NumPy file of plain numbers \(Object"),
        ({"x": np.ones(2) * 1j, "e": np.ones(2)}, r"column 'x' holds complex128, not real numbers"),
        ({"x": np.ones(2), "e": np.array([0, np.nan])}, r"row 1 \(from 0\) of column 'e' is nan"),
        ({"x": np.ones(2)}, r"no column 'e': its columns are x"),
    ],
)
def test_a_bad_archive_is_refused(arrays: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=sentence) as refusal:
        read_signal(saved(tmp_path, "x.npz", **arrays), "e")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_what_is_no_array_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is empty \(0 bytes\): expected an array"):
        read_signal(written(tmp_path, "", name), "e")
    with pytest.raises(ValueError, match="is not a NumPy file of plain numbers"):
        read_signal(written(tmp_path, "A,B\n1,2\n", name), "e")
    (np.save if name == "x.npy" else np.savez)(tmp_path / name, np.ones((40, 3)))
    whole = (tmp_path / name).read_bytes()
    with pytest.raises(ValueError, match="is not a NumPy file of plain numbers"):
        read_signal(written(tmp_path, whole[:-100], name), "e")


# --- other steps ---


def test_events_are_widened_and_steps_are_thinned(tmp_path: Path) -> None:
    rows = "".join(f"{n},{int(n in (0, 6))}\n" for n in range(11))
    signal = read_signal(written(tmp_path, "A,e\n" + rows), "e")
    assert where(widen(signal, 2)) == {"e=1": [0, 1, 2, 4, 5, 6, 7, 8]}
    thinned = thin(signal, 3)
    assert thinned.values.tolist() == [[1], [4], [7]]
    assert where(thinned) == {"e=1": [0, 2]}
    assert thinned.times.labels == ["2", "5", "8"]
    assert thin(signal, 1) is signal
    assert widen(signal, 0) is signal
