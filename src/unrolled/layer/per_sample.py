"""One gradient for each sample of a batch: what differential privacy clips and adds noise to.

The gradient of a weight is a sum over steps and rows of what reached the pre-activations, d_a,
times what the weight multiplied.  Summed over the steps alone it is each row's own.  d_a comes from
whichever engine runs: a layer that reads its pre-activations through the identity hands it out as
the gradient of its input.  So the kernel goes forward and backward once for the whole batch, and
the rest is one product a weight.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from unrolled.engines import Forward, Inputs
from unrolled.engines.masks import NO_MASKS
from unrolled.equations import Cell
from unrolled.errors import InvalidStateError
from unrolled.layer.lstm import LSTM
from unrolled.layer.recurrence import recurrence
from unrolled.layer.regularisation import Noise

__all__ = ["check_quiet", "per_sample_gradients"]


def check_quiet(layer: LSTM) -> None:
    """Raise InvalidStateError where a layer draws masks: by the time of this they are gone."""
    if layer.noise != Noise() or (layer.training and layer.dropout):
        said = ", ".join(layer.noise.described()) or f"dropout={layer.dropout}"
        raise InvalidStateError(
            f"a gradient for each sample of an LSTM with {said} cannot be had: its masks are drawn "
            "anew in each call; use dropout outside the layer."
        )
    if "_run_layer" in vars(layer):
        raise InvalidStateError(
            "a gradient for each sample of an LSTM under an intervention cannot be had: train it "
            "outside of the `with`."
        )


def per_sample_gradients(layer: LSTM, x: Tensor, d_y: Tensor) -> dict[nn.Parameter, Tensor]:
    """One gradient of each parameter for each sample, of a plain call that starts from zero.

    Parameters
    ----------
    layer : LSTM
        Its hooks are not called.
    x : Tensor, [B, T, I]
        What the layer read; batch first here, whatever the layer's own order is.
    d_y : Tensor, [B, T, D·P]
        The gradient that reaches its output, batch first too.

    Returns
    -------
    dict of Parameter to Tensor
        [B, …] for each parameter that is trained.

    Raises
    ------
    RuntimeError
        If the layer draws masks.
    """
    check_quiet(layer)
    passes, y = _forward(layer, x.detach().transpose(0, 1))
    d_outer = d_y.detach().transpose(0, 1)
    wanted = [t for one in passes for t in (one.a, one.out.y)]
    found = iter(torch.autograd.grad(y, wanted, d_outer.to(y.dtype)))
    gradients: dict[nn.Parameter, Tensor] = {}
    for one in passes:
        given = _gradients(layer.cell, one, next(found), next(found))
        for name, gradient in given.items():
            weight = getattr(layer, f"{name}_{one.key}", None)
            if weight is not None and weight.requires_grad:
                both = gradients.get(weight)  # one weight may have two names
                gradients[weight] = gradient if both is None else both + gradient
    return gradients


class _Pass(NamedTuple):
    """One layer and direction, in its own order of time."""

    key: str
    read: Tensor  # [T, B, I]
    a: Tensor  # [T, B, G·H]: the input's part of the pre-activations
    inputs: Inputs
    out: Forward


def _forward(layer: LSTM, x: Tensor) -> tuple[list[_Pass], Tensor]:
    """Every layer and direction of the call, and its output [T, B, D·P]."""
    passes: list[_Pass] = []
    width = 2 if layer.bidirectional else 1
    with torch.enable_grad():
        for first in range(0, len(layer._keys), width):
            passes += [_one(layer, key, x) for key in layer._keys[first : first + width]]
            ys = [_turned(one.key, one.out.y) for one in passes[first:]]
            x = ys[0] if len(ys) == 1 else torch.cat(ys, -1)
    return passes, x


def _one(layer: LSTM, key: str, x: Tensor) -> _Pass:
    read = _turned(key, x)
    h, c = (
        x.new_zeros(x.shape[1], n)
        for n in (layer.proj_size or layer.hidden_size, layer.hidden_size)
    )
    given = layer.inputs_of(key, read, (h, c))
    weights = Inputs(*(None if t is None else t.detach() for t in given))  # type: ignore[arg-type]
    a = linear(read, weights.w_ih, weights.b_ih)
    a = a if a.requires_grad else a.requires_grad_()
    same = torch.eye(a.shape[-1], dtype=a.dtype, device=a.device)
    inputs = weights._replace(x=a, w_ih=same, b_ih=None)
    out = recurrence(layer.cell, inputs, NO_MASKS, engine=layer.engine, trace=True)
    return _Pass(key, read.detach(), a, weights, out)


def _turned(key: str, t: Tensor) -> Tensor:
    return t.flip(0) if key.endswith("_reverse") else t


def _gradients(cell: Cell, one: _Pass, d_a: Tensor, d_h: Tensor) -> dict[str, Tensor]:
    """Each row's gradients by the parameters' names; ``d_h`` is what reached h from outside."""
    h, c = one.out.y.detach(), one.out.c
    assert c is not None
    d_b = d_a.sum(0)
    found = {
        "weight_ih": _outer(d_a, one.read),
        "weight_hh": _outer(d_a[1:], h[:-1]),
        "bias_ih": d_b,
        "bias_hh": d_b.clone(),
    }
    if cell.peephole:
        found["weight_ph"] = _peepholes(cell, d_a, c.detach())
    if one.inputs.w_hr is not None:
        found["weight_hr"] = _projection(cell, one, d_a, d_h)
    return found


def _outer(d: Tensor, read: Tensor) -> Tensor:
    """[B, N, M] from [T, B, N] and [T, B, M]: each row's sum over the steps."""
    return torch.bmm(d.permute(1, 2, 0), read.transpose(0, 1))


def _peepholes(cell: Cell, d_a: Tensor, c: Tensor) -> Tensor:
    before = torch.cat([torch.zeros_like(c[:1]), c[:-1]])
    d = dict(zip(cell.gates, d_a.chunk(len(cell.gates), -1), strict=True))
    rows = [(d[gate] * (c if gate == "o" else before)).sum(0) for gate in cell.peepholes]
    return torch.stack(rows, 1)


def _projection(cell: Cell, one: _Pass, d_a: Tensor, d_h: Tensor) -> Tensor:
    assert one.out.gates is not None
    assert one.out.c is not None
    o, c = one.out.gates.detach()[..., 3, :], one.out.c.detach()
    d_h = d_h.clone()
    d_h[:-1] += d_a[1:] @ one.inputs.w_hh
    return _outer(d_h, o * (torch.tanh(c) if cell.output == "tanh" else c))
