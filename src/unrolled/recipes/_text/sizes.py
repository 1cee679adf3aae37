"""What the network of a language model is: flags of the recipe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from unrolled.errors.expected import Count, Layers, below_one
from unrolled.recipes._text.network import TokenInputs

__all__ = ["NetworkSizes"]


@dataclass(frozen=True, kw_only=True)
class NetworkSizes:
    """Inputs, layers, and what keeps a text from being learnt by heart."""

    inputs: TokenInputs = "embedding"
    """What the first layer reads of a token: a learnt vector, or one_hot (char-rnn)."""
    embedding: Count = 64
    """How long the learnt vectors are."""
    hidden: Count = 256
    """Hidden units of each layer."""
    layers: Layers = 2
    """Layers of LSTM, one on the other; the output reads all of them."""
    dropout: Annotated[float, below_one] = 0.4
    """The share of numbers set to 0 in training, between layers, and between them and the output:
    it keeps a text from being learnt by heart."""
    recurrent_dropout: Annotated[float, below_one] = 0.0
    """The same on h in the recurrent product, one mask for an update (Gal & Ghahramani 2016)."""
    average: Annotated[float, below_one] = 0.999
    """How much of the running mean of the weights, which is what is used, stays at each update; 0:
    the weights themselves are used."""
