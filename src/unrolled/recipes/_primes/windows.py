"""Document 001's primes: windows of 50 over the 25 primes below 100, again and again."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from unrolled.inside.passage import Passage
from unrolled.recipes._document_001 import Draws, FirstUnit
from unrolled.recipes._primes.numbers import first_primes
from unrolled.steps.losses import Loss
from unrolled.steps.network import Network
from unrolled.steps.program import Native

__all__ = ["Windows"]

SCALE = 100.0  # the document's: what the network reads and says are hundredths


class Settings(Protocol):
    """What the task needs to know."""

    @property
    def cell(self) -> str: ...
    @property
    def start(self) -> str: ...
    @property
    def count(self) -> int: ...
    @property
    def window(self) -> int: ...
    @property
    def samples(self) -> int: ...
    @property
    def hidden(self) -> int: ...
    @property
    def seed(self) -> int: ...


class Windows:
    """The task: each window of primes is one input, and what comes after it is to be said.

    The windows wrap around the list.  Those that begin with the first ``samples`` primes are
    learned, in this order, as the steps of one sequence; the others are held out.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        primes = first_primes(settings.count)
        places = np.arange(settings.count)[:, None] + np.arange(settings.window + 1)
        self._numbers = torch.from_numpy(primes[places % settings.count])
        self._learned = settings.samples

    def model(self) -> FirstUnit:
        s = self._settings
        return FirstUnit(s.window, s.hidden, s.cell, Draws(s.seed, s.start == "equal"))

    def batch(self, generator: torch.Generator) -> tuple[Tensor, ...]:
        """The learned windows [samples, 1, window] and what follows them [samples, 1]."""
        learned = self._numbers[: self._learned, None] / SCALE
        return learned[..., :-1].double(), learned[..., -1].double()

    def loss(self, model: FirstUnit, batch: tuple[Tensor, ...], state: Any) -> tuple[Tensor, Any]:
        """The squared error, summed over the windows, as the document's."""
        windows, following = batch
        return (model(windows) - following).square().sum(), None

    def native(self, model: FirstUnit) -> Native:
        """The same loss, as the kernel takes it."""
        return Native(Network(model.lstm, units=1), Loss("squared_error", over="sum"))

    def _said(self, model: FirstUnit) -> Tensor:
        """What is said of every window, in primes: the held-out ones go on where those end."""
        with torch.no_grad():
            said: Tensor = model(self._numbers[:, None, :-1].double() / SCALE)[:, 0] * SCALE
        return said

    def metrics(self, model: FirstUnit) -> dict[str, float]:
        """The squared error after as many updates: the document's loss of that iteration."""
        windows, following = self.batch(torch.Generator())
        with torch.no_grad():
            return {"squared_error": self.loss(model, (windows, following), None)[0].item()}

    def report(self, model: FirstUnit) -> str:
        """The document's lines."""
        said = self._said(model)[: self._learned] / SCALE
        truth = [value / SCALE for value in self._numbers[: self._learned, -1].tolist()]
        lines = [f"y_pred[{t}] : {value:f}" for t, value in enumerate(said.tolist())]
        loss = self.metrics(model)["squared_error"]
        return "\n".join([f"y_list= {truth}", *lines, f"loss: {loss:.6g}"])

    def result(self, model: FirstUnit) -> dict[str, Any]:
        """The error, and the share of windows after which the right prime is named.

        The copy rule names the window's first entry; where the window is a whole number of lists
        long, that is the answer.
        """
        right = self._said(model).round() == self._numbers[:, -1]
        copied = self._numbers[:, 0] == self._numbers[:, -1]
        held_out = len(right) - self._learned
        return {
            **self.metrics(model),
            "learned_right": right[: self._learned].double().mean().item(),
            "held_out": held_out,
            "held_out_right": right[self._learned :].double().mean().item() if held_out else None,
            "copy_rule_right": copied.double().mean().item(),
        }

    def draw(
        self,
        model: FirstUnit,
        history: list[dict[str, Any]],
        folder: Path,
        published: float | None,
    ) -> list[Path]:
        """How it learned, and what it says of windows that it has seen and has not."""
        from unrolled.pictures import plots

        rows = [row for row in history if row.get("squared_error") is not None]
        curve = ([row["step"] for row in rows], [row["squared_error"] for row in rows])
        figures = self.result(model)
        truth = self._numbers[:, -1].double()
        places = list(range(len(truth)))
        shares = [figures["learned_right"], figures["held_out_right"], figures["copy_rule_right"]]
        names = [
            f"learned: {self._learned}",
            f"held out: {figures['held_out']}",
            f"copy rule: {len(truth)}",
        ]
        return [
            plots.curves(
                {"squared error of the learned windows": {"h[0]": curve}},
                folder / "learning.png",
                levels={} if published is None else {"published": published},
                title="primes, as published: learning",
            ),
            plots.curves(
                {
                    f"the prime after each window: {self._learned} learned, then held out": {
                        "said": (places, self._said(model).tolist()),
                        "truth, and copy rule" if copies(self._numbers) else "truth": (
                            places,
                            truth.tolist(),
                        ),
                    }
                },
                folder / "windows.png",
                title="primes, as published: learnt by heart",
                xlabel="window",
            ),
            plots.bars(
                names,
                [share or 0.0 for share in shares],
                folder / "right.png",
                title="primes, as published: windows right",
                ylabel="share of windows right",
            ),
        ]

    def look(self, model: FirstUnit) -> list[Passage]:
        """The learned windows, as the steps of one sequence, by the prime that each begins with."""
        windows, following = self.batch(torch.Generator())
        said = self._said(model)[: self._learned]
        return [
            Passage(
                call=lambda: model(windows),
                inputs=[str(prime) for prime in self._numbers[: self._learned, 0].tolist()],
                outputs=[f"{prime:.0f}" for prime in said.tolist()],
                followed=lambda: (model(windows) - following)[-1, 0].square(),
                following="the last window's squared error",
            )
        ]

    def attempt(self, model: FirstUnit, arguments: list[str]) -> str:
        """What is said after every window."""
        if arguments:
            raise ValueError(
                f"{' '.join(arguments)!r} is one word too many: of the document's task all windows "
                "are shown; `unrolled try DIR`."
            )
        lines = ["window of  begins with   said  truth"]
        for place, (row, said) in enumerate(
            zip(self._numbers.tolist(), self._said(model).tolist(), strict=True)
        ):
            kind = "learned" if place < self._learned else "held out"
            mark = "" if round(said) == row[-1] else "  wrong"
            length = len(row) - 1
            lines.append(f"{length:>9}  {row[0]:>11}  {said:>5.1f}  {row[-1]:>5}  {kind}{mark}")
        if copies(self._numbers):
            lines.append("every truth is the number that its window begins with: the list wraps")
        return "\n".join(lines)


def copies(numbers: Tensor) -> bool:
    """Whether what follows each window is what it begins with."""
    return bool((numbers[:, 0] == numbers[:, -1]).all())
