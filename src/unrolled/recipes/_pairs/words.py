"""What `unrolled train` and `unrolled try` print of pairs, and how a question is read."""

from __future__ import annotations

from collections.abc import Sequence

from unrolled.errors import InvalidValueError
from unrolled.errors.expected import ending
from unrolled.recipes._asked import whole_number
from unrolled.recipes._pairs.decoding import Answer
from unrolled.recipes._pairs.judging import Judgement, bins, exact_match, short
from unrolled.recipes._pairs.vocabulary import PairVocabulary, Tokens

__all__ = ["question", "summary", "told", "unknown"]


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
        lines.append(f"wrong: {short(one.source, 60)} -> {short(one.answer, 60)}, not {one.target}")
    return "\n".join(lines)


def question(arguments: list[str], example: str, widest: int) -> tuple[str, int]:
    """The source, and the width of the beam; 0 where none is asked for."""
    words, beam = list(arguments), 0
    for place, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name == "--beam":
            value = value if equals else "".join(words[place + 1 : place + 2])
            beam = whole_number(value, "a width for --beam", 1, widest, such_as=5)
            del words[place : place + (1 if equals else 2)]
            break
    source = " ".join(words).strip()
    if not source:
        raise InvalidValueError(
            "there is nothing to answer: expected a source, such as "
            f'`unrolled try DIR "{example}"`.'
        )
    return source, beam


def unknown(vocabulary: PairVocabulary, source: str, *, learnt: bool) -> list[str]:
    """A line on the symbols of the source that were never seen; if none were learnt so, refuse."""
    found = list(dict.fromkeys(vocabulary.unknown(source)))
    if not found:
        return []
    named = ", ".join(map(repr, found))
    if learnt:
        return [f"read as unknown: {named}"]
    were = "was" if len(found) == 1 else "were"
    end = ending(found[0], vocabulary.symbols)
    raise InvalidValueError(
        f"{named} {were} never seen in training: known are {_known(vocabulary)}{end}"
    )


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
