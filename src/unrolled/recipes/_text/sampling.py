"""What `unrolled try` prints of a language model: a text that goes on, or a word's neighbours."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from unrolled.errors import InvalidValueError
from unrolled.errors.expected import at_least, between, check_flag, ending
from unrolled.recipes._asked import TryParser
from unrolled.recipes._text.network import LanguageModel, Writer
from unrolled.recipes._text.vocabulary import UNKNOWN, Vocabulary

__all__ = ["answer", "neighbours", "sample"]

MOST = 1_000_000


_TAKES = (
    "a text takes --primer TEXT, --length 500, --temperature 0.8 and --seed 1, or --near WORD alone"
)


def answer(model: LanguageModel, arguments: Sequence[str]) -> str:
    """What was asked for, in words.

    Raises
    ------
    ValueError
        In one sentence: a flag that is not known, a value that makes no sense.
    """
    parser = TryParser(add_help=False, allow_abbrev=False, epilog=_TAKES)
    parser.add_argument("--primer", default="")
    parser.add_argument("--length", type=int, default=500)
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--near")
    asked = parser.parse_args(arguments)
    if asked.near is not None:
        return _near(model, asked.near)
    check_flag("--length", asked.length, between(1, MOST))
    check_flag("--temperature", asked.temperature, at_least(0))
    check_flag("--seed", asked.seed, between(0, 2**32 - 1))
    vocabulary = model.vocabulary
    primer = vocabulary.cut(asked.primer)
    generator = torch.Generator().manual_seed(asked.seed)
    numbers = [vocabulary.number(token) for token in primer]
    drawn = sample(model, numbers, asked.length, asked.temperature, generator)
    lost = dict.fromkeys(token for token in primer if vocabulary.number(token) == UNKNOWN)
    added = vocabulary.written([*numbers, *drawn])[len(numbers) :]
    return "".join([asked.primer, *added, _note(lost) if lost else ""])


def sample(
    model: LanguageModel,
    primer: Sequence[int],
    length: int,
    temperature: float,
    generator: torch.Generator,
) -> list[int]:
    """Draw tokens, one after the other, each read before the next is drawn.

    Parameters
    ----------
    primer
        Tokens that are read first; if there are none, the end of a line.
    length
        How many to draw.
    temperature
        Logits are divided by it: below 1 the likely becomes likelier; 0 takes the likeliest.
    generator

    Returns
    -------
    list of int
        The tokens drawn.  The unknown is never drawn: there is nothing to show for it.
    """
    writer = Writer(model.used)
    for number in primer or [model.vocabulary.number("\n")]:
        logits = writer.read(number)
    drawn: list[int] = []
    while len(drawn) < length:
        drawn.append(_draw(logits, temperature, generator))
        logits = writer.read(drawn[-1])
    return drawn


def neighbours(model: LanguageModel, token: str, count: int = 10) -> list[tuple[str, float]]:
    """The tokens whose vectors point most nearly where this one's does: with the cosine.

    Raises
    ------
    ValueError
        If the token is not known, or the model has one-hot inputs and so no vectors.
    """
    vocabulary = model.vocabulary
    number = vocabulary.number(token)
    if model.used.embedding is None:
        raise InvalidValueError("--near needs learnt vectors: train with --inputs embedding.")
    if number == UNKNOWN:
        raise InvalidValueError(_unknown(vocabulary, token))
    vectors = functional.normalize(model.used.embedding.weight, dim=1)
    cosines = vectors @ vectors[number]
    cosines[[UNKNOWN, number]] = -math.inf
    best = torch.topk(cosines, min(count, len(vocabulary) - 2))
    pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return [(vocabulary.show(n), cosine) for n, cosine in pairs]


def _draw(logits: Tensor, temperature: float, generator: torch.Generator) -> int:
    logits[UNKNOWN] = -math.inf
    if not temperature:
        return int(logits.argmax())
    below = (logits - logits.max()).double()  # at any temperature the likeliest stays finite
    odds = functional.softmax(below / temperature, dim=0)
    return int(torch.multinomial(odds, 1, generator=generator))


def _near(model: LanguageModel, token: str) -> str:
    nearest = neighbours(model, token)
    width = max((len(_plain(name)) for name, _ in nearest), default=0)
    lines = [f"  {_plain(name):<{width}}  {cosine:.3f}" for name, cosine in nearest]
    return "\n".join([f"nearest to {_plain(token)}, by the cosine of their vectors:", *lines])


def _plain(token: str) -> str:
    return token if token.isprintable() and not token.isspace() else repr(token)


def _note(lost: Iterable[str]) -> str:
    names = ", ".join(map(repr, lost))
    return (
        f"\n\n(of the primer, {names} did not occur often enough in the training text to be "
        "known; the network read it as unknown)"
    )


def _unknown(vocabulary: Vocabulary, token: str) -> str:
    many = f"the {len(vocabulary) - 1:,} {vocabulary.kind} it knows"
    return f"--near {token!r} is none of {many}{ending(token, vocabulary.tokens, most=3)}"
