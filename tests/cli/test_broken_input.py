"""Broken files on the command line: one sentence, exit status 2, and nothing left behind."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from recordings import edf
from unrolled import cli

ROWS = [[str(n), str(n % 7), str(int(n % 10 < 2))] for n in range(400)]
PAIRS = [f"word {n}\t{n}" for n in range(200)]


def table(
    change: Callable[[list[list[str]]], object] = lambda rows: None, rows: int = 400
) -> bytes:
    """Columns t, a and e, after a change of the rows."""
    cells = [list(row) for row in ROWS[:rows]]
    change(cells)
    return "\n".join(["t,a,e", *map(",".join, cells)]).encode()


def lines(changed: dict[int, str]) -> bytes:
    """A TSV file of pairs, some lines of which are others."""
    return "\n".join(changed.get(n, line) for n, line in enumerate(PAIRS, 1)).encode()


EVENTS, SERIES = ("events", "--event", "e", "--time", "t"), ("series", "--column", "a")
BINARY = b"t,a,e\n1,2,0\n\0\n"

BROKEN: dict[str, tuple[tuple[str, ...], str, bytes, str]] = {
    # text
    "text empty": (("text",), "a.txt", b"", "a.txt is empty: expected text."),
    "text not UTF-8": (
        ("text",),
        "a.txt",
        b"abc" * 99 + b"\xe9",
        "a.txt is not UTF-8 text (byte 297 is 0xe9): save it as UTF-8, or say in which",
    ),
    "text UTF-16": (
        ("text",),
        "a.txt",
        ("abc " * 99).encode("utf-16-le"),
        "a.txt holds bytes of 0 all through, as UTF-16 does: say so with",
    ),
    "text too short": (("text",), "a.txt", b"Once", "a.txt has 4 characters, which makes"),
    "text one character": (
        ("text",),
        "a.txt",
        b"a" * 5000,
        "fewer than two characters occur 2 times in the training part of a.txt",
    ),
    "text one word": (("text", "--tokens", "words"), "a.txt", b"a" * 5000, "fewer than two words"),
    # pairs
    "pairs empty": (("pairs",), "a.tsv", b"", "a.tsv is empty: expected lines of a source"),
    "pairs not UTF-8": (
        ("pairs",),
        "a.tsv",
        b"a\tb\nc\xff\td\n",
        "a.tsv is not UTF-8 text (byte 5 is 0xff)",
    ),
    "pairs one field": (
        ("pairs",),
        "a.tsv",
        lines({3: "alone"}),
        "line 3 of a.tsv has 1 field, expected 2",
    ),
    "pairs three fields": (("pairs",), "a.tsv", lines({7: "a\tb\tc"}), "line 7 of a.tsv has 3"),
    "pairs blank line": (("pairs",), "a.tsv", lines({5: ""}), "line 5 of a.tsv is blank"),
    "pairs no source": (("pairs",), "a.tsv", lines({5: "\tb"}), "line 5 of a.tsv has an empty"),
    "pairs one pair": (("pairs",), "a.tsv", b"a\tb\n", "a.tsv has 1 source"),
    # events
    "events empty": (EVENTS, "a.csv", b"", "a.csv is empty: expected a row of column names"),
    "events header alone": (EVENTS, "a.csv", b"t,a,e\n", "a.csv has no row below its header"),
    "events no text": (EVENTS, "a.csv", BINARY, "a.csv holds bytes of 0, so it is no text"),
    "events no such column": (
        ("events", "--event", "E2"),
        "a.csv",
        table(),
        "a.csv has no column 'E2': its columns are t, a, e; did you mean 'e'?",
    ),
    "events no such channel": (
        (*EVENTS, "--channels", "b"),
        "a.csv",
        table(),
        "a.csv has no column 'b'",
    ),
    "events NaN": (
        EVENTS,
        "a.csv",
        table(lambda rows: rows[200].__setitem__(1, "nan")),
        "row 202 of column 'a' has no value",
    ),
    "events blank cell": (
        EVENTS,
        "a.csv",
        table(lambda rows: rows[200].__setitem__(1, " ")),
        "row 202 of column 'a' has no value",
    ),
    "events one class": (
        EVENTS,
        "a.csv",
        table(lambda rows: [row.__setitem__(2, "0") for row in rows]),
        "column 'e' is 0 in every row: there is no event to learn from",
    ),
    "events one class held out": (
        EVENTS,
        "a.csv",
        table(lambda rows: [row.__setitem__(2, "0") for row in rows[290:]]),
        "event 'e=1' is nowhere in the held-out part",
    ),
    "events fewer rows than the window": (
        EVENTS,
        "a.csv",
        table(rows=20),
        "a window of 128 needs at least 128 there",
    ),
    "events ragged": (
        EVENTS,
        "a.csv",
        table(lambda rows: rows[50].pop()),
        "row 52 of a.csv has 2 cells, but the header has 3",
    ),
    "events half an array": (EVENTS, "a.npy", b"\x93NUMPY\x01\x00gar", "a.npy is not a NumPy file"),
    "events EDF cut short": (
        ("events", "--event", "seizure"),
        "a.edf",
        edf()[:-400],
        "a.edf is cut short: its header promises 2,304 bytes (4 records)",
    ),
    "events EDF half a header": (
        ("events", "--event", "seizure"),
        "a.edf",
        edf()[:200],
        "a.edf has a header that is cut short or damaged",
    ),
    # series
    "series empty": (SERIES, "a.csv", b"", "a.csv is empty: expected a row of column names"),
    "series header alone": (SERIES, "a.csv", b"t,a,e\n", "a.csv has no row below its header"),
    "series no text": (SERIES, "a.csv", BINARY, "a.csv holds bytes of 0, so it is no text"),
    "series no such column": (
        ("series", "--column", "b"),
        "a.csv",
        table(),
        "a.csv has no column 'b': its columns are t, a, e.",
    ),
    "series fewer rows than the window": (
        SERIES,
        "a.csv",
        table(rows=4),
        "the series has 4 rows, of which 1 are for testing: a window of 2",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_one_sentence(
    name: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words, file, data, sentence = BROKEN[name]
    monkeypatch.chdir(tmp_path)
    if file.endswith(".edf"):  # a stand-in, where MNE is not installed: the file is looked at first
        monkeypatch.setitem(sys.modules, "mne", object())
    Path(file).write_bytes(data)
    assert cli.main(["train", *words, "--data", file, "--steps", "2"]) == 2
    out, err = capsys.readouterr()
    assert err.startswith("unrolled: ")
    assert sentence in err
    assert err.count("\n") == 1
    assert "Traceback" not in out + err
    assert not list(Path().glob("runs/*"))


@pytest.mark.parametrize("recipe", ["text", "pairs", "events", "series"])
def test_a_file_that_is_not_there(
    recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", recipe, "--data", "none.csv"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("unrolled: there is no file ")
    assert err.count("\n") == 1


def test_the_good_files_are_not_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the broken files are made from; so it is the breaking that is refused."""
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_bytes(table())
    Path("a.tsv").write_bytes(lines({}))
    for words, file in ((EVENTS, "a.csv"), (SERIES, "a.csv"), (("pairs",), "a.tsv")):
        given = [*words, "--data", file, "--steps", "1", "--out", words[0]]
        status = cli.main(["train", *given])
        assert status == 0, capsys.readouterr().err
