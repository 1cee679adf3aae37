"""Give four numbers in a row, learnt by heart: document 001's first test of its LSTM.

Four inputs of 50 random numbers, always the same, and a target for each, which the first hidden
unit is to give.  The document's cell has h = o⊙c where the papers have h = o⊙tanh(c), and it
invites its reader to try both: here they learn side by side, from the same weights.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn

from unrolled import training
from unrolled.equations import CELLS
from unrolled.errors import InvalidValueError
from unrolled.errors.expected import Count, distinct, each, finite, one_of, only, some
from unrolled.inside.passage import Passage
from unrolled.recipes import Published
from unrolled.recipes._asked import real_number
from unrolled.recipes._document_001 import Draws, FirstUnit
from unrolled.steps.losses import Loss
from unrolled.steps.network import Network
from unrolled.steps.program import Native

SOURCE = "document 001 (LSTM, NumPy; after Nico Jimenez's lstm)"

# Iterations are counted from 0 and the loss is printed before the update: this is its last line.
PUBLISHED = (
    Published("squared_error", 2.61e-6, 99, "document 001's last iteration, its four gates equal"),
)


@dataclass(frozen=True)
class Recipe(training.Recipe):
    """The hyperparameters of a sequence learnt by heart."""

    seed: int = 0
    """Draws the weights and inputs. With equal gates, 0 is the document's own start."""
    steps: int = 200
    """Updates: a third of a second."""
    learning_rate: float = 0.003
    """How far an update goes; document 001, with SGD, has 0.1."""
    clip: float = 0.0
    """Largest norm of the gradient of all cells together; 0 is no limit."""
    steps_per_update: Annotated[int, only(0, "the four steps are one short sequence")] = 0
    """Only 0 makes sense: four steps are one sequence."""
    report_every: int = 33
    """Updates from one report to the next; 99 is one of them, as the document's last line."""
    cells: Annotated[tuple[str, ...], each(one_of(CELLS)), some("linear vanilla"), distinct] = (
        "linear",
        "vanilla",
    )
    """Cells that learn side by side: linear is document 001's h = o⊙c, vanilla h = o⊙tanh(c);
    carousel, peephole and coupled are there too."""
    start: Literal["independent", "equal"] = "independent"
    """Each gate's weights drawn for itself, or all four equal: the document seeds its generator
    anew before every array."""
    inputs: Count = 50
    """Random numbers in one input (document 001)."""
    targets: Annotated[tuple[float, ...], each(finite), some("0.5 -0.2")] = (-0.5, 0.2, 0.1, -0.5)
    """The output that is wanted at each step (document 001)."""
    hidden: Count = 100
    """Hidden units (document 001), of which the first one is the output."""

    def check(self) -> None:
        """Raise ValueError where a target is beyond what a cell can give."""
        squashed = [name for name in self.cells if CELLS[name].output == "tanh"]
        for target in self.targets:
            if squashed and not -1 < target < 1:
                raise InvalidValueError(
                    f"targets holds {target}, and h = o⊙tanh(c) gives nothing beyond -1 and 1: "
                    "use --cells linear, or smaller targets."
                )

    def published(self) -> Recipe:
        """Document 001's hyperparameters, and its start with all four gates equal."""
        return dataclasses.replace(
            self,
            cells=("linear",),
            start="equal",
            inputs=50,
            targets=(-0.5, 0.2, 0.1, -0.5),
            hidden=100,
            steps=100,
            optimizer="SGD",
            learning_rate=0.1,
            clip=0.0,
            report_every=11,  # so that the document's last line, number 99, is one of them
        )

    @property
    def comparable(self) -> bool:
        """Whether the published figure is of these numbers."""
        return self.targets == (-0.5, 0.2, 0.1, -0.5) and self.inputs == 50

    # --- learning ---

    @cached_property
    def _inputs(self) -> Tensor:
        """The same inputs at every update [T, 1, I], drawn after the weights, as there."""
        draws = Draws(self.seed, self.start == "equal")
        draws.gates(self.inputs, self.hidden)
        return torch.stack([draws.inputs(1, self.inputs) for _ in self.targets])

    @cached_property
    def _targets(self) -> Tensor:
        return torch.tensor(self.targets, dtype=torch.float64)[:, None]

    def model(self) -> nn.ModuleDict:
        """A network for each cell, all from the same weights."""
        again = self.start == "equal"
        return nn.ModuleDict(
            {
                cell: FirstUnit(self.inputs, self.hidden, cell, Draws(self.seed, again))
                for cell in self.cells
            }
        )

    def batch(self, step: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """The inputs [T, 1, I] and the targets [T, 1], the same at every step."""
        return self._inputs, self._targets

    def batches(self, step: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """The same a hundred times."""
        return tuple(t.expand(100, *t.shape) for t in self.batch(step, generator))

    def native(self, model: nn.ModuleDict) -> Native | str:
        """Of one cell alone, how the kernel makes its updates."""
        if len(self.cells) > 1:
            return "it has one network, and here several learn"
        network = model[self.cells[0]]
        assert isinstance(network, FirstUnit)
        return Native(Network(network.lstm, units=1), Loss("squared_error", over="sum"))

    def loss(
        self, model: nn.ModuleDict, batch: tuple[Tensor, ...], state: Any
    ) -> tuple[Tensor, Any]:
        """The squared error, summed over the sequence and over the cells."""
        inputs, targets = batch
        errors = [(network(inputs) - targets).square().sum() for network in model.values()]
        return torch.stack(errors).sum(), None

    # --- judging ---

    @torch.no_grad()
    def _outputs(self, model: nn.ModuleDict) -> dict[str, Tensor]:
        """What each network gives [T]."""
        return {cell: network(self._inputs)[:, 0] for cell, network in model.items()}

    def metrics(self, model: nn.ModuleDict) -> dict[str, float]:
        """The squared error of each cell after as many updates; the document's has the plain name.

        A document's loss of iteration n, counted from 0, is what stands here after n updates.
        """
        targets = self._targets[:, 0]
        return {
            _metric(cell): (output - targets).square().sum().item()
            for cell, output in self._outputs(model).items()
        }

    def report(self, model: nn.ModuleDict, step: int, batch: tuple[Tensor, ...]) -> str:
        """The document's lines, for the first of the cells."""
        outputs = self._outputs(model)[self.cells[0]]
        return "\n".join(
            [
                f"cur iter: {step}",
                *(f"y_pred[{t}] : {value:f}" for t, value in enumerate(outputs.tolist())),
                f"loss: {self.metrics(model)[_metric(self.cells[0])]:.6g}",
            ]
        )

    def result(self, model: nn.ModuleDict) -> dict[str, Any]:
        """The squared errors, and the largest single error of each cell."""
        targets = self._targets[:, 0]
        worst = {
            _metric(cell, "largest_error"): (output - targets).abs().max().item()
            for cell, output in self._outputs(model).items()
        }
        return {**self.metrics(model), **worst}

    def draw(self, model: nn.ModuleDict, history: list[dict[str, Any]], folder: Path) -> list[Path]:
        """How each cell learned, what it gives, and what its gates do."""
        from unrolled.pictures import plots
        from unrolled.recipes._gates import draw_gates

        curves = {
            _WORDS.get(cell, cell): (
                [row["step"] for row in history],
                [row[_metric(cell)] for row in history],
            )
            for cell in self.cells
        }
        places, targets = list(range(len(self.targets))), self._targets[:, 0]
        outputs = {_WORDS.get(cell, cell): y for cell, y in self._outputs(model).items()}
        given = {name: (places, y.tolist()) for name, y in outputs.items()}
        errors = {name: (places, (y - targets).abs().tolist()) for name, y in outputs.items()}
        first = self.cells[0]
        network = model[first]
        assert isinstance(network, FirstUnit)
        return [
            plots.curves(
                {"squared error of the sequence": curves},
                folder / "learning.png",
                xlabel="step",
                levels={"published": PUBLISHED[0].value} if self.comparable else {},
                title="sequence: learning",
            ),
            plots.curves(
                {
                    "the output at each step": {**given, "target": (places, list(self.targets))},
                    "how far it is off": errors,
                },
                folder / "sequence.png",
                title="sequence: h[0] and its target",
            ),
            draw_gates(
                network.lstm,
                self._inputs,
                folder / "gates.png",
                title=f"sequence, {first}: the gates",
            ),
        ]

    def look(self, model: nn.ModuleDict) -> list[Passage]:
        """The sequence, of each cell."""
        outputs = self._outputs(model)
        return [
            Passage(
                call=partial(network, self._inputs),
                inputs=[str(t) for t in range(len(self.targets))],
                outputs=[f"{value:.2f}" for value in outputs[cell].tolist()],
                followed=partial(_error, network, self._inputs, self._targets),
                following="the last step's squared error",
                within=cell,
                name=cell if len(model) > 1 else "",
            )
            for cell, network in model.items()
        ]

    def attempt(self, model: nn.ModuleDict, arguments: list[str]) -> str:
        """Each step's target and outputs, with as much noise on the inputs as asked."""
        words = " ".join(arguments) or "0"
        noise = real_number(words, "the size of a noise", 0, such_as=0.1)
        generator = torch.Generator().manual_seed(self.seed)
        shape = self._inputs.shape
        inputs = self._inputs + noise * torch.randn(shape, generator=generator, dtype=torch.float64)
        with torch.no_grad():
            outputs = {cell: network(inputs)[:, 0].tolist() for cell, network in model.items()}
        lines = ["step    target" + "".join(f"{cell:>12}" for cell in outputs)]
        for t, target in enumerate(self.targets):
            row = "".join(f"{values[t]:>12.6f}" for values in outputs.values())
            lines.append(f"{t:>4}{target:>10.4g}{row}")
        if noise:
            lines.append(f"with noise of standard deviation {noise:g} on every input")
        else:
            lines.append("`unrolled try DIR 0.1` puts noise of that size on every input")
        return "\n".join(lines)


_WORDS = {"linear": "linear, h = o⊙c", "vanilla": "vanilla, h = o⊙tanh(c)"}


def _error(network: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    last: Tensor = (network(inputs) - targets)[-1, 0].square()
    return last


def _metric(cell: str, figure: str = "squared_error") -> str:
    return figure if cell == "linear" else f"{figure}_{cell}"
