"""The network of a language model: tokens in, layers of LSTM with dropout, logits of the next."""

from __future__ import annotations

import copy
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from unrolled.layer.lstm import LSTM
from unrolled.recipes._text.vocabulary import Vocabulary

__all__ = ["LanguageModel", "State", "TokenInputs", "TokenNetwork", "Writer"]

TokenInputs = Literal["one_hot", "embedding"]
State = list[tuple[Tensor, Tensor]]


class TokenNetwork(nn.Module):
    """Tokens [T, B] to logits [T, B, V], through layers of LSTM one on the other.

    The output reads every layer, not the last alone, so that the lower ones learn from the first
    step on (Graves 2013).

    Parameters
    ----------
    tokens
        V, how many there are.
    inputs
        What the first layer reads of a token: a learnt vector, or V numbers of which one is 1.
    embedding
        How long the learnt vector is.
    hidden, layers
        H of each layer, and how many.
    dropout
        On what a layer hands to the next one and to the output.
    recurrent_dropout
        As in `unrolled.LSTM`.
    """

    def __init__(
        self,
        tokens: int,
        inputs: TokenInputs,
        embedding: int,
        hidden: int,
        layers: int,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.tokens = tokens
        self.embedding = nn.Embedding(tokens, embedding) if inputs == "embedding" else None
        if self.embedding is not None:
            nn.init.normal_(self.embedding.weight, std=0.1)  # small: what is learnt soon outweighs
        widths = [embedding if inputs == "embedding" else tokens, *[hidden] * (layers - 1)]
        self.layers = nn.ModuleList(
            LSTM(width, hidden, recurrent_dropout=recurrent_dropout, forget_bias=1.0)
            for width in widths
        )
        self.dropout = dropout
        self.readout = nn.Linear(hidden * layers, tokens)

    def enter(self, ids: Tensor) -> Tensor:
        """What the first layer reads of tokens."""
        if self.embedding is not None:
            vectors: Tensor = self.embedding(ids)
            return vectors
        return functional.one_hot(ids, self.tokens).to(self.readout.weight.dtype)

    def forward(
        self, ids: Tensor, state: State | None = None, resets: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Logits of the tokens that follow, and the state after them; ``resets`` is the LSTM's."""
        x = self.enter(ids)
        outputs, after = [], []
        for number, layer in enumerate(self.layers):
            y, end = layer(x, None if state is None else state[number], resets=resets)
            x = functional.dropout(y, self.dropout, self.training)
            outputs.append(x)
            after.append(end)
        logits: Tensor = self.readout(torch.cat(outputs, -1))
        return logits, after


class Writer:
    """A network one token at a time, without autograd: see `unrolled.Stepper`."""

    def __init__(self, network: TokenNetwork) -> None:
        with torch.no_grad():
            self._rows = network.enter(torch.arange(network.tokens))
            self._weight, self._bias = network.readout.weight.clone(), network.readout.bias.clone()
        self._steppers = [layer.stepper() for layer in network.layers]  # type: ignore[operator]

    def read(self, token: int) -> Tensor:
        """Read a token; gives the logits of the next, [V]."""
        x = self._rows[token]
        outputs = []
        for stepper in self._steppers:
            x = stepper(x)
            outputs.append(x[0])
        with torch.no_grad():
            return torch.addmv(self._bias, self._weight, torch.cat(outputs))


class LanguageModel(nn.Module):
    """A network that is trained, the running mean of its weights that is used, the vocabulary.

    The mean of the weights over the last steps predicts better than any one of them does: it does
    what a falling learning rate would, and needs no plan of how long the training will be (Polyak &
    Juditsky 1992; for LSTM language models Merity et al. 2018).

    Parameters
    ----------
    vocabulary
    network
        As it is before the first step.
    average
        How much of the mean stays at each step, 0 to below 1; 0: there is none, and the network
        itself is used.
    """

    packed: Tensor
    updates: Tensor

    def __init__(self, vocabulary: Vocabulary, network: TokenNetwork, average: float):
        super().__init__()
        self.network = network
        self.mean = copy.deepcopy(network).requires_grad_(False) if average else None
        self.average = average
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))
        self.register_buffer("packed", vocabulary.pack())

    @property
    def vocabulary(self) -> Vocabulary:
        """What the weights were learnt for: it is kept beside them."""
        return Vocabulary.unpack(self.packed)

    @property
    def used(self) -> TokenNetwork:
        """What predicts when nothing is trained."""
        return self.network if self.mean is None else self.mean

    def forward(
        self, ids: Tensor, state: State | None = None, resets: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """In training the network, whose weights go into the mean; in ``eval()`` what is used."""
        if self.training and self.mean is not None:
            self._take_into(self.mean)
        network = self.network if self.training else self.used
        logits, state = network(ids, state, resets)
        return logits, state

    @torch.no_grad()
    def _take_into(self, mean: TokenNetwork) -> None:
        """Update the mean; at first it is a short one, so that the start is soon forgotten."""
        self.updates += 1
        count = self.updates.item()
        share = 1 - min(self.average, count / (10 + count))
        for old, new in zip(mean.parameters(), self.network.parameters(), strict=True):
            old.lerp_(new, share)
