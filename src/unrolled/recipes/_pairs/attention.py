"""Additive attention: at each step the decoder weighs all that the encoder put out.

Bahdanau, Cho and Bengio, "Neural Machine Translation by Jointly Learning to Align and Translate"
(2015), section 3.1 and appendix A.1.2.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

__all__ = ["Attention", "ReadSource"]


class ReadSource(NamedTuple):
    """What the encoder put out of B sources.

    Parameters
    ----------
    annotations : Tensor, [T, B, D]
        h_j, what it put out at each symbol.
    keys : Tensor, [T, B, A]
        U h_j, which is the same for every step of the decoder.
    inside : Tensor of bool, [T, B]
        Whether a symbol is the source's own; what is not is padding.
    """

    annotations: Tensor
    keys: Tensor
    inside: Tensor


class Attention(nn.Module):
    r"""Where to look in the source before the symbol i is written.

    With s the decoder's last state [H] and h_j the encoder's output at the source's symbol j [D]::

        e_ij = v · tanh(W s_{i-1} + U h_j)          W [A, H], U [A, D], v [A]
        α_ij = exp(e_ij) / Σ_k exp(e_ik)            over the source's own symbols, and no padding
        c_i  = Σ_j α_ij h_j                         [D]

    The context c_i goes into the decoder's LSTM beside the symbol written before, and into the
    output beside the LSTM's own.  In the paper it does so too; what differs here: the cells are
    LSTMs, where the paper has gated units without a memory cell; s is h of the uppermost layer; U
    has a bias; the output is one linear layer over h and c, where the paper has a maxout layer that
    reads the last symbol too; the decoder begins with the encoder's last state, where the paper has
    tanh(W_s h_1) of the backward encoder; and the encoder reads in one direction unless it is told
    to read in both, as the paper's does.

    Parameters
    ----------
    hidden
        H of the decoder.
    annotation
        D, how many numbers the encoder puts out.
    size
        A, over how many numbers the two are compared.
    """

    def __init__(self, hidden: int, annotation: int, size: int) -> None:
        super().__init__()
        self.query = nn.Linear(hidden, size, bias=False)  # W
        self.key = nn.Linear(annotation, size)  # U
        self.score = nn.Linear(size, 1, bias=False)  # v

    def read(self, annotations: Tensor, lengths: Tensor) -> ReadSource:
        """Take in what the encoder put out [T, B, D] of sources of ``lengths`` [B]."""
        steps = torch.arange(len(annotations), device=lengths.device)[:, None]
        return ReadSource(annotations, self.key(annotations), steps < lengths)

    def forward(self, state: Tensor, source: ReadSource) -> tuple[Tensor, Tensor]:
        """The context [B, D] for a state [B, H], and the weights [T, B], which sum to 1 over T."""
        energies = self.score(torch.tanh(self.query(state) + source.keys)).squeeze(-1)
        weights = energies.masked_fill(~source.inside, -torch.inf).softmax(0)
        return torch.einsum("tb,tbd->bd", weights, source.annotations), weights
