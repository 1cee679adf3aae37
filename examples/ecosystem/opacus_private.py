"""Opacus: training with differential privacy, each sample's gradient clipped and noise added.

`prepare` tells Opacus how each sample's gradient of `unrolled.LSTM` is found, and has what Opacus
would not see refused: a state to start from, lengths, a loss on the final state.

    python examples/ecosystem/opacus_private.py
"""

from __future__ import annotations

import copy
import warnings

import torch
from opacus import PrivacyEngine
from opacus.grad_sample import GradSampleModule
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from unrolled import LSTM
from unrolled.estimators.opacus import prepare


class Model(nn.Module):
    """A sequence to one number a step."""

    def __init__(self) -> None:
        super().__init__()
        self.recurrent = LSTM(3, 16, batch_first=True)
        self.head = nn.Linear(16, 1)

    def forward(self, x: Tensor) -> Tensor:
        """The prediction at every step, [B, T, 1]."""
        return self.head(self.recurrent(x)[0])


def worst_difference() -> float:
    """From each sample's gradient to the one that it has alone."""
    model, x = prepare(Model()), torch.randn(5, 7, 3)
    alone, worst = copy.deepcopy(model), 0.0
    GradSampleModule(model, loss_reduction="sum")(x).square().sum().backward()
    for k in range(len(x)):
        alone.zero_grad()
        alone(x[k : k + 1]).square().sum().backward()
        for p, right in zip(model.parameters(), alone.parameters(), strict=True):
            worst = max(worst, float((p.grad_sample[k] - right.grad).abs().max()))
    return worst


def privately_trained() -> tuple[float, float, float]:
    """The loss before and after, and the ε that was spent, for δ = 1e-3."""
    x = torch.randn(256, 7, 3)
    target = x.cumsum(1).mean(-1, keepdim=True)
    model = prepare(Model())
    engine = PrivacyEngine(accountant="rdp")
    model, optimizer, batches = engine.make_private(
        module=model,
        optimizer=torch.optim.Adam(model.parameters(), lr=0.02),
        data_loader=DataLoader(TensorDataset(x, target), batch_size=64),
        noise_multiplier=1.0,
        max_grad_norm=1.0,
    )
    with torch.no_grad():
        before = float(nn.functional.mse_loss(model(x), target))
    for _ in range(10):
        for inputs, wanted in batches:
            optimizer.zero_grad()
            nn.functional.mse_loss(model(inputs), wanted).backward()
            optimizer.step()
    with torch.no_grad():
        after = float(nn.functional.mse_loss(model(x), target))
    return before, after, engine.get_epsilon(delta=1e-3)


def main() -> tuple[float, float, float]:
    warnings.filterwarnings("ignore", module="opacus")  # that its noise is not cryptographic
    warnings.filterwarnings("ignore", message="Full backward hook is firing")  # as it should
    torch.manual_seed(0)
    worst = worst_difference()
    print(f"each sample's own gradient: worst difference from the sample alone {worst:.1e}")
    before, after, epsilon = privately_trained()
    print(f"40 private updates: loss {before:.3f} before, {after:.3f} after, epsilon {epsilon:.1f}")
    return worst, before, after


if __name__ == "__main__":
    main()
