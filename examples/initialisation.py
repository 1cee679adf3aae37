"""Need 13: a forget bias of 1 and orthogonal recurrent weights, without index arithmetic.

What the first state still weighs after 50 steps: |∂h_50/∂c_0| at the start of training.
"""

import torch

from unrolled import LSTM

x = torch.randn(50, 64, 8, generator=torch.Generator().manual_seed(0))


def memory(lstm: LSTM) -> float:
    """The gradient of the last hidden state with respect to the first cell state."""
    h_0, c_0 = torch.zeros(1, 64, 32), torch.zeros(1, 64, 32, requires_grad=True)
    y, _ = lstm(x, (h_0, c_0))
    (d_c_0,) = torch.autograd.grad(y[-1].sum(), c_0)
    return float(d_c_0.abs().mean())


for label, arguments in {
    "as torch": {},
    "forget_bias=1": {"forget_bias": 1.0},
    "orthogonal, forget_bias=1": {"init": "orthogonal", "forget_bias": 1.0},
    "orthogonal, forget_bias=3": {"init": "orthogonal", "forget_bias": 3.0},
    "carousel (1997: f = 1)": {"cell": "carousel"},
}.items():
    torch.manual_seed(0)
    print(f"{label:26} {memory(LSTM(8, 32, **arguments)):.1e}")
