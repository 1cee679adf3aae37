"""An LSTM that gives the probability of each event at every step, and how good that is."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from unrolled.files.columns import Bools, Floats
from unrolled.layer.lstm import LSTM
from unrolled.recipes._events.parts import DividedSignal

__all__ = ["Labeller", "probabilities", "scores"]

State = tuple[Tensor, Tensor]
STRETCH = 65_536  # steps that are labelled at once: it bounds the memory, and changes no result


class Labeller(nn.Module):
    """Values in, a logit for each event and step out.

    The scaling, and how much rarer an event is than its absence, are learned from the training part
    and kept as buffers.  Scaling is done in float64, the rest in float32.

    Parameters
    ----------
    lstm
        As many features in as there are channels; time-major.
    parts
        The signals: only what is learnt from is looked at.
    """

    mean: Tensor
    scale: Tensor
    rarity: Tensor

    def __init__(self, lstm: LSTM, parts: DividedSignal) -> None:
        super().__init__()
        self.lstm = lstm
        width = lstm.hidden_size * (2 if lstm.bidirectional else 1)
        self.readout = nn.Linear(width, len(parts.events))
        known, flags = parts.values[parts.learnt], parts.flags[parts.learnt]
        often = flags.mean(0)
        for name, value in (
            ("mean", known.mean(0)),
            ("scale", known.std(0)),
            ("rarity", (1 - often) / often),
        ):
            self.register_buffer(name, torch.from_numpy(np.asarray(value, dtype=np.float64)))

    def forward(self, values: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Logits [T, B, K] of values [T, B, C] (float64, own units), and the state after them.

        The logits are those of a world in which each event is as frequent as its absence, which is
        what the weighted loss makes them; `probability` takes that back.
        """
        y, state = self.lstm(self.scaled(values), state)
        return self.readout(y), state

    def scaled(self, values: Tensor) -> Tensor:
        """What the LSTM sees."""
        return ((values - self.mean) / self.scale).to(self.readout.weight.dtype)

    def loss(self, logits: Tensor, flags: Tensor) -> Tensor:
        """Cross-entropy in which a step with an event weighs as many times more as it is rarer."""
        return nn.functional.binary_cross_entropy_with_logits(
            logits, flags, pos_weight=self.rarity.to(logits.dtype)
        )

    def probability(self, logits: Tensor) -> Tensor:
        """How probable each event is, as often as it is in the training part."""
        return torch.sigmoid(logits.double() - self.rarity.log())


def probabilities(model: Labeller, values: Floats) -> Floats:
    """Label a whole signal [T, C] in one pass that starts from a state of zeros: [T, K]."""
    length = len(values) if model.lstm.bidirectional else STRETCH
    state, found = None, []
    with torch.no_grad():
        for begin in range(0, len(values), max(length, 1)):
            stretch = torch.from_numpy(values[begin : begin + length])[:, None]
            logits, state = model(stretch, state)
            found.append(model.probability(logits)[:, 0].numpy())
    return np.concatenate(found) if found else np.empty((0, len(model.rarity)))


def scores(flags: Bools, predictions: Floats, events: Sequence[str] = ()) -> dict[str, float]:
    """Score ``predictions`` [T, K] against the truth: ROC-AUC and average precision.

    Of several events, the mean over them of each against the rest; with ``events``, each by its
    name too.  An event that is nowhere or everywhere has no score.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    figures: dict[str, float] = {}
    for name, score in (("roc_auc", roc_auc_score), ("average_precision", average_precision_score)):
        each = [
            float(score(flags[:, k], predictions[:, k])) if 0 < flags[:, k].mean() < 1 else math.nan
            for k in range(flags.shape[1])
        ]
        known = [value for value in each if not math.isnan(value)]
        figures[name] = sum(known) / len(known) if known else math.nan
        if len(each) > 1:
            figures |= {f"{name} of {event}": v for event, v in zip(events, each, strict=False)}
    return figures
