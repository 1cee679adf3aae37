"""What the decoder writes of a state: symbol by symbol, or the best of several beams."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from unrolled.recipes._pairs.translator import State, Translator
from unrolled.recipes._pairs.vocabulary import END, UNKNOWN, NumberedTexts

__all__ = ["Answer", "answers", "beam_search", "greedy_search"]


class Answer(NamedTuple):
    """What was written: the numbers of its symbols, without `END`, and the log of its probability.

    ``ended`` is False where the network had not written `END` when it was cut off.
    """

    numbers: list[int]
    log_probability: float
    ended: bool


@torch.no_grad()
def answers(
    model: Translator, sources: NumberedTexts, reverse: bool, beam: int, most: int, together: int
) -> list[list[Answer]]:
    """The answers to each source, the likeliest first: one, or as many as the beam is wide.

    Parameters
    ----------
    model : Translator
    sources : NumberedTexts
    reverse : bool
        Whether they are read backwards.
    beam : int
        The width of the search; 0: greedy.
    most : int
        Symbols after which an answer is cut off.
    together : int
        How many sources of like lengths are answered at once.
    """
    found: dict[int, list[Answer]] = {}
    for chosen in torch.split(sources.lengths.argsort(stable=True), together):
        state = model.encode(sources.padded(chosen, UNKNOWN, reverse), sources.lengths[chosen])
        if beam:
            several = beam_search(model, state, beam, most)
        else:
            several = [[one] for one in greedy_search(model, state, most)]
        found.update(zip(chosen.tolist(), several, strict=True))
    return [found[place] for place in range(len(found))]


@torch.no_grad()
def greedy_search(model: Translator, state: State, most: int) -> list[Answer]:
    """At each step the likeliest symbol, and it is final; all B sources at once.

    Parameters
    ----------
    model : Translator
    state : State
        What the encoder found.
    most : int
        Symbols after which an answer is cut off, `END` not counted.

    Returns
    -------
    list of Answer
        One for each source.
    """
    rows = state.h.shape[1]
    read = torch.full((1, rows), END)
    scores, ended = torch.zeros(rows), torch.zeros(rows, dtype=torch.bool)
    written: list[Tensor] = []
    for _ in range(most + 1):
        logits, state = model.decode(read, state)
        best, read = logits.log_softmax(-1).max(-1)
        scores += torch.where(ended, 0.0, best[0])
        ended |= read[0] == END
        written.append(read[0])
        if ended.all():
            break
    numbers = torch.stack(written, 1)[:, : most + 1]
    return [_answer(*row, most) for row in zip(numbers, scores, ended, strict=True)]


@torch.no_grad()
def beam_search(model: Translator, state: State, width: int, most: int) -> list[list[Answer]]:
    """Keep the ``width`` likeliest beginnings of each source; all B sources at once.

    An answer that has ended stays among them with the probability that it has, so the scores are
    those of whole answers: nothing is divided by a length.  With a width of 1 it is greedy.

    Parameters
    ----------
    model, state, most
        As in `greedy_search`.
    width : int
        How many are kept.

    Returns
    -------
    list of list of Answer
        For each source at most ``width`` different answers, the likeliest first.
    """
    rows = state.h.shape[1]
    state = state.repeated(width)
    first_beam = torch.arange(rows)[:, None] * width
    # In the beginning all beams are the same one: but for the first, they do not count.
    scores = torch.full((rows, width), -torch.inf)
    scores[:, 0] = 0.0
    ended = torch.zeros(rows, width, dtype=torch.bool)
    written = torch.empty(rows, width, 0, dtype=torch.long)
    read = torch.full((1, rows * width), END)
    for _ in range(most + 1):
        logits, state = model.decode(read, state)
        ahead = logits.log_softmax(-1).view(rows, width, -1)
        symbols = ahead.shape[-1]
        after_end = torch.full((symbols,), -torch.inf)
        after_end[END] = 0.0
        ahead = torch.where(ended[..., None], after_end, ahead)
        scores, places = (scores[..., None] + ahead).flatten(1).topk(width)
        parents, added = places // symbols, places % symbols
        written = torch.cat((_of(written, parents), added[..., None]), -1)
        ended = ended.gather(1, parents) | (added == END)
        if (ended | scores.isinf()).all():
            break
        chosen = (first_beam + parents).flatten()
        state = state.taken(chosen)
        read = added.view(1, -1)
    return [
        [_answer(*beam, most) for beam in zip(*row, strict=True) if not beam[1].isinf()]
        for row in zip(written, scores, ended, strict=True)
    ]


def _of(written: Tensor, parents: Tensor) -> Tensor:
    return written.gather(1, parents[..., None].expand(-1, -1, written.shape[-1]))


def _answer(written: Tensor, score: Tensor, ended: Tensor, most: int) -> Answer:
    numbers = written.tolist()
    if END in numbers:
        numbers = numbers[: numbers.index(END)]
    return Answer(numbers[:most], score.item(), bool(ended))
