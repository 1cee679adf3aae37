"""A network at another rate gives what it gave at its own."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cases import normal
from processes import one_sentence
from unrolled import LSTM, Network
from unrolled.export import Effect, at_rate


def effect(**options: Any) -> Effect:
    torch.manual_seed(11)
    lstm = LSTM(1, 8, dtype=torch.float64, **options)
    with torch.no_grad():
        for weight in lstm.parameters():
            weight.mul_(2)  # a state that matters
    head = nn.Linear(8, 1, dtype=torch.float64)
    return Effect(lstm, head, skip=1)


def in_between(x: Tensor, times: int) -> Tensor:
    """The same samples, with others between them that the network has never heard."""
    found = torch.linspace(-1, 1, len(x) * times, dtype=x.dtype)[:, None, None].repeat(
        1, *x.shape[1:]
    )
    found[::times] = x
    return found


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("options", [{}, {"num_layers": 2}, {"cell": "peephole"}], ids=str)
def test_at_a_whole_ratio_each_old_sample_gives_what_it_gave(
    generator: torch.Generator, times: int, options: dict[str, Any]
) -> None:
    network, x = effect(**options), normal(generator, 50, 2, 1)
    faster = at_rate(network, trained=48000, wanted=48000 * times, batch_size=2)
    stepper = network.lstm.stepper(2)
    right = network.read(torch.stack([stepper(one).clone() for one in x]), x)
    y = faster(in_between(x, times))
    assert torch.equal(y[::times], right)
    torch.testing.assert_close(right, network(x)[0].detach(), rtol=0, atol=1e-12)


def test_in_pieces_it_gives_what_it_gives_whole(generator: torch.Generator) -> None:
    network, x = effect(), normal(generator, 60, 1, 1)
    whole = at_rate(network, 44100, 96000)(x)
    pieces = at_rate(network, 44100, 96000)
    assert torch.equal(torch.cat([pieces(part) for part in x.split((1, 2, 30, 27))]), whole)
    pieces.reset()
    assert torch.equal(pieces(x), whole)


def sound(rate: int, seconds: float = 0.05) -> Tensor:
    """Two tones, known at every time, so that any rate has the truth."""
    t = torch.arange(int(rate * seconds), dtype=torch.float64) / rate
    wave = 0.6 * torch.sin(2 * math.pi * 220 * t) + 0.3 * torch.sin(2 * math.pi * 700 * t)
    return wave[:, None, None]


@pytest.mark.parametrize(("trained", "wanted"), [(32000, 48000), (44100, 48000), (44100, 96000)])
def test_between_whole_ratios_it_is_nearer_to_the_truth(trained: int, wanted: int) -> None:
    network, both = effect(forget_bias=1.0), math.gcd(trained, wanted)
    with torch.no_grad():
        right, plain = network(sound(trained))[0], network(sound(wanted))[0]
    found = at_rate(network, trained, wanted)(sound(wanted))
    right = right[:: trained // both]  # where both rates have a sample

    def error(y: Tensor) -> float:
        there = y[:: wanted // both]
        count = min(len(right), len(there))
        return float((there[:count] - right[:count]).square().mean().sqrt())

    assert error(plain) > 1e-3
    assert error(found) < 0.1 * error(plain)


def test_a_batch_first_layer_and_a_state_of_its_own(generator: torch.Generator) -> None:
    network = effect()
    h, c = normal(generator, 1, 8), normal(generator, 1, 8)
    begun = Effect(network.lstm, network.head, state=(h, c))
    x = normal(generator, 20, 1, 1)
    y = at_rate(begun, 1, 2)(in_between(x, 2))
    torch.testing.assert_close(y[::2], begun(x)[0].detach(), rtol=0, atol=1e-12)
    other = LSTM(1, 8, batch_first=True, dtype=torch.float64)
    other.load_state_dict(network.lstm.state_dict())
    turned = at_rate(Effect(other, network.head), 1, 2)(in_between(x, 2).transpose(0, 1))
    plain = at_rate(Network(network.lstm, network.head), 1, 2)(in_between(x, 2))
    assert torch.equal(turned.transpose(0, 1), plain)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: at_rate(effect(), 48000, 44100), "resample the sound"),
        (lambda: at_rate(effect(), 1, 65), "expected 1 to 64"),
        (lambda: at_rate(effect(), 0, 65), "trained=0"),
        (lambda: at_rate(effect(), 1, float("nan")), "wanted=nan"),
        (lambda: at_rate(effect(), 1, 2)(torch.zeros(5, 2, 1)), r"\[5, 2, 1\]"),
        (lambda: at_rate(effect(), 1, 2)(torch.zeros(0, 1, 1)), "one step or more"),
        (lambda: at_rate(LSTM(1, 4, bidirectional=True), 1, 2), "bidirectional"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(call: Any, words: str) -> None:
    with pytest.raises((ValueError, RuntimeError), match=words) as caught:
        call()
    one_sentence(caught.value)
