"""The four kinds of input: bits, tokens, a stretch of a series, any numbers.

Each turns what a user types into x [T, I].  The page does the same in JavaScript
(``page/inputs.js``), and a test holds the two together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from unrolled.explorer.explorable import MOST_STEPS, ExplorerError, Reading, Units

__all__ = ["Bits", "Numbers", "Tokens", "Window"]


def _few(count: int, what: str) -> None:
    if not 1 <= count <= MOST_STEPS:
        raise ExplorerError(f"{count} {what}: the explorer takes 1 to {MOST_STEPS} steps.")


@dataclass(frozen=True)
class Bits:
    """Two whole numbers, bit by bit, the lowest first."""

    example: str = "11 6"
    kind: ClassVar[str] = "bits"
    size: int = field(default=2, init=False)

    def read(self, text: str) -> Reading:
        """One step for each bit of the sum."""
        words = (text or self.example).replace("+", " ").split()
        if len(words) != 2 or not all(word.isascii() and word.isdecimal() for word in words):
            raise ExplorerError(f"{text!r} is not two whole numbers to add, such as 11 + 6.")
        if max(map(len, words)) > 120:
            raise ExplorerError("a number of more than 120 digits is too long for the explorer.")
        a, b = map(int, words)
        steps = max((a + b).bit_length(), a.bit_length() + 1, b.bit_length() + 1)
        bits = [[float(n >> t & 1) for n in (a, b)] for t in range(steps)]
        return Reading(torch.tensor(bits), [str(t) for t in range(steps)])

    def told(self) -> dict[str, Any]:
        """Nothing but the example."""
        return {"example": self.example}


_WORD = r"\w+(?:['\N{RIGHT SINGLE QUOTATION MARK}]\w+)*"
_TOKEN = re.compile(rf"{_WORD}|[^\w]")


@dataclass(frozen=True, eq=False)
class Tokens:
    """A text, by its characters or words.

    Parameters
    ----------
    tokens : sequence of str
        By their numbers; 0 is what is not known.
    unit
        What a token is.  Of words, a single space between two is understood, not a token.
    vectors : Tensor, [V, E], or None
        What the first layer reads of a token; None: V numbers, of which one is 1.
    example : str
        What is there to begin with.
    passage : str
        A longer text, in which units are looked for.
    """

    tokens: Sequence[str]
    unit: Literal["characters", "words"]
    vectors: Tensor | None
    example: str
    passage: str
    kind: ClassVar[str] = "tokens"

    def __post_init__(self) -> None:
        if not all(isinstance(token, str) for token in self.tokens):
            raise ExplorerError("the vocabulary beside the weights is damaged: a token is no text.")
        if self.vectors is not None and len(self.vectors) != len(self.tokens):
            raise ExplorerError(
                f"the vocabulary beside the weights is damaged: it has {len(self.tokens)} tokens, "
                f"and there are vectors for {len(self.vectors)}."
            )

    @property
    def size(self) -> int:
        """E, or V."""
        return len(self.tokens) if self.vectors is None else self.vectors.shape[1]

    def read(self, text: str) -> Reading:
        """One step for each token."""
        cut = list(self.cut(text or self.example))
        _few(len(cut), self.unit)
        numbers = {token: n for n, token in enumerate(self.tokens) if n}
        ids = torch.tensor([numbers.get(token, 0) for token in cut])
        if self.vectors is None:
            return Reading(nn.functional.one_hot(ids, len(self.tokens)).float(), cut)
        return Reading(self.vectors.detach()[ids], cut)

    def cut(self, text: str) -> Iterator[str]:
        """The tokens of a text."""
        if self.unit == "characters":
            yield from text
            return
        found = _TOKEN.findall(text)
        for place, token in enumerate(found):
            near = found[place - 1 : place + 2] if place else []
            if not (token == " " and len(near) == 3 and all(map(_is_word, near[::2]))):
                yield token

    def told(self) -> dict[str, Any]:
        """The vocabulary, the vectors, the texts."""
        return {
            "tokens": list(self.tokens),
            "unit": self.unit,
            "vectors": self.vectors,
            "example": self.example,
            "passage": self.passage,
        }


def _is_word(token: str) -> bool:
    return token[0].isalnum() or token[0] == "_"


@dataclass(frozen=True, eq=False)
class Window:
    """A stretch of a series; x is how far each value is from a base, over a scale.

    Parameters
    ----------
    values, labels
        The series that stretches are picked from, and a word for each value.
    length
        How many values the network was trained to read.
    base : float or None
        What values count from; None: the stretch's last one.
    scale : float
    name : str
        Of the series.
    """

    values: Sequence[float]
    labels: Sequence[str]
    length: int
    base: float | None
    scale: float
    name: str
    kind: ClassVar[str] = "window"
    size: int = field(default=1, init=False)

    def read(self, text: str) -> Reading:
        """Values as typed, with spaces between; else the first stretch of the series."""
        words = text.split()
        try:
            values = [float(word) for word in words] or list(self.values[: self.length])
        except ValueError:
            raise ExplorerError(f"{text!r} is not a list of values, such as 1.5 2 2.5.") from None
        _few(len(values), "values")
        kept = torch.tensor(values, dtype=torch.float64)
        if not bool(kept.isfinite().all()):
            raise ExplorerError(f"{text!r} holds a value that is not finite.")
        x = (kept - (kept[-1] if self.base is None else self.base)) / self.scale
        labels = list(self.labels[: len(values)]) if not words else [str(t) for t in range(len(x))]
        return Reading(x[:, None], labels)

    def told(self) -> dict[str, Any]:
        """The series and its scaling."""
        return {
            "values": list(self.values),
            "labels": list(self.labels),
            "length": self.length,
            "base": self.base,
            "scale": self.scale,
            "name": self.name,
        }


@dataclass(frozen=True, eq=False)
class Numbers:
    """Any numbers [T, I].

    Parameters
    ----------
    names
        A word for each channel.
    examples
        By name, [T, I] each; the first is what is there to begin with.
    low, high
        Between which the page lets one drag.
    target
        What the network was to say: its first number, or unknown.
    labels
        A word for each step of an example, by the example's name; else steps are counted.
    units
        By an example's name, what its outputs are in the series' own units; else they are shown
        as the head gives them.
    """

    names: Sequence[str]
    examples: Mapping[str, Tensor]
    low: float = -1.0
    high: float = 1.0
    target: Literal["first"] | None = None
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    units: Mapping[str, Units] = field(default_factory=dict)
    kind: ClassVar[str] = "numbers"

    @property
    def size(self) -> int:
        """I."""
        return len(self.names)

    def read(self, text: str) -> Reading:
        """Rows of numbers, with a comma, semicolon or line end between; of one channel, a space."""
        if not text.strip():
            name, x = next(iter(self.examples.items()))
            return Reading(x, list(self.labels.get(name) or map(str, range(len(x)))))
        cut = text.split() if self.size == 1 else re.split(r"[,;\n]", text.strip())
        try:
            rows = [[float(word) for word in row.strip(",;").split()] for row in cut]
        except ValueError:
            rows = [[]]
        if any(len(row) != self.size for row in rows):
            each = "number" if self.size == 1 else f"{self.size} numbers"
            raise ExplorerError(f"{text!r} makes no sense: expected {each} for every step.")
        _few(len(rows), "steps")
        return Reading(torch.tensor(rows, dtype=torch.float64), [str(t) for t in range(len(rows))])

    def told(self) -> dict[str, Any]:
        """The channels and the examples."""
        return {
            "names": list(self.names),
            "examples": [
                {
                    "name": name,
                    "x": x,
                    "labels": list(self.labels.get(name, ())) or None,
                    "units": units._asdict() if (units := self.units.get(name)) else None,
                }
                for name, x in self.examples.items()
            ],
            "low": self.low,
            "high": self.high,
            "target": self.target,
        }
