"""Need 7: gradients in eval(), for attribution: no switch to training, no special backend.

Integrated gradients (Sundararajan et al. 2017) of one output with respect to the input; what is
attributed sums to the change of the output, which is the method's own check.
"""

import torch

from unrolled import LSTM

torch.manual_seed(0)
lstm = LSTM(3, 16, num_layers=2, dropout=0.5, zoneout=0.1).eval()
x = torch.randn(10, 1, 3, generator=torch.Generator().manual_seed(0))

steps = 256
scale = (torch.arange(steps) + 0.5) / steps
path = (x * scale[None, :, None]).requires_grad_()  # the batch is the path from zero to x
y, _ = lstm(path)
(d_path,) = torch.autograd.grad(y[-1, :, 0].sum(), path)
attribution = x[:, 0] * d_path.mean(1)

change = lstm(x)[0][-1, 0, 0] - lstm(torch.zeros_like(x))[0][-1, 0, 0]
for t, share in enumerate(attribution.sum(-1).tolist()):
    print(f"step {t}: {share:+.4f}")
print(f"sum of the attributions {attribution.sum():+.5f}, change of the output {change:+.5f}")
