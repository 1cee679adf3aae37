"""A source as it is read, and its answer as it is written, to look at the two LSTMs by."""

from __future__ import annotations

from typing import Any

import torch

from unrolled.inside.passage import Passage, name_within
from unrolled.recipes._pairs.averaging import Averaged
from unrolled.recipes._pairs.vocabulary import END

__all__ = ["passages"]


def passages(recipe: Any, model: Averaged) -> list[Passage]:
    """The longest of the first held-out sources, and what is said to it.

    Parameters
    ----------
    recipe : unrolled.recipes.pairs.Recipe
    model : Averaged
    """
    source = max(list(recipe._held_out)[:200], key=len)
    wanted, said = recipe._vocabularies
    numbers = wanted.numbers(source)
    read = torch.tensor(numbers[::-1] if recipe.reverse else numbers)[:, None]
    words = wanted.cut(source)
    answer = [*recipe.answers(model, [source])[0][0].numbers, END]
    shown = torch.tensor([END, *answer[:-1]])[:, None]
    net, lengths = model.answerer, torch.tensor([len(read)])

    def followed() -> Any:
        logits, _ = net.decode(shown, net.encode(read, lengths))
        return -logits[-1, 0].log_softmax(-1)[answer[-1]]

    def call() -> None:
        net.decode(shown, net.encode(read, lengths))

    symbols = [said.said([number])[0] if number != END else "end" for number in answer]
    shared: dict[str, Any] = {
        "call": call,
        "followed": followed,
        "following": "the surprise at the answer's end",
    }
    return [
        Passage(
            inputs=words[::-1] if recipe.reverse else words,
            within=name_within(model, net.encoder),
            name="reading",
            **shared,
        ),
        Passage(
            inputs=["start", *symbols[:-1]],
            outputs=symbols,
            within=name_within(model, net.decoder),
            name="writing",
            **shared,
        ),
    ]
