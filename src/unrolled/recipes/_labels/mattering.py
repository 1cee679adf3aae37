"""Which steps a label hangs on: by what is lost without them, and by the gradient at them."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from unrolled.explorer import Explorable, Numbers, Output
from unrolled.explorer.explorable import MOST_STEPS, ExplorerError
from unrolled.files.columns import Floats
from unrolled.layer.lstm import LSTM
from unrolled.recipes._labels.reader import Reader, Readers

__all__ = ["Mattering", "explorables", "mattering"]


class Mattering(NamedTuple):
    """Of one sequence: the class that is said, and for each step how much hangs on it.

    ``lost`` [T] is by how much the log-probability of that class falls where the steps around are
    made the channels' mean; ``gradient`` [T] is gradient times input, summed over the channels.
    """

    said: int
    lost: Floats
    gradient: Floats


def mattering(model: Readers, values: Floats, width: int = 0) -> Mattering:
    """Look at one sequence [T, C]; ``width`` steps are hidden at once, 0: a tenth of them."""
    width = width or max(1, len(values) // 10)
    given = torch.from_numpy(values)[:, None]
    with torch.no_grad():
        said = int(model(given, torch.tensor([len(values)]))[0].argmax())
        whole = _surprise(model, given, said)
        hidden = _surprise(model, _without(model, given, width), said)
    return Mattering(said, (hidden - whole).numpy(), _gradient(model, given, said))


def _without(model: Readers, given: Tensor, width: int) -> Tensor:
    """[T, T, C]: in column t the steps around t are the channels' mean."""
    steps = torch.arange(len(given))
    around = (steps[:, None] - steps[None]).abs() <= (width - 1) / 2
    return torch.where(around[..., None], model.first.mean, given)


def _surprise(model: Readers, given: Tensor, said: int) -> Tensor:
    """-log of the probability of a class, for each column."""
    lengths = torch.full((given.shape[1],), len(given))
    found: Tensor = model(given, lengths)[:, said]
    return -found.clamp(min=1e-12).log()


def _gradient(model: Readers, given: Tensor, said: int) -> Floats:
    sums = torch.zeros(len(given), dtype=torch.float64)
    with torch.enable_grad():
        for member in model.each:
            seen = member.scaled(given).detach().requires_grad_()
            logits = member.heard(seen, torch.tensor([len(given)]))
            (slope,) = torch.autograd.grad(logits.log_softmax(-1)[0, said], seen)
            sums += (slope * seen).detach().double().sum(-1)[:, 0] / len(model.members)
    found: Floats = sums.numpy()
    return found


def explorables(
    member: Reader, examples: dict[str, Floats], channels: tuple[str, ...], words: tuple[str, ...]
) -> list[Explorable]:
    """What a page shows of one network: each direction by itself, and what it says at every step.

    The readout is linear, so that the logits of both directions' mean are the sum of what each
    direction's steps give on average: the page shows these steps.  What reads backwards is given
    the sequence from its end.

    Raises
    ------
    ExplorerError
        If the network has several layers in both directions, which cannot be shown apart.
    """
    both = member.lstm.bidirectional
    if both and member.lstm.num_layers > 1:
        raise ExplorerError(
            "the network reads in both directions in several layers, which no page shows apart: "
            "train with --layers 1 or --no-both-directions."
        )
    with torch.no_grad():
        seen = {
            name: member.scaled(torch.from_numpy(values[:MOST_STEPS])[:, None])[:, 0]
            for name, values in examples.items()
        }
    if not both:
        return [_explorable(member, member.lstm, member.readout, seen, channels, words, "")]
    ways = (("", "forwards", False), ("_reverse", "backwards, from the end", True))
    return [
        _explorable(
            member,
            _direction(member.lstm, end),
            _half(member.readout, reverse),
            {name: x.flip(0) for name, x in seen.items()} if reverse else seen,
            channels,
            words,
            name,
        )
        for end, name, reverse in ways
    ]


def _explorable(
    member: Reader,
    lstm: LSTM,
    head: nn.Linear,
    seen: dict[str, Tensor],
    channels: tuple[str, ...],
    words: tuple[str, ...],
    name: str,
) -> Explorable:
    names = channels + tuple(f"{channel} is missing" for channel in channels) * member.missing
    low = min(float(x.min()) for x in seen.values())
    high = max(float(x.max()) for x in seen.values())
    at: Literal["every", "last"] = "last" if member.pooling == "last" else "every"
    return Explorable(
        [lstm], head, Numbers(names, seen, low, high), Output("softmax", words, at=at), name=name
    )


def _direction(lstm: LSTM, end: str) -> LSTM:
    """One direction of a layer, as a layer of its own."""
    alone = LSTM(lstm.input_size, lstm.hidden_size, cell=lstm.cell)
    weights = lstm.state_dict()
    alone.load_state_dict({name: weights[name + end] for name in alone.state_dict()})
    return alone.eval()


def _half(readout: nn.Linear, reverse: bool) -> nn.Linear:
    """What a readout makes of one direction; the bias goes with the forward one."""
    size = readout.in_features // 2
    half = nn.Linear(size, readout.out_features)
    with torch.no_grad():
        half.weight.copy_(readout.weight[:, size:] if reverse else readout.weight[:, :size])
        half.bias.copy_(torch.zeros_like(readout.bias) if reverse else readout.bias)
    return half
