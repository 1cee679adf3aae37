"""What a recipe hands over to be looked at: sequences to run, and words for what happens there.

A recipe takes part by one method, ``look(model) -> list[Passage]``; several where several networks
learn side by side.  A recipe without it is looked at through a batch of its own, without words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor, nn

__all__ = ["Passage", "Question", "name_within"]


@dataclass(frozen=True)
class Question:
    """Something that a network has to remember, and a test of whether it does.

    Parameters
    ----------
    property : str
        What is to be remembered: one of the passage's properties, of yes and no.
    judge : callable
        Runs the model as it is now; gives the share right of what needs the property, and of what
        does not.
    needing, others : str
        Words for the two.
    """

    property: str
    judge: Callable[[], tuple[float, float]]
    needing: str
    others: str


@dataclass(frozen=True)
class Passage:
    """Sequences [T, B, …] for a model; the first of them is the one that is drawn.

    Parameters
    ----------
    call : callable
        Runs the model over all of them, once.
    inputs, outputs : sequence of str
        The first one's inputs and outputs, a word for every step; empty: there are none.
    followed : callable, optional
        Runs the model and gives the number whose gradient is followed back.
    following : str
        What that number is.
    properties : mapping of str to Tensor, [T, B]
        What is so behind each step: yes and no, or a number.
    question : Question, optional
    within : str
        The module that is looked at; empty: the whole model.
    name : str
        Which network of the run this is; empty where there is one.
    text : bool
        Whether the inputs, one behind the other, are a text.
    """

    call: Callable[[], object]
    inputs: Sequence[str] = ()
    outputs: Sequence[str] = ()
    followed: Callable[[], Tensor] | None = None
    following: str = "the loss"
    properties: Mapping[str, Tensor] = field(default_factory=dict)
    question: Question | None = None
    within: str = ""
    name: str = ""
    text: bool = False


def name_within(model: nn.Module, module: nn.Module) -> str:
    """What a module is called in the model that holds it, such as ``learner.encoder``."""
    name: str = next(name for name, found in model.named_modules() if found is module)
    return name
