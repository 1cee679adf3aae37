"""Answer one text with another: numbers in words with digits, or any file of pairs.

An encoder LSTM reads the source and hands its state to a decoder LSTM, which writes the target.
Document 001 names what it is for (sequence to sequence, translation, a chatbot) and builds none of
it; the design is that of Sutskever, Vinyals and Le, "Sequence to Sequence Learning with Neural
Networks" (2014), their reversed source included.  With `--attention` the decoder looks at every
symbol of the source (Bahdanau, Cho and Bengio 2015).

A file has a source and its target in each row, divided by a tab, or as CSV; of more columns
`--columns` says which.  A share of the sources is held out, with every pair of each, so that no
source is on both sides.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import torch
from torch import Tensor

from unrolled import training
from unrolled.errors import InvalidValueError
from unrolled.errors.expected import (
    Count,
    below_one,
    between,
    check_field,
    only,
    probability,
    share,
)
from unrolled.inside.passage import Passage
from unrolled.recipes._pairs import decoding, files, judging, looking, numbers, words
from unrolled.recipes._pairs.averaging import Averaged
from unrolled.recipes._pairs.decoding import Answer
from unrolled.recipes._pairs.files import DividedPairs
from unrolled.recipes._pairs.judging import Judgement
from unrolled.recipes._pairs.numbers import LARGEST
from unrolled.recipes._pairs.reading import ReadingPairs
from unrolled.recipes._pairs.sizes import TwoNetworks
from unrolled.recipes._pairs.translator import IGNORED, Translator
from unrolled.recipes._pairs.vocabulary import END, UNKNOWN, NumberedTexts, PairVocabulary, Tokens

SOURCE = "document 001 (which names the use); after Sutskever et al. 2014, Bahdanau et al. 2015"

PUBLISHED = None  # document 001 gives neither a task nor a figure

WIDEST_BEAM = 100
_TOGETHER = 256  # sources that are answered at once
_LOOKS = 1 << 23  # numbers that attention compares at a step, at the most


@dataclass(frozen=True)
class Recipe(ReadingPairs, TwoNetworks, training.Recipe):
    """The hyperparameters of an encoder and a decoder."""

    steps: int = 1200
    """Updates: about a minute. 98 in 100 held-out numbers are right after the first 750."""
    learning_rate: float = 0.003
    """How far an update goes; 0.002 to 0.003 do, 0.006 is unsteady."""
    steps_per_update: Annotated[int, only(0, "a pair is learnt as a whole")] = 0
    """Only 0 makes sense: a pair is learnt as a whole."""
    report_every: int = 150
    """Updates from one report to the next."""
    data: Path | None = None
    """A file of pairs, of each row a source and its target; none: numbers in words to digits."""
    tokens: Tokens = "characters"
    """What is read and written one at a time. Words are what stands between spaces, which of the
    numbers is each digit."""
    fewest: Count = 1
    """A symbol found fewer times in the training pairs is unknown. Only above 1 does a network
    meet unknown symbols in training, and learn what to make of them."""
    test_share: Annotated[float, share] = 0.05
    """The share of the sources that is held out, the same ones whatever the seed."""
    largest: Annotated[int, between(99, LARGEST)] = 999_999
    """Of the numbers: the largest; the smallest is 0."""
    numbers: Annotated[int, between(2, 1_000_000)] = 50_000
    """Of the numbers: how many there are to learn from and be judged on, of each number of digits
    as many as there can be."""
    even: Annotated[float, probability] = 0.1
    """Of the numbers: the share of the pairs drawn with each number of digits as likely as any
    other. Without it the ten of one digit are met too seldom, and 8 of them come out wrong."""
    batch_size: Count = 128
    """Pairs in one update (Sutskever et al.)."""
    alike: Count = 4
    """A batch is one of so many parts of a larger one that was sorted by length: little padding."""
    beam: Annotated[int, between(1, WIDEST_BEAM)] = 5
    """Width of the beam search that the held-out sources are answered with in the end."""
    average: Annotated[float, below_one] = 0.99
    """Answer with an average of the weights: how much of it stays at each update; 0 is none."""

    def check(self) -> None:
        """Raise ValueError where fields do not fit each other, or the data."""
        check_field("numbers", self.numbers, between(2, min(self.largest + 1, 1_000_000)))
        self._check_data()

    def _check_data(self) -> None:
        training = len(self.parts.training)
        if not training:
            raise InvalidValueError(
                f"{self._name} has 1 source, and that is held out: expected 2 or more."
            )
        if training < self.batch_size:
            raise InvalidValueError(
                f"batch_size = {self.batch_size} is more than the {training} training pairs of "
                f"{self._name}: use --batch-size {training} or less."
            )

    def published(self) -> Recipe:
        """How Sutskever et al. train, but for sizes and a rate that falls.

        They have 4 layers of 1,000 units, an embedding of 1,000, and halve the rate every half
        epoch after the fifth; they stop after 7.5 epochs, which are 2,783 updates here.
        """
        return dataclasses.replace(
            self,
            reverse=True,
            both_directions=False,
            dropout=0.0,
            start="uniform",
            batch_size=128,
            steps=2783,
            optimizer="SGD",
            learning_rate=0.7,
            average=0.0,
            clip=5.0,
        )

    # --- the data ---

    @cached_property
    def parts(self) -> DividedPairs:
        """The pairs to learn from, and those that are held out."""
        if self.data is not None:
            return files.divide(self._read.pairs, self.test_share)
        # Each digit is a word: a number is none that was met before.
        pairs = numbers.number_pairs(self.numbers, self.largest, apart=self.tokens == "words")
        return files.divide(pairs, self.test_share, learnt=numbers.ALONE)

    @cached_property
    def _read(self) -> files.ReadPairs:
        assert self.data is not None
        return files.read_pairs(self.data, self.asked)

    def digest(self) -> str:
        """What tells this data from other data: a run goes on with its own alone."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        return files.digest(self.parts)

    @cached_property
    def _vocabularies(self) -> tuple[PairVocabulary, PairVocabulary]:
        sides = zip(*self.parts.training, strict=True)
        source, target = (PairVocabulary(self.tokens, side, self.fewest) for side in sides)
        return source, target

    @cached_property
    def _corpora(self) -> tuple[NumberedTexts, NumberedTexts]:
        source, target = self._vocabularies
        training = self.parts.training
        return (
            NumberedTexts.of([source.numbers(text) for text, _ in training]),
            NumberedTexts.of([[*target.numbers(text), END] for _, text in training]),
        )

    @cached_property
    def _held_out(self) -> dict[str, list[str]]:
        """The targets of each held-out source: any of them is right."""
        targets: dict[str, list[str]] = {}
        for source, target in self.parts.held_out:
            targets.setdefault(source, []).append(target)
        return targets

    @property
    def _name(self) -> str:
        return "numbers" if self.data is None else self.data.name

    # --- learning ---

    def model(self) -> Averaged:
        """The two LSTMs."""
        learner = Translator(
            *self._vocabularies,
            embedding=self.embedding,
            hidden=self.hidden,
            layers=self.layers,
            cell=self.cell,
            dropout=self.dropout,
            both_directions=self.both_directions,
            attention=self.attention,
        )
        if self.start == "uniform":
            learner.start_uniform(0.08)
        return Averaged(learner, self.average)

    def batch(self, step: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Sources [T, B], their lengths [B], and targets [U, B] with their ends."""
        source, target = self._corpora
        drawn = self._drawn(self.alike * self.batch_size, generator)
        part = int(torch.randint(self.alike, (), generator=generator))
        by_length = drawn[source.lengths[drawn].argsort(stable=True)]
        chosen = by_length[part * self.batch_size :][: self.batch_size]
        return (
            source.padded(chosen, UNKNOWN, self.reverse),
            source.lengths[chosen],
            target.padded(chosen, IGNORED),
        )

    def _drawn(self, count: int, generator: torch.Generator) -> Tensor:
        """Places of training pairs [count]; of a file, all are as likely."""
        every = torch.randint(len(self.parts.training), (count,), generator=generator)
        if self.data is not None or not self.even:
            return every
        starts, sizes = self._by_digits
        digits = torch.randint(len(sizes), (count,), generator=generator)
        share = torch.rand((2, count), generator=generator, dtype=torch.float64)
        one = starts[digits] + (share[0] * sizes[digits]).long()
        return torch.where(share[1] < self.even, one, every)

    @cached_property
    def _by_digits(self) -> tuple[Tensor, Tensor]:
        """Where the training pairs of each number of digits begin, and how many they are."""
        sizes = self._corpora[1].lengths.bincount()  # the numbers are in order
        sizes = sizes[sizes > 0]
        return sizes.cumsum(0) - sizes, sizes

    def loss(self, model: Averaged, batch: tuple[Tensor, ...], state: Any) -> tuple[Tensor, Any]:
        """The mean cross entropy of a target's symbol."""
        return model.loss(*batch), None

    # --- answering ---

    @torch.no_grad()
    def answers(self, model: Averaged, sources: Sequence[str], beam: int = 0) -> list[list[Answer]]:
        """The answers to each source, the likeliest first: one, or as many as the beam is wide."""
        vocabulary, targets = self._vocabularies[0], self._corpora[1]
        corpus = NumberedTexts.of([vocabulary.numbers(source) for source in sources])
        most = 2 * (int(targets.lengths.max()) - 1)
        together = self._together(corpus)
        return decoding.answers(model.answerer, corpus, self.reverse, beam, most, together)

    def _together(self, corpus: NumberedTexts) -> int:
        """How many sources are answered at once."""
        compared = int(corpus.lengths.max()) * self.hidden * self.beam if self.attention else 1
        return max(1, min(_TOGETHER, _LOOKS // compared))

    def judge(self, model: Averaged, beam: int = 0) -> list[Judgement]:
        """The answer to each held-out source, and how far that is from right."""
        found = self.answers(model, list(self._held_out), beam)
        return [
            judging.judged(source, targets, answers[0], self._vocabularies)
            for (source, targets), answers in zip(self._held_out.items(), found, strict=True)
        ]

    def metrics(self, model: Averaged) -> dict[str, float]:
        """Held-out sources answered right to the last symbol, and edits a symbol; greedy."""
        return judging.figures(self.judge(model))

    def result(self, model: Averaged) -> dict[str, Any]:
        """The same, with the beam search beside it, and what the data is."""
        beam = judging.figures(self.judge(model, self.beam))
        source, target = self._vocabularies
        held_out = self.parts.held_out
        return {
            **judging.figures(self.judge(model)),
            **{f"{name}_beam": value for name, value in beam.items()},
            "held_out_sources": len(self._held_out),
            "training_pairs": len(self.parts.training),
            "repeated_sources": self.parts.repeated,
            "source_symbols": len(source.symbols),
            "target_symbols": len(target.symbols),
            "unknown_in_held_out_sources": sum(len(source.unknown(s)) for s, _ in held_out),
            "unknown_in_held_out_targets": sum(len(target.unknown(t)) for _, t in held_out),
        }

    # --- showing ---

    def report(self, model: Averaged, step: int, batch: tuple[Tensor, ...]) -> str:
        """How the file was read, at the first report; at the end the `summary`."""
        first = step == min(self.report_every, self.steps) and self.data is not None
        read = f"read as: {', '.join(self._read.said)}" if first else ""
        return "\n".join(filter(None, [read, super().report(model, step, batch)]))

    def summary(self, model: Averaged) -> str:
        """What is right by length, and examples."""
        return words.summary(self.judge(model), self.tokens)

    def draw(self, model: Averaged, history: list[dict[str, Any]], folder: Path) -> list[Path]:
        """How it learned, what is right by length, examples, and where attention looked."""
        from unrolled.recipes._pairs.pictures import draw_all, draw_looks, examples

        judged = self.judge(model)
        digits = self.data is None
        drawn = draw_all(judged, history, folder, self._name, self.tokens, digits=digits)
        if self.attention:
            looks = [self._looks(model, one.source) for one in examples(judged, 2)]
            drawn.append(draw_looks(looks, folder / "attention.png", title=self._name))
        return drawn

    def _looks(self, model: Averaged, source: str) -> looking.Looks:
        answer = self.answers(model, [source])[0][0]
        return looking.looks(model, source, answer, self._vocabularies, reverse=self.reverse)

    def look(self, model: Averaged) -> list[Passage]:
        """The longest of the first held-out sources, and the answer to it."""
        source = max(list(self._held_out)[:200], key=len)
        answer = self.answers(model, [source])[0][0]
        return looking.passages(model, source, answer, self._vocabularies, reverse=self.reverse)

    def attempt(self, model: Averaged, arguments: list[str]) -> str:
        """The answer to a source; with ``--beam N`` the N best, and the log of what each has."""
        vocabulary, wanted = self._vocabularies
        seal = vocabulary.digest() + wanted.digest()
        if bytes(model.learner.vocabularies.tolist()) != seal:
            raise InvalidValueError(
                f"{self._name} has other symbols than when this run was trained: put the file "
                "back as it was, or train again."
            )
        source, beam = words.question(arguments, self.parts.training[0][0], WIDEST_BEAM)
        source = source.lower() if self.lowercase else source
        unknown = words.unknown(vocabulary, source, learnt=self.fewest > 1)
        answers = self.answers(model, [source], beam)[0]
        return "\n".join([*unknown, *words.told(answers, wanted, with_scores=beam > 0)])
