"""Need 6: vmap, forward mode and second derivatives.

Per-sample gradients in one call, a Jacobian-vector product, and a gradient penalty: none of them
works through `torch.nn.LSTM`'s fast path.
"""

import torch
from torch.func import functional_call, grad, jvp, vmap

from unrolled import LSTM

x = torch.randn(12, 5, 3, generator=torch.Generator().manual_seed(0))
torch.manual_seed(0)
lstm = LSTM(3, 8, cell="peephole")
parameters = dict(lstm.named_parameters())


def loss(parameters: dict[str, torch.Tensor], row: torch.Tensor) -> torch.Tensor:
    """The loss of one sequence, [T, I]."""
    y, _ = functional_call(lstm, parameters, (row,))
    return y.square().mean()


each = vmap(grad(loss), in_dims=(None, 1))(parameters, x)
print("per-sample gradient of weight_hh_l0:", list(each["weight_hh_l0"].shape))

y, moved = jvp(lambda x: lstm(x)[0], (x,), (torch.ones_like(x),))
print("Jacobian-vector product:", list(moved.shape))

x.requires_grad_()
(d_x,) = torch.autograd.grad(lstm(x)[0].sum(), x, create_graph=True)
penalty = d_x.square().sum()
penalty.backward()
print(f"gradient penalty {penalty:.4f}, its gradient reaches W_hh:", end=" ")
print(f"{lstm.weight_hh_l0.grad.norm():.4f}")
