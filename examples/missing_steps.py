"""Need 12: missing or irregular steps hold the state.

`mask[t, b]` False says that row b has no value at step t.  Nothing is imputed: NaN may stand there,
the state is held, and gradients stay finite.
"""

import torch

from unrolled import LSTM

generator = torch.Generator().manual_seed(0)
x = torch.randn(30, 2, 4, generator=generator)
there = torch.rand(30, 2, generator=generator) < 0.6
x[~there] = float("nan")

torch.manual_seed(0)
lstm = LSTM(4, 8)
y, (h, c) = lstm(x, mask=there)
y.sum().backward()

for row in range(2):
    _, (h_row, _) = lstm(x[there[:, row], row])
    same = torch.allclose(h[:, row], h_row, atol=1e-6)
    print(f"row {row}: {int(there[:, row].sum())} of 30 steps; ", end="")
    print(f"the same final state as without the missing ones: {same}")
print("all gradients finite:", all(bool(p.grad.isfinite().all()) for p in lstm.parameters()))
