"""A ridge on what random kernels find in sequences, and on their statistics: no network either.

A kernel is drawn once, slid over a sequence at a few distances between its taps, and leaves two
numbers: its greatest answer, and the share of steps at which it is above its threshold (as ROCKET
has it: Dempster, Petitjean and Webb 2020).  Beside them each channel's mean, spread, least and
greatest value, its mean change, and the length.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from unrolled.files.columns import Floats, Integers
from unrolled.recipes._labels.sequences import Padded, in_batches, pad

__all__ = ["RandomKernels", "ridge"]

TAPS, DILATIONS = 7, (1, 2, 4, 8)


class RandomKernels:
    """Random kernels over so many channels.

    Parameters
    ----------
    channels
    count
        Of kernels for each dilation.
    seed
    """

    def __init__(self, channels: int, count: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self._kernels: list[tuple[int, Tensor, Tensor]] = []
        for dilation in DILATIONS:
            weights = torch.randn(count, channels, TAPS, generator=generator)
            heard = torch.rand(count, channels, 1, generator=generator) < 3 / channels
            weights = weights * heard
            weights -= weights.mean(-1, keepdim=True)
            thresholds = torch.randn(count, generator=generator)
            self._kernels.append((dilation, weights, thresholds))

    def features(self, sequences: Sequence[Floats]) -> Floats:
        """Features [N, F] of standardised sequences [T_i, C]."""
        found: list[Tensor] = [torch.empty(0)] * len(sequences)
        for places in in_batches(sequences, 8_192):
            batch = pad([sequences[place] for place in places])
            for place, row in zip(places, self._of(batch), strict=True):
                found[place] = row
        return np.asarray(torch.stack(found).numpy(), dtype=np.float64)

    def _of(self, batch: Padded) -> Tensor:
        x = batch.values.permute(1, 2, 0).float()
        inside = torch.arange(x.shape[-1])[None] < batch.lengths[:, None]
        found = [_statistics(x, inside, batch.lengths)]
        for dilation, weights, thresholds in self._kernels:
            padding = dilation * (TAPS // 2)
            y = nn.functional.conv1d(x, weights, padding=padding, dilation=dilation)
            above = ((y > thresholds[:, None]) & inside[:, None]).sum(-1)
            greatest = y.masked_fill(~inside[:, None], -torch.inf).amax(-1)
            found += [greatest, above / batch.lengths[:, None]]
        return torch.cat(found, 1)


def _statistics(x: Tensor, inside: Tensor, lengths: Tensor) -> Tensor:
    within, steps = inside[:, None], lengths[:, None].float()
    mean = x.sum(-1) / steps
    spread = (((x - mean[..., None]) ** 2 * within).sum(-1) / steps).sqrt()
    change = (x.diff(dim=-1).abs() * within[..., 1:]).sum(-1) / steps
    least = x.masked_fill(~within, torch.inf).amin(-1)
    greatest = x.masked_fill(~within, -torch.inf).amax(-1)
    return torch.cat([mean, spread, change, least, greatest, steps.log()], 1)


def ridge(
    known: Sequence[Floats],
    classes: Integers,
    asked: Sequence[Floats],
    count: int = 200,
    seed: int = 0,
) -> Integers:
    """Learn the classes of known sequences, and say those of others; the penalty is found alone.

    Sequences are standardised, with zeros where a value is missing.
    """
    from sklearn.linear_model import RidgeClassifierCV
    from sklearn.preprocessing import StandardScaler

    kernels = RandomKernels(known[0].shape[1], count, seed)
    scaler = StandardScaler()
    features = scaler.fit_transform(kernels.features(known))
    found = RidgeClassifierCV(alphas=np.logspace(-3, 4, 15)).fit(features, classes)
    said: Integers = found.predict(scaler.transform(kernels.features(asked)))
    return said
