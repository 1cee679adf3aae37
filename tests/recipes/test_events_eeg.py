"""Recordings out of EEG files: channels, annotations and stim values, or one sentence."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from recordings import edf, where, written
from unrolled.recipes._events.signals import read_signal


class FakeRaw:
    """What MNE gives of a recording, in so far as it is asked."""

    ch_names = ("Fz", "trigger", "Cz")
    info = {"sfreq": 10.0}  # noqa: RUF012
    first_time = 2.0

    def __init__(self, description: list[str], onset: list[float], duration: list[float]) -> None:
        self.annotations = SimpleNamespace(description=description, onset=onset, duration=duration)
        self.data = np.arange(60.0).reshape(3, 20)
        self.data[1] = 0
        self.data[1, 15:17] = 4

    def get_channel_types(self) -> list[str]:
        return ["eeg", "stim", "eeg"]

    def get_data(self) -> np.ndarray:
        return self.data


@pytest.fixture
def raw(monkeypatch: pytest.MonkeyPatch) -> FakeRaw:
    """MNE, replaced by one recording: an annotated half second, and a marker without duration."""
    names = ["seizure", "blink", "BAD boundary", "New Segment/"]
    found = FakeRaw(names, [2.5, 3.0, 2.0, 2.0], [0.5, 0.0, 9.0, 0.0])
    fake = SimpleNamespace(io=SimpleNamespace(read_raw=lambda path, **_: found))
    monkeypatch.setitem(sys.modules, "mne", fake)
    return found


def test_a_recording_has_annotations_and_stim_values(raw: FakeRaw, tmp_path: Path) -> None:
    path = written(tmp_path, "whatever", "night.fif")
    signal = read_signal(path, "")
    assert signal.channels == ("Fz", "Cz")
    np.testing.assert_array_equal(signal.values, raw.data[[0, 2]].T)
    assert where(signal) == {"blink": [10], "seizure": [5, 6, 7, 8, 9], "4": [15, 16]}
    assert (signal.times.name, signal.times.labels[:2]) == ("second", ["0", "0.1"])
    signal = read_signal(path, "seizure", ("Cz",))
    assert (signal.channels, signal.values[0, 0]) == (("Cz",), 40)
    assert where(signal) == {"seizure": [5, 6, 7, 8, 9]}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {"event": "Seizur"},
            r"has no event 'Seizur': its events are .*; did you mean 'seizure'\?",
        ),
        ({"event": "", "channels": ("CZ",)}, r"no channel 'CZ': its channels are Fz, Cz; did you"),
        ({"event": "", "time": "t"}, r"--time t names a column, but night\.fif is a recording"),
    ],
)
def test_what_a_recording_has_not_is_refused(
    given: dict[str, Any], sentence: str, raw: FakeRaw, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=sentence):
        read_signal(written(tmp_path, "whatever", "night.fif"), **given)


def test_a_recording_is_whole_and_says_when(raw: FakeRaw, tmp_path: Path) -> None:
    path = written(tmp_path, "whatever", "night.fif")
    raw.data[2, 7] = np.nan
    with pytest.raises(ValueError, match=r"sample 7 of channel 'Cz' of night\.fif is nan"):
        read_signal(path, "")
    raw.annotations.description = ["EDGE"] * 4
    raw.data[1] = 0
    with pytest.raises(ValueError, match=r"has no annotation, and no stim channel"):
        read_signal(path, "", ("Fz",))
    assert read_signal(path, "seizure", ("Fz",), labelled=False).events is None


@pytest.mark.parametrize("less", [1, 400, 1500])
def test_an_edf_file_that_is_cut_short_is_refused(raw: FakeRaw, less: int, tmp_path: Path) -> None:
    path = written(tmp_path, edf()[:-less], "night.edf")
    cut = r"night\.edf is cut short: its header promises 2,304 bytes \(4 records\), and there are"
    says = cut if less < 1500 else r"night\.edf has a header that is cut short or damaged"
    with pytest.raises(ValueError, match=says) as refusal:
        read_signal(path, "seizure")
    assert "\n" not in str(refusal.value)


# Where in the header something else stands, and what.
DAMAGED_EDF: dict[str, tuple[int, bytes, str]] = {
    "another kind": (0, b"GIF89a  ", "cut short or damaged"),
    "a kind of BDF": (0, b"\xffBIOSEMI", "cut short or damaged"),
    "no size": (184, b"        ", "cut short or damaged"),
    "another size": (184, b"512     ", "cut short or damaged"),
    "no number of records": (236, b"many    ", "cut short or damaged"),
    "no records": (236, b"0       ", "has no data, by its header"),
    "too many records": (236, b"400     ", "cut short: its header promises"),
    "a length that is none": (244, b"1,0     ", "cut short or damaged"),
    "a negative length": (244, b"-1      ", "has no data, by its header"),
    "no channels": (252, b"0   ", "cut short or damaged"),
    "fewer than no channels": (252, b"-3  ", "cut short or damaged"),
    "more channels": (252, b"9999", "cut short or damaged"),
    "a channel's samples": (256 + 216 * 3, b"fifty   ", "cut short or damaged"),
    "fewer samples than none": (256 + 216 * 3, b"-50     ", "cut short or damaged"),
    "zeros": (0, bytes(1024), "cut short or damaged"),
}


@pytest.mark.parametrize("name", DAMAGED_EDF)
def test_a_damaged_edf_header_is_refused(name: str, raw: FakeRaw, tmp_path: Path) -> None:
    at, stands, sentence = DAMAGED_EDF[name]
    whole = edf()
    path = written(tmp_path, whole[:at] + stands + whole[at + len(stands) :], "night.edf")
    with pytest.raises(ValueError, match=rf"night\.edf .*{sentence}") as refusal:
        read_signal(path, "seizure")
    assert "\n" not in str(refusal.value)
    assert read_signal(written(tmp_path, whole, "night.edf"), "seizure").channels == ("Fz", "Cz")


def test_without_mne_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "mne", None)
    path = written(tmp_path, edf(), "night.edf")
    with pytest.raises(ValueError, match=r"night\.edf needs MNE: pip install 'unrolled\[eeg\]'"):
        read_signal(path, "seizure")


def test_an_edf_file_is_read_by_mne(tmp_path: Path) -> None:
    pytest.importorskip("mne", reason="the extra 'eeg' is not installed")
    signal = read_signal(written(tmp_path, edf(), "night.edf"), "seizure")
    assert signal.channels == ("C3", "C4")
    assert signal.values.shape == (200, 2)
    # 100 of 65,535 digital steps over 200 µV, each row
    np.testing.assert_allclose(np.diff(signal.values[:, 0]), 100 * 200e-6 / 65535, rtol=1e-6)
    assert where(signal) == {"seizure": list(range(50, 125))}
    assert signal.times.labels[1] == "0.02"
    with pytest.raises(ValueError, match="no event 'blink': its events are seizure"):
        read_signal(tmp_path / "night.edf", "blink")
    with pytest.raises(ValueError, match=r"bad\.fif cannot be read by MNE \(\w+"):
        read_signal(written(tmp_path, "no recording", "bad.fif"), "")
    with pytest.raises(ValueError, match=r"is empty \(0 bytes\): expected a recording"):
        read_signal(written(tmp_path, "", "empty.bdf"), "")
