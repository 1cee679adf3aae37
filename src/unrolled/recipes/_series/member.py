"""One network of a forecaster: it reads windows of series and says what comes next, in their units.

Without anything known ahead, the network reads the window and gives the whole horizon after its
last step.  With it, it reads on, through the steps to come: at each it is told what is known of
that step, and gives its forecast there.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unrolled.layer.lstm import LSTM
from unrolled.recipes._series.panel import Panel
from unrolled.recipes._series.scaling import Scales
from unrolled.recipes._series.settings import Setting
from unrolled.steps.batches import Batches
from unrolled.steps.losses import Loss
from unrolled.steps.network import Network

__all__ = ["Member", "blocks", "inputs_of"]


def inputs_of(panel: Panel, season: int = 0) -> int:
    """How many numbers the network reads at a step."""
    groups = len(panel.groups) if len(panel.groups) > 1 else 0
    columns: int = panel.values.shape[1]
    known = len(panel.ahead) + 1 if panel.ahead else 0  # and whether the step is still to come
    return columns + known + groups + (panel.width if season else 0)


class Member(nn.Module):
    """Windows in, forecasts out; the scaling is learned from the training part and kept as buffers.

    The scaling is done in float64, so that a series of large numbers which differ by little keeps
    its differences; the LSTM and the output work in float32.

    Parameters
    ----------
    lstm
        Time-major, of `inputs_of` the panel.
    panel
        For the names and number of its columns and groups.
    horizon
        How many steps are forecast from one window.
    scales
        Learnt from the training part.
    setting
        How much it reads, and what its forecasts are counted from.
    changes
        Without a season, values in and out count from the window's last one, or else from the
        training part's mean.
    quantiles
        That are forecast, the median in the middle; none: the mean.
    """

    mean: Tensor
    scale: Tensor
    target_scale: Tensor
    season_scale: Tensor
    known_mean: Tensor
    known_scale: Tensor
    bend: Tensor

    def __init__(
        self,
        lstm: LSTM,
        panel: Panel,
        horizon: int,
        scales: Scales,
        setting: Setting,
        *,
        changes: bool,
        quantiles: tuple[float, ...] = (),
    ) -> None:
        super().__init__()
        self.width, self.groups = panel.width, len(panel.groups)
        self.horizon, self.changes, self.quantiles = horizon, changes, quantiles
        self.setting = setting
        self.reads_on = bool(panel.ahead)
        each = self.width * max(len(quantiles), 1)
        self.lstm = lstm
        self.readout = nn.Linear(lstm.hidden_size, each if self.reads_on else each * horizon)
        alone = self.groups == 1 and panel.values.shape[1] == 1
        for name, value in scales.named(alone).items():
            self.register_buffer(name, torch.tensor(value, dtype=torch.float64))

    # --- what it reads ---

    def _of_groups(self, buffer: Tensor, groups: Tensor | None, sizes: tuple[int, ...]) -> Tensor:
        """A buffer's rows for the groups of a batch: [B or 1, sizes]."""
        whole = buffer.reshape(self.groups, *sizes)
        return whole if groups is None else whole[groups]

    def _bent(self, values: Tensor, groups: Tensor | None) -> Tensor:
        """Values on the scale on which the network sees them: the targets as asinh(x / bend)."""
        if not self.setting.bent:
            return values
        bend = self._of_groups(self.bend, groups, (self.width,))
        targets = torch.asinh(values[..., : self.width] / bend)
        return torch.cat((targets, values[..., self.width :]), -1)

    def _straight(self, values: Tensor, groups: Tensor | None) -> Tensor:
        """What comes out [horizon, B, targets, quantiles], on the series' own scale."""
        if not self.setting.bent:
            return values
        return torch.sinh(values) * self._of_groups(self.bend, groups, (self.width,))[..., None]

    def _filled(self, values: Tensor, groups: Tensor | None) -> tuple[Tensor, Tensor]:
        """Windows whose blanks hold what was there before, and which steps there are [T, B]."""
        values = self._bent(values[-self.setting.context :], groups)
        there = ~values.isnan()
        steps = torch.arange(len(values))[:, None, None]
        last = torch.where(there, steps, -1).cummax(0).values
        filled = values.gather(0, last.clamp(min=0))
        mean = self._of_groups(self.mean, groups, (values.shape[-1],))
        return torch.where(last < 0, mean, filled), there.any(-1)[-self.setting.window :]

    def _base(self, filled: Tensor, groups: Tensor | None) -> Tensor:
        """What the targets that are read are counted from [B or 1, targets]."""
        if self.setting.level:
            return filled[-self.setting.window :, :, : self.width].mean(0)
        if self.changes or self.setting.season:
            return filled[-1, :, : self.width]
        mean = self._of_groups(self.mean, groups, (filled.shape[-1],))
        return mean[:, : self.width]

    def _bases(self, filled: Tensor, groups: Tensor | None) -> Tensor:
        """What the forecasts are counted from: [horizon or 1, B or 1, targets]."""
        season = self.setting.season
        if not season:
            return self._base(filled, groups)[None]
        return filled[torch.arange(self.horizon) % season - season, :, : self.width]

    def _read(self, filled: Tensor, groups: Tensor | None) -> Tensor:
        """Windows as the LSTM sees them, less what is known ahead [T, B, C]."""
        sizes, window = (filled.shape[-1],), self.setting.window
        base = self._of_groups(self.mean, groups, sizes)
        own = self._base(filled, groups)
        base = torch.cat((own, base[:, self.width :].expand(len(own), -1)), -1)
        read = (filled[-window:] - base) / self._of_groups(self.scale, groups, sizes)
        if not self.setting.season:
            return read
        over = filled[-window:, :, : self.width] - filled[:window, :, : self.width]
        scale = self._of_groups(self.season_scale, groups, (self.width,))
        return torch.cat((read, over / scale), -1)

    def scaled(self, values: Tensor) -> Tensor:
        """What the LSTM sees of windows [T, B, C] of a series alone."""
        return self._read(self._filled(values, None)[0], None).to(self.readout.weight.dtype)

    def inputs(
        self, values: Tensor, known: Tensor | None, groups: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What the LSTM reads [T, B, I], which steps there are, and what is counted from.

        Windows may be longer than what it reads: it takes their ends.
        """
        filled, there = self._filled(values, groups)
        parts = [self._read(filled, groups)]
        window = self.setting.window
        if known is not None:
            known = known[-window - self.horizon :]
            steps, rows = known.shape[:2]
            read = (known - self.known_mean) / self.known_scale
            ahead = torch.zeros(steps, rows, 1, dtype=read.dtype)
            ahead[window:] = 1
            empty = parts[0].new_zeros(steps - window, *parts[0].shape[1:])
            parts = [torch.cat((parts[0], empty)), read, ahead]
            there = torch.cat((there, there.new_ones(len(empty), rows)))
        if self.groups > 1 and groups is not None:
            which = nn.functional.one_hot(groups, self.groups).to(torch.float64)
            parts.append(which.expand(len(parts[0]), *which.shape))
        x = torch.cat(parts, -1).to(self.readout.weight.dtype)
        return x, there, self._bases(filled, groups)

    def goals(self, ahead: Tensor, bases: Tensor, groups: Tensor | None, steps: int) -> Tensor:
        """What is to come out: [B, horizon · targets], or [T, B, targets] where it reads on."""
        ahead = self._bent(ahead.reshape(self.horizon, -1, self.width), groups)
        scaled = (ahead - bases) / self.steps_scale(groups)
        scaled = scaled.to(self.readout.weight.dtype)
        if not self.reads_on:
            return scaled.transpose(0, 1).flatten(1)
        before = scaled.new_full((steps - self.horizon, *scaled.shape[1:]), torch.nan)
        return torch.cat((before, scaled))

    def steps_scale(self, groups: Tensor | None) -> Tensor:
        """The size of a change for each step ahead: [horizon, B or 1, targets]."""
        sizes = (self.horizon, self.width)
        return self._of_groups(self.target_scale, groups, sizes).transpose(0, 1)

    # --- what it gives ---

    @property
    def network(self) -> Network:
        """The LSTM and its output, as whole native steps train them."""
        return Network(self.lstm, self.readout, read="every" if self.reads_on else "last")

    @property
    def criterion(self) -> Loss:
        """How far it is off."""
        if self.quantiles:
            return Loss("quantile", quantiles=self.quantiles)
        return Loss("squared_error")

    def batches(self, block: tuple[Tensor, ...]) -> Batches:
        """A block of batches [N, T, B, …] as the network reads them."""
        values, ahead, known, groups = _four(block)
        sizes = values.shape[0], values.shape[2]
        known = None if known is None else _flat(known)
        groups = None if groups is None else groups.flatten()
        x, goals, mask = self.read_batch(_flat(values), _flat(ahead), known, groups)
        return Batches(
            blocks(x, 1, sizes),
            blocks(goals, int(self.reads_on), sizes),
            mask=None if mask is None else blocks(mask, 1, sizes),
        )

    def loss_of(self, batch: tuple[Tensor, ...]) -> Tensor:
        """How far it is off one batch [T, B, …]."""
        x, goals, mask = self.read_batch(*_four(batch))
        output = self.network(x, **({} if mask is None else {"mask": mask}))[0]
        return self.criterion(output, goals)

    def read_batch(
        self, values: Tensor, ahead: Tensor, known: Tensor | None, groups: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """One batch as the network reads it: what goes in, what is to come out, what is there."""
        x, there, bases = self.inputs(values, known if self.reads_on else None, groups)
        goals = self.goals(ahead, bases, groups, len(x))
        return x, goals, None if bool(there.all()) else there

    def spread(
        self, values: Tensor, known: Tensor | None = None, groups: Tensor | None = None
    ) -> Tensor:
        """Forecast every quantile: [horizon, B, targets, quantiles], in own units."""
        x, there, bases = self.inputs(values, known, groups)
        output = self.network(x, **({} if bool(there.all()) else {"mask": there}))[0]
        sizes = (self.width, max(len(self.quantiles), 1))
        if self.reads_on:
            output = output[-self.horizon :].unflatten(-1, sizes)
        else:
            output = output.unflatten(-1, (self.horizon, *sizes)).transpose(0, 1)
        output = output.double().sort(-1).values * self.steps_scale(groups)[..., None]
        return self._straight(bases[..., None] + output, groups)

    @torch.no_grad()
    def start_as_tensorflow(self) -> None:
        """Draw the first weights as TensorFlow 1's BasicLSTMCell and fully_connected do.

        Glorot uniform over one kernel of inputs and hidden units by all four gates, biases 0, and
        1 added to the forget gate.
        """
        for name, weight in self.lstm.named_parameters():
            if not name.startswith("weight_ih"):
                continue
            layer = name.removeprefix("weight_ih")
            recurrent = self.lstm.get_parameter(f"weight_hh{layer}")
            rows, columns = weight.shape
            bound = (6 / (rows + columns + recurrent.shape[1])) ** 0.5
            weight.uniform_(-bound, bound)
            recurrent.uniform_(-bound, bound)
            bias = self.lstm.get_parameter(f"bias_ih{layer}").zero_()
            self.lstm.get_parameter(f"bias_hh{layer}").zero_()
            gates = self.lstm.cell.gates
            if "f" in gates:
                bias.chunk(len(gates))[gates.index("f")].fill_(1)
        nn.init.xavier_uniform_(self.readout.weight)
        self.readout.bias.zero_()


def _four(batch: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    """Windows, what followed, what is known beside them, and whose they are."""
    if len(batch) == 2:
        return batch[0], batch[1], None, None
    values, ahead, known, groups = batch
    return values, ahead, known, groups


def _flat(t: Tensor) -> Tensor:
    """[N, T, B, …] as [T, N·B, …]."""
    return t.transpose(0, 1).flatten(1, 2)


def blocks(t: Tensor, axis: int, sizes: tuple[int, int]) -> Tensor:
    """An axis of N·B as two, N in front of all."""
    shape = [*t.shape[:axis], *sizes, *t.shape[axis + 1 :]]
    return t.reshape(shape).movedim(axis, 0).contiguous()
