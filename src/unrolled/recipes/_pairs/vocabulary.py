"""Symbols and their numbers: characters or words, learnt from the training pairs alone."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

__all__ = ["END", "REPLACEMENT", "UNKNOWN", "NumberedTexts", "PairVocabulary", "Tokens"]

Tokens = Literal["characters", "words"]

END = 0  # ends a target; the decoder reads it first, where there is no symbol yet
UNKNOWN = 1  # any symbol that the vocabulary does not have
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"  # how UNKNOWN is written


class PairVocabulary:
    """The symbols of one side, and the two that are none: `END` and `UNKNOWN`.

    Parameters
    ----------
    tokens
        What a symbol is: a character, or a word between spaces.
    texts
        Where they are learnt.
    fewest
        A symbol that is found fewer times there is unknown.
    """

    def __init__(self, tokens: Tokens, texts: Iterable[str], fewest: int = 1) -> None:
        self.tokens = tokens
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(self.cut(text))
        self.symbols = sorted(symbol for symbol, count in counts.items() if count >= fewest)
        self._numbers = {symbol: n for n, symbol in enumerate(self.symbols, start=UNKNOWN + 1)}

    def __len__(self) -> int:
        return len(self.symbols) + UNKNOWN + 1

    def cut(self, text: str) -> list[str]:
        """A text in its symbols."""
        return list(text) if self.tokens == "characters" else text.split()

    def numbers(self, text: str) -> list[int]:
        """A text as the numbers of its symbols."""
        return [self._numbers.get(symbol, UNKNOWN) for symbol in self.cut(text)]

    def symbols_of(self, numbers: Iterable[int]) -> list[str]:
        """The symbols of some numbers, up to `END`."""
        found = []
        for number in numbers:
            if number == END:
                break
            found.append(REPLACEMENT if number == UNKNOWN else self.symbols[number - UNKNOWN - 1])
        return found

    def text(self, numbers: Iterable[int]) -> str:
        """The text of some numbers, up to `END`."""
        return ("" if self.tokens == "characters" else " ").join(self.symbols_of(numbers))

    def unknown(self, text: str) -> list[str]:
        """The symbols of a text that the vocabulary does not have, in order, repeats included."""
        return [symbol for symbol in self.cut(text) if symbol not in self._numbers]

    def digest(self) -> bytes:
        """32 bytes that tell this vocabulary from any other."""
        joined = "\0".join((self.tokens, *self.symbols))
        return hashlib.sha256(joined.encode("utf-8", "surrogatepass")).digest()


class NumberedTexts(NamedTuple):
    """Many texts as numbers, one after the other: a long line costs itself, and no padding.

    ``flat`` is [symbols], ``starts`` and ``lengths`` are [texts].
    """

    flat: Tensor
    starts: Tensor
    lengths: Tensor

    @classmethod
    def of(cls, rows: Sequence[list[int]]) -> NumberedTexts:
        """The corpus of some texts' numbers."""
        lengths = torch.tensor([len(row) for row in rows])
        flat = torch.tensor([number for row in rows for number in row])
        return cls(flat, lengths.cumsum(0) - lengths, lengths)

    def padded(self, chosen: Tensor, padding: int, reverse: bool = False) -> Tensor:
        """The chosen texts [B] as numbers [T, B], backwards if asked, then the padding."""
        lengths = self.lengths[chosen]
        steps = torch.arange(int(lengths.max()))[:, None]
        places = lengths - 1 - steps if reverse else steps
        inside = steps < lengths
        numbers = self.flat[torch.where(inside, self.starts[chosen] + places, 0)]
        return torch.where(inside, numbers, padding)
