"""Differential privacy with Opacus: the gradient of each sample, for `unrolled.LSTM`.

Opacus asks for a function that gives, for each parameter, one gradient for each sample of a batch.
Where nobody has registered one for a layer it tries torch.func, which fails on any layer that
returns a tuple.  With the function below, `PrivacyEngine().make_private(...)` takes a model with
our layers as it takes any other; what is used in the loss has to be the output, not the state, as
Opacus keeps the gradient of the first output alone.

    pip install opacus
    python examples/opacus_lstm.py
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from unrolled import LSTM


def per_sample_gradients(
    layer: LSTM, activations: list[Tensor], backprops: Tensor
) -> dict[nn.Parameter, Tensor]:
    """One gradient of each parameter for each sample.

    Parameters
    ----------
    activations : list of Tensor
        What the layer read; batch first here, whatever the layer's own order is.
    backprops : Tensor
        The gradient that reached the output, batch first too.
    """
    without_hooks = Quiet(layer)
    parameters = dict(without_hooks.named_parameters())

    def loss(weights: dict[str, Tensor], x: Tensor, d_y: Tensor) -> Tensor:
        y, _ = functional_call(without_hooks, weights, (x,))  # one sequence without a batch: [T, I]
        return (y * d_y).sum()

    each = vmap(grad(loss), in_dims=(None, 0, 0))(
        {name: p.detach() for name, p in parameters.items()}, activations[0], backprops
    )
    return {parameters[name]: samples for name, samples in each.items()}


class Quiet(nn.Module):
    """A layer that is run without telling the hooks that Opacus has put on it."""

    def __init__(self, layer: LSTM) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """What the layer gives."""
        return self.layer.forward(x)


class Model(nn.Module):
    """A sequence to one number a step."""

    def __init__(self) -> None:
        super().__init__()
        self.recurrent = LSTM(3, 16, batch_first=True)
        self.head = nn.Linear(16, 1)

    def forward(self, x: Tensor) -> Tensor:
        """The prediction at every step, [B, T, 1]."""
        return self.head(self.recurrent(x)[0])


def main() -> None:
    from opacus.grad_sample import GradSampleModule, register_grad_sampler

    register_grad_sampler(LSTM)(per_sample_gradients)
    torch.manual_seed(0)
    model, x = Model(), torch.randn(5, 7, 3)
    GradSampleModule(model, loss_reduction="sum")(x).square().sum().backward()
    worst = 0.0
    for k in range(len(x)):
        alone = Model()
        alone.load_state_dict(model.state_dict())
        alone(x[k : k + 1]).square().sum().backward()
        for p, right in zip(model.parameters(), alone.parameters(), strict=True):
            worst = max(worst, float((p.grad_sample[k] - right.grad).abs().max()))
    print(f"{len(x)} samples, each with its own gradient; worst difference from alone: {worst:.1e}")


if __name__ == "__main__":
    main()
