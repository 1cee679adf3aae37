"""Captum: integrated gradients in `eval()`, of the input and of a named place inside the layer.

torch.nn.LSTM on a GPU refuses a gradient in `eval()`; ours gives one on every engine.  `opened()`
makes each value inside the recurrence a submodule, so that Captum's tools for layers find it.

    python examples/ecosystem/captum_attribution.py
"""

from __future__ import annotations

import torch
from captum.attr import IntegratedGradients, LayerActivation
from torch import Tensor, nn

from unrolled import LSTM


class Model(nn.Module):
    """The first unit of the last step."""

    def __init__(self, recurrent: nn.Module) -> None:
        super().__init__()
        self.recurrent = recurrent

    def forward(self, x: Tensor) -> Tensor:
        """[B] from [B, T, 3]."""
        return self.recurrent(x)[0][:, -1, 0]


def main() -> tuple[float, float]:
    torch.manual_seed(0)
    lstm = LSTM(3, 16, num_layers=2, batch_first=True, dropout=0.5).eval()
    model, x = Model(lstm), torch.randn(4, 10, 3)
    shares, missing = IntegratedGradients(model).attribute(
        x, n_steps=64, return_convergence_delta=True
    )
    for t, share in enumerate(shares[0].sum(-1).tolist()):
        print(f"step {t}: {share:+.4f}")
    worst = float(missing.abs().max().detach())
    print(f"the shares of a row sum to the change of its output, but for {worst:.1e}")

    opened = Model(lstm.opened())
    cells = LayerActivation(opened, opened.recurrent.l1.c).attribute(x)
    cell = cells[-1] if isinstance(cells, tuple) else cells  # the place is passed at every step
    apart = float((cell - lstm.trace(x)["l1.c"][:, -1]).abs().max().detach())
    print(f"what Captum finds at l1.c in the last step, and the trace: {apart:.1e} apart")
    return worst, apart


if __name__ == "__main__":
    main()
