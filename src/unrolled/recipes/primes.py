"""Say the next prime: as document 001 does, by heart, or by learning from 100,000 of them.

The document reads windows of 50 out of the 25 primes below 100, which repeat: what comes after a
window is what it begins with.  Ten windows are learned by heart, and no other is answered.  The
default task has something to learn: the gap after the gaps before, on primes that come later.
"""

from __future__ import annotations

import dataclasses
import difflib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from unrolled.equations import CELLS
from unrolled.inside.passage import Passage
from unrolled.recipes import Published
from unrolled.recipes._primes.gaps import Gaps
from unrolled.recipes._primes.windows import Windows
from unrolled.steps.program import Native

SOURCE = "document 001 (LSTM, NumPy), and the sieve of Eratosthenes"

PUBLISHED = (Published("squared_error", 1.05172e-6, 9000, "document 001's last line"),)


@dataclass(frozen=True)
class Recipe:
    """The hyperparameters of the next prime."""

    task: Literal["gaps", "document"] = "gaps"
    """The next gap between primes, judged on later primes; or document 001's windows."""
    count: int = 100_000
    """How many primes; the document has the 25 below 100."""
    window: int = 128
    """Gaps in one sequence of training: with 64, what is left over modulo 5 was not found. Of the
    document's task: primes in one input, 50 there."""
    samples: int = 10
    """Of the document's task: windows that are learned, the steps of one sequence."""
    cell: str = "vanilla"
    """The LSTM's cell: vanilla, carousel, peephole, coupled or linear (the document's)."""
    hidden: int = 64
    """Hidden units. The document has 100, of which the first one speaks."""
    start: Literal["independent", "equal"] = "independent"
    """Of the document's task: each gate's weights drawn for itself, or all four equal as there."""
    batch_size: int = 32
    """Sequences in one update of gaps."""
    seed: int = 0
    """Weights and batches are drawn from it. With equal gates, 0 is the document's own start."""
    steps: int = 1000
    """Updates: half a minute."""
    optimizer: str = "Adam"
    """Any class of torch.optim by name; the document has SGD."""
    learning_rate: float = 0.02
    """The document, with SGD, has 0.01."""
    clip: float = 1.0
    """Largest norm of the gradient; 0 is no limit."""
    steps_per_update: int = 0
    """Gaps in one update, for truncated backpropagation; 0 is the whole sequence."""
    report_every: int = 100
    """Updates from one report to the next (the document: 1000)."""

    def check(self) -> None:
        """Raise ValueError where a field makes no sense."""
        if self.cell not in CELLS:
            near = difflib.get_close_matches(self.cell, CELLS, n=1)
            hint = f"did you mean {near[0]!r}? there" if near else "there"
            raise ValueError(f"cell = {self.cell!r} is not known: {hint} are {', '.join(CELLS)}.")
        for name in ("window", "samples", "hidden", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name} = {getattr(self, name)} makes no sense: expected 1 or more."
                )
        if self.task == "document":
            self._check_document()
        elif not 1000 <= self.count <= 10_000_000:
            raise ValueError(
                f"count = {self.count} makes no sense for gaps: expected 1,000 to 10,000,000 "
                "primes, or --task document."
            )
        elif self.window >= self.count // 2:
            raise ValueError(
                f"window = {self.window} is too long for {self.count} primes: expected less than "
                f"{self.count // 2}."
            )

    def _check_document(self) -> None:
        if not 2 <= self.count <= 25:
            raise ValueError(
                f"count = {self.count} makes no sense for the document's task, which divides "
                "primes by 100: expected 2 to 25, or --task gaps."
            )
        if self.samples > self.count:
            raise ValueError(
                f"samples = {self.samples} is more than there are windows: expected {self.count} "
                "or fewer."
            )
        if self.steps_per_update:
            raise ValueError(
                f"steps_per_update = {self.steps_per_update} makes no sense for the document's "
                "one sequence: use 0."
            )

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
    def _gaps(self) -> Gaps:
        return Gaps(self)

    @cached_property
    def _windows(self) -> Windows:
        return Windows(self)

    @property
    def _task(self) -> Any:
        return self._gaps if self.task == "gaps" else self._windows

    def model(self) -> nn.Module:
        """The task's network."""
        model: nn.Module = self._task.model()
        return model

    def batch(self, step: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """What is read [T, B, …] and what comes after it [T, B]."""
        drawn: tuple[Tensor, ...] = self._task.batch(generator)
        return drawn

    def batches(self, step: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """One batch; of the document's task, which has no other, it is every one of a thousand."""
        count = 1000 if self.task == "document" else 1
        return tuple(t.expand(count, *t.shape) for t in self.batch(step, generator))

    def native(self, model: Any) -> Native | str:
        """Of the document's task, how the kernel makes its updates."""
        if self.task == "document":
            return self._windows.native(model)
        return "gaps are read by an embedding"

    def loss(self, model: Any, batch: tuple[Tensor, ...], state: Any) -> tuple[Tensor, Any]:
        """Bits for each gap, or the document's squared error."""
        cost: tuple[Tensor, Any] = self._task.loss(model, batch, state)
        return cost

    def metrics(self, model: Any) -> dict[str, float]:
        """Bits for each gap on the validation part, or the document's squared error."""
        figures: dict[str, float] = self._task.metrics(model)
        return figures

    def report(self, model: Any, step: int, batch: tuple[Tensor, ...]) -> str:
        """The document's lines; of gaps, the table of rivals at the end."""
        if self.task == "gaps":
            return self._gaps.report(model) if step == self.steps else ""
        return self._windows.report(model)

    def result(self, model: Any) -> dict[str, Any]:
        """The figures on what was held out, and the rivals'."""
        figures: dict[str, Any] = self._task.result(model)
        return figures

    def draw(self, model: Any, history: list[dict[str, Any]], folder: Path) -> list[Path]:
        """How it learned, and how good it is beside its rivals."""
        if self.task == "gaps":
            return self._gaps.draw(model, history, folder)
        published = PUBLISHED[0].value if self.comparable else None
        return self._windows.draw(model, history, folder, published)

    def look(self, model: Any) -> list[Passage]:
        """Gaps that nothing was learned from, or the document's windows."""
        passages: list[Passage] = self._task.look(model)
        return passages

    def attempt(self, model: Any, arguments: list[str]) -> str:
        """The likeliest next primes after a number, or what is said after every window."""
        answer: str = self._task.attempt(model, arguments)
        return answer
