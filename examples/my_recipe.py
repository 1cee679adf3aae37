"""Say where the largest of the numbers so far was: a recipe of one file.

Each step brings a number from 0 to 1.  The network says, at every step, how long ago the largest so
far was heard: it has to compare, remember and count.  Train it, look at it and try it:

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
from typing import Any

import torch
from torch import Tensor, nn

from unrolled import LSTM

SOURCE = "this example"
PUBLISHED = None  # or {"metric": "right", "value": 0.9, "steps": 1000}, to stand beside yours


class Network(nn.Module):
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
class Recipe:
    """The hyperparameters: each is a flag."""

    length: int = 8
    """Numbers in one sequence."""
    hidden: int = 32
    """Hidden units."""
    batch_size: int = 64
    """Sequences in one update."""

    # These seven every recipe has; `unrolled.training` reads them.
    seed: int = 0
    """Weights and batches are drawn from it."""
    steps: int = 1500
    """Updates."""
    optimizer: str = "Adam"
    """Any class of torch.optim by name."""
    learning_rate: float = 0.01
    """What the optimiser is given."""
    clip: float = 1.0
    """Largest norm of the gradient; 0 is no limit."""
    steps_per_update: int = 0
    """Time steps in one update; 0 is the whole sequence, and the only value that makes sense."""
    report_every: int = 250
    """Updates from one report to the next."""

    def check(self) -> None:
        """Raise ValueError, in one sentence, where a field makes no sense."""
        for name, least in (("length", 2), ("hidden", 1), ("batch_size", 1)):
            if getattr(self, name) < least:
                raise ValueError(
                    f"{name} = {getattr(self, name)} makes no sense: expected {least} or more."
                )
        if self.steps_per_update:
            raise ValueError("steps_per_update makes no sense for one short sequence: use 0.")

    def published(self) -> Recipe:
        """What --published stands for; there is no document here, so nothing but the defaults."""
        return dataclasses.replace(Recipe(), seed=self.seed)

    # --- what is learnt ---------------------------------------------------------------------

    def model(self) -> nn.Module:
        """A fresh network; torch's generator is seeded already."""
        return Network(self.hidden, self.length)

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
            said = model(numbers).argmax(-1)
        right = said == answers
        # Always saying 0, "it was just now", is right more often than one might think.
        return {
            "right": right.float().mean().item(),
            "right_at_the_end": right[-1].float().mean().item(),
            "right_by_saying_0": (answers == 0).float().mean().item(),
        }

    def report(self, model: Any, step: int, batch: tuple[Tensor, ...]) -> str:
        """Lines of your own at every report; none here."""
        return ""

    def result(self, model: Any) -> dict[str, Any]:
        """The figures at the end."""
        return self.metrics(model)

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
            said = model(numbers).argmax(-1)[:, 0].tolist()
        answers = steps_since_largest(numbers)[:, 0].tolist()
        rows = zip(numbers[:, 0].tolist(), said, answers, strict=True)
        lines = [f"{n:>6g}  {s:>4}  {a:>5}{'' if s == a else '  wrong'}" for n, s, a in rows]
        return "\n".join(["number  said  truth", *lines])


def steps_since_largest(numbers: Tensor) -> Tensor:
    """How many steps ago the largest number so far was heard [T, B]."""
    return torch.arange(len(numbers))[:, None] - numbers.cummax(0).indices
