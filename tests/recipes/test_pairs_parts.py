"""The parts of the pairs recipe, each by itself: files, numbers, symbols, search and judging."""

from __future__ import annotations

import itertools
import math
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from unrolled.pictures import plots
from unrolled.recipes._pairs import decoding, files, judging
from unrolled.recipes._pairs.decoding import beam_search, greedy_search
from unrolled.recipes._pairs.files import Asked
from unrolled.recipes._pairs.judging import Judgement, bins, edit_distance
from unrolled.recipes._pairs.numbers import LARGEST, in_words, number_pairs
from unrolled.recipes._pairs.pictures import examples
from unrolled.recipes._pairs.translator import State, Translator
from unrolled.recipes._pairs.vocabulary import END, UNKNOWN, NumberedTexts, PairVocabulary

# --- files ---


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "a.tsv is empty: expected lines of a source, a tab and its target"),
        (b"\n \n\r\n", "a.tsv is empty"),
        (b"\xef\xbb\xbf", "a.tsv is empty"),
        (b"a\tb\nc\xe9\td\n", r"a.tsv is not UTF-8 text \(byte 5 is 0xe9\): save it as UTF-8"),
        (b"a\tb\nno tab\n", "line 2 of a.tsv has 1 field, expected 2, .*: put a tab between"),
        (b"a\tb\nc\td\te\n", "line 2 of a.tsv has 3 fields, expected 2"),
        (b"a\tb\n\tc\n", "line 2 of a.tsv has an empty source: fill it in or delete the line"),
        (b"a\tb\n  \tc\n", "line 2 of a.tsv has an empty source"),
        (b"a\t\n", "line 1 of a.tsv has an empty target"),
        (b"a\tb\n\nc\td\n", "line 2 of a.tsv is blank: fill it in or delete it"),
    ],
)
def test_a_broken_file_is_refused(tmp_path: Path, data: bytes, sentence: str) -> None:
    path = tmp_path / "a.tsv"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=sentence) as refusal:
        files.read_pairs(path)
    assert "\n" not in str(refusal.value)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        files.read_pairs(tmp_path)


def test_a_file_is_read_as_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text('﻿"a b"\t c \r\nd\N{LINE SEPARATOR}e\tf\n\n', encoding="utf-8", newline="")
    read = files.read_pairs(path, Asked(quotes="no"))
    assert read.pairs == [('"a b"', "c"), ("d\N{LINE SEPARATOR}e", "f")]


def test_a_source_is_on_one_side_alone() -> None:
    draw = random.Random(0)
    pairs = [(f"s{draw.randrange(40)}", f"t{n}") for n in range(200)]
    parts = files.divide(pairs, 0.3)
    sides = [{source for source, _ in side} for side in (parts.training, parts.held_out)]
    assert not sides[0] & sides[1]
    assert len(sides[1]) == round(0.3 * len(sides[0] | sides[1]))
    assert sorted(parts.training + parts.held_out) == sorted(pairs)
    counts = [sum(s == source for s, _ in pairs) for source in sides[0] | sides[1]]
    assert parts.repeated == sum(count > 1 for count in counts) > 0
    assert files.divide(pairs[:1], 0.3).training == []


def test_neither_order_nor_a_line_more_moves_the_border() -> None:
    pairs = [(f"s{n}", "t") for n in range(100)]
    before = set(files.divide(pairs, 0.2).held_out)
    assert set(files.divide(pairs[::-1], 0.2).held_out) == before
    after = set(files.divide([("new", "t"), *pairs], 0.2).held_out)
    assert len(before ^ after) <= 2


# --- numbers ---


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "zero"),
        (13, "thirteen"),
        (40, "forty"),
        (99, "ninety-nine"),
        (100, "one hundred"),
        (907, "nine hundred and seven"),
        (1000, "one thousand"),
        (4012, "four thousand and twelve"),
        (4212, "four thousand two hundred and twelve"),
        (110_000, "one hundred and ten thousand"),
        (12_012, "twelve thousand and twelve"),
        (1_000_001, "one million and one"),
        (2_000_300, "two million three hundred"),
    ],
)
def test_numbers_are_said_as_the_british_say_them(number: int, words: str) -> None:
    assert in_words(number) == words


def test_no_two_numbers_have_the_same_words() -> None:
    assert len({in_words(n) for n in range(20_000)}) == 20_000
    for outside in (-1, LARGEST + 1):
        with pytest.raises(ValueError, match=f"{outside} has no words here"):
            in_words(outside)


@pytest.mark.parametrize(("count", "largest"), [(3000, 99_999), (100, 99), (1500, 12_345), (7, 99)])
def test_every_number_of_digits_has_its_share(count: int, largest: int) -> None:
    pairs = number_pairs(count, largest)
    said = [int(digits) for _, digits in pairs]
    assert len(set(said)) == len(pairs) == count
    assert all(words == in_words(int(digits)) for words, digits in pairs)
    assert max(said) <= largest
    by_digits = [sum(len(digits) == d for _, digits in pairs) for d in range(1, 6)]
    there = [max(0, min(10**d, largest + 1) - (10 ** (d - 1) if d > 1 else 0)) for d in range(1, 6)]
    assert sum(by_digits) == count
    drawn = [by_digits[d] for d in range(5) if by_digits[d] < there[d]]
    assert max(drawn, default=0) - min(drawn, default=0) <= 1
    assert all(by_digits[d] == there[d] for d in range(5) if by_digits[d] < min(drawn, default=0))


# --- symbols ---


def test_symbols_come_from_the_texts_and_go_back() -> None:
    letters = PairVocabulary("characters", ["abba", "c"])
    assert letters.symbols == ["a", "b", "c"]
    assert letters.text([*letters.numbers("cab"), END, 2]) == "cab"
    assert letters.numbers("axa") == [2, UNKNOWN, 2]
    assert letters.unknown("axya") == ["x", "y"]
    assert letters.text([2, UNKNOWN]) == "a\N{REPLACEMENT CHARACTER}"
    words = PairVocabulary("words", ["to be or", "not  to be"], fewest=2)
    assert words.symbols == ["be", "to"]
    assert words.text(words.numbers("to  be")) == "to be"
    assert words.unknown("to err") == ["err"]


def test_a_digest_tells_vocabularies_apart() -> None:
    texts = ["ab", "b a", "ac", "ab c"]
    characters = [PairVocabulary("characters", [text]) for text in texts]
    words = [PairVocabulary("words", [text]) for text in texts]
    assert len({vocabulary.digest() for vocabulary in characters}) == 4
    assert len({vocabulary.digest() for vocabulary in words}) == 4
    assert characters[0].digest() != PairVocabulary("words", ["a b"]).digest()
    assert characters[0].digest() == PairVocabulary("characters", ["ba", "a"]).digest()


def test_a_corpus_pads_what_is_chosen() -> None:
    corpus = NumberedTexts.of([[5], [6, 7, 8], [9, 2]])
    chosen = torch.tensor([1, 0])
    assert corpus.padded(chosen, -1).T.tolist() == [[6, 7, 8], [5, -1, -1]]
    assert corpus.padded(chosen, 0, reverse=True).T.tolist() == [[8, 7, 6], [5, 0, 0]]
    assert corpus.padded(torch.tensor([2]), 0).T.tolist() == [[9, 2]]


# --- the network and its answers ---


def network(symbols: str = "ab", *, seed: int = 0, both_directions: bool = False) -> Translator:
    torch.manual_seed(seed)
    vocabulary = PairVocabulary("characters", [symbols])
    model = Translator(
        vocabulary,
        vocabulary,
        embedding=3,
        hidden=5,
        layers=2,
        cell="vanilla",
        dropout=0.0,
        both_directions=both_directions,
    )
    with torch.no_grad():
        for weight in model.parameters():
            weight.uniform_(-1.5, 1.5)
    return model.eval()


def states(model: Translator, rows: int) -> State:
    generator = torch.Generator().manual_seed(1)
    source = torch.randint(2, 4, (6, rows), generator=generator)
    lengths = torch.randint(1, 7, (rows,), generator=generator)
    with torch.no_grad():
        return model.encode(source, lengths)


@pytest.mark.parametrize("both_directions", [False, True])
def test_a_state_is_that_of_the_source_alone(both_directions: bool) -> None:
    """Neither the padding nor the rows beside it change what is handed over."""
    model = network(both_directions=both_directions)
    source = torch.tensor([[2, 3, 2, 2], [3, 3, 3, 3]]).T
    with torch.no_grad():
        h, c, _ = model.encode(source, torch.tensor([2, 4]))
        alone = model.encode(source[:2, :1], torch.tensor([2]))
    assert h.shape == c.shape == (2, 2, 5)
    torch.testing.assert_close(h[:, :1], alone[0])
    torch.testing.assert_close(c[:, :1], alone[1])


def test_the_whole_source_is_in_the_state_of_both_directions() -> None:
    model = network(both_directions=True)
    with torch.no_grad():
        source = torch.tensor([[2, 2, 2], [2, 2, 3], [3, 2, 2]]).T
        h = model.encode(source, torch.tensor([3, 3, 3])).h
    assert not torch.allclose(h[:, 0], h[:, 1])
    assert not torch.allclose(h[:, 0], h[:, 2])


def log_probability(model: Translator, state: State, said: tuple[int, ...]) -> float:
    """Of ``said`` and the end after it, by teacher forcing: all symbols at once."""
    read = torch.tensor([END, *said])[:, None]
    with torch.no_grad():
        ahead = model.decode(read, state)[0].log_softmax(-1)[:, 0]
    return ahead[range(len(said) + 1), [*said, END]].sum().item()


@pytest.mark.parametrize("seed", range(4))
def test_a_wide_beam_finds_what_trying_everything_finds(seed: int) -> None:
    model = network(seed=seed)
    h, c, _ = states(model, 3)
    # 1 + 3 + 9 answers of at most 2 symbols; a beam as wide as that forgets nothing.
    found = beam_search(model, State(h, c), 40, 2)
    for row in range(3):
        state = State(h[:, row : row + 1], c[:, row : row + 1])
        every = [said for n in range(3) for said in itertools.product((1, 2, 3), repeat=n)]
        scores = {said: log_probability(model, state, said) for said in every}
        best = sorted(scores, key=lambda said: -scores[said])
        ended = [answer for answer in found[row] if answer.ended]
        assert [tuple(answer.numbers) for answer in ended] == best
        expected = [scores[said] for said in best]
        np.testing.assert_allclose([a.log_probability for a in ended], expected, rtol=1e-4)


# Networks that say some answers to their end, at different lengths, and are cut off in others.
@pytest.mark.parametrize("seed", [2, 22, 29])
def test_a_beam_of_one_is_greedy(seed: int) -> None:
    model = network("abcd", seed=seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight *= 2
        model.readout.bias[END] += 2
    state = states(model, 20)
    greedy = greedy_search(model, state, 7)
    for answer, (beam,) in zip(greedy, beam_search(model, state, 1, 7), strict=True):
        assert (answer.numbers, answer.ended) == (beam.numbers, beam.ended)
        assert answer.log_probability == pytest.approx(beam.log_probability, rel=1e-4)
        assert len(answer.numbers) <= 7
    assert {answer.ended for answer in greedy} == {True, False}
    assert len({len(answer.numbers) for answer in greedy}) > 2
    return_ = {answer.ended for answer in greedy}
    assert return_


@pytest.mark.parametrize("width", [1, 3])
def test_a_row_is_answered_as_it_is_alone(width: int) -> None:
    model = network("abcd", seed=2)
    h, c, _ = states(model, 9)
    together = beam_search(model, State(h, c), width, 6)
    for row in range(9):
        (alone,) = beam_search(model, State(h[:, row : row + 1], c[:, row : row + 1]), width, 6)
        assert [a.numbers for a in alone] == [a.numbers for a in together[row]]


def test_a_beam_finds_what_greed_misses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The likeliest first symbol (0.6) has no likely answer behind it; the other (0.4) has one."""
    first = torch.tensor([0.0, 0.0, 0.6, 0.4]).log()
    after_2 = torch.tensor([0.34, 0.0, 0.33, 0.33]).log()
    after_3 = torch.tensor([1.0, 0.0, 0.0, 0.0]).log()
    table = torch.stack((first, first, after_2, after_3)).clamp(min=-50)

    class Table:
        def decode(self, read: Tensor, state: State) -> tuple[Tensor, State]:
            return table[read], state

    state = State(torch.zeros(1, 1, 1), torch.zeros(1, 1, 1))
    (greedy,) = greedy_search(Table(), state, 5)  # type: ignore[arg-type]
    ((best, second),) = beam_search(Table(), state, 2, 5)  # type: ignore[arg-type]
    assert (greedy.numbers, best.numbers, second.numbers) == ([2], [3], [2])
    assert greedy.log_probability == pytest.approx(math.log(0.6 * 0.34), rel=1e-5)
    assert best.log_probability == pytest.approx(math.log(0.4), rel=1e-5)
    assert decoding.Answer([3], best.log_probability, True) == best


# --- judging ---


@pytest.mark.parametrize(
    ("one", "other", "edits"),
    [("", "", 0), ("abc", "", 3), ("", "ab", 2), ("kitten", "sitting", 3), ("4012", "4102", 2)],
)
def test_edits_are_counted(one: str, other: str, edits: int) -> None:
    assert edit_distance(one, other) == edit_distance(other, one) == edits
    assert edit_distance(one.split(), other.split()) == (edits > 0)


def judged(lengths: list[int]) -> list[Judgement]:
    return [Judgement("s", "t", "a", n % 2 == 0, n % 2, n, 1) for n in lengths]


def test_shares_are_of_sources_and_of_symbols() -> None:
    ones = [
        Judgement("s", "ab", "ab", True, 0, 1, 2),
        Judgement("s", "abcdef", "a", False, 5, 1, 6),
    ]
    assert judging.exact_match(ones) == 0.5
    assert judging.share_of_edits(ones) == 5 / 8


def test_lengths_are_sorted_into_few_bins() -> None:
    few = bins(judged([3, 1, 3, 2]), lambda one: one.source_length)
    assert {name: len(inside) for name, inside in few.items()} == {"1": 1, "2": 1, "3": 2}
    many = bins(judged(list(range(10, 90))), lambda one: one.source_length, most=4)
    assert all(19 <= len(inside) <= 21 for inside in many.values())
    assert list(many) == ["10–30", "31–50", "51–69", "70–89"]
    skewed = bins(judged([5] * 90 + list(range(10, 30))), lambda one: one.source_length)
    assert sum(len(inside) for inside in skewed.values()) == 110
    assert next(iter(skewed)) == "5"


def test_examples_are_right_and_wrong_and_from_everywhere() -> None:
    found = [one.source_length for one in examples(judged(list(range(100))), 5)]
    assert found == [*range(0, 100, 20), *range(1, 100, 20)]
    assert [one.source_length for one in examples(judged([0, 2, 5]), 6)] == [0, 2, 5]
    assert examples([], 6) == []


def test_a_table_has_a_line_for_each_row(tmp_path: Path) -> None:
    sizes = []
    for rows in (1, 6):
        path = plots.table(["a", "b"], [["x", "$y$"]] * rows, tmp_path / "t.png", marked=[True])
        sizes.append(path.read_bytes()[16:24])
    width, height = (int.from_bytes(sizes[1][n : n + 4], "big") for n in (0, 4))
    assert width == int.from_bytes(sizes[0][:4], "big")
    assert height > int.from_bytes(sizes[0][4:], "big")
