"""Tell where the largest of the numbers so far was: a recipe of one file.

Each step brings a number from 0 to 1.  The network tells, at every step, how long ago the largest
so far was heard: it has to compare, remember and count.  Train it, look at it and try it:

    unrolled train examples/my_recipe.py
    unrolled show runs/my_recipe
    unrolled try runs/my_recipe --trust 0.3 0.9 0.5 0.1
    unrolled explore runs/my_recipe --trust

To make a recipe of your own, copy this file and change what is between the lines of dashes.  Every
field of `Recipe` becomes a flag (`unrolled train examples/my_recipe.py --help`), and the words
under it become the flag's help.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from unrolled import LSTM, training
from unrolled.training import at_least, only

SOURCE = "this example"
PUBLISHED = None  # or {"metric": "right", "value": 0.9, "steps": 1000}, to stand beside yours


class HowLongAgo(nn.Module):
    """An LSTM over the numbers, and a score for each possible answer."""

    def __init__(self, hidden: int, answers: int) -> None:
        super().__init__()
        self.lstm = LSTM(1, hidden, forget_bias=1.0)
        self.readout = nn.Linear(hidden, answers)

    def forward(self, numbers: Tensor) -> Tensor:
        """Scores [T, B, answers] for numbers [T, B]."""
        y, _ = self.lstm(numbers[..., None])
        return self.readout(y)


@dataclass(frozen=True)
class Recipe(training.Recipe):
    """The hyperparameters: each is a flag, and what it has to be stands beside it.

    Every recipe has seven more, and methods that may be left out: see `unrolled.training.Recipe`.
    A default that does not suit is given again, as for ``steps`` here.
    """

    steps: int = 1500
    """Updates: some 10 seconds."""
    steps_per_update: Annotated[int, only(0, "the sequence is short")] = 0
    """Only 0 makes sense: the sequence is short, and learnt as a whole."""
    report_every: int = 250
    """Updates from one report to the next."""
    length: Annotated[int, at_least(2)] = 8
    """Numbers in one sequence."""
    hidden: Annotated[int, at_least(1)] = 32
    """Hidden units."""
    batch_size: Annotated[int, at_least(1)] = 64
    """Sequences in one update."""

    def published(self) -> Recipe:
        """What --published stands for; there is no document here, so nothing but the defaults."""
        return dataclasses.replace(Recipe(), seed=self.seed)

    # --- what is learnt ---------------------------------------------------------------------

    def model(self) -> nn.Module:
        """A fresh network; torch's generator is seeded already."""
        return HowLongAgo(self.hidden, self.length)

    def batch(self, step: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Numbers [T, B] and answers [T, B]; every random choice comes from ``generator``."""
        numbers = torch.rand(self.length, self.batch_size, generator=generator)
        return numbers, steps_since_largest(numbers)

    def loss(self, model: Any, batch: tuple[Tensor, ...], state: Any) -> tuple[Tensor, Any]:
        """What is made small, and the state to carry on with (none here)."""
        numbers, answers = batch
        scores = model(numbers)
        return nn.functional.cross_entropy(scores.flatten(0, 1), answers.flatten()), None

    # --- how good it is ---------------------------------------------------------------------

    def metrics(self, model: Any) -> dict[str, float]:
        """Figures at every report, on sequences that no batch holds: a seed of their own."""
        numbers = torch.rand(self.length, 1000, generator=torch.Generator().manual_seed(2**31))
        answers = steps_since_largest(numbers)
        with torch.no_grad():
            predictions = model(numbers).argmax(-1)
        right = predictions == answers
        # Always saying 0, "it was just now", is right more often than one might think.
        return {
            "right": right.float().mean().item(),
            "right_at_the_end": right[-1].float().mean().item(),
            "right_by_saying_0": (answers == 0).float().mean().item(),
        }

    # --- what is shown ----------------------------------------------------------------------

    def draw(self, model: Any, history: list[dict[str, Any]], folder: Path) -> list[Path]:
        """The pictures; `unrolled.pictures.plots` has more of them."""
        from unrolled.pictures import plots

        level = {"always 0": self.metrics(model)["right_by_saying_0"]}
        return [
            plots.learning_curve(history, folder / "learning.png", metric="right", levels=level)
        ]

    def explorer(self, model: Any) -> list[Any]:
        """What `unrolled explore` shows; without this method it says that it cannot."""
        from unrolled.explorer import Explorable, Numbers, Output

        some = torch.rand(3, self.length, 1, generator=torch.Generator().manual_seed(1))
        inputs = Numbers(["number"], {f"sequence {n}": x for n, x in enumerate(some)}, low=0)
        output = Output("softmax", [f"{n} ago" for n in range(self.length)])
        return [Explorable([model.lstm], model.readout, inputs, output)]

    def attempt(self, model: Any, arguments: list[str]) -> str:
        """What `unrolled try` prints."""
        try:
            numbers = torch.tensor([float(word) for word in arguments])[:, None]
        except ValueError as error:
            raise ValueError(f"{error}: expected numbers from 0 to 1, such as 0.3 0.9.") from None
        if not 1 <= len(numbers) <= self.length or not ((numbers >= 0) & (numbers <= 1)).all():
            raise ValueError(f"expected 1 to {self.length} numbers from 0 to 1, such as 0.3 0.9.")
        with torch.no_grad():
            predictions = model(numbers).argmax(-1)[:, 0].tolist()
        answers = steps_since_largest(numbers)[:, 0].tolist()
        rows = zip(numbers[:, 0].tolist(), predictions, answers, strict=True)
        lines = [f"{n:>6g}  {p:>10}  {a:>5}{'' if p == a else '  wrong'}" for n, p, a in rows]
        return "\n".join(["number  prediction  truth", *lines])


def steps_since_largest(numbers: Tensor) -> Tensor:
    """How many steps ago the largest number so far was heard [T, B]."""
    return torch.arange(len(numbers))[:, None] - numbers.cummax(0).indices
