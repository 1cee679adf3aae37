"""Tell the next prime: as document 001 does, by heart, or by learning from 100,000 of them.

The document reads windows of 50 out of the 25 primes below 100, which repeat: what comes after a
window is what it begins with.  Ten windows are learned by heart, and no other is answered.  The
default task has something to learn: the gap after the gaps before, on primes that come later.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from unrolled import training
from unrolled.errors import InvalidValueError
from unrolled.errors.expected import Count, check_field, only
from unrolled.inside.passage import Passage
from unrolled.recipes import Published
from unrolled.recipes._primes.gaps import Gaps
from unrolled.recipes._primes.windows import Windows
from unrolled.steps.program import Native
from unrolled.training.recipe import CellName

SOURCE = "document 001 (LSTM, NumPy), and the sieve of Eratosthenes"

PUBLISHED = (Published("squared_error", 1.05172e-6, 9000, "document 001's last line"),)


@dataclass(frozen=True)
class Recipe(training.Recipe):
    """The hyperparameters of the next prime."""

    seed: int = 0
    """Draws the weights and batches. With equal gates, 0 is the document's own start."""
    steps: int = 1000
    """Updates: half a minute."""
    learning_rate: float = 0.02
    """How far an update goes; the document, with SGD, has 0.01."""
    steps_per_update: int = 0
    """Gaps in one update, for truncated backpropagation; 0 is the whole sequence."""
    task: Literal["gaps", "document"] = "gaps"
    """The next gap between primes, judged on later primes; or document 001's windows."""
    count: int = 100_000
    """How many primes; the document has the 25 below 100."""
    window: Count = 128
    """Gaps in one sequence of training: with 64, what is left over modulo 5 was not found. Of the
    document's task: primes in one input, 50 there."""
    samples: Count = 10
    """Of the document's task: windows that are learned, the steps of one sequence."""
    cell: CellName = "vanilla"
    """The LSTM's cell: vanilla, carousel, peephole, coupled or linear (the document's)."""
    hidden: Count = 64
    """Hidden units. The document has 100, of which the first one is the output."""
    start: Literal["independent", "equal"] = "independent"
    """Of the document's task: each gate's weights drawn for itself, or all four equal as there."""
    batch_size: Count = 32
    """Sequences in one update of gaps."""

    def check(self) -> None:
        """Raise ValueError where a field makes no sense for the task."""
        if self.task == "document":
            self._check_document()
        elif not 1000 <= self.count <= 10_000_000:
            raise InvalidValueError(
                f"count = {self.count} makes no sense for gaps: expected 1,000 to 10,000,000 "
                "primes, or --task document."
            )
        elif self.window >= self.count // 2:
            raise InvalidValueError(
                f"window = {self.window} is too long for {self.count} primes: expected less than "
                f"{self.count // 2}."
            )

    def _check_document(self) -> None:
        if not 2 <= self.count <= 25:
            raise InvalidValueError(
                f"count = {self.count} makes no sense for the document's task, which divides "
                "primes by 100: expected 2 to 25, or --task gaps."
            )
        if self.samples > self.count:
            raise InvalidValueError(
                f"samples = {self.samples} is more than there are windows: expected {self.count} "
                "or fewer."
            )
        whole = only(0, "the document has one sequence")
        check_field("steps_per_update", self.steps_per_update, whole)

    def published(self) -> Recipe:
        """Document 001's task and hyperparameters, and its start with all four gates equal."""
        return dataclasses.replace(
            self,
            task="document",
            count=25,
            window=50,
            samples=10,
            cell="linear",
            hidden=100,
            start="equal",
            steps=10_000,
            optimizer="SGD",
            learning_rate=0.01,
            clip=0.0,
            steps_per_update=0,
            report_every=1000,
        )

    @property
    def comparable(self) -> bool:
        """Whether what was published is of this task."""
        return self.task == "document" and (self.count, self.window, self.samples) == (25, 50, 10)

    @cached_property
    def _task(self) -> Gaps | Windows:
        sizes = {"count": self.count, "window": self.window, "hidden": self.hidden}
        if self.task == "gaps":
            return Gaps(**sizes, cell=self.cell, batch_size=self.batch_size)
        published = PUBLISHED[0].value if self.comparable else None
        return Windows(
            **sizes,
            cell=self.cell,
            samples=self.samples,
            seed=self.seed,
            equal=self.start == "equal",
            published=published,
        )

    def model(self) -> nn.Module:
        """The task's network."""
        return self._task.model()

    def batch(self, step: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """What is read [T, B, …] and what comes after it [T, B]."""
        return self._task.batch(generator)

    def batches(self, step: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """One batch; of the document's task, which has no other, it is every one of a thousand."""
        count = 1000 if self.task == "document" else 1
        return tuple(t.expand(count, *t.shape) for t in self.batch(step, generator))

    def native(self, model: Any) -> Native | str:
        """Of the document's task, how the kernel makes its updates."""
        return self._task.native(model)

    def loss(self, model: Any, batch: tuple[Tensor, ...], state: Any) -> tuple[Tensor, Any]:
        """Bits for each gap, or the document's squared error."""
        return self._task.loss(model, batch, state)

    def metrics(self, model: Any) -> dict[str, float]:
        """Bits for each gap on the validation part, or the document's squared error."""
        return self._task.metrics(model)

    def report(self, model: Any, step: int, batch: tuple[Tensor, ...]) -> str:
        """The document's lines; of gaps, the table of rivals at the end."""
        last = step == self.steps
        return self._task.report(model) if last or self.task == "document" else ""

    def result(self, model: Any) -> dict[str, Any]:
        """The figures on what was held out, and the rivals'."""
        return self._task.result(model)

    def draw(self, model: Any, history: list[dict[str, Any]], folder: Path) -> list[Path]:
        """How it learned, and how good it is beside its rivals."""
        return self._task.draw(model, history, folder)

    def look(self, model: Any) -> list[Passage]:
        """Gaps that nothing was learned from, or the document's windows."""
        return self._task.look(model)

    def attempt(self, model: Any, arguments: list[str]) -> str:
        """The likeliest next primes after a number, or the prime given after every window."""
        return self._task.attempt(model, arguments)
