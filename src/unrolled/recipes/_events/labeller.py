"""An LSTM that gives the probability of each event at every step, and how good that is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from unrolled.errors import InvalidValueError
from unrolled.files.columns import Floats
from unrolled.layer.lstm import LSTM
from unrolled.recipes._events.signals import Bools, Signal

__all__ = ["DividedSignal", "Labeller", "divide", "probabilities", "scores"]

State = tuple[Tensor, Tensor]
STRETCH = 65_536  # steps that are labelled at once: it bounds the memory, and changes no result


@dataclass(frozen=True)
class DividedSignal:
    """A signal cut in time: everything learned comes from the steps before ``border``.

    ``values`` [T, C] are in the file's own units, ``flags`` [T, K] say where each of the ``events``
    is.
    """

    values: Floats
    flags: Bools
    events: tuple[str, ...]
    border: int

    @property
    def heldout(self) -> Bools:
        """Where the events are in the part that nothing is learned from."""
        return self.flags[self.border :]


def divide(signal: Signal, test_share: float, window: int) -> DividedSignal:
    """Cut a signal into a training part and, after it, a held-out part.

    Raises
    ------
    ValueError
        If there are fewer rows than a window, a channel is constant in the training part, or an
        event is nowhere or everywhere in one of the parts.
    """
    assert signal.events is not None
    count = len(signal.values)
    border = count - round(test_share * count)
    if border < window or border == count:
        raise InvalidValueError(
            f"the signal has {count:,} steps, of which {border:,} are to train on: a window of "
            f"{window} needs at least {window} there, and one held out; lower --window, or bring "
            "more rows."
        )
    spread = np.ptp(signal.values[:border], axis=0)
    if not spread.all():
        place = int(np.argmin(spread))
        raise InvalidValueError(
            f"channel {signal.channels[place]!r} is {signal.values[0, place]:g} all through the "
            f"training part, the first {border:,} steps: leave it out by naming the others with "
            "--channels."
        )
    for name, flags in signal.events.items():
        for part, what in ((flags[:border], "training"), (flags[border:], "held-out")):
            if part.all() or not part.any():
                where = "everywhere" if part.all() else "nowhere"
                raise InvalidValueError(
                    f"event {name!r} is {where} in the {what} part, {len(part):,} of {count:,} "
                    "steps: both parts need steps with it and without; choose another --event or "
                    "--test-share, or bring a longer file."
                )
    flags = np.column_stack(list(signal.events.values()))
    return DividedSignal(signal.values, flags, tuple(signal.events), border)


class Labeller(nn.Module):
    """Values in, a logit for each event and step out.

    The scaling, and how much rarer an event is than its absence, are learned from the training part
    and kept as buffers.  Scaling is done in float64, the rest in float32.

    Parameters
    ----------
    lstm
        As many features in as there are channels; time-major.
    parts
        The signal: only its training part is looked at.
    """

    mean: Tensor
    scale: Tensor
    rarity: Tensor

    def __init__(self, lstm: LSTM, parts: DividedSignal) -> None:
        super().__init__()
        self.lstm = lstm
        width = lstm.hidden_size * (2 if lstm.bidirectional else 1)
        self.readout = nn.Linear(width, len(parts.events))
        known, flags = parts.values[: parts.border], parts.flags[: parts.border]
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
