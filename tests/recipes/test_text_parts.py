"""The parts of the text recipe: what is read, cut into tokens, counted, compressed and scored."""

from __future__ import annotations

import bz2
import gzip
import lzma
import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

from unrolled.recipes._text import compressors, corpus, scoring, vocabulary
from unrolled.recipes._text.network import LanguageModel, TokenNetwork
from unrolled.recipes._text.vocabulary import Kind, Vocabulary, encode

TEXT = "Don’t  stop: the_cat's 3 hats,\r\n\tnaïve 日本語 (a – b)… 'tis \U0001f600 x\x00y  "


def points(text: str) -> corpus.Points:
    return np.frombuffer(text.encode("utf-32-le"), np.uint32)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (corpus, vocabulary, compressors):
        monkeypatch.setattr(module, "BLOCK", 7)


# --- reading ---


def test_a_file_is_read_as_it_is(tmp_path: Path, small_blocks: None) -> None:
    """Blocks of seven bytes cut through characters of two, three and four."""
    path = tmp_path / "a.txt"
    path.write_bytes(TEXT.encode())
    found = corpus.read(path)
    assert corpus.text_of(found.points) == TEXT
    assert isinstance(found.points, np.memmap)
    path.write_bytes(b"\xef\xbb\xbf" + TEXT.encode())
    assert corpus.read(path).digest == found.digest
    path.write_bytes(TEXT.encode() + b"!")
    assert corpus.read(path).digest != found.digest


def test_nothing_is_left_in_the_folder_for_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_text(TEXT)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    found = corpus.read(tmp_path / "a.txt")
    assert not list((tmp_path / "tmp").iterdir())
    assert len(found.points) == len(TEXT)


def test_a_folder_is_its_text_files_in_the_order_of_their_paths(tmp_path: Path) -> None:
    for name in ("b.txt", "a.md", "c/a.py", "c.rst", "d.csv", ".hidden/x.txt", "c/.y.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{name} ")
    (tmp_path / "e.txt").mkdir()
    found = corpus.read(tmp_path)
    assert corpus.text_of(found.points) == "a.md b.txt c/a.py c.rst "
    assert found.files == 4


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"Fa\xe7ade", "byte 2 is 0xe7"),
        (b"\xef\xbb\xbf0123456789\xff", "byte 13 is 0xff"),
        ("0123日".encode() + "本".encode()[:2], "byte 7 is 0xe6"),
    ],
)
def test_a_file_that_is_no_text_is_refused(
    content: bytes, said: str, tmp_path: Path, small_blocks: None
) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=said):
        corpus.read(path)


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no file or folder .*nowhere"):
        corpus.read(tmp_path / "nowhere")
    (tmp_path / "a.csv").write_text("a")
    with pytest.raises(ValueError, match=r"has no text: expected a file in it that ends in \.txt"):
        corpus.read(tmp_path)


def test_the_split_is_by_characters_and_needs_enough_on_either_side() -> None:
    text = corpus.TextCorpus("a.txt", 1, points("x" * 1000), "")
    assert corpus.split_at(text, 0.1, 10_000) == 900
    assert corpus.split_at(text, 0.9, 300) == 700
    for share, most in ((0.05, 999), (0.95, 999), (0.5, 20)):
        with pytest.raises(ValueError, match=r"a\.txt has 1,000 characters.*64 of each"):
            corpus.split_at(text, share, most)


# --- tokens ---


@pytest.mark.parametrize("kind", ["characters", "words"])
@pytest.mark.parametrize(
    "text", [TEXT, "a b", " a b ", "a  b", "'a' b'c", "x" * 30 + " y", "", "."]
)
def test_cutting_loses_nothing(kind: Kind, text: str, small_blocks: None) -> None:
    known = Vocabulary.learn(kind, points(text), 1, 1000)
    assert known.join(map(known.number, known.cut(text))) == text
    found = encode(known, points(text), points(text))
    assert found.ids.tolist() == [known.number(token) for token in known.cut(text)]
    assert not found.unknown
    again = Vocabulary.unpack(known.pack())
    assert (again.kind, again.tokens) == (known.kind, known.tokens)


def test_words_are_cut_where_people_would() -> None:
    words = Vocabulary("words", ()).cut("The cat's 2nd hat, isn't it?\nYes")
    assert words == ["The", "cat's", "2nd", "hat", ",", " ", "isn't", "it", "?", "\n", "Yes"]


def test_the_frequent_are_known_and_the_rest_counted() -> None:
    known = Vocabulary.learn("characters", points("aaabbcccc d"), 2, 2)
    assert known.tokens == ("c", "a")
    found = encode(known, points("abcxbé"), points("aaabbcccc d"))
    assert found.ids.tolist() == [2, 0, 1, 0, 0, 0]
    assert found.unknown == {"b": 2, "x": 1, "é": 1}
    assert found.spelling == pytest.approx(4 * math.log2(0x110000))
    assert known.join(found.ids.tolist()) == "a�c���"


def test_an_unknown_word_is_charged_letter_by_letter() -> None:
    learnt = points("a cab, a cab")
    known = Vocabulary.learn("words", learnt, 2, 100)
    assert known.tokens == ("a", "cab")
    found = encode(known, points("a baç"), learnt)
    assert found.unknown == {"baç": 1}
    # a, b, c, the space, the comma; what ends a word; what is none of these
    assert found.spelling == pytest.approx(4 * math.log2(7) + math.log2(0x110000))
    assert known.join(found.ids.tolist()) == "a �"


# --- compressors ---


def test_the_compressors_are_the_ones_that_everybody_has(
    small_blocks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = np.random.default_rng(0)
    text = "".join(generator.choice(list("abcdé"), 900))
    found = compressors.cost(points(text), 700)
    whole, first = text.encode(), text[:700].encode()
    expected = {
        "gzip": len(gzip.compress(whole, 9)) - len(gzip.compress(first, 9)),
        "bz2": len(bz2.compress(whole)) - len(bz2.compress(first)),
        "xz": len(lzma.compress(whole, preset=9 | lzma.PRESET_EXTREME))
        - len(lzma.compress(first, preset=9 | lzma.PRESET_EXTREME)),
    }
    assert found == {name: 8 * size / 200 for name, size in expected.items()}
    monkeypatch.setattr(compressors, "HISTORY", dict.fromkeys(expected, 100))
    assert compressors.cost(points(text), 700) == compressors.cost(points(text[600:]), 100)


# --- the network and its bits ---


def model_of(text: str, average: float = 0.5) -> LanguageModel:
    torch.manual_seed(0)
    known = Vocabulary.learn("characters", points(text), 1, 100)
    network = TokenNetwork(len(known), "embedding", 5, 6, 2)
    return LanguageModel(known, network, average)


def test_bits_are_those_of_one_pass_over_the_whole_text(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of("abc").eval()
    ids = np.random.default_rng(0).integers(1, 4, 1000).astype(np.int32)
    with torch.no_grad():
        logits, _ = model(torch.from_numpy(ids[:-1].astype(np.int64))[:, None])
    odds = torch.log_softmax(logits[:, 0].double(), -1).numpy()
    expected = [-row[n] / math.log(2) for row, n in zip(odds, ids[1:], strict=True)][99:]
    monkeypatch.setattr(scoring, "WARM_UP", 60)
    for row, rows in ((4096, 1), (211, 4), (1, 32)):
        monkeypatch.setattr(scoring, "ROW", row)
        found = scoring.bits(model, ids[:100], ids[100:])
        # A forget gate that lets half through forgets in 60 steps all that float32 can hold.
        np.testing.assert_allclose(found, expected, rtol=2e-5, err_msg=str(rows))


def test_learning_on_foretells_from_what_came_before_alone() -> None:
    model = model_of("abc").eval()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    ids = np.tile(np.array([1, 2, 3, 3], np.int32), 512)
    static = scoring.bits(model, ids[:1], ids[1:])
    with torch.no_grad():  # as recipes are asked for their figures
        learning = scoring.bits_learning_on(model, ids[:1], ids[1:], 0.03)
    np.testing.assert_allclose(learning[:32], static[:32], rtol=2e-5)
    assert learning[-32:].mean() < 0.5 * static[-32:].mean()
    changed = ids.copy()
    changed[141:] = 1
    other = scoring.bits_learning_on(model, ids[:1], changed[1:], 0.03)
    np.testing.assert_array_equal(learning[:140], other[:140])
    assert (learning[140:] != other[140:]).all()
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, before[name])


def test_a_model_that_knows_nothing_needs_the_bits_of_a_guess() -> None:
    model = model_of("abcdefg", average=0.0).eval()
    with torch.no_grad():
        model.network.readout.weight.zero_()
        model.network.readout.bias.zero_()
    found = scoring.bits(model, np.array([1], np.int32), np.array([2, 0, 3], np.int32))
    np.testing.assert_allclose(found, 3.0)


def test_what_is_used_is_the_running_mean_of_the_weights() -> None:
    model = model_of("abc", average=0.15)
    ids = torch.ones(2, 1, dtype=torch.long)
    bias, expected = model.network.readout.bias, None
    for step, share in enumerate((1 / 11, 0.15, 0.15), start=1):
        with torch.no_grad():
            before = (bias.clone() if expected is None else expected).double()
            bias.copy_(torch.randn(4))
        model.train()(ids)
        expected = share * before + (1 - share) * bias.double()
        torch.testing.assert_close(model.used.readout.bias.double(), expected)
        assert model.updates == step
    logits, _ = model.eval()(ids)
    torch.testing.assert_close(logits, model.used(ids)[0])
    assert model.updates == 3
    plain = model_of("abc", average=0.0)
    assert plain.used is plain.network
