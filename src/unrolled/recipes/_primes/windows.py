"""Document 001's primes: windows of 50 over the 25 primes below 100, again and again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unrolled.errors import InvalidValueError
from unrolled.inside.passage import Passage
from unrolled.recipes._document_001 import Draws, FirstUnit
from unrolled.recipes._primes.numbers import first_primes
from unrolled.steps.losses import Loss
from unrolled.steps.network import Network
from unrolled.steps.program import Native

__all__ = ["Windows"]

SCALE = 100.0  # the document's: what the network reads and gives are hundredths


class Windows:
    """The task: each window of primes is one input, and the prime after it is the target.

    The windows wrap around the list.  Those that begin with the first ``samples`` primes are
    learned, in this order, as the steps of one sequence; the others are held out.

    Parameters
    ----------
    count, window, samples, hidden, cell, seed
        The recipe's fields.
    equal
        Whether the four gates begin with the same weights.
    published
        The published error, for the picture; None: it is of another task.
    """

    def __init__(
        self,
        *,
        count: int,
        window: int,
        samples: int,
        hidden: int,
        cell: str,
        seed: int,
        equal: bool,
        published: float | None,
    ) -> None:
        places = np.arange(count)[:, None] + np.arange(window + 1)
        self._numbers = torch.from_numpy(first_primes(count)[places % count])
        self._learned = samples
        self._network = (window, hidden, cell)
        self._draws = (seed, equal)
        self._published = published

    def model(self) -> FirstUnit:
        return FirstUnit(*self._network, Draws(*self._draws))

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

    @torch.no_grad()
    def _outputs(self, model: FirstUnit) -> Tensor:
        """What follows every window, in primes: the held-out ones go on where those end."""
        outputs: Tensor = model(self._numbers[:, None, :-1].double() / SCALE)[:, 0] * SCALE
        return outputs

    @torch.no_grad()
    def metrics(self, model: FirstUnit) -> dict[str, float]:
        """The squared error after as many updates: the document's loss of that iteration."""
        batch = self.batch(torch.Generator())
        return {"squared_error": self.loss(model, batch, None)[0].item()}

    def report(self, model: FirstUnit) -> str:
        """The document's lines."""
        outputs = self._outputs(model)[: self._learned] / SCALE
        truth = [value / SCALE for value in self._numbers[: self._learned, -1].tolist()]
        lines = [f"y_pred[{t}] : {value:f}" for t, value in enumerate(outputs.tolist())]
        loss = self.metrics(model)["squared_error"]
        return "\n".join([f"y_list= {truth}", *lines, f"loss: {loss:.6g}"])

    def result(self, model: FirstUnit) -> dict[str, Any]:
        """The error, and the share of windows after which the right prime is named.

        The copy rule names the window's first entry; where the window is a whole number of lists
        long, that is the answer.
        """
        right = self._outputs(model).round() == self._numbers[:, -1]
        copied = self._numbers[:, 0] == self._numbers[:, -1]
        held_out = len(right) - self._learned
        return {
            **self.metrics(model),
            "learned_right": right[: self._learned].double().mean().item(),
            "held_out": held_out,
            "held_out_right": right[self._learned :].double().mean().item() if held_out else None,
            "copy_rule_right": copied.double().mean().item(),
        }

    def draw(self, model: FirstUnit, history: list[dict[str, Any]], folder: Path) -> list[Path]:
        """How it learned, and what it gives after windows that it has seen and has not."""
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
                levels={} if self._published is None else {"published": self._published},
                title="primes, as published: learning",
            ),
            plots.curves(
                {
                    f"the prime after each window: {self._learned} learned, then held out": {
                        "output": (places, self._outputs(model).tolist()),
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
        outputs = self._outputs(model)[: self._learned]
        return [
            Passage(
                call=lambda: model(windows),
                inputs=[str(prime) for prime in self._numbers[: self._learned, 0].tolist()],
                outputs=[f"{prime:.0f}" for prime in outputs.tolist()],
                followed=lambda: (model(windows) - following)[-1, 0].square(),
                following="the last window's squared error",
            )
        ]

    def attempt(self, model: FirstUnit, arguments: list[str]) -> str:
        """What is given after every window."""
        if arguments:
            raise InvalidValueError(
                f"{' '.join(arguments)!r} is one word too many: of the document's task all windows "
                "are shown; `unrolled try DIR`."
            )
        lines = ["window of  begins with output  truth"]
        for place, (row, output) in enumerate(
            zip(self._numbers.tolist(), self._outputs(model).tolist(), strict=True)
        ):
            kind = "learned" if place < self._learned else "held out"
            mark = "" if round(output) == row[-1] else "  wrong"
            length = len(row) - 1
            lines.append(f"{length:>9}  {row[0]:>11}  {output:>5.1f}  {row[-1]:>5}  {kind}{mark}")
        if copies(self._numbers):
            lines.append("every truth is the number that its window begins with: the list wraps")
        return "\n".join(lines)


def copies(numbers: Tensor) -> bool:
    """Whether what follows each window is what it begins with."""
    return bool((numbers[:, 0] == numbers[:, -1]).all())
