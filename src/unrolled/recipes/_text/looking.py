"""Where a reader stands in a text behind each token: inside quotes or brackets, how far on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from unrolled.inside.passage import Passage, name_within
from unrolled.recipes._text.network import LanguageModel
from unrolled.recipes._text.scoring import BIT
from unrolled.recipes._text.vocabulary import Ids

__all__ = ["passage", "properties"]

FOLLOWED = 120  # tokens that a gradient is followed back through
# Straight double quotes come in pairs, and a pair does not span more than a short paragraph: one
# that is alone (as in code, between single ones) would turn inside out all that follows.  The
# apostrophe is no quote: it cannot be told from one.
_QUOTED = re.compile(r'"""[\s\S]*?"""|\'"\'|"[^"]{0,500}"|“[^”]*”|«[^»]*»')
_ALONE = "'\"'"


def properties(tokens: Sequence[str]) -> dict[str, Tensor]:
    """What is so behind each token of a text, [T, 1] each.

    Parameters
    ----------
    tokens
        As they stand in the text, one behind the other, with the spaces between.

    Returns
    -------
    dict
        ``inside quotes``: a double quote was opened and not closed; ``inside brackets``: a round,
        square or curly one, since the last blank line; ``line position``: characters since the
        line began.
    """
    text = "".join(tokens)
    ends = np.array(list(accumulate(map(len, tokens)))) - 1  # where each token's last character is
    found = {
        "inside quotes": _inside_quotes(text),
        "inside brackets": _inside_brackets(text),
        "line position": _line_position(text),
    }
    return {name: torch.from_numpy(values[ends])[:, None] for name, values in found.items()}


def _inside_quotes(text: str) -> np.ndarray:
    inside = np.zeros(len(text), dtype=bool)
    for quote in _QUOTED.finditer(text):
        inside[quote.start() : quote.end() - 1] = quote[0] != _ALONE
    return inside


def _inside_brackets(text: str) -> np.ndarray:
    inside = np.zeros(len(text), dtype=bool)
    depth = 0
    for place, letter in enumerate(text):
        if letter in "([{":
            depth += 1
        elif letter in ")]}":
            depth = max(depth - 1, 0)
        elif text[max(place - 1, 0) : place + 1] == "\n\n":
            depth = 0  # one that is never closed does not count on
        inside[place] = depth > 0
    return inside


def _line_position(text: str) -> np.ndarray:
    places = np.arange(len(text))
    breaks = np.array([letter == "\n" for letter in text])
    began = np.maximum.accumulate(np.where(breaks, places, -1))
    return places - began


def passage(model: LanguageModel, ids: Ids) -> Passage:
    """A text to look at a model by."""
    tokens = model.vocabulary.written(ids.tolist())
    read = torch.from_numpy(ids.astype(np.int64))[:, None]
    followed = min(FOLLOWED, len(read) - 1)
    return Passage(
        call=lambda: model(read),
        inputs=tokens,
        followed=lambda: cross_entropy(model(read[:followed])[0][-1], read[followed]) / BIT,
        following=f"the bits of token {followed + 1}",
        properties=properties(tokens),
        within=name_within(model, model.used),
        text=True,
    )
