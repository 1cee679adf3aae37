"""What can be wrong with a gradient as a whole, after it was summed: it is undone, then explained.

The order of the gates, columns that are exchanged and a term of weight decay can be taken back
from the numbers; what remains is explained by the other faults.  Clipping cannot: it is put on
what the faults predict instead.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from unrolled.auditing.sums import Block
from unrolled.equations import Cell
from unrolled.faults.fault import Fault

__all__ = ["Whole", "clipped_at", "clipping", "norm_clipped", "wholes"]

Blocks = Mapping[Block, Tensor]

_WHOSE = {"": "every gradient", "ih": "W_ih", "hh": "W_hh", "b": "the bias"}
CLOSE = 1e-9


class Whole(NamedTuple):
    """A fault of the whole gradient, and the gradient of each case as it would be without it."""

    fault: Fault
    observed: Sequence[Blocks]
    cheap: bool  # whether there are so few of its kind that more may be looked for beside it


def wholes(
    cell: Cell, observed: Sequence[Blocks], exact: Sequence[Blocks], weights: Sequence[Blocks]
) -> Iterator[Whole]:
    """Everything that could be taken back, the rarer first."""
    yield from _decays(observed, exact, weights)
    if {"ih", "hh"} <= {part for part, _ in observed[0]}:
        yield Whole(_COLUMNS, [_exchanged(cell, blocks) for blocks in observed], True)
    for part in _WHOSE:
        for order in itertools.permutations(cell.gates):
            if order != tuple(cell.gates):
                yield Whole(_order(cell, part, order), _ordered(cell, observed, part, order), False)


# --- the order of gates ---


def _order(cell: Cell, part: str, order: Sequence[str]) -> Fault:
    whose = f"the gradient of {_WHOSE[part]}" if part else _WHOSE[part]
    told, right = ", ".join(order), ", ".join(cell.gates)
    wrong = f"{whose} is stacked in the order {told}, where the weights have {right}"
    mend = f"stack the gates' gradients in the order {right}"
    return Fault(f"order-{part or 'all'}-{''.join(order)}", wrong, mend, f"order {part}", False)


def _ordered(
    cell: Cell, observed: Sequence[Blocks], part: str, order: Sequence[str]
) -> list[Blocks]:
    """What is at the place of one gate is that of another."""
    moved = dict(zip(order, cell.gates, strict=True))

    def own(block: Block) -> Block:
        kind, gate = block
        concerned = gate and kind != "p" and (not part or kind.startswith(part))
        return (kind, moved[gate]) if concerned else block

    return [{block: blocks[own(block)] for block in blocks} for blocks in observed]


# --- columns ---

_COLUMNS = Fault(
    "columns-exchanged",
    "the columns of x and those of h are exchanged in the gradient of the matrix that holds both",
    "d_W += d_a[t].T @ z, with z stacked as the forward pass stacks it",
    "columns",
    False,
)


def _exchanged(cell: Cell, blocks: Blocks) -> Blocks:
    found = dict(blocks)
    for k in cell.gates:
        both = torch.cat((blocks["ih", k], blocks["hh", k]), 1)
        size = blocks["hh", k].shape[1]
        found["hh", k], found["ih", k] = both[:, :size], both[:, size:]
    return found


# --- weight decay ---


def _decays(
    observed: Sequence[Blocks], exact: Sequence[Blocks], weights: Sequence[Blocks]
) -> Iterator[Whole]:
    """Weight decay of a rate that some block shows in every case."""
    tried: list[float] = []
    for block in observed[0]:
        if block not in weights[0]:
            continue
        rates = [
            _rate(o[block] - e[block], w[block])
            for o, e, w in zip(observed, exact, weights, strict=True)
        ]
        rate = rates[0]
        if rate is None or any(r is None or abs(r - rate) > CLOSE * abs(rate) for r in rates):
            continue
        if any(abs(rate - other) <= CLOSE * abs(rate) for other in tried):
            continue
        tried.append(rate)
        biases = [kind for kind, _ in weights[0] if kind.startswith("b")]
        every = ("ih", "hh", "p", *dict.fromkeys(biases))
        for parts, whose in ((every[:3], "weight"), *([(every, "parameter")] if biases else [])):
            fault = Fault(
                f"decay-{whose}s",
                f"{rate:.6g} times each {whose} is added to its gradient: weight decay",
                "leave the decay to the optimiser, or leave it out of what is audited",
                "decay",
                False,
            )
            without = [
                {b: _less(v, rate * w[b]) if b in w and b[0] in parts else v for b, v in o.items()}
                for o, w in zip(observed, weights, strict=True)
            ]
            yield Whole(fault, without, True)


def _less(value: Tensor, decay: Tensor) -> Tensor:
    """The difference; where nothing is left but rounding, zero, which is exact."""
    left = value - decay
    return torch.where(left.abs() <= CLOSE * decay.abs().max(), 0.0, left)


def _rate(more: Tensor, weight: Tensor) -> float | None:
    """By how much of the weight it is more; None where it is by something else, or nothing."""
    rate = float((more * weight).sum() / (weight * weight).sum())
    off = (more - rate * weight).abs().max()
    scale = abs(rate) * float(weight.abs().max())
    return rate if scale > CLOSE and float(off) <= 1e-6 * scale else None


# --- clipping ---


def clipped_at(observed: Sequence[Blocks]) -> float | None:
    """The bound that many numbers lie at, in several blocks; None where there is none."""
    values = torch.cat(
        [v.flatten().abs() for blocks in observed for b, v in blocks.items() if b[1]]
    )
    top = float(values.max())
    at = int((values >= top * (1 - 1e-12)).sum())
    return top if top > 0 and at >= MANY else None


MANY = 3  # numbers that are equal to the largest: two may be the same sum, in two biases


def norm_clipped(observed: Sequence[Blocks], exact: Sequence[Blocks], rtol: float) -> Fault | None:
    """Whether it is the exact gradient, scaled down wherever its norm was above some bound."""
    pairs = [(_flat(o), _flat(e)) for o, e in zip(observed, exact, strict=True)]
    lengths = [(float(o.norm()), float(e.norm())) for o, e in pairs]
    bound = max(length for length, _ in lengths)
    if bound == 0 or sum(exact > bound * (1 + rtol) for _, exact in lengths) < 2:
        return None  # one alone may be scaled for any reason
    for (found, right), (length, exact_length) in zip(pairs, lengths, strict=True):
        expected = min(bound, exact_length)
        if exact_length == 0 or abs(length - expected) > rtol * expected:
            return None
        if (found / length - right / exact_length).abs().max() > rtol:
            return None
    return Fault(
        "norm-clipped",
        f"the whole gradient is scaled down to a norm of {bound:.6g} where it is longer",
        "clip after the audit, where the weights are updated",
        "clip",
        False,
    )


def clipping(bound: float) -> Fault:
    """The fault of numbers that are cut at a bound."""
    return Fault(
        "clipped",
        f"every number of the gradient is cut to lie between -{bound:.6g} and {bound:.6g}",
        "clip after the audit, where the weights are updated",
        "clip",
        False,
    )


def _flat(blocks: Blocks) -> Tensor:
    return torch.cat([value.flatten() for block, value in blocks.items() if block[1]])
