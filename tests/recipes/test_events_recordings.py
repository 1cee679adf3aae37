"""Several recordings, parts that choose and parts that judge, and figures by event."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from unrolled import cli, training
from unrolled.recipes._events.alarms import Clock, Part, alarms_at, chosen_threshold, swept
from unrolled.recipes._events.linear import LinearLabeller
from unrolled.recipes._events.parts import DividedSignal, Shares, divide
from unrolled.recipes._events.signals import Signal
from unrolled.recipes._events.told import Judge, Opinion
from unrolled.recipes.events import Recipe

TINY: dict[str, Any] = {"hidden": 3, "window": 16, "warm_up": 4, "batch_size": 4, "steps": 4}


def recording(
    folder: Path, name: str, rows: int = 120, shift: float = 0, head: str = "x,y"
) -> Path:
    """Ten steps a period, the last three of which are the event."""
    lines = [f"{n % 10 + shift},{n % 7},{int(n % 10 > 6)}" for n in range(rows)]
    (folder / name).write_text("\n".join([f"{head},e", *lines]))
    return folder / name


def signals(*flags: str) -> list[Signal]:
    """Signals of one channel that counts on through all of them, so that each step is known."""
    made, at = [], 0
    for n, word in enumerate(flags):
        values = np.arange(at, at + len(word), dtype=float)[:, None]
        events = {"e": np.array([letter == "1" for letter in word])}
        made.append(Signal(values, ("x",), events, None, file=f"{n}.csv"))  # type: ignore[arg-type]
        at += len(word)
    return made


# --- several recordings ---


def test_each_recording_is_cut_in_time_or_held_out_whole() -> None:
    both = signals("0110000110" * 2, "0110000110" * 1)
    parts = divide(both, Shares(0.2, 0.2), 4)
    assert parts.values[parts.learnt, 0].tolist() == [*range(12), *range(20, 26)]
    assert parts.values[parts.chosen, 0].tolist() == [*range(12, 16), 26, 27]
    assert parts.values[parts.tested, 0].tolist() == [*range(16, 20), 28, 29]
    assert parts.stretches(parts.learnt) == [slice(0, 12), slice(12, 18)]
    assert [parts.place(step) for step in (0, 12, 17, 18, 29)] == [
        (0, 0),
        (1, 0),
        (1, 5),
        (0, 12),
        (1, 9),
    ]
    parts = divide(both, Shares(0.2, 0.25, {1}), 4)
    assert parts.values[parts.learnt, 0].tolist() == [*range(15)]
    assert parts.values[parts.tested, 0].tolist() == [*range(20, 30)]


def test_windows_lie_in_one_recording(tmp_path: Path, generator: torch.Generator) -> None:
    paths = [recording(tmp_path, f"{n}.csv", shift=100.0 * n) for n in range(3)]
    recipe = Recipe(data=tuple(paths), event="e", **{**TINY, "batch_size": 400})
    values, _ = recipe.batch(0, generator)
    of = values[..., 0] // 100
    assert (of == of[0]).all()
    assert set(of[0].tolist()) == {0, 1, 2}
    model = training.build(recipe)
    assert model.mean[0].item() == pytest.approx(104.5, abs=0.5)  # of all three together


def test_nothing_looks_from_one_recording_into_the_next() -> None:
    both = signals("0110000110" * 6, "0110000110" * 6)
    other = [both[0], replace(both[1], values=both[1].values + 1000)]
    found = []
    for pair in (both, other):
        parts = divide(pair, Shares(0.25, 0.0), 4)
        rival = LinearLabeller.fit(
            divide(both, Shares(0.25, 0.0), 4), 4, both_directions=True, seed=0
        )
        found.append(parts.over(slice(0, len(parts.values)), rival.decide))
    np.testing.assert_array_equal(found[0][:45], found[1][:45])  # the first recording's own
    assert not np.array_equal(found[0][45:90], found[1][45:90])


def test_the_rival_learns_from_each_recording_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = []
    seen = LinearLabeller._features_at

    def spied(self: LinearLabeller, pieces: Any, rows: Any) -> Any:
        lengths.append([len(piece) for piece in pieces])
        return seen(self, pieces, rows)

    monkeypatch.setattr(LinearLabeller, "_features_at", spied)
    parts = divide(signals("0110000110" * 2, "0110000110"), Shares(0.2, 0.2), 4)
    LinearLabeller.fit(parts, 1, both_directions=False, seed=0)
    assert lengths == [[12, 6], [12, 6]]


def test_a_run_holds_out_a_recording(tmp_path: Path, capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    for n, rows in enumerate((120, 200, 100)):
        recording(tmp_path, f"{n}.csv", rows, shift=n / 4)
    small = ["--hidden", "3", "--window", "16", "--warm-up", "4", "--steps", "6"]
    flags = ["--event", "e", "--rate", "10", *small]
    words = ["train", "events", "--data", "0.csv", "1.csv", "2.csv", "--hold-out", "1.csv", *flags]
    assert cli.main([*words, "--out", "run"]) == 0
    assert "held-out part, 200 steps" in capsys.readouterr().out
    figures = json.loads((tmp_path / "run" / "result.json").read_text())["figures"]
    assert (figures["heldout_steps"], figures["heldout_events"]) == (200, 20)
    assert {"sensitivity", "false_alarms_per_hour", "sensitivity_linear"} < figures.keys()
    assert cli.main(["try", "run", "1.csv"]) == 0
    assert "learned from" not in capsys.readouterr().out
    assert cli.main(["try", "run", "0.csv"]) == 0
    assert "all of it was learned from: it is no judge" in capsys.readouterr().out


def test_a_run_of_one_path_and_of_none_still_opens(tmp_path: Path) -> None:
    """As they were written before several files, validation and intervals could be given."""
    from unrolled.training import runs

    path = recording(tmp_path, "a.csv")
    later = ("hold_out", "events_file", "rate", "validation_share")
    for data in (path, None):
        stored = runs.encode_fields(Recipe(**TINY, data=data, event="e" if data else ""))
        fields = {name: value for name, value in stored.items() if name not in later}
        opened = runs.decode_fields(Recipe, fields)
        assert opened.data == data
        assert (opened.hold_out, opened.events_file, opened.validation_share) == ((), None, 0.0)
        assert opened.chosen_by == ""
    several = Recipe(data=(path, path), hold_out=(path,), events_file=(path, path))
    assert runs.decode_fields(Recipe, runs.encode_fields(several)) == several


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "other channels": (
        {"data": ("a.csv", "y.csv")},
        "y.csv has the channels y, x, and a.csv x, y: one network needs the same channels",
    ),
    "one file twice": ({"data": ("a.csv", "a.csv")}, "--data names .*a.csv twice"),
    "held out elsewhere": ({"data": ("a.csv",), "hold_out": ("b.csv",)}, "is none of the files in"),
    "all held out": ({"data": ("a.csv",), "hold_out": ("a.csv",)}, "every file in --data"),
    "held out of nothing": ({"data": None, "hold_out": ("a.csv",)}, "is of no file: add --data"),
    "nothing named": ({"data": ()}, "--data names nothing: give it one file or more"),
    "no intervals named": ({"data": ("a.csv",), "events_file": ()}, "--events-file names nothing"),
    "one list for two": ({"data": ("a.csv", "b.csv"), "events_file": ("e",)}, "expected one for"),
    "too short a recording": ({"data": ("a.csv", "short.csv")}, "short.csv has 18 steps, of which"),
    "all chooses": (
        {"data": ("a.csv",), "validation_share": 0.7},
        "60 are|84 to choose weights by",
    ),
    "not there": ({"data": ("a.csv", "none.csv")}, "there is no file .*none.csv"),
    "another event": ({"data": ("a.csv", "f.csv")}, "f.csv has no column 'e': .*"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_recordings_that_do_not_fit_are_refused(name: str, tmp_path: Path) -> None:
    given, sentence = REFUSED[name]
    for file in ("a.csv", "b.csv"):
        recording(tmp_path, file)
    recording(tmp_path, "y.csv", head="y,x")
    recording(tmp_path, "short.csv", rows=18)
    (tmp_path / "f.csv").write_text((tmp_path / "a.csv").read_text().replace("x,y,e", "x,y,f"))
    fields = dict(given)
    for key in {"data", "hold_out", "events_file"} & fields.keys():
        fields[key] = fields[key] and tuple(tmp_path / file for file in fields[key])
    recipe = Recipe(**{**TINY, **fields}, event="e" if fields["data"] else "")
    with pytest.raises(ValueError, match=sentence) as refusal:
        training.check(recipe)
    assert "\n" not in str(refusal.value)


# --- figures by event ---

WHOLE = [slice(0, 20)]
FLAGS = np.array([letter == "1" for letter in "00111000011000000110"])


def part(said: dict[int, float], stretches: list[slice] = WHOLE) -> Part:
    """Three events; what is said is 0 but at some steps."""
    numbers = np.zeros(20)
    for step, value in said.items():
        numbers[step] = value
    return Part(FLAGS, numbers, stretches)


def test_an_alarm_counts_where_it_has_a_step_of_an_event() -> None:
    found = alarms_at(part({1: 0.9, 2: 0.9, 6: 0.8, 10: 0.7, 13: 0.6, 14: 0.6}), 0.5)
    assert (found.events, found.latencies, found.false) == (3, [0, 1], 2)
    assert found.sensitivity == pytest.approx(2 / 3)
    assert found.latency == pytest.approx(0.5)
    assert found.false_by(Clock(None)) == pytest.approx(2 / 20 * 1000)
    assert found.false_by(Clock(0.5)) == pytest.approx(2 / (40 / 3600))
    assert Clock(0.5).latency(found.latency) == pytest.approx(1)


def test_an_event_or_alarm_does_not_go_on_in_the_next_piece() -> None:
    cut = [slice(0, 10), slice(10, 20)]
    found = alarms_at(part({9: 0.9, 10: 0.9, 11: 0.9}, cut), 0.5)
    assert (found.events, found.latencies) == (4, [0, 0])
    # The event at 9 and 10 is two; the alarm from 10 to 11 has a step of the second.
    assert found.false == 0


def test_a_threshold_is_the_lowest_before_the_first_false_alarm_too_many() -> None:
    judged = part({3: 0.9, 10: 0.7, 6: 0.6, 18: 0.5})
    assert chosen_threshold(judged, Clock(None)) == 0.7  # 20 steps allow none
    assert chosen_threshold(judged, Clock(20 / 3600)) == 0.5  # an hour, which allows one
    assert chosen_threshold(judged, Clock(20 / 1800)) == 0.7  # half an hour
    never = chosen_threshold(part({6: 0.9, 3: 0.8}), Clock(None))
    assert alarms_at(part({6: 0.9, 3: 0.8}), never).false == 0
    # At 0 one alarm lies over everything, finds all, and is false nowhere.
    assert alarms_at(judged, 0.0).sensitivity == 1
    assert min(a.threshold for a in swept(judged, Clock(20 / 3600))) == 0.5


def judge_of(flags: list[str], known: str) -> tuple[Judge, list[Opinion]]:
    """What a guesser and one who knows are worth; ``known`` is the part that chooses."""
    columns = np.array([[letter == "1" for letter in word] for word in flags]).T
    chooses = np.array([[letter == "1" for letter in known]] * len(flags)).T
    learnt = np.resize([[True], [False]], (10, len(flags)))
    every = np.concatenate([learnt, chooses, columns])
    names = tuple("abc"[: len(flags)])
    parts = DividedSignal(np.zeros((len(every), 1)), every, names, 10 + len(known), 10)
    sure = Opinion("LSTM", "", columns * 0.9, chooses * 0.9)
    blind = Opinion("linear", "_linear", np.full(columns.shape, 0.5), np.full(chooses.shape, 0.5))
    return Judge(parts, Clock(None)), [sure, blind]


def test_few_held_out_events_are_warned_of() -> None:
    judge, opinions = judge_of(["0110000000"], "0110")
    figures = judge.figures(opinions)
    assert figures["heldout_events"] == 1
    assert (figures["sensitivity"], figures["false_alarms_per_1000_steps"]) == (1, 0)
    assert figures["sensitivity_linear"] in (0, 1)
    lines = judge.table(opinions, figures)
    assert any(line.startswith("warning: 1 held-out event of 'a': figures") for line in lines)
    assert any("1 of 1" in line for line in lines)
    many, opinions = judge_of(["01" * 5], "0110")
    assert not any("warning" in line for line in many.table(opinions, many.figures(opinions)))


def test_an_event_that_is_not_held_out_is_told_and_left_out() -> None:
    judge, opinions = judge_of(["0110110101", "0000000000"], "0110")
    figures = judge.figures(opinions)
    assert figures["roc_auc"] == 1
    assert figures["sensitivity"] == 1
    assert figures["heldout_events of b"] == 0
    lines = judge.table(opinions, figures)
    assert any("event 'b' is in no held-out step: it has no figures" in line for line in lines)
    assert "(mean of 1, each against the rest)" in lines[0]
    assert not any("nan" in line for line in lines)


def test_without_a_part_that_chooses_figures_are_points_of_the_curve() -> None:
    judge, opinions = judge_of(["0110110101"], "0000")
    lines = judge.table(opinions, judge.figures(opinions))
    assert any("points of the held-out part's own curve" in line for line in lines)
    judge, opinions = judge_of(["0110110101"], "0110")
    lines = judge.table(opinions, judge.figures(opinions))
    assert any("thresholds were chosen on the validation part, 4 steps" in line for line in lines)


# --- which weights are kept ---


def test_the_part_before_the_held_out_one_chooses_the_weights(tmp_path: Path) -> None:
    path = recording(tmp_path, "a.csv", rows=300)
    recipe = Recipe(data=path, event="e", **{**TINY, "steps": 40, "report_every": 10})
    recipe = replace(recipe, learning_rate=0.3)
    *steps, last = training.train(recipe)
    seen = [s.metrics["validation_misranked"] for s in (*steps, last) if s.metrics]
    assert recipe.metrics(last.model.eval())["validation_misranked"] == pytest.approx(min(seen))
    assert "the validation part chose the weights" in last.report
    none = replace(recipe, validation_share=0.0)
    assert none.chosen_by == ""
    *_, last = training.train(none)
    assert "the last weights are kept" in last.report


def test_no_held_out_step_reaches_what_is_chosen(tmp_path: Path) -> None:
    """Whatever stands there, weights, thresholds and the rival come out the same."""
    found = []
    for name, change in (("a.csv", 0), ("b.csv", 50)):
        lines = recording(tmp_path, name, rows=300).read_text().splitlines()
        rest = [f"{change}{line}" for line in lines[226:]]
        (tmp_path / name).write_text("\n".join([*lines[:226], *rest]))
        recipe = Recipe(data=tmp_path / name, event="e", **{**TINY, "report_every": 2})
        *_, last = training.train(recipe)
        judge, opinions = recipe._judge, recipe._opinions(last.model.eval())
        found.append([judge.alarms(who, 0).threshold for who in opinions])
    assert found[0] == found[1]
