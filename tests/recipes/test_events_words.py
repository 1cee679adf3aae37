"""What is an event: the rarer of two words, or an interval of a second file; what is no channel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recordings import where, written
from unrolled.files.timeline import Timeline
from unrolled.recipes._events.intervals import read_intervals
from unrolled.recipes._events.signals import Asked, read_signals


def labelled(folder: Path, *words: str, name: str = "data.csv") -> Path:
    rows = "".join(f"{n % 3},{word}\n" for n, word in enumerate(words))
    return written(folder, f"x,state\n{rows}", name)


# --- words ---


def test_of_two_words_the_rarer_one_is_the_event(tmp_path: Path) -> None:
    path = labelled(tmp_path, "normal", "seizure", "normal", "normal")
    (signal,) = read_signals([path], Asked("state"))
    assert where(signal) == {"state=seizure": [1]}
    (line,) = signal.said
    assert "'seizure', the rarer one (25.00% of all steps), is the event" in line
    (signal,) = read_signals([path], Asked("state=normal"))
    assert where(signal) == {"state=normal": [0, 2, 3]}
    assert not signal.said


def test_which_word_is_rarer_is_decided_over_all_files(tmp_path: Path) -> None:
    one = labelled(tmp_path, "seizure", "seizure", "normal", name="a.csv")
    other = labelled(tmp_path, *["normal"] * 4, name="b.csv")
    signals = read_signals([one, other], Asked("state"))
    assert [where(signal) for signal in signals] == [
        {"state=seizure": [0, 1]},
        {"state=seizure": []},
    ]


@pytest.mark.parametrize(
    ("words", "found", "said"),
    [
        (("a", "b"), {"state=a": [0], "state=b": [1]}, "'a' (50.00%), 'b' (50.00%)"),
        (("a", "b", "c", "b"), {"state=a": [0], "state=b": [1, 3], "state=c": [2]}, "'b' (50.00%)"),
        (("no", "a", "a"), {"state=a": [1, 2]}, None),
        (("1", "2", "2"), {"state=1": [0]}, "'1', the rarer one"),
    ],
)
def test_other_words_are_events_whose_share_is_told(
    words: tuple[str, ...], found: dict[str, list[int]], said: str | None, tmp_path: Path
) -> None:
    (signal,) = read_signals([labelled(tmp_path, *words)], Asked("state"))
    assert where(signal) == found
    assert said is None if not signal.said else said in signal.said[0]


def test_a_file_to_label_is_asked_for_what_was_learnt(tmp_path: Path) -> None:
    """In it the seizure is the commoner word: it is the event all the same."""
    path = labelled(tmp_path, "seizure", "seizure", "normal")
    asked = Asked("state", labelled=False, known=("state=seizure",))
    (signal,) = read_signals([path], asked)
    assert where(signal) == {"state=seizure": [0, 1]}


# --- clocks ---

CLOCKS = {
    "seconds": [f"{n / 4}" for n in range(40)],
    "backwards": [f"{-n}" for n in range(40)],
    "dates": [f"2020-01-{1 + n // 24:02} {n % 24:02}:00" for n in range(40)],
    "whole seconds of two rows": [f"{n // 2}" for n in range(60)],
    "a counter that begins anew": [f"{n % 300}" for n in range(600)],
}


@pytest.mark.parametrize("name", CLOCKS)
def test_a_column_that_looks_like_a_clock_is_asked_about(name: str, tmp_path: Path) -> None:
    rows = "".join(f"{when},{n % 7},{int(n % 9 == 0)}\n" for n, when in enumerate(CLOCKS[name]))
    path = written(tmp_path, f"when,x,e\n{rows}")
    with pytest.raises(ValueError, match=r"'when' of data\.csv .* a clock or a counter") as refusal:
        read_signals([path], Asked("e"))
    assert "--time when takes it" in str(refusal.value)
    assert "--channels x leaves it out" in str(refusal.value)
    assert "\n" not in str(refusal.value)
    (signal,) = read_signals([path], Asked("e", ("x",)))
    assert signal.channels == ("x",)


def test_times_of_day_are_asked_about_too(tmp_path: Path) -> None:
    """They begin anew each day, so that they cannot say when: --time would refuse them."""
    rows = "".join(f"23:59:{n:02},{n % 7},{int(n % 9 == 0)}\n" for n in range(40))
    path = written(tmp_path, f"when,x,e\n{rows}")
    with pytest.raises(ValueError, match=r"'when' of data\.csv holds times of day") as refusal:
        read_signals([path], Asked("e"))
    assert "--time" not in str(refusal.value)
    assert "--channels x leaves it out" in str(refusal.value)


def test_what_is_measured_is_no_clock(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).standard_normal(60).cumsum()
    rows = "".join(f"{v},{n % 20},{int(n > 30)},{int(n % 9 == 0)}\n" for n, v in enumerate(noise))
    path = written(tmp_path, f"walk,saw,step,e\n{rows}")
    (signal,) = read_signals([path], Asked("e"))
    assert signal.channels == ("walk", "saw", "step")


def test_times_of_an_archive_are_a_clock(tmp_path: Path) -> None:
    when = np.datetime64("2020-01-01T00:00") + np.arange(30) * np.timedelta64(30, "s")
    path = tmp_path / "x.npz"
    np.savez(path, when=when, x=np.arange(30) % 4, e=np.arange(30) % 9 == 0)
    with pytest.raises(ValueError, match=r"'when' of x\.npz holds times"):
        read_signals([path], Asked("e"))
    (signal,) = read_signals([path], Asked("e", time="when"))
    assert signal.rate == pytest.approx(1 / 30)
    with pytest.raises(ValueError, match=r"--rate 2 says what the times of x\.npz say too"):
        read_signals([path], Asked("e", time="when", rate=2))


# --- intervals ---

SECONDS = Timeline([f"{n / 4:g}" for n in range(40)], np.arange(40) / 4, "second")
GOOD = "start,end,label\n1,2,seizure\n5.1,5.1,blink\n9.5,10,seizure\n1.5,1.75,blink\n"


def test_an_interval_has_the_steps_from_its_start_up_to_its_end(tmp_path: Path) -> None:
    events, told = read_intervals(written(tmp_path, GOOD, "ev.csv"), SECONDS, "night.edf")
    found = {name: np.flatnonzero(flags).tolist() for name, flags in events.items()}
    assert found == {"blink": [6, 20], "seizure": [4, 5, 6, 7, 38, 39]}
    assert told == "4 intervals of ev.csv, by start, end, label in the seconds of night.edf"


def test_intervals_are_read_as_the_brain_imaging_structure_has_them(tmp_path: Path) -> None:
    text = "onset\tduration\ttrial_type\tvalue\n1\t0.5\tface\t7\n3\t0\tpress\t1\n4\t1\tnone\t0\n"
    events, told = read_intervals(written(tmp_path, text, "ev.tsv"), SECONDS, "night.edf")
    found = {name: np.flatnonzero(flags).tolist() for name, flags in events.items()}
    assert found == {"face": [4, 5], "press": [12]}
    assert "by onset, duration, trial_type" in told


def test_intervals_may_be_dates(tmp_path: Path) -> None:
    rows = "".join(f"2020-01-01 00:{n:02},{n % 7}\n" for n in range(40))
    path = written(tmp_path, f"when,x\n{rows}")
    marks = "Start,End,Label\n2020-01-01 00:03,2020-01-01 00:05,a\n"
    asked = Asked(time="when")
    (signal,) = read_signals([path], asked, [written(tmp_path, marks, "ev.csv")])
    assert where(signal) == {"a": [3, 4]}
    assert signal.rate == pytest.approx(1 / 60)
    with pytest.raises(
        ValueError, match=r"is 3, but the times of data\.csv are dates, such as 2020"
    ):
        read_signals([path], asked, [written(tmp_path, "start,end,label\n3,5,a\n", "ev.csv")])
    with pytest.raises(
        ValueError, match=r"row 3 of column 'End' is blank: expected times as those"
    ):
        read_signals([path], asked, [written(tmp_path, marks + "2020-01-01 00:09,,a\n", "ev.csv")])


def test_rows_need_a_clock_for_intervals(tmp_path: Path) -> None:
    path, marks = labelled(tmp_path, *"abcdef"), written(tmp_path, GOOD, "ev.csv")
    with pytest.raises(ValueError, match=r"nothing says when the rows of data\.csv were"):
        read_signals([path], Asked("", ("x",)), [marks])
    with pytest.raises(ValueError, match=r"has no event 'siezure': .* did you mean 'seizure'"):
        read_signals([path], Asked("siezure", ("x",), rate=0.5), [marks])
    (signal,) = read_signals([path], Asked("seizure", ("x",), rate=0.5), [marks])
    assert where(signal) == {"seizure": [1, 5]}


DAMAGED = {
    "empty": (b"", "ev.csv is empty"),
    "a header alone": (b"start,end,label\n", "ev.csv has no row below its header"),
    "bytes of 0": (GOOD.encode() + b"\0\0", "holds bytes of 0, so it is no text"),
    "no label": (GOOD.replace("label", "what"), "has no column 'label', its columns are start"),
    "a slip": (GOOD.replace("start", "strat"), "no column 'start'.*did you mean 'strat'"),
    "a blank time": (GOOD.replace("1,2,s", "1,,s"), "row 2 of column 'end' .*no finite number"),
    "a word for a time": (GOOD.replace("1,2,s", "soon,2,s"), "row 2 of column 'start' .*'soon'"),
    "not finite": (GOOD.replace("1,2,s", "1,inf,s"), "row 2 of column 'end'"),
    "a blank label": (GOOD.replace("5.1,blink", "5.1,"), "row 3 of column 'label' .*is blank"),
    "backwards": (GOOD.replace("1,2,s", "2,1,s"), "row 2 of ev.csv ends before it starts"),
    "before the first": (GOOD.replace("1,2,s", "-1,2,s"), "row 2 of ev.csv, -1 to 2, does not lie"),
    "after the last": (GOOD.replace("9.5,10", "9.5,11"), "where the seconds go from 0 to 9.75"),
    "milliseconds": (GOOD.replace("1,2,s", "1000,2000,s"), "in the same units"),
    "ragged": (GOOD.replace("1,2,s", "1,s"), "row . of ev.csv has . cells, but the header has"),
    "two columns of a name": (GOOD.replace("label\n", "label,end\n"), "ev.csv"),
    "half a zip": (b"PK\x03\x04half", "ev.csv"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_intervals_are_refused_in_a_sentence(name: str, tmp_path: Path) -> None:
    text, sentence = DAMAGED[name]
    with pytest.raises(ValueError, match=sentence) as refusal:
        read_intervals(written(tmp_path, text, "ev.csv"), SECONDS, "night.edf")
    assert "\n" not in str(refusal.value)
    assert type(refusal.value).__module__.startswith("unrolled")
