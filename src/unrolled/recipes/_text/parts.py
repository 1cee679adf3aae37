"""A text and its three parts, in numbers: to learn from, to choose by, to be judged on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated

from unrolled.errors.expected import Before, Count, Expected, share
from unrolled.recipes._text import compressors, corpus
from unrolled.recipes._text.corpus import Points, TextCorpus
from unrolled.recipes._text.vocabulary import Encoded, Ids, Kind, Vocabulary, encode

__all__ = ["TextParts"]

# On every machine that has the library, under its licence, and without a network.
BUILT_IN = Path(__file__).parents[2]

share_or_none = Expected("a share from 0 to below 1, such as 0.1", lambda value: 0 <= value < 1)


@dataclass(frozen=True, kw_only=True)
class TextParts:
    """What the text is, what is known of it, and what is held out: flags of the recipe."""

    data: Path | None = None
    """A text, or a folder: all .txt, .md, .rst and .py files in it, in the order of their paths;
    none: this library's own source files (Python, some 650 kB)."""
    encoding: Annotated[str, Before("utf-8")] = ""
    """How the text's letters are written, such as cp1252 or gb18030 (empty: as a mark at its
    beginning says, else UTF-8)."""
    tokens: Kind = "characters"
    """What is read and foretold one by one; of words, what lies between them too."""
    least: Count = 2
    """A token that the training part has fewer times is learnt as unknown."""
    most: Count = 20_000
    """How many different tokens are known, the most frequent ones."""
    validation_share: Annotated[float, share] = 0.1
    """The share of the characters before the test part, the last ones, that nothing is learnt from:
    the weights with which they take the fewest bits are kept."""
    test_share: Annotated[float, share_or_none, Before(0.0)] = 0.1
    """The share of characters, the last ones, that is judged once, in the end, and that chooses
    nothing; 0: the validation part is judged, and the last weights are kept."""
    validation_most: Count = 200_000
    """No more characters than that are held out in either part."""

    def digest(self) -> str:
        """What tells this text from another: a run goes on with its own alone."""
        return self.corpus.digest

    @cached_property
    def corpus(self) -> TextCorpus:
        """The whole text, on the disk."""
        if self.data is None:
            return corpus.read(BUILT_IN)._replace(name="this library's source")
        return corpus.read(self.data, self.encoding)

    @cached_property
    def _test(self) -> int:
        """Where the test part begins; at the end, where there is none."""
        if not self.test_share:
            return len(self.corpus.points)
        return corpus.split_at(self.corpus, self.test_share, self.validation_most, "test_share")

    @cached_property
    def _split(self) -> int:
        name = f"{self.corpus.name} before its test part" if self.test_share else self.corpus.name
        before = self.corpus._replace(points=self.corpus.points[: self._test], name=name)
        return corpus.split_at(before, self.validation_share, self.validation_most)

    @property
    def _judged_from(self) -> int:
        """Where the part begins that is judged in the end."""
        return self._test if self.test_share else self._split

    @property
    def _training_points(self) -> Points:
        return self.corpus.points[: self._split]

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """What is known, of the training part alone."""
        return Vocabulary.learn(self.tokens, self._training_points, self.least, self.most)

    @cached_property
    def training(self) -> Encoded:
        """The training part, in numbers."""
        return encode(self.vocabulary, self._training_points, self._training_points)

    @cached_property
    def validation(self) -> Encoded:
        """The part that chooses the weights, in numbers; without a test part it is judged."""
        points = self.corpus.points[self._split : self._test]
        return encode(self.vocabulary, points, self._training_points)

    @cached_property
    def held_out(self) -> Encoded:
        """The part that is judged in the end, in numbers."""
        if not self.test_share:
            return self.validation
        return encode(self.vocabulary, self.corpus.points[self._test :], self._training_points)

    @cached_property
    def _before(self) -> Ids:
        """What that part goes on from."""
        return self.validation.ids if self.test_share else self.training.ids

    @cached_property
    def _compressors(self) -> dict[str, float]:
        return compressors.cost(self.corpus.points, self._judged_from)
