"""Networks that recall their first input, and how the loss's gradient fades on the way to it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from unrolled.equations import step
from unrolled.faults import PUBLISHED, faulty_lstm
from unrolled.inside import intervention
from unrolled.layer.elman import Elman
from unrolled.layer.lstm import LSTM

__all__ = ["Recall", "RecallFlow", "flow"]


class RecallFlow(NamedTuple):
    """The mean norm of ∂loss/∂h_t and ∂loss/∂c_t at every step [T]; an Elman network has no c."""

    h: list[float]
    c: list[float]


class Recall(nn.Module):
    """A recurrent network that reads numbers and gives one at the end.

    Parameters
    ----------
    network : str
        ``"elman"``, an LSTM's cell, or ``"000"`` or ``"002"``: the vanilla cell with the backward
        pass of that document.
    hidden_size : int
    init : {"torch", "orthogonal"}
        As `unrolled.LSTM` takes it; of an Elman network it is the recurrent matrix's.
    forget_bias : float
        Of cells with a learned forget gate.
    """

    def __init__(self, network: str, hidden_size: int, init: str, forget_bias: float) -> None:
        super().__init__()
        self.faults = PUBLISHED.get(network, ())
        cell = "vanilla" if network in PUBLISHED else network
        self.recurrent: LSTM | Elman
        if network == "elman":
            self.recurrent = Elman(1, hidden_size)
            if init == "orthogonal":
                nn.init.orthogonal_(self.recurrent.weight_hh_l0)
            bias = self.recurrent.bias_hh_l0
        else:
            self.recurrent = LSTM(1, hidden_size, cell=cell, init=init)
            bias = self.recurrent.get_parameter("bias_hh_l0")
            if self.recurrent.cell.forget == "learned":
                gate = self.recurrent.cell.gates.index("f")
                with torch.no_grad():
                    ih = self.recurrent.get_parameter("bias_ih_l0")
                    ih[gate * hidden_size : (gate + 1) * hidden_size] = forget_bias
        # One bias, as documents 000 and 002 have it: with two, its rate would double.
        nn.init.zeros_(bias).requires_grad_(False)
        self.readout = nn.Linear(hidden_size, 1)

    def forward(self, x: Tensor) -> Tensor:
        """The output [B] after x [T, B]."""
        x = x[..., None]
        if self.faults and torch.is_grad_enabled():
            lstm = self.recurrent
            zero = x.new_zeros(x.size(1), lstm.hidden_size)
            names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0")
            weights = (lstm.get_parameter(name) for name in names)
            y, _ = faulty_lstm(x, zero, zero, *weights, faults=self.faults)
        else:
            y, _ = self.recurrent(x)
        output: Tensor = self.readout(y[-1])[:, 0]
        return output


def flow(model: Recall, x: Tensor) -> RecallFlow:
    """How much each sequence's squared error changes with h_t and c_t, by the model's own pass.

    What a published pass does not carry is cut.  x is [T, B].
    """
    if not model.faults:
        (found,) = intervention.flow(model, lambda: (model(x) - x[0]).square().sum()).values()
        return RecallFlow(*found.norms())
    with torch.enable_grad():
        output, states = _walk(model, x)
        error = (output - x[0]).square().sum()
        flat = [state for pair in states for state in pair]
        gradients = torch.autograd.grad(error, flat, allow_unused=True)
    norms = [0.0 if d is None else d.norm(dim=-1).mean().item() for d in gradients]
    return RecallFlow(norms[::2], norms[1::2])


def _walk(model: Recall, x: Tensor) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
    """The output [B], and (h_t, c_t) of every step, on the way of a published gradient."""
    net = model.recurrent
    assert isinstance(net, LSTM)
    wrong = {fault.key for fault in model.faults}
    w_ih, w_hh, bias = (
        net.get_parameter(name) for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0")
    )
    h = c = x.new_zeros(x.size(1), net.hidden_size)
    states: list[tuple[Tensor, Tensor]] = []
    for a_x in linear(x[..., None], w_ih, bias):
        h = h.detach() if "h-not-carried" in wrong else h
        c = c.detach() if "c-not-carried" in wrong else c
        gates = step(net.cell, a_x + linear(h, w_hh), c)
        c, h = gates.c, gates.h
        if "c-squared" in wrong:
            h = gates.o * _tanh_with_one_minus_c_squared(c)
        states.append((h, c))
    output: Tensor = model.readout(h)[:, 0]
    return output, states


def _tanh_with_one_minus_c_squared(c: Tensor) -> Tensor:
    """tanh(c), whose derivative autograd takes for 1 − c²: document 000's slip."""
    stands_in = c - c**3 / 3
    return torch.tanh(c).detach() + stands_in - stands_in.detach()
