"""What is printed of a language model beside its figures: of what they are, what was unknown."""

from __future__ import annotations

from unrolled.recipes._text.vocabulary import Encoded

__all__ = ["chosen", "title", "unknown"]


def title(name: str, learnt: Encoded, held: Encoded) -> str:
    """Of which characters the figures are."""
    return (
        f"bits per character of the last {held.characters:,} characters of {name}, after "
        f"{learnt.characters:,}"
    )


def chosen(validation: Encoded) -> list[str]:
    """Which part chose the weights."""
    return [f"  (the {validation.characters:,} characters between chose which weights are kept)"]


def unknown(tokens: str, learnt: Encoded, held: Encoded) -> list[str]:
    """What is not in the vocabulary, and what it costs."""
    lines = []
    for where, part in {"learnt from": learnt, "held out": held}.items():
        if part.unknown:
            most = ", ".join(repr(token) for token, _ in part.unknown.most_common(6))
            more = ", …" if len(part.unknown) > 6 else ""
            of = f"{part.unknown.total():,} of {len(part.ids):,} {tokens}"
            lines.append(f"  unknown in what is {where}: {of} ({most}{more})")
    if held.unknown:
        share = held.spelling / held.characters
        lines.append(f"  spelling those held out is counted above: {share:.3f} bits a character")
    return lines
