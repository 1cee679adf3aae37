"""An LSTM that reads windows of series and forecasts what comes next, in their own units.

Without anything known ahead, the network reads the window and gives the whole horizon after its
last step.  With it, it reads on, through the steps to come: at each it is told what is known of
that step, and gives its forecast there.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from unrolled.files.columns import Floats
from unrolled.layer.lstm import LSTM
from unrolled.recipes._series.forecasting import Origins, Split, windows
from unrolled.recipes._series.panel import Panel
from unrolled.recipes._series.scaling import Scales
from unrolled.steps.batches import Batches
from unrolled.steps.losses import Loss
from unrolled.steps.network import Network

__all__ = ["Forecaster", "blocks", "forecast", "inputs_of", "window_of"]


def inputs_of(panel: Panel) -> int:
    """How many numbers the network reads at a step."""
    groups = len(panel.groups) if len(panel.groups) > 1 else 0
    columns: int = panel.values.shape[1]
    known = len(panel.ahead) + 1 if panel.ahead else 0  # and whether the step is still to come
    return columns + known + groups


class Forecaster(nn.Module):
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
    changes
        Values in and out count from the window's last one, or else from the training part's mean.
    quantiles
        That are forecast, the median in the middle; none: the mean.
    """

    mean: Tensor
    scale: Tensor
    target_scale: Tensor
    known_mean: Tensor
    known_scale: Tensor
    widening: Tensor
    heard: Tensor

    def __init__(
        self,
        lstm: LSTM,
        panel: Panel,
        horizon: int,
        scales: Scales,
        *,
        changes: bool,
        quantiles: tuple[float, ...] = (),
    ) -> None:
        super().__init__()
        self.width, self.groups = panel.width, len(panel.groups)
        self.horizon, self.changes, self.quantiles = horizon, changes, quantiles
        self.reads_on = bool(panel.ahead)
        each = self.width * max(len(quantiles), 1)
        self.lstm = lstm
        self.readout = nn.Linear(lstm.hidden_size, each if self.reads_on else each * horizon)
        alone = self.groups == 1 and panel.values.shape[1] == 1
        for name, value in scales.named(alone).items():
            self.register_buffer(name, torch.tensor(value, dtype=torch.float64))
        widths = torch.zeros(len(quantiles) // 2, horizon, self.width, dtype=torch.float64)
        self.register_buffer("widening", widths)
        self.register_buffer("heard", torch.tensor(False))  # the others, once they are trained
        self.others = nn.ModuleList()

    def add(self, lstm: LSTM) -> None:
        """One more network for an ensemble; it learns nothing while the first one does."""
        head = nn.Linear(self.readout.in_features, self.readout.out_features)
        self.others.append(nn.ModuleList((lstm, head)).requires_grad_(False))

    # --- what it reads ---

    def _of_groups(self, buffer: Tensor, groups: Tensor | None, sizes: tuple[int, ...]) -> Tensor:
        """A buffer's rows for the groups of a batch: [B or 1, sizes]."""
        whole = buffer.reshape(self.groups, *sizes)
        return whole if groups is None else whole[groups]

    def _filled(self, values: Tensor, groups: Tensor | None) -> tuple[Tensor, Tensor]:
        """Windows whose blanks hold what was there before, and which steps there are [T, B]."""
        there = ~values.isnan()
        steps = torch.arange(len(values))[:, None, None]
        last = torch.where(there, steps, -1).cummax(0).values
        filled = values.gather(0, last.clamp(min=0))
        mean = self._of_groups(self.mean, groups, (values.shape[-1],))
        return torch.where(last < 0, mean, filled), there.any(-1)

    def _base(self, filled: Tensor, groups: Tensor | None) -> Tensor:
        """What the targets are counted from [B or 1, targets]."""
        if self.changes:
            return filled[-1, :, : self.width]
        mean = self._of_groups(self.mean, groups, (filled.shape[-1],))
        return mean[:, : self.width]

    def _read(self, filled: Tensor, groups: Tensor | None) -> Tensor:
        """Windows as the LSTM sees them, less what is known ahead [T, B, C]."""
        sizes = (filled.shape[-1],)
        base = self._of_groups(self.mean, groups, sizes)
        own = self._base(filled, groups)
        base = torch.cat((own, base[:, self.width :].expand(len(own), -1)), -1)
        return (filled - base) / self._of_groups(self.scale, groups, sizes)

    def scaled(self, values: Tensor) -> Tensor:
        """What the LSTM sees of windows [T, B, C] of a series alone."""
        return self._read(self._filled(values, None)[0], None).to(self.readout.weight.dtype)

    def inputs(
        self, values: Tensor, known: Tensor | None, groups: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What the LSTM reads [T, B, I], which steps there are, and what is counted from."""
        filled, there = self._filled(values, groups)
        parts = [self._read(filled, groups)]
        if known is not None:
            steps, rows = known.shape[:2]
            read = (known - self.known_mean) / self.known_scale
            ahead = torch.zeros(steps, rows, 1, dtype=read.dtype)
            ahead[len(values) :] = 1
            empty = parts[0].new_zeros(steps - len(values), *parts[0].shape[1:])
            parts = [torch.cat((parts[0], empty)), read, ahead]
            there = torch.cat((there, there.new_ones(len(empty), rows)))
        if self.groups > 1 and groups is not None:
            which = nn.functional.one_hot(groups, self.groups).to(torch.float64)
            parts.append(which.expand(len(parts[0]), *which.shape))
        x = torch.cat(parts, -1).to(self.readout.weight.dtype)
        return x, there, self._base(filled, groups)

    def goals(self, ahead: Tensor, base: Tensor, groups: Tensor | None, steps: int) -> Tensor:
        """What is to come out: [B, horizon · targets], or [T, B, targets] where it reads on."""
        scaled = (ahead.reshape(self.horizon, -1, self.width) - base) / self._steps_scale(groups)
        scaled = scaled.to(self.readout.weight.dtype)
        if not self.reads_on:
            return scaled.transpose(0, 1).flatten(1)
        before = scaled.new_full((steps - self.horizon, *scaled.shape[1:]), torch.nan)
        return torch.cat((before, scaled))

    def _steps_scale(self, groups: Tensor | None) -> Tensor:
        """The size of a change for each step ahead: [horizon, B or 1, targets]."""
        sizes = (self.horizon, self.width)
        return self._of_groups(self.target_scale, groups, sizes).transpose(0, 1)

    # --- what it gives ---

    @property
    def network(self) -> Network:
        """The LSTM and its output, as whole native steps train them."""
        return Network(self.lstm, self.readout, read="every" if self.reads_on else "last")

    @property
    def networks(self) -> list[Network]:
        """The first one and the others of its ensemble."""
        read = self.network.read
        pairs: list[Any] = list(self.others)
        return [self.network, *(Network(lstm, head, read=read) for lstm, head in pairs)]

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

    def loss_of(self, batch: tuple[Tensor, ...], network: Network | None = None) -> Tensor:
        """How far its first network, or the one given, is off one batch [T, B, …]."""
        values, ahead, known, groups = _four(batch)
        x, goals, mask = self.read_batch(values, ahead, known, groups)
        network = self.network if network is None else network
        output = network(x, **({} if mask is None else {"mask": mask}))[0]
        return self.criterion(output, goals)

    def read_batch(
        self, values: Tensor, ahead: Tensor, known: Tensor | None, groups: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """One batch as the network reads it: what goes in, what is to come out, what is there."""
        x, there, base = self.inputs(values, known if self.reads_on else None, groups)
        goals = self.goals(ahead, base, groups, len(x))
        return x, goals, None if bool(there.all()) else there

    def spread(
        self, values: Tensor, known: Tensor | None = None, groups: Tensor | None = None
    ) -> Tensor:
        """Forecast every quantile: [horizon, B, targets, quantiles], in own units."""
        x, there, base = self.inputs(values, known, groups)
        masks = {} if bool(there.all()) else {"mask": there}
        heard = self.networks if self.heard else [self.network]
        outputs = [network(x, **masks)[0] for network in heard]
        output = outputs[0] if len(heard) == 1 else torch.stack(outputs).mean(0)
        sizes = (self.width, max(len(self.quantiles), 1))
        if self.reads_on:
            output = output[-self.horizon :].unflatten(-1, sizes)
        else:
            output = output.unflatten(-1, (self.horizon, *sizes)).transpose(0, 1)
        output = self._honest(output.double().sort(-1).values)
        return base[..., None] + output * self._steps_scale(groups)[..., None]

    def _honest(self, output: Tensor) -> Tensor:
        """Quantiles with each interval widened as the validation part asked for."""
        if not self.quantiles:
            return output
        half = len(self.quantiles) // 2
        widths = self.widening.movedim(0, -1)[:, None]  # [horizon, 1, targets, intervals]
        median = output[..., half, None]
        below, above = output[..., :half] - widths, output[..., half + 1 :] + widths.flip(-1)
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


# --- of a series alone ---


def window_of(split: Split, origins: Origins) -> Tensor:
    """Give the windows that end at the origins: [T, origins, 1]."""
    return torch.from_numpy(windows(split.values, origins, split.window))[..., None]


def forecast(model: Forecaster, split: Split, origins: Origins) -> Floats:
    """Forecast from each origin of a series alone: [horizon, origins]."""
    with torch.no_grad():
        values: Floats = model(window_of(split, origins)).numpy()
    return values
