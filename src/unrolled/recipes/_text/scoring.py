"""Bits: what a model needs for each token of a text that it has not seen."""

from __future__ import annotations

import copy
import hashlib
import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from unrolled.recipes._text.network import LanguageModel, State
from unrolled.recipes._text.vocabulary import Ids

__all__ = ["BIT", "WARM_UP", "bits", "bits_learning_on", "digest"]

BIT = math.log(2)  # in nats
ROW = 4096  # tokens, at the least, that one row reads of a text
ROWS = 32
WARM_UP = 512  # tokens before a row's first that give it its state
STRETCH = 256  # tokens, at the most, that each row reads in one call
UPDATE = 32  # tokens between two updates of a model that learns on
LOGITS = 1 << 23  # numbers that one call may give, about: 32 MB


@torch.no_grad()
def bits(model: LanguageModel, before: Ids, ids: Ids) -> npt.NDArray[np.float64]:
    """Bits of every token of a text, [n], its first included, with the state carried through.

    A long text is read in up to 32 rows side by side, each with the state that the 512 tokens
    before it leave (of the first row, those of ``before``): an LSTM remembers no further to speak
    of, and each token is counted once.

    Parameters
    ----------
    model
        In ``eval()``.
    before
        What the text goes on from; at least one token.
    ids
        The text.
    """
    warm = min(WARM_UP, len(before))
    text = np.concatenate((before[-warm:], ids))
    rows = min(ROWS, max(1, len(ids) // ROW))
    length = -(-len(ids) // rows)
    # The last row may be short of a full one: it is moved back, and finds some bits a second time.
    starts = np.minimum(np.arange(rows) * length, len(ids) - length)
    places = starts[None] + np.arange(warm + length)[:, None]
    window = torch.from_numpy(text[places].astype(np.int64))
    found = _bits_in_order(model, window)[warm - 1 :].numpy()
    result = np.empty(len(ids))
    for row, start in enumerate(starts):
        result[start : start + length] = found[:, row]
    return result


def _bits_in_order(model: LanguageModel, window: Tensor) -> Tensor:
    """Bits of each token but the first of every row, [T - 1, B]."""
    state: State | None = None
    found = []
    stretch = max(1, min(STRETCH, LOGITS // (window.shape[1] * model.used.tokens)))
    for at in range(0, len(window) - 1, stretch):
        piece = window[at : at + stretch + 1]
        logits, state = model(piece[:-1], state)
        nats = functional.cross_entropy(logits.flatten(0, 1), piece[1:].flatten(), reduction="none")
        found.append(nats.view(len(piece) - 1, -1).double() / BIT)
    return torch.cat(found)


@torch.enable_grad()
def bits_learning_on(
    model: LanguageModel, before: Ids, ids: Ids, rate: float
) -> npt.NDArray[np.float64]:
    """Bits of every token, [n], of a model that goes on learning from what it has been told.

    Dynamic evaluation (Mikolov et al. 2010; Krause et al. 2018): 32 tokens are foretold, then
    learnt from, then the next 32.  Nothing is foretold by what comes after it.  It is what a
    compressor does too, whose tables grow with all that it reads.  Krause et al. take a plain step
    and draw the weights back to where they began; here it is Adam alone, on a copy.

    Parameters
    ----------
    model, before, ids
        As of `bits`; the model stays as it is.
    rate
        Adam's learning rate, which averages its squares over some 100 updates.
    """
    network = copy.deepcopy(model.used).requires_grad_().eval()
    optimizer = torch.optim.Adam(network.parameters(), lr=rate, betas=(0.9, 0.99))
    warm = min(WARM_UP, len(before))
    text = torch.from_numpy(np.concatenate((before[-warm:], ids)).astype(np.int64))
    with torch.no_grad():
        state = network(text[: warm - 1, None])[1] if warm > 1 else None
    found = []
    for at in range(warm - 1, len(text) - 1, UPDATE):
        piece = text[at : at + UPDATE + 1]
        logits, state = network(piece[:-1, None], state)
        nats = functional.cross_entropy(logits[:, 0], piece[1:], reduction="none")
        found.append(nats.detach().double() / BIT)
        optimizer.zero_grad()
        torch.autograd.backward(nats.mean())
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        state = [(h.detach(), c.detach()) for h, c in state]
    return torch.cat(found).numpy()


def digest(model: LanguageModel) -> str:
    """What tells a model from one of other weights."""
    weights = hashlib.sha256()
    for weight in model.used.parameters():
        weights.update(weight.detach().numpy().tobytes())
    return weights.hexdigest()
