"""Lightning: a `LightningModule` with our layer in it, and rows of different lengths.

python examples/ecosystem/lightning_module.py
"""

from __future__ import annotations

import logging
import warnings

import torch
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from unrolled import LSTM


class LastSum(LightningModule):
    """The sum of a row's own steps, read off its final state."""

    def __init__(self) -> None:
        super().__init__()
        self.recurrent = LSTM(1, 16, batch_first=True, forget_bias=1.0)
        self.head = nn.Linear(16, 1)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """One number a row."""
        _, (h, _) = self.recurrent(x, lengths=lengths)
        return self.head(h[0])[:, 0]

    def training_step(self, batch: list[Tensor]) -> Tensor:
        """The loss of one batch."""
        x, lengths, total = batch
        return nn.functional.mse_loss(self(x, lengths), total)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam."""
        return torch.optim.Adam(self.parameters(), lr=0.02)


@torch.no_grad()
def error(model: LastSum, x: Tensor, lengths: Tensor, total: Tensor) -> float:
    """The mean squared error over all rows."""
    return float(nn.functional.mse_loss(model(x, lengths), total))


def main() -> tuple[float, float]:
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning")  # of workers for so little data
    torch.manual_seed(0)
    x, lengths = torch.rand(512, 8, 1), torch.randint(1, 9, (512,))
    inside = torch.arange(8) < lengths[:, None]
    total = (x[..., 0] * inside).sum(1)
    x[~inside] = torch.nan  # what lies beyond a row's end is not read
    model = LastSum()
    before = error(model, x, lengths, total)
    trainer = Trainer(
        max_epochs=15,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, DataLoader(TensorDataset(x, lengths, total), batch_size=64))
    after = error(model, x, lengths, total)
    print(
        f"mean squared error {before:.3f} before, {after:.4f} after {trainer.global_step} updates"
    )
    return before, after


if __name__ == "__main__":
    main()
