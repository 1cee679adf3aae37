"""The network of `signal`: an LSTM and its linear output, in the signal's own units."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from unrolled.layer.effect import Effect
from unrolled.layer.lstm import LSTM
from unrolled.recipes._signal.parts import Scales
from unrolled.recipes._signal.reading import Numbers
from unrolled.steps.network import Network

__all__ = ["SignalNetwork", "predict", "stream"]

State = tuple[Tensor, Tensor]
BLOCK = 4_096  # steps at once: a fixed number, so that how a signal comes in changes no bit


class SignalNetwork(nn.Module):
    """Inputs [T, B, C] to outputs [T, B, D], both as they are in the file.

    The scales are kept as buffers; `effect` has them in its weights.

    Parameters
    ----------
    lstm : LSTM
        As many inputs as there are channels; time-major.
    outputs : int
        D.
    scales : Scales
    skip : bool
        Whether the input is added to the output, of each channel or, of more channels than come
        out, of the first.
    rate : int
        In Hz, of the sound that it is trained with; 0: it is no sound.
    """

    mean_in: Tensor
    size_in: Tensor
    mean_out: Tensor
    size_out: Tensor

    def __init__(self, lstm: LSTM, outputs: int, scales: Scales, skip: bool, rate: int) -> None:
        super().__init__()
        self.network = Network(lstm, nn.Linear(lstm.hidden_size, outputs))
        self.skip = skip_of(lstm.input_size, outputs) if skip else 0
        self.rate = rate
        for name, value in vars(scales).items():
            self.register_buffer(name, torch.from_numpy(np.asarray(value, dtype=np.float64)))

    def forward(self, values: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """The outputs, and the state after them."""
        z, state = self.network(self.scaled(values), state)
        return self.unscaled(z, values), state

    def scaled(self, values: Tensor) -> Tensor:
        """What the LSTM reads of the inputs."""
        dtype = self.network.recurrent.weight_ih_l0.dtype
        return ((values.double() - self.mean_in) / self.size_in).to(dtype)

    def wanted(self, values: Tensor, outputs: Tensor) -> Tensor:
        """What the head has to give, so that ``outputs`` come out where ``values`` go in."""
        dtype = self.network.recurrent.weight_ih_l0.dtype
        rest = outputs.double() - self.mean_out
        if self.skip:
            rest = rest - values[..., : self.skip].double()
        return (rest / self.size_out).to(dtype)

    def unscaled(self, z: Tensor, values: Tensor) -> Tensor:
        """The outputs, from what the head gives and the inputs."""
        y = z.double() * self.size_out + self.mean_out
        if self.skip:
            y = y + values[..., : self.skip].double()
        return y.to(z.dtype)

    @torch.no_grad()
    def effect(self) -> Effect:
        """The same as one LSTM and one head that read and give the signal's own units."""
        lstm, head = self.network.recurrent, self.network.head
        assert isinstance(lstm, LSTM)
        assert head is not None
        cell = {"bias": lstm.bias, "cell": lstm.cell}
        own = LSTM(lstm.input_size, lstm.hidden_size, lstm.num_layers, **cell)  # type: ignore[arg-type]
        own.load_state_dict(lstm.state_dict())
        weight = lstm.weight_ih_l0.double() / self.size_in
        bias = lstm.bias_ih_l0
        assert isinstance(bias, Tensor)
        own.weight_ih_l0.copy_(weight)
        held = own.bias_ih_l0
        assert isinstance(held, Tensor)
        held.copy_(bias.double() - weight @ self.mean_in)
        outer = nn.Linear(head.in_features, head.out_features)
        outer.weight.copy_(head.weight.double() * self.size_out[:, None])
        outer.bias.copy_(head.bias.double() * self.size_out + self.mean_out)
        return Effect(own, outer, skip=self.skip, sample_rate=self.rate or None).eval()


def skip_of(inputs: int, outputs: int) -> int:
    """How many of the inputs are added to the output: as many as come out, or the first."""
    return outputs if outputs <= inputs else 1


@torch.no_grad()
def stream(
    model: SignalNetwork, pieces: Iterable[Numbers], *, side_by_side: bool = False
) -> Iterator[Numbers]:
    """What comes out [≤ T, D] of pieces [T, C] of any length, with the state carried through.

    ``side_by_side``: the model has one channel, and each of C goes through it by itself.
    """
    state = None
    for block in _blocks(pieces):
        values = torch.from_numpy(np.ascontiguousarray(block))
        output, state = model(values[:, :, None] if side_by_side else values[:, None], state)
        yield (output[:, :, 0] if side_by_side else output[:, 0]).numpy()


def _blocks(pieces: Iterable[Numbers]) -> Iterator[Numbers]:
    """The same steps in blocks of `BLOCK`, the last one of what is left."""
    held: list[Numbers] = []
    count = 0
    for piece in pieces:
        held.append(piece)
        count += len(piece)
        if count >= BLOCK:
            together = np.concatenate(held)
            count = len(together) % BLOCK
            for begin in range(0, len(together) - count, BLOCK):
                yield together[begin : begin + BLOCK]
            held = [together[len(together) - count :]]
    if count:
        yield np.concatenate(held)


def predict(model: SignalNetwork, inputs: Numbers, begin: int, end: int, lead: int) -> Numbers:
    """What comes out [end − begin, D] of inputs [T, C]; ``lead`` steps before are heard as well."""
    first = max(begin - lead, 0)
    found = np.concatenate(list(stream(model, [inputs[first:end]])))
    return found[begin - first :]
