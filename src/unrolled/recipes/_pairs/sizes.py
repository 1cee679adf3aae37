"""What the encoder and the decoder are: flags of the recipe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from unrolled.errors.expected import Before, Count, Layers, below_one
from unrolled.training.recipe import CellName

__all__ = ["TwoNetworks"]


@dataclass(frozen=True, kw_only=True)
class TwoNetworks:
    """The sizes and kinds of an encoder and a decoder."""

    cell: CellName = "vanilla"
    """The LSTMs' cell: vanilla, carousel, peephole, coupled or linear."""
    hidden: Count = 128
    """Hidden units of either LSTM: all that the decoder learns of a source passes through them."""
    embedding: Count = 32
    """Numbers that stand for one symbol."""
    layers: Layers = 1
    """Layers of either LSTM, one on the other. Sutskever et al. have 4."""
    reverse: bool = True
    """Read the source backwards (Sutskever et al.): its beginning is then near the target's. Of the
    held-out numbers 89 in 100 are right after 500 updates, and 48 without (one run of each)."""
    both_directions: bool = False
    """The encoder reads in both directions."""
    attention: Annotated[bool, Before(False)] = False
    """The decoder looks at every symbol of the source before each that it writes (Bahdanau et al.
    2015): for sources too long for one state. An update takes two to three times as long."""
    dropout: Annotated[float, below_one] = 0.0
    """The share of numbers set to 0 in training, between layers, and on what is read and put out.
    For a small file try 0.2 to 0.5."""
    start: Literal["torch", "uniform"] = "torch"
    """First weights: torch's, or uniform in -0.08 to 0.08 (Sutskever et al.)."""
