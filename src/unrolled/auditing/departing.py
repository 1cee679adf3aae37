"""Where a gradient that nothing explains departs from the exact one: length, parameter, step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from unrolled.auditing.exact import Draw, gradient
from unrolled.auditing.explaining import Observed, layer_blocks
from unrolled.auditing.heads import Rule
from unrolled.auditing.sums import Block
from unrolled.auditing.systems import System

__all__ = ["departure", "in_words_of"]

LONGEST = 6


class Calling(Protocol):
    """What an examiner offers: new draws, and what the learner gives for them."""

    system: System

    def draw(self, steps: int) -> Draw:
        """The numbers of one call."""

    def observed(self, given: Draw) -> Observed:
        """What a call of the backward pass gives."""


def departure(calling: Calling, rule: Rule, tolerance: float) -> str:
    """Where a gradient is wrong first, in length and going back, in a sentence or two."""
    for steps in range(1, LONGEST + 1):
        given = calling.draw(steps)
        wrong = _wrong_blocks(calling, given, rule, tolerance)
        if not wrong:
            continue
        begins = f"It is exact up to T = {steps - 1}, and" if steps > 1 else "It"
        begins += f" departs at T = {steps} in {in_words_of(wrong)}."
        if len(calling.system.layers) > 1 or calling.system.head is not None:
            return begins
        return begins + _first_delta(calling, given, rule, tolerance)
    return "It is exact on other draws: something in it depends on the values."


def _first_delta(calling: Calling, given: Draw, rule: Rule, tolerance: float) -> str:
    last = torch.zeros_like(given.d_y)
    last[-1] = given.d_y[-1]
    for d, loss in ((last, "the last step's loss alone"), (given.d_y, "a loss at every step")):
        delta = _first_wrong_delta(calling, given._replace(d_y=d), rule, tolerance)
        if delta:
            return f" Going back from {loss}, the first wrong delta is {delta}."
    return " The input weights' gradients are right there, so the deltas are too."


def _first_wrong_delta(calling: Calling, given: Draw, rule: Rule, tolerance: float) -> str | None:
    """With x at one step alone, the input weights' gradient is that step's delta."""
    for t in range(len(given.x) - 1, -1, -1):
        alone = torch.zeros_like(given.x)
        alone[t] = given.x[t]
        wrong = _wrong_blocks(calling, given._replace(x=alone), rule, tolerance)
        gates = [k for part, k in wrong if part == "ih"]
        if gates:
            return f"that of {' and '.join(gates)} at step {t + 1} of {len(given.x)}"
    return None


def _wrong_blocks(calling: Calling, given: Draw, rule: Rule, tolerance: float) -> list[Block]:
    """The blocks that are wrong; of several layers, with the layer's number in the part."""
    call = calling.observed(given)
    exact = gradient(calling.system, given, call.made, rule)
    theirs = call.returned
    right = call._replace(
        returned=theirs._replace(
            flat=exact.flat,
            x=None if theirs.x is None else exact.x,
            h_0=None if theirs.h_0 is None else exact.h_0,
            c_0=None if theirs.c_0 is None else exact.c_0,
        )
    )
    wrong: list[Block] = []
    for number in range(len(calling.system.layers)):
        layer = f" of layer {number}" if len(calling.system.layers) > 1 else ""
        found = layer_blocks(calling.system, call, number)
        for block, value in layer_blocks(calling.system, right, number).items():
            if _differ(found[block], value, tolerance):
                wrong.append((block[0] + layer, block[1]))
    if calling.system.head is not None:
        heads = (calling.system.of_head(flat, given.sizes) for flat in (theirs.flat, exact.flat))
        for name, own, right_one in zip(("head", "head_b"), *heads, strict=True):
            if own is not None and right_one is not None and _differ(own, right_one, tolerance):
                wrong.append((name, ""))
    return wrong


def _differ(found: Tensor, exact: Tensor, tolerance: float) -> bool:
    return float((found - exact).norm()) > tolerance * (float(exact.norm()) or 1.0)


_NAMES = {"ih": "W_ih", "hh": "W_hh", "p": "the peephole", "b": "the bias", "head": "the head"}
_NAMES |= {"head_b": "the head's bias"}


def in_words_of(blocks: Sequence[Block]) -> str:
    """Blocks in words, gates together: "W_ih (i, f) and the bias (o)"."""
    gates: dict[str, list[str]] = {}
    for part, k in blocks:
        gates.setdefault(part, []).append(k)
    words = []
    for part, ks in gates.items():
        kind, of, layer = part.partition(" of ")
        name = _NAMES.get(kind, kind) + of + layer
        words.append(name if ks == [""] else f"{name} ({', '.join(ks)})")
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]
