"""A small recipe that has everything that training can get wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from unrolled import LSTM, Batches, Loss, Network, training
from unrolled.steps.program import Native
from unrolled.training import Step, runs, train


class Echo(nn.Module):
    """An LSTM with all that a checkpoint may forget: dropout, buffers, a weight that is frozen."""

    def __init__(self) -> None:
        super().__init__()
        self.recurrent = nn.LSTM(2, 3)
        self.norm = nn.BatchNorm1d(3)
        self.dropout = nn.Dropout(0.2)
        self.readout = nn.Linear(3, 1)
        self.readout.bias.requires_grad_(False)

    def forward(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        y, state = self.recurrent(x, state)
        y = self.norm(self.dropout(y).flatten(0, 1)).view_as(y)
        return self.readout(y)[..., 0], state


@dataclass(frozen=True)
class Recipe(training.Recipe):
    """Give again what was read a step before."""

    steps: int = 12
    clip: float = 0.0
    report_every: int = 4
    carry_state: bool = False
    spoil_at: int = 0
    spoil: str = "loss"

    def check(self) -> None:
        if self.spoil not in ("loss", "gradient", "weight"):
            raise ValueError(f"spoil = {self.spoil!r}")

    def model(self) -> nn.Module:
        return Echo()

    def batch(self, step: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        x = torch.randn(7, 4, 2, generator=generator)
        count = torch.full((7, 4), float(step))
        return x, x[..., 0].roll(1, 0), count

    def loss(self, model: nn.Module, batch: tuple[Tensor, ...], state: Any) -> tuple[Tensor, Any]:
        x, y, count = batch
        output, state = model(x, state)
        loss = (output - y).square().mean()
        if self.spoil_at and count[0, 0].item() + 1 == self.spoil_at:
            if self.spoil == "loss":
                loss = loss * math.nan
            elif self.spoil == "gradient":  # the derivative of a root at 0
                loss = loss + (model.readout.weight * 0).square().sum().sqrt() * 0
            else:
                model.readout.weight.data.fill_(math.nan)
        return loss, state

    def metrics(self, model: nn.Module) -> dict[str, float]:
        assert not model.training
        assert not torch.is_grad_enabled()
        return {"weight": next(model.parameters()).mean().item(), "draw": torch.rand(()).item()}

    def report(self, model: nn.Module, step: int, batch: tuple[Tensor, ...]) -> str:
        return f"report {step} {batch[2][0, 0].item():.0f}"

    def draw(self, model: nn.Module, history: list[dict[str, Any]], folder: Path) -> list[Path]:
        path = folder / "picture.png"
        path.write_text(str([row["step"] for row in history]))
        return [path]


LONG = Recipe(steps=240, steps_per_update=3, report_every=10, carry_state=True)


def finish(recipe: Any, **more: Any) -> Step:
    """Train to the end; the last step."""
    return list(train(recipe, **more))[-1]


def weights(run: Path) -> bytes:
    return (run / runs.WEIGHTS).read_bytes()


def bits(model: nn.Module) -> list[Tensor]:
    return [value.clone() for value in model.state_dict().values()]


def equal(a: list[Tensor], b: list[Tensor]) -> bool:
    return len(a) == len(b) and all(map(torch.equal, a, b))


@dataclass(frozen=True)
class Small(Recipe):
    """A recipe of the kernel's whose reports and pictures cost nothing."""

    optimizer: str = "SGD"
    learning_rate: float = 0.1

    def model(self) -> nn.Module:
        return Network(LSTM(2, 3), nn.Linear(3, 1))

    def batches(self, step: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        x = torch.randn(4, 7, 2, 2, generator=generator)
        target = x[..., :1].roll(1, 1)
        if step < self.spoil_at <= step + 4:
            target[self.spoil_at - step - 1] = torch.nan
        return x, target, torch.full((4, 7, 2), float(step)) + torch.arange(4.0)[:, None, None]

    def native(self, model: Network) -> Native:
        return Native(model, Loss(), lambda block: Batches(*block[:2]))

    def loss(self, model: nn.Module, batch: tuple[Tensor, ...], state: Any) -> tuple[Tensor, Any]:
        return Loss()(model(batch[0])[0], batch[1]), None


KILLED = Small(steps=400, report_every=10)
