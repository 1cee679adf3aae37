"""What the recipe labels reads, and that each damaged file is refused in one sentence."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from unrolled.files.sound import write_sound
from unrolled.files.tables import Reading
from unrolled.recipes._labels.archive import read_archive_file
from unrolled.recipes._labels.collection import Collection
from unrolled.recipes._labels.files import Asked, joined, read_collection
from unrolled.recipes._labels.sounds import read_sound_files, read_sound_folder
from unrolled.recipes._labels.tabled import Columns, read_long_table, read_padded

TS = """# a comment
@problemName Two
@timeStamps false
@univariate false
@dimensions 2
@equalLength false
@classLabel true a b
@data
1,2,3:4,5,?:a
-1.5e0,2:0,1:b
"""


def ts(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "some.ts"
    path.write_text(text)
    return path


def test_a_ts_file_has_sequences_of_unequal_length(tmp_path: Path) -> None:
    found = read_archive_file(ts(tmp_path, TS))
    assert list(found.labels) == ["a", "b"]
    np.testing.assert_array_equal(found.sequences[0], [[1, 4], [2, 5], [3, np.nan]])
    np.testing.assert_array_equal(found.sequences[1], [[-1.5, 0], [2, 1]])
    assert found.told == "some.ts: .ts, 2 sequences of 2 to 3 steps and 2 channels"


def test_a_ts_file_may_lack_labels(tmp_path: Path) -> None:
    text = TS.replace("true a b", "false").replace(":a\n", "\n").replace(":b\n", "\n")
    assert not read_archive_file(ts(tmp_path, text)).labels


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (TS, " \n", "some.ts is empty"),
        (TS, "a,b\n1,2\n", "line 1 of some.ts stands before @data and begins with 'a,b'"),
        ("@data\n", "", "line 8 of some.ts stands before @data"),
        (TS[TS.index("@data") :], "", "some.ts has no line @data"),
        (TS[TS.index("1,2,3") :], "", "some.ts has no case after @data"),
        (":b\n", ":c\n", "line 10 of some.ts ends with the label 'c': @classLabel names a, b"),
        ("5,?", "5,x", "line 9 of some.ts holds 'x': expected a number"),
        ("5,?", "5,1_0", "line 9 of some.ts holds '1_0': expected a number"),
        ("5,?", "5", "line 9 of some.ts has channels of 2 and 3 values"),
        ("2:0,1:b", "2:b", "line 10 of some.ts has 1 channels: the header says 2"),
        ("@timeStamps false", "@timeStamps true", "@timeStamps true: a time for every value"),
        ("@timeStamps false", "@timeStamps maybe", "@timestamps 'maybe': expected true or false"),
        ("true a b", "true", "@classLabel true and names no class"),
        ("@dimensions 2", "@dimensions two", "@dimensions 'two': expected a whole number"),
        ("5,?", "5,inf", "case 1 of some.ts holds an infinite value"),
        ("1:b", "1,", "line 10 of some.ts"),
        ("@equalLength false", "@equalLength true\n@seriesLength 3", "@seriesLength says 3"),
        ("@classLabel true a b", "@targetLabel true", "its cases have numbers"),
        ("1,2,3:4,5,?:a", "?,?:?,?:a", "every value of case 1 of some.ts is missing"),
    ],
)
def test_a_damaged_ts_file_is_one_sentence(
    tmp_path: Path, old: str, new: str, sentence: str
) -> None:
    assert old in TS
    with pytest.raises(ValueError, match=r"^[^\n]+$") as caught:
        read_archive_file(ts(tmp_path, TS.replace(old, new)))
    assert sentence in str(caught.value)


def test_bytes_are_no_ts_file(tmp_path: Path) -> None:
    path = tmp_path / "some.ts"
    path.write_bytes(b"@data\n\x00\xff\xfe")
    with pytest.raises(ValueError, match=r"some\.ts is no text in UTF-8"):
        read_archive_file(path)


# --- long tables ---

TABLE = "id,t,x,y,who,what\n1,0,1.5,2,anna,up\n1,1,2.5,3,anna,up\n2,0,0.5,1,bert,down\n"
COLUMNS = Columns("id", "t", "what", "who", ("x", "y"))


def table(tmp_path: Path, text: str, columns: Columns = COLUMNS) -> Collection:
    path = tmp_path / "long.csv"
    path.write_text(text)
    return read_long_table(path, columns, Reading())


def test_a_long_table_has_a_row_for_each_step(tmp_path: Path) -> None:
    found = table(tmp_path, TABLE, COLUMNS._replace(channels=()))
    assert found.channels == ("x", "y")
    assert list(found.labels) == ["up", "down"]
    assert list(found.groups) == ["anna", "bert"]
    np.testing.assert_array_equal(found.sequences[0], [[1.5, 2], [2.5, 3]])


def test_rows_that_do_not_lie_together_are_gathered_and_that_is_said(tmp_path: Path) -> None:
    first, *rows = TABLE.splitlines()
    mixed = "\n".join([first, rows[0], rows[2], rows[1]]) + "\n"
    found = table(tmp_path, mixed)
    np.testing.assert_array_equal(found.sequences[0], [[1.5, 2], [2.5, 3]])
    assert "rows of 1 sequence, such as '1', gathered in order" in found.told
    assert "gathered" not in table(tmp_path, TABLE).told


@pytest.mark.parametrize(
    ("old", "new", "columns", "sentence"),
    [
        ("", "", COLUMNS._replace(sequence=""), "which tells the sequences apart"),
        ("", "", COLUMNS._replace(sequence="no"), "has no column 'no'"),
        ("", "", COLUMNS._replace(label="wat"), "has no column 'wat'"),
        ("", "", COLUMNS._replace(channels=("z",)), "has no column 'z'"),
        ("", "", COLUMNS._replace(channels=("x", "what")), "'what' of long.csv is named as some"),
        ("2,0,0.5,1,bert", "2,0,0.5,1,", COLUMNS, "sequence '2' of long.csv is blank in column"),
        ("", "", COLUMNS._replace(group="", channels=("who",)), "no channel is left out by naming"),
        ("1,1,2.5", "1,0,2.5", COLUMNS, "expected a later time"),
        ("3,anna,up", "3,anna,down", COLUMNS, "several values in column 'what'"),
        ("3,anna", "3,bert", COLUMNS, "several values in column 'who'"),
        ("2,0,0.5", ",0,0.5", COLUMNS, "is blank: expected the sequence"),
        ("3,anna,up", "3,anna,", COLUMNS, "is blank in column 'what'"),
        ("2,0,0.5,1", "2,0,,", COLUMNS, "every value of 2 of long.csv is missing"),
    ],
)
def test_a_wrong_table_is_one_sentence(
    tmp_path: Path, old: str, new: str, columns: Columns, sentence: str
) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$") as caught:
        table(tmp_path, TABLE.replace(old, new) if old else TABLE, columns)
    assert sentence in str(caught.value)


# --- .npz ---


def padded(tmp_path: Path, **arrays: object) -> Path:
    whole = {"values": np.ones((2, 3, 1)), "lengths": [3, 1], "labels": ["a", "b"]}
    path = tmp_path / "some.npz"
    np.savez(path, **{k: v for k, v in (whole | arrays).items() if v is not None})  # type: ignore[arg-type]
    return path


def test_a_padded_array_is_cut_to_its_lengths(tmp_path: Path) -> None:
    found = read_padded(padded(tmp_path, groups=[7, 8]))
    assert [len(values) for values in found.sequences] == [3, 1]
    assert (list(found.labels), list(found.groups)) == (["a", "b"], ["7", "8"])


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"values": None}, "no array called values"),
        ({"values": np.ones(3)}, "expected [N, T, C] or [N, T]"),
        ({"values": np.array([["a"]])}, "values of some.npz holds <U1"),
        ({"values": np.full((2, 3, 1), np.inf)}, "holds an infinite value"),
        ({"lengths": [3, 4]}, "lengths[1] of some.npz is 4: expected 1 to 3"),
        ({"lengths": [0, 1]}, "lengths[0] of some.npz is 0"),
        ({"lengths": [1.5, 2.5]}, "expected 2 whole numbers"),
        ({"labels": ["a"]}, "labels of some.npz is <U1 of the shape (1,)"),
        ({"label": ["a", "b"]}, "holds an array 'label'"),
        ({"labels": np.array(["a", None])}, "is not a NumPy file of plain arrays"),
    ],
)
def test_a_wrong_npz_file_is_one_sentence(
    tmp_path: Path, arrays: dict[str, object], sentence: str
) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$") as caught:
        read_padded(padded(tmp_path, **arrays))
    assert sentence in str(caught.value)


def test_a_cut_npz_file_is_one_sentence(tmp_path: Path) -> None:
    path = padded(tmp_path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match=r"^some\.npz is not a NumPy file"):
        read_padded(path)
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("values.npy", b"no array")
    path.write_bytes(held.getvalue())
    with pytest.raises(ValueError, match=r"^some\.npz is not a NumPy file"):
        read_padded(path)


# --- sound ---


def sound(path: Path, seconds: float = 0.1, rate: int = 8000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = np.sin(np.arange(round(rate * seconds))).astype(np.float32)[:, None]
    write_sound(path, [wave / 2], rate)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for label in ("no", "yes"):
        for who in ("anna", "bert"):
            sound(tmp_path / "words" / label / f"{who}_1.wav")
    return tmp_path / "words"


def test_a_folder_of_sound_has_a_folder_for_each_label(folder: Path) -> None:
    found = read_sound_folder(folder, "_", 10)
    assert list(found.labels) == ["no", "no", "yes", "yes"]
    assert list(found.groups) == ["anna", "bert", "anna", "bert"]
    assert found.sequences[0].shape == (8, 10)  # frames begin at 0, 10, … 70 ms
    assert "4 of 32-bit float WAV, 8,000 Hz" in found.told


def test_what_is_left_out_of_a_folder_and_what_is_mixed_is_said(folder: Path) -> None:
    (folder / "no" / "._anna_1.wav").write_bytes(b"what another system keeps beside a file")
    (folder / "no" / "notes.txt").write_text("said twice")
    (folder / "perhaps").mkdir()
    wave = np.sin(np.arange(800)).astype(np.float32)[:, None] / 2
    write_sound(folder / "no" / "anna_1.wav", [np.concatenate((wave, 0 * wave), 1)], 8000)
    found = read_sound_folder(folder, "_", 10)
    assert "1 file left out, such as notes.txt" in found.told
    assert "no sound in perhaps" in found.told
    assert "1 of them of several channels, averaged" in found.told
    softer = found.sequences[0].max(0) - found.sequences[1].max(0)
    assert softer.min() == pytest.approx(np.log(0.25), abs=1e-3)


def test_folders_within_a_labels_say_who_speaks(folder: Path, tmp_path: Path) -> None:
    for path in sorted(folder.rglob("*.wav")):
        sound(tmp_path / "nested" / path.parent.name / path.stem / "a.wav")
    assert set(read_sound_folder(tmp_path / "nested", "", 10).groups) == {"anna_1", "bert_1"}


def test_a_damaged_folder_of_sound_is_one_sentence(folder: Path, tmp_path: Path) -> None:
    one = folder / "no" / "anna_1.wav"
    whole = one.read_bytes()
    (tmp_path / "empty").mkdir()

    def refused(sentence: str, where: Path = folder, mark: str = "_", bands: int = 10) -> None:
        with pytest.raises(ValueError, match=r"^[^\n]+$") as caught:
            read_sound_folder(where, mark, bands)
        assert sentence in str(caught.value)

    refused("holds no sound", tmp_path / "empty")
    refused("does not lie in a label's folder", folder / "no")
    refused("does not say who speaks: --group - expects", mark="-")
    refused("200 mel bands are too many for sound at 8,000 Hz", bands=200)
    sound(one, rate=16000)
    refused("expected one rate; resample it")
    sound(one, seconds=0.01)
    refused("anna_1.wav: 80 samples at 8,000 Hz are shorter than a frame of 25 ms")
    one.write_bytes(whole[: len(whole) // 2])
    refused("anna_1.wav")
    one.write_bytes(b"")
    refused("anna_1.wav")
    one.write_bytes(b"no sound at all, but text")
    refused("anna_1.wav")
    one.write_bytes(whole)
    sound(folder / "no" / "carl" / "1.wav")
    refused("some do not", mark="")
    sound(folder / "no" / "carl" / "deep" / "1.wav")
    refused("deep/1.wav does not lie in a label's folder", mark="")


def test_a_sound_alone_is_read_at_the_rate_that_was_learned_from(folder: Path) -> None:
    path = folder / "no" / "anna_1.wav"
    assert not read_sound_files([path], folder, 10, 8000).labels
    with pytest.raises(ValueError, match="expected one rate"):
        read_sound_files([path], folder, 10, 44100)


# --- whatever path ---


def test_a_path_is_read_by_what_it_is(folder: Path, tmp_path: Path) -> None:
    asked = Asked(Columns(), Reading(), 10)
    assert len(read_collection(folder, asked)) == 4
    assert len(read_collection(ts(tmp_path, TS), asked)) == 2
    assert len(read_collection(padded(tmp_path), asked)) == 2
    with pytest.raises(ValueError, match="there is no file or folder"):
        read_collection(tmp_path / "nothing.ts", asked)
    named = Asked(Columns(label="what"), Reading(), 10)
    for path, what in ((ts(tmp_path, TS), "is a .ts file"), (folder, "is a folder of sound")):
        with pytest.raises(ValueError, match=f"--label what names a column.*{what}"):
            read_collection(path, named)


def test_what_was_learned_from_judges_nothing(tmp_path: Path) -> None:
    one = table(tmp_path, TABLE, COLUMNS._replace(group=""))
    with pytest.raises(ValueError, match=r"every sequence of long\.csv is in long\.csv too"):
        joined(one, one)
    other = table(tmp_path, TABLE.replace("1.5", "7"), COLUMNS._replace(group=""))
    assert "1 test sequence learned from too" in joined(one, other).said


def test_the_folder_that_was_learned_from_is_labelled(folder: Path) -> None:
    asked = Asked(Columns(), Reading(), 10, labelled=False)
    assert read_collection(folder, asked, 8000).names[0] == "no/anna_1.wav"


def test_a_group_is_not_on_both_sides(tmp_path: Path) -> None:
    one, other = (
        table(tmp_path, TABLE),
        table(tmp_path, TABLE.replace("anna", "carl").replace("1.5", "7")),
    )
    with pytest.raises(ValueError, match=r"'bert' is in long\.csv and in long\.csv"):
        joined(one, other)
    text = TABLE.replace("anna", "carl").replace("bert", "dora").replace("1.5", "7")
    other = table(tmp_path, text)
    assert len(joined(one, other)) == 4
