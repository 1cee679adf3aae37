"""Several networks that forecast together: the mean of those that are heard, honestly wide."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from unrolled.layer.lstm import LSTM
from unrolled.recipes._series.member import Member

__all__ = ["LEAST", "Forecaster"]


class Forecaster(nn.Module):
    """Windows in, forecasts out, as the mean of its members'.

    Parameters
    ----------
    members
        On the same columns, groups, horizon and quantiles.  Only the first is heard until a search
        says otherwise.
    """

    heard: Tensor
    widening: Tensor

    def __init__(self, members: Sequence[Member]) -> None:
        super().__init__()
        first = members[0]
        self.width, self.groups, self.horizon = first.width, first.groups, first.horizon
        self.quantiles, self.reads_on = first.quantiles, first.reads_on
        self.members = nn.ModuleList(members)
        self.notes: list[str] = []  # what has to be said of its intervals, once it is trained
        for member in members[1:]:
            member.requires_grad_(False)  # it learns nothing while the first one does
        heard = torch.zeros(len(members), dtype=torch.bool)
        heard[0] = True
        self.register_buffer("heard", heard)
        sizes = (len(self.quantiles) // 2, self.horizon, self.width)
        self.register_buffer("widening", torch.zeros(sizes, dtype=torch.float64))

    @property
    def each(self) -> list[Member]:
        """The members, whether they are heard or not."""
        return list(self.members)  # type: ignore[arg-type]

    @property
    def first(self) -> Member:
        """The member of the settings that were asked for."""
        return self.each[0]

    @property
    def context(self) -> int:
        """How many values it has to be handed."""
        return max(member.setting.context for member in self.each)

    @property
    def lstm(self) -> LSTM:
        """The first member's."""
        return self.first.lstm

    @property
    def speaking(self) -> list[Member]:
        """The members that are heard."""
        return [member for member, heard in zip(self.each, self.heard, strict=True) if heard]

    def spread(
        self, values: Tensor, known: Tensor | None = None, groups: Tensor | None = None
    ) -> Tensor:
        """Forecast every quantile: [horizon, B, targets, quantiles], in own units."""
        found = [member.spread(values, known, groups) for member in self.speaking]
        together = found[0] if len(found) == 1 else torch.stack(found).mean(0)
        return self._honest(together, groups)

    def sizes(self, groups: Tensor | None) -> Tensor:
        """How far values go in so many steps: [horizon, B or 1, targets], in own units."""
        whole = self.first.target_scale.reshape(self.groups, self.horizon, self.width)
        return (whole if groups is None else whole[groups]).transpose(0, 1)

    def _honest(self, found: Tensor, groups: Tensor | None) -> Tensor:
        """Quantiles with each interval widened as the validation part asked for."""
        if len(self.quantiles) < 2:
            return found
        half = len(self.quantiles) // 2
        median = found[..., half, None]
        widths = found[..., half + 1 :].flip(-1) - found[..., :half]
        widths = torch.maximum(widths, LEAST * self.sizes(groups)[..., None])
        widths = widths * self.widening.movedim(0, -1)[:, None]
        below, above = found[..., :half] - widths, found[..., half + 1 :] + widths.flip(-1)
        # From the median outwards each interval takes in the one within it.
        rising = torch.cat((median, above), -1).cummax(-1).values
        falling = torch.cat((below, median), -1).flip(-1).cummin(-1).values.flip(-1)
        return torch.cat((falling, rising[..., 1:]), -1)

    def forward(
        self, values: Tensor, known: Tensor | None = None, groups: Tensor | None = None
    ) -> Tensor:
        """Forecasts [horizon, B], or [horizon, B, targets] of several, in own units.

        The windows are float64 [T, B, C], in own units too.
        """
        found = self.spread(values, known, groups)
        middle = found[..., len(self.quantiles) // 2]
        return middle[..., 0] if self.width == 1 else middle


LEAST = 1e-3
"""Of a change's size: no interval is taken for narrower, when it is widened by its own width."""
