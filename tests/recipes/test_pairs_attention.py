"""Attention of the pairs recipe: its equations, its padding, its searches, its picture."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from unrolled import training
from unrolled.recipes._pairs import pictures
from unrolled.recipes._pairs.attention import Attention
from unrolled.recipes._pairs.decoding import beam_search, greedy_search
from unrolled.recipes._pairs.looking import looks
from unrolled.recipes._pairs.translator import State, Translator
from unrolled.recipes._pairs.vocabulary import END, PairVocabulary
from unrolled.recipes.pairs import Recipe

SMALL = Recipe(
    largest=999,
    numbers=200,
    hidden=8,
    embedding=4,
    batch_size=10,
    steps=2,
    report_every=2,
    attention=True,
)


def network(seed: int = 0, *, both_directions: bool = False) -> Translator:
    torch.manual_seed(seed)
    vocabulary = PairVocabulary("characters", ["abcd"])
    model = Translator(
        vocabulary,
        vocabulary,
        embedding=3,
        hidden=5,
        layers=2,
        cell="vanilla",
        dropout=0.0,
        both_directions=both_directions,
        attention=True,
    ).double()
    with torch.no_grad():
        for weight in model.parameters():
            weight.uniform_(-1.5, 1.5)
    return model.eval()


def sources(rows: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return (
        torch.randint(2, 6, (6, rows), generator=generator),
        torch.randint(1, 7, (rows,), generator=generator),
    )


def test_the_context_is_what_the_equations_say() -> None:
    """Number by number, as they stand in the docstring."""
    torch.manual_seed(0)
    attention = Attention(3, 4, 2).double()
    annotations, state = torch.randn(5, 2, 4).double(), torch.randn(2, 3).double()
    lengths = [5, 3]
    with torch.no_grad():
        read = attention.read(annotations, torch.tensor(lengths))
        context, weights = attention(state, read)
    parts = (attention.query.weight, attention.key.weight, attention.score.weight[0])
    w, u, v, b = (part.detach() for part in (*parts, attention.key.bias))
    for row, length in enumerate(lengths):
        energies = [
            float(v @ torch.tanh(w @ state[row] + u @ annotations[j, row] + b))
            for j in range(length)
        ]
        total = sum(map(math.exp, energies))
        expected = [math.exp(e) / total for e in energies] + [0.0] * (5 - length)
        assert weights[:, row].tolist() == pytest.approx(expected, rel=1e-12)
        seen = sum(a * annotations[j, row] for j, a in enumerate(expected))
        torch.testing.assert_close(context[row], seen)


@pytest.mark.parametrize("both_directions", [False, True])
def test_weights_sum_to_1_and_what_lies_in_the_padding_changes_nothing(
    both_directions: bool,
) -> None:
    model = network(both_directions=both_directions)
    source, lengths = sources(9)
    other = torch.where(torch.arange(6)[:, None] < lengths, source, 7 - source)
    assert not torch.equal(source, other)
    target = torch.randint(0, 6, (4, 9), generator=torch.Generator().manual_seed(2))
    found = []
    for given in (source, other):
        state = model.encode(given, lengths)
        logits, _, weights = model.attend(target, state)
        assert weights.shape == (4, 6, 9)
        torch.testing.assert_close(weights.sum(1), torch.ones(4, 9).double())
        assert not weights[:, torch.arange(6)[:, None] >= lengths].any()
        loss = model.loss(given, lengths, target)
        model.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        embedded = model.source_embedding.weight
        gradients = [p.grad for p in model.parameters() if p is not embedded]
        found.append([logits, loss, *gradients])
    for one, two in zip(*found, strict=True):
        torch.testing.assert_close(one, two)


@pytest.mark.parametrize("width", [1, 3])
def test_a_search_answers_a_row_as_alone_and_scores_it_as_teacher_forcing_does(width: int) -> None:
    model = network(3)
    source, lengths = sources(6)
    with torch.no_grad():
        together = model.encode(source, lengths)
        found = beam_search(model, together, width, 5)
        greedy = greedy_search(model, together, 5)
        for row, answers in enumerate(found):
            n = int(lengths[row])
            alone = model.encode(source[:n, row : row + 1], lengths[row : row + 1])
            (again,) = beam_search(model, alone, width, 5)
            assert [a.numbers for a in again] == [a.numbers for a in answers]
            for answer in answers:
                said = [*answer.numbers, END] if answer.ended else answer.numbers
                read = torch.tensor([END, *said[:-1]])[:, None]
                ahead = model.decode(read, alone)[0].log_softmax(-1)[:, 0]
                score = ahead[range(len(said)), said].sum().item()
                if answer.ended:
                    assert answer.log_probability == pytest.approx(score, rel=1e-5)
    if width == 1:
        assert [a.numbers for (a,) in found] == [a.numbers for a in greedy]


def test_where_it_looked_is_told_in_the_order_of_the_source() -> None:
    """A network that looks at one letter, wherever that stands, read forwards or backwards."""
    model = training.build(SMALL).eval()
    net = model.answerer
    source = SMALL.parts.training[0][0]
    assert net.attention is not None
    for reverse in (True, False):
        answer = replace(SMALL, reverse=reverse).answers(model, [source])[0][0]
        seen = looks(model, source, answer, SMALL._vocabularies, reverse=reverse)
        assert seen.weights.shape == (len(seen.outputs), len(seen.source))
        numbers = torch.tensor(SMALL._vocabularies[0].numbers(source))
        read = (numbers.flip(0) if reverse else numbers)[:, None]
        shown = torch.tensor([END, *answer.numbers])[:, None]
        with torch.no_grad():
            state: State = net.encode(read, torch.tensor([len(read)]))
            weights = net.attend(shown, state)[2][:, :, 0]
        first = weights[:, -1] if reverse else weights[:, 0]
        assert torch.equal(seen.weights[:, 0], first)
    assert "".join(seen.source) == source


def test_a_run_with_attention_learns_and_leaves_its_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "draw_all", lambda *_, **__: [])
    letters = [(a + b + c, c + b + a) for a in "abcdef" for b in "abcdef" for c in "abcdef"]
    data = tmp_path / "a.tsv"
    data.write_text("".join(f"{source}\t{target}\n" for source, target in letters))
    recipe = replace(SMALL, data=data, hidden=24, learning_rate=0.02, steps=60, report_every=60)
    recipe = replace(recipe, batch_size=32, test_share=0.2, average=0.9, beam=1)
    *_, last = training.train(recipe, tmp_path / "run")
    assert last.metrics["exact_match"] > 0.5  # 0.86 after 40, 1.0 after 80
    assert (tmp_path / "run" / "attention.png").stat().st_size > 5000
    model: Any = last.model.eval()
    assert len(recipe.look(model)) == 2


def test_long_sources_are_answered_few_at_a_time() -> None:
    recipe = replace(SMALL, hidden=512)
    short, long = recipe._corpora[0], recipe._corpora[0]._replace(lengths=torch.tensor([9000]))
    assert recipe._together(long) == 1
    assert recipe._together(short) > recipe._together(long)
    assert replace(recipe, attention=False)._together(long) == 256
