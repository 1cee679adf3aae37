"""An encoder LSTM reads a source; a decoder LSTM begins where it ended and writes the target.

Sutskever, Vinyals and Le, "Sequence to Sequence Learning with Neural Networks" (2014); Cho et al.
2014 had the same idea.  All that the decoder knows of the source is a state (h, c) of fixed size,
unless it has attention.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from unrolled.layer.lstm import LSTM
from unrolled.recipes._pairs.attention import Attention, ReadSource
from unrolled.recipes._pairs.vocabulary import END, PairVocabulary

__all__ = ["IGNORED", "State", "Translator"]

IGNORED = -1  # a target's padding, which no loss sees


class State(NamedTuple):
    """The decoder's state, h and c, each [L, B, H]; with attention, the source that it looks at."""

    h: Tensor
    c: Tensor
    source: ReadSource | None = None

    def repeated(self, times: int) -> State:
        """The same with each row so many times, one behind the other."""
        source = self.source and ReadSource(
            *(part.repeat_interleave(times, 1) for part in self.source)
        )
        return State(self.h.repeat_interleave(times, 1), self.c.repeat_interleave(times, 1), source)

    def taken(self, rows: Tensor) -> State:
        """The states of some rows [B], each in the place of a row of the same source."""
        return State(self.h[:, rows], self.c[:, rows], self.source)


class Translator(nn.Module):
    """An encoder LSTM that hands its state to a decoder LSTM.

    Parameters
    ----------
    source, target
        The vocabularies of the two sides.
    embedding, hidden, layers
        Sizes; hidden is that of either LSTM.
    cell
        As in `unrolled.LSTM`.
    dropout
        Between layers, and on what is read and what is put out.
    both_directions
        The encoder reads the source backwards too; its two final states are brought to the
        decoder's size by a learnt product.
    attention
        The decoder looks at all that the encoder put out (`Attention`), over ``hidden`` numbers.
    """

    vocabularies: Tensor

    def __init__(
        self,
        source: PairVocabulary,
        target: PairVocabulary,
        *,
        embedding: int,
        hidden: int,
        layers: int,
        cell: str,
        dropout: float,
        both_directions: bool,
        attention: bool = False,
    ) -> None:
        super().__init__()
        between = dropout if layers > 1 else 0.0
        options: dict[str, Any] = {"cell": cell, "dropout": between}
        self.source_embedding = nn.Embedding(len(source), embedding)
        self.target_embedding = nn.Embedding(len(target), embedding)
        self.encoder = LSTM(embedding, hidden, layers, bidirectional=both_directions, **options)
        annotation = hidden * (1 + both_directions) if attention else 0
        self.decoder = LSTM(embedding + annotation, hidden, layers, **options)
        self.bridge = nn.ModuleList(
            nn.Linear(2 * hidden, hidden) for _ in range(2 if both_directions else 0)
        )
        self.readout = nn.Linear(hidden + annotation, len(target))
        self.dropout = nn.Dropout(dropout)
        self.attention = Attention(hidden, annotation, hidden) if attention else None
        # Weights of another vocabulary may have the same sizes: this tells.
        seal = bytearray(source.digest() + target.digest())
        self.register_buffer("vocabularies", torch.tensor(seal, dtype=torch.uint8))

    def encode(self, source: Tensor, lengths: Tensor) -> State:
        """The state after sources [T, B] of ``lengths`` [B]."""
        y, (h, c) = self.encoder(self.dropout(self.source_embedding(source)), lengths=lengths)
        if self.bridge:
            h, c = (_side_by_side(part) for part in (h, c))
            # h must stay what an LSTM's h can be, between -1 and 1; c may be anything.
            h, c = torch.tanh(self.bridge[0](h)), self.bridge[1](c)
        seen = None if self.attention is None else self.attention.read(y, lengths)
        return State(h, c, seen)

    def decode(self, read: Tensor, state: State) -> tuple[Tensor, State]:
        """Logits [U, B, V] of the symbol after each of ``read`` [U, B], and the state."""
        if state.source is not None:
            return self.attend(read, state)[:2]
        y, (h, c) = self.decoder(self.dropout(self.target_embedding(read)), (state.h, state.c))
        return self.readout(self.dropout(y)), State(h, c)

    def attend(self, read: Tensor, state: State) -> tuple[Tensor, State, Tensor]:
        """The same step by step, and the weights [U, T, B]: where in the source it looked."""
        h, c, source = state
        assert self.attention is not None
        assert source is not None
        outputs, looks = [], []
        for symbol in self.dropout(self.target_embedding(read)):
            context, weights = self.attention(h[-1], source)
            y, (h, c) = self.decoder(torch.cat((symbol, context), -1)[None], (h, c))
            outputs.append(torch.cat((y[0], context), -1))
            looks.append(weights)
        logits = self.readout(self.dropout(torch.stack(outputs)))
        return logits, State(h, c, source), torch.stack(looks)

    def loss(self, source: Tensor, lengths: Tensor, target: Tensor) -> Tensor:
        """The mean cross entropy of a symbol of the targets [U, B], in nats.

        The decoder is shown the right symbols before it (teacher forcing), whatever it would have
        written itself.
        """
        before = torch.cat((torch.full_like(target[:1], END), target[:-1].clamp(min=END)))
        logits, _ = self.decode(before, self.encode(source, lengths))
        return cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=IGNORED)

    @torch.no_grad()
    def start_uniform(self, bound: float) -> None:
        """Draw every first weight between ``-bound`` and ``bound``."""
        for weight in self.parameters():
            weight.uniform_(-bound, bound)


def _side_by_side(state: Tensor) -> Tensor:
    """[L·2, B, H] as [L, B, 2·H]."""
    layers, rows, hidden = state.shape
    return state.view(layers // 2, 2, rows, hidden).transpose(1, 2).reshape(layers // 2, rows, -1)
