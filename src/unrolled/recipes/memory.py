"""Recall the first of several numbers: what carries a gradient back, and what lets it fade.

The carousel of 1997, the learned forget gate and an Elman network learn the same batches, and
beside them the vanilla LSTM with the backward passes that documents 000 and 002 publish.  One
number is to be recalled over all those that follow it, so the gradient has to get back to it.
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
from unrolled.errors import InvalidValueError
from unrolled.errors.expected import Count, distinct, each, finite, one_of, only, some
from unrolled.explorer import Explorable, ExplorerError, Numbers, Output
from unrolled.inside.passage import Passage
from unrolled.layer.lstm import LSTM
from unrolled.recipes import Published
from unrolled.recipes._asked import real_number
from unrolled.recipes._memory.recall import Recall, RecallFlow, flow
from unrolled.steps.batches import Batches
from unrolled.steps.losses import Loss
from unrolled.steps.network import Network
from unrolled.steps.program import Native

SOURCE = "documents 000 and 002 (backward passes), 004 (the carousel of 1997)"

# Document 002 gives no task.  These are from running its layer on this one, and the exact gradient.
PUBLISHED = (
    Published("mse_vanilla", 0.012, 2000, "the exact gradient by SGD, .0075 to .012"),
    Published("mse_002", 0.19, 2000, "002's gradient by SGD, .19 to .29"),
)

NETWORKS = ("vanilla", "carousel", "elman", "000", "002", "coupled", "peephole", "linear")
WORDS = {
    "vanilla": "forget gate",
    "carousel": "carousel of 1997",
    "elman": "Elman",
    "000": "000's gradient",
    "002": "002's gradient",
}
GUESS = 1 / 3  # the mean squared error of always giving 0: the variance of −1 to 1


@dataclass(frozen=True)
class Recipe(training.Recipe):
    """The hyperparameters of recalling a number.

    Adam, the default, scales what little of a gradient arrives, so over 8 numbers even document
    002's learns something; with SGD (--published) it does not.
    """

    learning_rate: float = 0.01
    """How far an update goes; with SGD, 0.3."""
    clip: float = 0.0
    """Largest norm of the gradient of all networks together; 0 is no limit."""
    steps_per_update: Annotated[
        int, only(0, "a cut would part the number to be recalled from the loss")
    ] = 0
    """Only 0 makes sense: the loss is at the end, and what it is about at the beginning."""
    networks: Annotated[tuple[str, ...], each(one_of(NETWORKS)), some("vanilla 002"), distinct] = (
        "vanilla",
        "carousel",
        "elman",
        "000",
        "002",
    )
    """Who learns, side by side: an LSTM's cell (vanilla, carousel, coupled, peephole, linear),
    elman, or the vanilla cell with the published gradient of document 000 or 002. Each learns as
    it would alone."""
    length: Count = 8
    """Numbers to a sequence, of which the first is to be recalled."""
    hidden: Count = 16
    """Hidden units."""
    init: Literal["torch", "orthogonal"] = "torch"
    """First weights: uniform in ±1/√H, with which an Elman network's gradient fades, or
    orthogonal, with which even that one's does not."""
    forget_bias: Annotated[float, finite] = 1.0
    """The learned forget gate's bias at the start: the larger, the longer a cell keeps what it has
    (Gers et al. 2000; Jozefowicz et al. 2015)."""
    batch_size: Count = 32
    """Sequences in one update."""

    def published(self) -> Recipe:
        """What the figures of `PUBLISHED` were measured with."""
        return dataclasses.replace(
            self,
            length=8,
            hidden=16,
            init="orthogonal",
            forget_bias=2.0,
            batch_size=32,
            steps=2000,
            optimizer="SGD",
            learning_rate=0.3,
            clip=0.0,
            report_every=200,
        )

    @property
    def comparable(self) -> bool:
        """Whether the published figures are of this length."""
        return self.length == 8

    # --- learning ---

    def model(self) -> nn.ModuleDict:
        """The networks, each begun from the seed by itself: which others there are is no matter."""
        networks = {}
        for name in self.networks:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(self.seed)
                networks[name] = Recall(name, self.hidden, self.init, self.forget_bias)
        return nn.ModuleDict(networks)

    def batches(self, step: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Numbers from −1 to 1 [K, T, B]."""
        count = max(1, min(100, 2**16 // (self.length * self.batch_size)))
        numbers = _numbers(self.length, count * self.batch_size, generator)
        return (numbers.view(self.length, count, -1).transpose(0, 1).contiguous(),)

    def native(self, model: nn.ModuleDict) -> Native | str:
        """Of one network alone, with its exact gradient, how the kernel makes its updates."""
        if len(self.networks) > 1:
            return "it has one network, and here several learn"
        network = model[self.networks[0]]
        assert isinstance(network, Recall)
        if network.faults:
            return f"it has the exact gradient, and not that of document {self.networks[0]}"
        return Native(
            Network(network.recurrent, network.readout, read="last"),
            Loss("squared_error", factor=0.5),
            lambda block: Batches(block[0][..., None], block[0][:, 0]),
        )

    def loss(
        self, model: nn.ModuleDict, batch: tuple[Tensor, ...], state: Any
    ) -> tuple[Tensor, Any]:
        """Half the mean squared error of the first number, summed over the networks.

        Half, so that the output's delta is the output less the target, as in the documents.
        """
        (numbers,) = batch
        errors = [(network(numbers) - numbers[0]).square().mean() for network in model.values()]
        return torch.stack(errors).sum() / 2, None

    # --- judging ---

    @cached_property
    def _held_out(self) -> Tensor:
        return _numbers(self.length, 2000, torch.Generator().manual_seed(2**31 + self.length))

    def metrics(self, model: nn.ModuleDict) -> dict[str, float]:
        """Each network's mean squared error on 2,000 other sequences."""
        numbers = self._held_out
        with torch.no_grad():
            return {
                f"mse_{name}": (network(numbers) - numbers[0]).square().mean().item()
                for name, network in model.items()
            }

    def _flows(self, model: nn.ModuleDict) -> dict[str, RecallFlow]:
        flows = {}
        for name, network in model.items():
            assert isinstance(network, Recall)
            flows[name] = flow(network, self._held_out[:, :200])
        return flows

    def result(self, model: nn.ModuleDict) -> dict[str, Any]:
        """The errors, and what share of the loss's gradient by h reaches the first step."""
        shares = {
            f"reaching_first_{name}": found.h[0] / found.h[-1] if found.h[-1] else 0.0
            for name, found in self._flows(model).items()
        }
        return {**self.metrics(model), "mse_of_saying_0": GUESS, **shares}

    def summary(self, model: nn.ModuleDict) -> str:
        """Who recalls, and how much gradient gets there."""
        figures = self.result(model)
        lines = [f"{'the first of ' + str(self.length):<18}      mse   gradient that gets there"]
        for name in self.networks:
            mse, share = figures[f"mse_{name}"], figures[f"reaching_first_{name}"]
            lines.append(
                f"{WORDS.get(name, name):<18} {mse:>8.4f}   {share:.2g} of the last step's"
            )
        return "\n".join([*lines, f"{'always 0':<18} {GUESS:>8.4f}"])

    # --- showing ---

    def draw(self, model: nn.ModuleDict, history: list[dict[str, Any]], folder: Path) -> list[Path]:
        """How each learned, and how the gradient fades on its way back, before and after."""
        from unrolled.pictures import plots

        steps = [row["step"] for row in history]
        errors = {
            WORDS.get(name, name): (steps, [row[f"mse_{name}"] for row in history])
            for name in self.networks
        }
        with torch.random.fork_rng(devices=[]):
            before = self._flows(self.model().eval())
        return [
            plots.curves(
                {f"mean squared error, the first of {self.length} numbers": errors},
                folder / "learning.png",
                levels={"always 0": GUESS},
                title="memory: who learns to recall",
            ),
            self._draw_flows(before, folder / "gradients_before.png", "before training"),
            self._draw_flows(self._flows(model), folder / "gradients.png", "after training"),
        ]

    def _draw_flows(self, flows: dict[str, RecallFlow], path: Path, when: str) -> Path:
        from unrolled.pictures import plots

        places = list(range(1, self.length + 1))
        panels: dict[str, dict[str, tuple[list[int], list[float]]]] = {}
        for head, state in (("|∂loss/∂h_t|", "h"), ("|∂loss/∂c_t|", "c")):
            lines = {}
            for name, found in flows.items():
                norms = getattr(found, state)
                rest = any(norms[:-1]) or len(norms) < 2
                label = WORDS.get(name, name) + ("" if rest else " (0 before the end)")
                lines[label] = (places[: len(norms)], norms)
            panels[head] = lines
        return plots.curves(
            panels,
            path,
            title=f"memory, {when}: what gets back to step t",
            xlabel="step t",
        )

    def explorer(self, model: nn.ModuleDict) -> list[Explorable]:
        """What the explorer shows: every network that is an LSTM."""
        some = (self._held_out[:, :3].T[..., None] * 100).round() / 100  # few digits to read
        inputs = Numbers(
            ["number"], {f"sequence {n}": x for n, x in enumerate(some)}, target="first"
        )
        output = Output("linear", ["recalled"], at="last")
        found = []
        for name, network in model.items():
            assert isinstance(network, Recall)
            if isinstance(network.recurrent, LSTM):
                parts = ([network.recurrent], network.readout)
                found.append(Explorable(*parts, inputs, output, name=WORDS.get(name, name)))
        if not found:
            raise ExplorerError("this run holds only an Elman network, which has no gates.")
        return found

    def attempt(self, model: nn.ModuleDict, arguments: list[str]) -> str:
        """What each network recalls of the numbers given."""
        what = "a number to recall"
        numbers = [real_number(word, what, -1, 1, such_as=0.7) for word in arguments]
        if not numbers:
            raise InvalidValueError(
                "memory takes the numbers to read, the first of which is recalled: for example "
                f"`unrolled try DIR {' '.join(_example(self.length))}`."
            )
        with torch.no_grad():
            read = torch.tensor(numbers)[:, None]
            outputs = {name: network(read).item() for name, network in model.items()}
        lines = [f"the first of {len(numbers)} was {numbers[0]:g}"]
        lines += [f"{WORDS.get(name, name):<18}{value:>8.4f}" for name, value in outputs.items()]
        if len(numbers) != self.length:
            lines.append(f"({self.length} numbers were learned, and {len(numbers)} were given)")
        return "\n".join(lines)

    def look(self, model: nn.ModuleDict) -> list[Passage]:
        """Each network on 200 sequences; the number to be recalled is the same at every step.

        Not those with a published gradient: forwards they are the vanilla cell, and `draw` has
        their flow.
        """
        numbers = self._held_out[:, :200]
        passages = []
        for name, network in model.items():
            assert isinstance(network, Recall)
            if network.faults:
                continue
            with torch.no_grad():
                output = network(numbers[:, :1]).item()
            passages.append(
                Passage(
                    call=partial(network, numbers),
                    inputs=[f"{number:.1f}" for number in numbers[:, 0].tolist()],
                    outputs=[*[""] * (self.length - 1), f"{output:.1f}"],
                    followed=partial(_error, network, numbers),
                    following="the squared error",
                    properties={"the first number": numbers[0].expand_as(numbers)},
                    within=name,
                    name=WORDS.get(name, name),
                )
            )
        return passages


def _error(network: nn.Module, numbers: Tensor) -> Tensor:
    total: Tensor = (network(numbers) - numbers[0]).square().sum()
    return total


def _numbers(length: int, count: int, generator: torch.Generator) -> Tensor:
    return torch.rand(length, count, generator=generator) * 2 - 1


def _example(length: int) -> list[str]:
    return ["0.7", *["-0.2", "0.4"] * (length // 2)][:length]
