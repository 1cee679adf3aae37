"""Characters or words as numbers: learnt from the training part, with a number for the unknown.

In words, a text is cut without loss: a run of letters and digits (with apostrophes inside) is a
token, and so is every other character, but for the single space between two words, which is
understood.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from unrolled.recipes._text.corpus import BLOCK, Points, stored, text_of

__all__ = ["UNKNOWN", "Encoded", "Ids", "Kind", "Vocabulary", "encode"]

UNKNOWN = 0
SHOWN = "\N{REPLACEMENT CHARACTER}"  # what stands for the unknown where text is shown
CODE_POINTS = 0x110000

Kind = Literal["characters", "words"]
Ids = npt.NDArray[np.int32]

_WORD = r"\w+(?:['\N{RIGHT SINGLE QUOTATION MARK}]\w+)*"
_TOKEN = re.compile(rf"{_WORD}|[^\w]")
_INNER = " '\N{RIGHT SINGLE QUOTATION MARK}"


class Vocabulary:
    """The tokens that are known, the most frequent first; 0 is what is not known.

    Attributes
    ----------
    kind : {"characters", "words"}
    tokens : tuple of str
        ``tokens[n - 1]`` has the number n.
    """

    def __init__(self, kind: Kind, tokens: Sequence[str]) -> None:
        self.kind = kind
        self.tokens = tuple(tokens)
        self._numbers = {token: number for number, token in enumerate(tokens, start=1)}

    @classmethod
    def learn(cls, kind: Kind, points: Points, least: int, most: int) -> Vocabulary:
        """Every token that occurs ``least`` times or more in a text, but at most ``most``."""
        counts = _counts(kind, points)
        known = [(-count, token) for token, count in counts.items() if count >= least]
        return cls(kind, [token for _, token in sorted(known)[:most]])

    def __len__(self) -> int:
        return len(self.tokens) + 1

    def number(self, token: str) -> int:
        """The token's number; 0 for one that is not known."""
        return self._numbers.get(token, UNKNOWN)

    def cut(self, text: str) -> list[str]:
        """The tokens of a text, known and unknown."""
        return list(text if self.kind == "characters" else _words(text))

    def show(self, number: int) -> str:
        """The token of that number."""
        return self.tokens[number - 1] if number != UNKNOWN else SHOWN

    def written(self, numbers: Iterable[int]) -> list[str]:
        """Each token as it stands in a text, with the space before it where that is understood."""
        text = []
        after_word = False
        for number in numbers:
            token = self.show(number)
            is_word = self.kind == "words" and (number == UNKNOWN or _is_word(token))
            text.append(f" {token}" if after_word and is_word else token)
            after_word = is_word
        return text

    def join(self, numbers: Iterable[int]) -> str:
        """The text of tokens, given by their numbers: `cut` undone, where all are known."""
        return "".join(self.written(numbers))

    # --- as a buffer beside the weights, so that the two are never parted ---

    def pack(self) -> Tensor:
        """The vocabulary as bytes, [n]."""
        packed = json.dumps([self.kind, *self.tokens]).encode()
        return torch.frombuffer(bytearray(packed), dtype=torch.uint8)

    @classmethod
    def unpack(cls, packed: Tensor) -> Vocabulary:
        """`pack` undone."""
        kind, *tokens = json.loads(bytes(packed.tolist()))
        return cls(kind, tokens)


class Encoded(NamedTuple):
    """A text as numbers, and what the numbers do not tell of it.

    Attributes
    ----------
    ids : array of int32, [n]
        On the disk.
    unknown : Counter of str
        What was not known, and how often it occurred.
    spelling : float
        Bits to write those out where they stand: see `encode`.
    characters : int
    """

    ids: Ids
    unknown: Counter[str]
    spelling: float
    characters: int


def encode(vocabulary: Vocabulary, points: Points, known: Points) -> Encoded:
    """Number a text's tokens.

    What is unknown is not lost to the count of bits: beside the model's bits for "unknown" it is
    charged with spelling it out.  A character costs log2(1,114,112) = 20.1 bits, as any of
    Unicode's code points; a word, for each of its characters and its end, log2(n + 2) where n
    different characters occur in ``known``, and 20.1 more for each character beyond them.
    """
    unknown = Counter[str]()

    def numbers() -> Iterator[Ids]:
        for ids, tokens in _numbered(vocabulary, points):
            unknown.update(tokens[place] for place in np.flatnonzero(ids == UNKNOWN).tolist())
            yield ids

    ids = stored(numbers(), np.dtype(np.int32))
    letters = set(_counts("characters", known)) if vocabulary.kind == "words" else set[str]()
    spelling = sum(n * _spelling(token, letters) for token, n in unknown.items())
    return Encoded(ids, unknown, spelling, len(points))


def _spelling(token: str, letters: set[str]) -> float:
    beyond = sum(letter not in letters for letter in token) * math.log2(CODE_POINTS)
    return beyond + ((len(token) + 1) * math.log2(len(letters) + 2) if letters else 0.0)


def _counts(kind: Kind, points: Points) -> Counter[str]:
    if kind == "words":
        counts = Counter[str]()
        for text in _pieces(points):
            counts.update(_words(text))
        return counts
    total = np.zeros(CODE_POINTS, np.int64)
    for block in _blocks(points):
        total += np.bincount(block, minlength=CODE_POINTS)
    return Counter({chr(point): int(total[point]) for point in np.flatnonzero(total)})


def _numbered(vocabulary: Vocabulary, points: Points) -> Iterator[tuple[Ids, Sequence[str]]]:
    """The numbers of a text's tokens and the tokens, piece by piece."""
    if vocabulary.kind == "words":
        for text in _pieces(points):
            tokens = vocabulary.cut(text)
            yield np.fromiter(map(vocabulary.number, tokens), np.int32, len(tokens)), tokens
        return
    table = np.full(CODE_POINTS, UNKNOWN, np.int32)
    for number, token in enumerate(vocabulary.tokens, start=1):
        table[ord(token)] = number
    for block in _blocks(points):
        yield table[block], text_of(block)


def _is_word(token: str) -> bool:
    return token[0].isalnum() or token[0] == "_"


def _words(text: str) -> Iterator[str]:
    tokens = _TOKEN.findall(text)
    last = len(tokens) - 1
    for place, token in enumerate(tokens):
        between = token == " " and 0 < place < last
        if not (between and _is_word(tokens[place - 1]) and _is_word(tokens[place + 1])):
            yield token


def _blocks(points: Points) -> Iterator[Points]:
    return (points[at : at + BLOCK] for at in range(0, len(points), BLOCK))


def _pieces(points: Points) -> Iterator[str]:
    """A text in pieces that part neither a word nor two words and the space between them."""
    rest = ""
    for number, block in enumerate(_blocks(points), start=1):
        text = rest + text_of(block)
        end = len(text)
        if number * BLOCK < len(points):
            while end and (_is_word(text[end - 1]) or text[end - 1] in _INNER):
                end -= 1
            if not end and len(text) > 16 * BLOCK:
                end = len(text)  # all that without a mark is cut as it is
        yield text[:end]
        rest = text[end:]
