"""skorch: our layer inside a scikit-learn estimator, its cell found by a grid search.

python examples/ecosystem/skorch_net.py
"""

from __future__ import annotations

import numpy as np
import torch
from sklearn.model_selection import GridSearchCV
from skorch import NeuralNetRegressor
from torch import Tensor, nn

from unrolled import LSTM


class Last(nn.Module):
    """A number from the last step of a sequence."""

    def __init__(self, hidden_size: int = 16, cell: str = "vanilla") -> None:
        super().__init__()
        self.recurrent = LSTM(1, hidden_size, batch_first=True, cell=cell)
        self.head = nn.Linear(hidden_size, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, 1] from [B, T, 1]."""
        return self.head(self.recurrent(x)[0][:, -1])


def main() -> tuple[float, dict[str, object]]:
    torch.manual_seed(0)
    x = np.random.default_rng(0).random((256, 8, 1), dtype=np.float32)
    y = x.mean(1)
    net = NeuralNetRegressor(
        Last,
        max_epochs=20,
        lr=0.02,
        optimizer=torch.optim.Adam,
        batch_size=32,
        train_split=None,
        verbose=0,
    )
    cells = {"module__cell": ["vanilla", "coupled"]}
    search = GridSearchCV(net, cells, cv=2, scoring="r2")
    search.fit(x, y)
    score = float(search.best_estimator_.score(x, y))
    print(f"best of {len(search.cv_results_['params'])}: {search.best_params_}, r2 = {score:.3f}")
    return score, search.best_params_


if __name__ == "__main__":
    main()
