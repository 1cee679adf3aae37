"""Need 2: every gate and cell state at every step, of every layer and direction.

`trace` gives i, f, g, o, c and h as tensors that a loss may be put on: here, a penalty that asks
the forget gate to stay open.
"""

import torch

from unrolled import LSTM

x = torch.randn(20, 3, 8, generator=torch.Generator().manual_seed(0))
torch.manual_seed(0)
lstm = LSTM(8, 16, num_layers=2, bidirectional=True)

trace = lstm.trace(x)
for name in trace:
    f, c = trace[name].f, trace[name].c
    print(f"{name:11} forget gate {f.mean():.3f} on average, largest |c| {c.abs().max():.3f}")

optimizer = torch.optim.SGD(lstm.parameters(), lr=1.0)
for _ in range(20):
    loss = (1 - lstm.trace(x)["l0"].f).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"after 20 steps on the gate itself: {lstm.trace(x)['l0'].f.mean():.3f}")
