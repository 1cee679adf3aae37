"""What variants, masks, the trace and a second thread cost, beside our own plain layer."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import product
from typing import Any

import torch
from torch import Tensor

from unrolled.bench import peers
from unrolled.bench.drawn import OURS, Contest, Drawn, live, operations, over
from unrolled.bench.options import BenchOptions, Size
from unrolled.bench.timing import Field, NotMeasured, Peer
from unrolled.equations import CELLS
from unrolled.layer.lstm import LSTM

__all__ = ["MASKS", "masks", "threads", "trace"]

# What each mask is, as arguments of the layer; lengths and resets are arguments of the call.
MASKS: dict[str, dict[str, float]] = {
    "no mask": {},
    "lengths": {},
    "resets": {},
    "zoneout": {"zoneout": 0.1},
    "recurrent dropout": {"recurrent_dropout": 0.25},
}


def masks(size: Size, options: BenchOptions) -> Iterator[Contest]:
    """Every cell with every mask; the reference engine is the witness of what they compute."""
    for (mask, arguments), name in product(MASKS.items(), CELLS):
        if (name, mask) == ("vanilla", "no mask"):
            continue

        def build(
            name: str = name, mask: str = mask, arguments: dict[str, float] = arguments
        ) -> Field:
            plain, d = Drawn(size), Drawn(size, cell=name, **arguments)
            slow = Drawn(size, cell=name, engine="reference", **arguments)
            call = {"lengths": {"lengths": d.lengths}, "resets": {"resets": d.begins}}.get(mask, {})
            return Field(
                Peer(OURS, d.trained(_noisy(d.ours, call))),
                [lambda: Peer("our vanilla", plain.trained(plain.run()), alike=False)],
                Peer("the reference", slow.trained(_noisy(slow.ours, call))),
            )

        work = 3 * operations(size, name, live(size) if mask == "lengths" else 1.0)
        yield Contest("masks", f"{name}, {mask}", size, work, build)


def _noisy(layer: LSTM, call: dict[str, Any]) -> peers.Run:
    """The same draws at every call, so that two layers can be held against each other."""
    generator = torch.Generator()

    def run(x: Tensor) -> Tensor:
        y: Tensor = layer(x, generator=generator.manual_seed(0), **call)[0]
        return y

    return run


def trace(size: Size, options: BenchOptions) -> Iterator[Contest]:
    """All gates at every step."""

    def build() -> Field:
        d = Drawn(size)
        return Field(
            Peer(OURS, lambda: (d.ours.trace(d.x).output,)),
            [lambda: Peer("forward of training", lambda: (d.ours(d.x)[0],))],
        )

    yield Contest("trace", "", size, operations(size), build)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads(size: Size, options: BenchOptions) -> Iterator[Contest]:
    """Two threads against one, whatever was asked for, and against two of torch's."""
    # Two contests: a thread of torch's spins for a while after its work, in the turns of others.
    for beside, (what, times) in product((OURS, "torch"), (("inference", 1), ("training", 3))):

        def build(beside: str = beside, what: str = what) -> Field:
            if _cores() < 2:
                raise NotMeasured("threads: this process has one core, and two are needed")
            d = Drawn(size)
            layer = peers.torch_layer(d.ours)
            if what == "inference":
                ours = peers.in_inference(d.run(), d.x)
                theirs = peers.in_inference(over(layer), d.x)
            else:
                ours = d.trained(d.run())
                theirs = d.trained(over(layer), list(layer.parameters()))
            peer = Peer("torch.nn.LSTM, two threads", theirs, threads=2)
            if beside == OURS:
                peer = Peer("ours, one thread", ours, threads=1)
            return Field(Peer(OURS, ours, threads=2), [lambda: peer])

        yield Contest("threads", what, size, times * operations(size), build)
