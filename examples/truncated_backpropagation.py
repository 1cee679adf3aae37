"""Need 10: truncated backpropagation through time with a carried state.

The state's values go on from window to window, its gradient does not: `detach` both parts.  (The
recipe that is copied around forgets c, or detaches after the step and trains on a stale graph.)
`unrolled train … --steps-per-update N` does the same for a recipe.
"""

import torch
from torch import nn

from unrolled import LSTM

torch.manual_seed(0)
series = torch.sin(torch.arange(2001) * 0.1)[:, None, None]  # [T, B, I]
lstm, head = LSTM(1, 16), nn.Linear(16, 1)
optimizer = torch.optim.Adam([*lstm.parameters(), *head.parameters()], lr=0.01)

window, losses = 50, []
for _ in range(3):
    state = None
    for start in range(0, 2000, window):
        x, target = series[start : start + window], series[start + 1 : start + window + 1]
        y, (h, c) = lstm(x, state)
        loss = nn.functional.mse_loss(head(y), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        state = (h.detach(), c.detach())
        losses.append(loss.item())
print(f"loss of the first window {losses[0]:.4f}, of the last {losses[-1]:.6f}")
