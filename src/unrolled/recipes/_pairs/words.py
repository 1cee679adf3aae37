"""What `unrolled train` and `unrolled try` say of pairs, and how a question is read."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from unrolled.recipes._pairs.decoding import Answer
from unrolled.recipes._pairs.judging import Judgement, bins, exact_match
from unrolled.recipes._pairs.vocabulary import PairVocabulary, Tokens

__all__ = ["question", "summary", "told", "unknown"]

_WIDEST = 60


def summary(judged: Sequence[Judgement], tokens: Tokens) -> str:
    """What is right by the length of the target, and the first three that are wrong."""
    lines = [f"held-out sources by the length of the target, in {tokens}"]
    for name, inside in bins(judged, lambda one: one.target_length).items():
        right = sum(one.right for one in inside)
        share = f"{right:,} of {len(inside):,}"
        edits = sum(one.edits for one in inside) / len(inside)
        lines.append(
            f"{name:>9}  {share:>16} right  {exact_match(inside):7.2%}  {edits:.3f} edits each"
        )
    for one in [one for one in judged if not one.right][:3]:
        lines.append(f"wrong: {_short(one.source)} -> {_short(one.answer)}, not {one.target}")
    return "\n".join(lines)


def _short(text: str) -> str:
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"


def question(arguments: list[str], example: str, widest: int) -> tuple[str, int]:
    """The source, and the width of the beam; 0 where none is asked for."""
    words, beam = list(arguments), 0
    for place, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name == "--beam":
            value = value if equals else "".join(words[place + 1 : place + 2])
            beam = _width(value, widest)
            del words[place : place + (1 if equals else 2)]
            break
    source = " ".join(words).strip()
    if not source:
        raise ValueError(
            "there is nothing to answer: expected a source, such as "
            f'`unrolled try DIR "{example}"`.'
        )
    return source, beam


def _width(word: str, widest: int) -> int:
    if not (word.isascii() and word.isdecimal() and 0 < len(word) < 6 and 0 < int(word) <= widest):
        raise ValueError(
            f"--beam {word or '(nothing)'} makes no sense: expected a whole number from 1 to "
            f"{widest}, such as 5."
        )
    return int(word)


def unknown(vocabulary: PairVocabulary, source: str, *, learnt: bool) -> list[str]:
    """A line on the symbols of the source that were never seen; if none were learnt so, refuse."""
    found = list(dict.fromkeys(vocabulary.unknown(source)))
    if not found:
        return []
    named = ", ".join(map(repr, found))
    if learnt:
        return [f"read as unknown: {named}"]
    near = difflib.get_close_matches(found[0].casefold(), vocabulary.symbols, n=1)
    known = f"did you mean {near[0]!r}?" if near else f"known are {_known(vocabulary)}."
    were = "was" if len(found) == 1 else "were"
    raise ValueError(f"{named} {were} never seen in training: {known}")


def _known(vocabulary: PairVocabulary) -> str:
    symbols = vocabulary.symbols
    if vocabulary.tokens == "characters":
        shown = repr("".join(symbols[:80]))
        return shown if len(symbols) <= 80 else f"{shown} and {len(symbols) - 80} more"
    shown = ", ".join(symbols[:12])
    return shown if len(symbols) <= 12 else f"{shown} and {len(symbols) - 12:,} more"


def told(answers: Sequence[Answer], vocabulary: PairVocabulary, *, with_scores: bool) -> list[str]:
    """The answers as lines; with scores, the natural logarithm of each one's probability first."""
    lines = ["log probability  answer"] if with_scores else []
    for one in answers:
        score = f"{one.log_probability:>15.4f}  " if with_scores else ""
        cut = "" if one.ended else f"…  (cut off after {len(one.numbers)} symbols, without an end)"
        lines.append(f"{score}{vocabulary.text(one.numbers) or '(nothing)'}{cut}")
    return lines
