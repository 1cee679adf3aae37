"""A source as it is read, and its answer as it is written, to look at the two LSTMs by."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from unrolled.inside.passage import Passage, name_within
from unrolled.recipes._pairs.averaging import Averaged
from unrolled.recipes._pairs.decoding import Answer
from unrolled.recipes._pairs.vocabulary import END, PairVocabulary

__all__ = ["Looks", "looks", "passages"]


class Looks(NamedTuple):
    """The symbols of a source and of its answer, and where each output looked [outputs, source]."""

    source: list[str]
    outputs: list[str]
    weights: Tensor


@torch.no_grad()
def looks(
    model: Averaged,
    source: str,
    answer: Answer,
    vocabularies: tuple[PairVocabulary, PairVocabulary],
    *,
    reverse: bool,
) -> Looks:
    """Where attention looked as an answer was written, in the order in which people read."""
    reads, writes = vocabularies
    numbers = torch.tensor(reads.numbers(source))
    read = (numbers.flip(0) if reverse else numbers)[:, None]
    net = model.answerer
    shown = torch.tensor([END, *answer.numbers])[:, None]
    weights = net.attend(shown, net.encode(read, torch.tensor([len(read)])))[2][..., 0]
    return Looks(
        reads.cut(source),
        [*(writes.symbols_of([number])[0] for number in answer.numbers), "end"],
        weights.flip(1) if reverse else weights,
    )


def passages(
    model: Averaged,
    source: str,
    answer: Answer,
    vocabularies: tuple[PairVocabulary, PairVocabulary],
    *,
    reverse: bool,
) -> list[Passage]:
    """The encoder as it reads a source, and the decoder as it writes the answer."""
    reads, writes = vocabularies
    numbers, symbols = reads.numbers(source), reads.cut(source)
    if reverse:
        numbers, symbols = numbers[::-1], symbols[::-1]
    read, lengths = torch.tensor(numbers)[:, None], torch.tensor([len(numbers)])
    written = [*answer.numbers, END]
    shown = torch.tensor([END, *answer.numbers])[:, None]
    net = model.answerer

    def call() -> Tensor:
        return net.decode(shown, net.encode(read, lengths))[0]

    shared: dict[str, Any] = {
        "call": call,
        "followed": lambda: -call()[-1, 0].log_softmax(-1)[written[-1]],
        "following": "the surprise at the answer's end",
    }
    outputs = [*(writes.symbols_of([number])[0] for number in answer.numbers), "end"]
    encoder, decoder = name_within(model, net.encoder), name_within(model, net.decoder)
    return [
        Passage(inputs=symbols, within=encoder, name="reading", **shared),
        Passage(
            inputs=["start", *outputs[:-1]],
            outputs=outputs,
            within=decoder,
            name="writing",
            **shared,
        ),
    ]
