"""Files of pairs as other programs write them: columns, names, quotes, encodings, damage."""

from __future__ import annotations

import csv
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from unrolled import training
from unrolled.cli import main
from unrolled.recipes._pairs.files import Asked, ReadPairs, read_pairs
from unrolled.recipes.pairs import Recipe
from unrolled.training import runs

BY = "CC-BY 2.0 (France) Attribution: tatoeba.org #5387"


def read(tmp_path: Path, text: str | bytes, name: str = "a.tsv", **asked: Any) -> ReadPairs:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_pairs(path, Asked(**asked))


def test_any_tsv_that_others_write_is_read(tmp_path: Path) -> None:
    """What Python's own csv module writes, with the line ends of Windows."""
    path = tmp_path / "written.tsv"
    pairs = [(f"q {n}", str(random.Random(n).random())) for n in range(9)]
    with open(path, "w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file, delimiter="\t").writerows(pairs)
    parts = Recipe(data=path, hidden=8, embedding=4, batch_size=10).parts
    assert sorted(parts.training + parts.held_out) == pairs


# --- columns and names ---


def test_columns_are_chosen_by_number_or_name(tmp_path: Path) -> None:
    three = f"Go.\tGeh.\t{BY}\nRun!\tLauf!\t{BY}\n"
    assert read(tmp_path, three, columns=("2", "1")).pairs == [("Geh.", "Go."), ("Lauf!", "Run!")]
    named = "id\tnorsk\tsvensk\n1\tja\tjo\n2\tnei\tnej\n"
    found = read(tmp_path, named, columns=("svensk", "norsk"))
    assert found.pairs == [("jo", "ja"), ("nej", "nei")]
    assert "source from column svensk, target from column norsk" in found.said
    assert read(tmp_path, named, columns=("2", "3")).pairs == [("ja", "jo"), ("nei", "nej")]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("English\tGerman\nGo.\tGeh.\n", True),
        ("source_text\ttarget_text\na\tb\n", True),
        ("en\tde\na b\tc d\n", True),
        ("it\tes\nhe\ter\n", None),
        ("No\tNein\nYes\tJa\n", False),
        ("src,tgt\na b,c\nd,e f\n", True),
        ("Go.\tGeh.\nRun!\tLauf!\n", False),
        ("twelve\t12\ntwo\t2\n", False),
        ("word\tWort\ndog\tHund\n", None),
        ("Fraga\tSvar\n" + "hur mår du\tbara bra\n" * 30, None),
        ("hei\thej\n" + "hei\thej\n" * 30, False),
        ("question\tanswer\nquestion\tanswer\nq\ta\n", False),
    ],
)
def test_a_row_of_names_is_seen_or_asked_about(
    tmp_path: Path, text: str, names: bool | None
) -> None:
    if names is None:
        with pytest.raises(ValueError, match=r"say with --header yes .* or with --header no"):
            read(tmp_path, text)
        names = True
    else:
        assert ("no row of names" not in read(tmp_path, text).said) == names
    lines = text.count("\n")
    assert len(read(tmp_path, text, header="yes").pairs) == lines - 1
    assert len(read(tmp_path, text, header="no").pairs) == lines


# --- quotes ---


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ('"a ""b"""\t"c"\n"d"\te\n', 'a "b"'),  # doubled inside
        ('"a"\t"b"\n"c"\t"d"\n', "a"),  # around all
        ('x\ty\n"a\tb"\tc\n', "x"),  # only so are all rows of one width
        ('"Hi," he said.\tb\nc\td\n', '"Hi," he said.'),  # they do not close
        ('say "a"\tb\nc\td\n', 'say "a"'),
        ('"a, b",c\nd,e\n', "a, b"),
        ('a;"b\nc"\nd;e\n', "a"),
    ],
)
def test_quotes_are_marks_or_characters(tmp_path: Path, text: str, first: str) -> None:
    assert read(tmp_path, text, header="no").pairs[0][0] == first


def test_quotes_of_two_readings_are_asked_about(tmp_path: Path) -> None:
    text = '"Yes"\tJa\nNo\tNein\n'
    with pytest.raises(ValueError, match=r"line 1 of a.tsv has .*--quotes yes .* --quotes no"):
        read(tmp_path, text)
    assert read(tmp_path, text, quotes="yes").pairs[0][0] == "Yes"
    assert read(tmp_path, text, quotes="no").pairs[0][0] == '"Yes"'


# --- letters ---


@pytest.mark.parametrize(
    ("encoding", "asked"),
    [("utf-8-sig", ""), ("utf-16", ""), ("cp1251", "cp1251"), ("gb18030", "gb18030")],
)
def test_letters_are_read_as_the_mark_or_the_flag_says(
    tmp_path: Path, encoding: str, asked: str
) -> None:
    found = read(tmp_path, "да да\tнет\nГо\tЖе\n".encode(encoding), encoding=asked)
    assert found.pairs == [("да да", "нет"), ("Го", "Же")]
    assert found.said[0] == asked or not asked
    assert read(tmp_path, "ÄÖ\tB\n", lowercase=True).pairs == [("äö", "b")]


# --- what is left out ---


def test_rows_are_left_out_only_where_asked_and_counted(tmp_path: Path) -> None:
    text = "a\tb\n\nc\td\te\n\tf\ng\t\nh\ti\n"
    found = read(tmp_path, text, leave_out=True)
    assert found.pairs == [("a", "b"), ("h", "i")]
    assert found.said[-3:] == (
        "1 rows left out that are blank",
        "1 rows left out that have not 2 cells",
        "2 rows left out without a source or a target",
    )


DAMAGED = [
    (b"", {}, "a.tsv is empty"),
    (b"\xff\xfe", {}, "a.tsv is empty"),
    (b"a\tb\nc\xe9\td\n", {}, r"not UTF-8 text \(byte 5 is 0xe9\): .*--encoding NAME"),
    ("a\tb\n".encode("utf-16") + b"\x00", {}, r"not utf-16 text \(byte"),
    (b"a\tb\n", {"encoding": "hex"}, "--encoding hex is not known"),
    (b"a\tb\n", {"encoding": "ut\0f"}, "--encoding ut\0f is not known"),
    (b'"a\tb\nc\td\n', {"quotes": "yes"}, "begins on line 1 has quotes that do not close"),
    (b'a\tb\n"c"x\td\n', {"quotes": "yes"}, "begins on line 2 has quotes that do not close"),
    (b"a\tb\nc\td\te\n", {}, "line 2 of a.tsv has 3 fields, expected 2"),
    (b"a\tb\tc\nd\te\tf\n", {}, "a.tsv has 3 columns, 'a', 'b', 'c': say which hold"),
    (b"a\tb\tc\nd\te\tf\n", {"columns": ("1", "4")}, "--columns 4 is no column of a.tsv"),
    (b"a\tb\tc\nd\te\tf\n", {"columns": ("0", "1")}, "--columns 0 is no column"),
    (b"a\tb\tc\nd\te\tf\n", {"columns": ("2", "2")}, "one column twice"),
    (b"en\tde\tde\na\tb\tc\n", {"columns": ("en", "de")}, "several columns 'de'"),
    (b"a,b;c\nd,e;f\n", {}, r"may be divided by commas or by semicolons: say .* --separator ','"),
    (b"source\ttarget\n", {}, "no row of a source and its target"),
    (b"\x00\x01\x02\x03", {}, "line 1 of a.tsv has 1 field, expected 2"),
    (b"a\t\nb\tc\n", {}, "line 1 of a.tsv has an empty target: .* --leave-out"),
]


@pytest.mark.parametrize(("data", "asked", "sentence"), DAMAGED)
def test_damage_is_one_sentence(
    tmp_path: Path, data: bytes, asked: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence) as refusal:
        read(tmp_path, data, **asked)
    assert "\n" not in str(refusal.value)


# --- as a recipe ---


def test_what_was_found_is_printed_and_an_old_run_is_read_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"Say {n}!\tSag {n}!\t{BY}\n" for n in range(30))
    Path("deu.txt").write_text(f"English\tGerman\tAttribution\n{rows}")
    typed = "train pairs --data deu.txt --columns 1 2 --lowercase --batch-size 8 --hidden 4"
    assert main([*typed.split(), "--steps", "1", "--out", "run"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "read as: utf-8, names in its first row (English, German, Attribution)" in said
    assert "30 pairs" in said
    assert main(["try", "run", "SAY 3!"]) == 0
    stored = runs.read_config(Path("run")).fields
    later = ("columns", "header", "quotes", "separator", "encoding", "leave_out", "lowercase")
    before = {name: value for name, value in stored.items() if name not in (*later, "attention")}
    old = runs.decode_fields(Recipe, before)
    assert (old.header, old.quotes, old.separator, old.attention) == ("no", "no", "tab", False)


def test_sources_that_small_letters_make_alike_are_on_one_side(tmp_path: Path) -> None:
    text = "".join(f"{w}{n}\t{n}\n" for n in range(20) for w in ("Go", "go", "GO"))
    data = tmp_path / "a.tsv"
    data.write_text(text)
    recipe = Recipe(data=data, lowercase=True, test_share=0.3, batch_size=4)
    sides = [{source for source, _ in part} for part in recipe.parts[:2]]
    assert not sides[0] & sides[1]
    assert len(sides[0] | sides[1]) == recipe.parts.repeated == 20
    with pytest.raises(ValueError, match=r"columns = .* makes no sense: expected two columns"):
        training.check(replace(recipe, columns=("1",)))
