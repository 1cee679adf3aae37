"""Which faults explain the gradient of a whole system: of the head, then layer by layer from above.

What goes down from one part to the next is not seen, only what it leads to: it is taken as the
faults that were found above make it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from unrolled.auditing.exact import Draw, Run
from unrolled.auditing.heads import HeadWay, Rule, into_layer, output_faults, ways
from unrolled.auditing.learner import Returned
from unrolled.auditing.search import Case, Explanation, FaultSearch
from unrolled.auditing.sums import Block
from unrolled.auditing.systems import System
from unrolled.faults.catalogue import fault
from unrolled.faults.fault import Fault, compatible
from unrolled.faults.passes import deltas
from unrolled.faults.sums import gradients
from unrolled.faults.switches import Switches

__all__ = ["Observed", "explain", "layer_blocks"]

FaultSet = tuple[Fault, ...]
MOST_SEARCHED = 6  # ways for the head to be wrong that are followed down into the layers
MOST_BESIDE = 2  # faults of the layers that are looked for beside one of the head
MOST_SETS = 3  # equal explanations of a layer that are followed down


class Observed(NamedTuple):
    """One call: what was given, what is exact, and what the learner's backward pass returned."""

    given: Draw
    made: Run
    returned: Returned


def explain(system: System, calls: Sequence[Observed], rule: Rule, tolerance: float) -> Explanation:
    """The smallest sets of faults that explain every gradient of every call; see `FaultSearch`."""
    found = _explained(system, calls, rule, tolerance)
    sets = tuple(tuple(_in_their_order(system, one) for one in some) for some in found.sets)
    if found.nearest is None:
        return replace(found, sets=sets)
    faults, left = found.nearest
    own = tuple(_in_their_order(system, one) for one in faults)
    return replace(found, sets=sets, nearest=(own, left))


_ORDERED = re.compile(r"(?:order-(?:all|ih|hh|b)|stacked)-([ifgo]+)")


def _in_their_order(system: System, one: Fault) -> Fault:
    """A fault of the gates' order, told in the order in which the learner's arrays have them."""
    key, right = one.key.partition("@")[0], system.cell.gates
    match = _ORDERED.fullmatch(key)
    if match is None and not key.endswith("-exchanged"):
        return one
    theirs = [k for k in system.gates if k in right]
    stacked = dict(zip(right, match[1] if match else right, strict=True))
    words = {
        ", ".join(stacked[k] for k in right): ", ".join(stacked[k] for k in theirs),
        ", ".join(right): ", ".join(theirs),
    }
    told = re.compile("|".join(map(re.escape, words)))
    wrong, mend = (told.sub(lambda m: words[m[0]], text) for text in (one.wrong, one.mend))
    return replace(one, wrong=wrong, mend=mend)


def _explained(
    system: System, calls: Sequence[Observed], rule: Rule, tolerance: float
) -> Explanation:
    if system.head is None:
        return _layers(system, calls, [call.given.d_y for call in calls], tolerance)
    best, nearest = Explanation(), Explanation()
    heads = sorted(_heads(system, calls, rule, tolerance), key=lambda head: len(head[0]))
    for faults, d_h in heads[:MOST_SEARCHED]:
        most = MOST_BESIDE if faults else None
        if best.sets:
            most = len(best.sets[0]) - len(faults)
        if most is not None and most < 0:
            break
        found = _layers(system, calls, d_h, tolerance, most)
        sets = tuple((*faults, *layers) for layers in found.sets)
        if sets and (not best.sets or len(sets[0]) <= len(best.sets[0])):
            equal = best.sets if best.sets and len(sets[0]) == len(best.sets[0]) else ()
            best = Explanation((*equal, *sets))
        elif found.nearest is not None and nearest.nearest is None:
            nearest = Explanation(nearest=((*faults, *found.nearest[0]), found.nearest[1]))
    return best if best.sets else nearest


# --- the head ---


def _heads(
    system: System, calls: Sequence[Observed], rule: Rule, tolerance: float
) -> Iterator[tuple[FaultSet, list[Tensor]]]:
    """Each way in which the head's gradients may be wrong, and what then reaches the top layer."""
    seen: list[list[Tensor]] = []  # two means are the same where one of the sizes is 1
    for outputs in zip(*(_outputs(system, call, rule) for call in calls), strict=True):
        values = [output.gradient for output in outputs]
        if any(all(map(torch.allclose, values, other)) for other in seen):
            continue
        seen.append(values)
        own = [
            _agreeing(system, bias, calls, values, tolerance)
            for bias in ((False, True) if system.head_bias else (False,))
        ]
        if not all(own):
            continue
        at_head = [w for w in (outputs[0].fault, *(some[0] for some in own)) if w is not None]
        each = [
            into_layer(o.gradient, system.of_head(c.given.flat, c.given.sizes)[0])
            for o, c in zip(outputs, calls, strict=True)
        ]
        for into in zip(*each, strict=True):
            beside = [] if into[0].fault is None else [into[0].fault]
            yield (*at_head, *beside), [way.gradient for way in into]


def _outputs(system: System, call: Observed, rule: Rule) -> Iterator[HeadWay]:
    given = call.given
    if given.target is None:
        yield HeadWay(None, given.d_y)
        return
    assert system.head is not None
    yield from (
        HeadWay(*output)
        for output in output_faults(
            system.head, rule, call.made.output, given.target, given.counted
        )
    )


def _agreeing(
    system: System,
    bias: bool,
    calls: Sequence[Observed],
    d_outputs: Sequence[Tensor],
    tolerance: float,
) -> list[Fault | None]:
    """The ways to sum the head's weights or bias that give what was returned; right ones first."""
    alive: dict[str, Fault | None] | None = None
    for call, d_output in zip(calls, d_outputs, strict=True):
        top = call.made.layers[-1].run
        theirs = system.of_head(call.returned.flat, call.given.sizes)[int(bias)]
        assert theirs is not None
        agree = {
            way.fault.key if way.fault else "": way.fault
            for way in ways(bias, d_output, top.h, top.c)
            if _near(way.gradient, theirs, tolerance)
        }
        alive = agree if alive is None else {k: v for k, v in alive.items() if k in agree}
    return list((alive or {}).values())


def _near(ours: Tensor, theirs: Tensor, tolerance: float) -> bool:
    scale = max(float(ours.abs().max()), float(theirs.abs().max()), 1e-12)
    return float((ours - theirs).abs().max()) <= tolerance * scale


# --- the layers ---


def layer_blocks(system: System, call: Observed, number: int) -> dict[Block, Tensor]:
    """What was returned of one layer; of the lowest, what was given to it too."""
    sizes, returned = call.given.sizes, call.returned
    found = system.parts(sizes)[number].split(returned.flat, sizes.hidden)
    if number == 0:
        inputs = (("x", returned.x), ("h_0", returned.h_0), ("c_0", returned.c_0))
        found |= {(name, ""): value for name, value in inputs if value is not None}
    return found


def _layers(
    system: System,
    calls: Sequence[Observed],
    d_h: Sequence[Tensor],
    tolerance: float,
    most: int | None = None,
) -> Explanation:
    """From the top layer down, given the gradient of the topmost h of each call.

    With so many faults in a layer at most, if ``most`` is given.
    """
    top = len(system.layers) - 1
    search = _search(system, calls, top, d_h)
    found = search.explain(_blocks(system, calls, top), tolerance, most)
    if top == 0 or not found.sets:
        return found if top == 0 else Explanation()
    each = _below(system, calls, top, d_h, found.sets, tolerance)
    return Explanation(_together(each)) if each is not None else Explanation()


def _search(
    system: System, calls: Sequence[Observed], number: int, d_h: Sequence[Tensor]
) -> FaultSearch:
    """The search for what explains one layer, given the gradient of its h."""
    cases = []
    for call, d_y in zip(calls, d_h, strict=True):
        layer, sizes = call.made.layers[number], call.given.sizes
        parameters = layer.part.split(call.given.flat, sizes.hidden)
        cases.append(Case(layer.weights, layer.run, d_y, parameters))
    return FaultSearch(system.layers[number].cell, cases)


def _below(
    system: System,
    calls: Sequence[Observed],
    number: int,
    d_h: Sequence[Tensor],
    sets: Sequence[FaultSet],
    tolerance: float,
) -> list[tuple[FaultSet, ...]] | None:
    """The explanations of this layer and of those under it; None if one of those has none."""
    if number == 0:
        return [tuple(sets)]
    observed = _blocks(system, calls, number - 1)
    for faults in sets[:MOST_SETS]:
        for more, d_x in _handed_down(system, calls, number, d_h, faults):
            found = _search(system, calls, number - 1, d_x).explain(observed, tolerance)
            if found.sets:
                own = tuple((*s, *more) for s in (sets if not more else (faults,)))
                rest = _below(system, calls, number - 1, d_x, found.sets, tolerance)
                if rest is not None:
                    return [own, *rest]
    return None


def _blocks(system: System, calls: Sequence[Observed], number: int) -> list[dict[Block, Tensor]]:
    return [layer_blocks(system, call, number) for call in calls]


def _handed_down(
    system: System,
    calls: Sequence[Observed],
    number: int,
    d_h: Sequence[Tensor],
    faults: FaultSet,
) -> Iterator[tuple[FaultSet, list[Tensor]]]:
    """What a layer with these faults gives to the one below, and with one of x's own beside."""
    cell = system.layers[number].cell
    own = ("zero", "sign", "twice", "half", "reversed", *(f"without-{k}" for k in cell.gates))
    for beside in ((), *((fault(f"x-{key}", cell),) for key in own)):
        if not compatible((*faults, *beside)):
            continue
        on, given = Switches([(*faults, *beside)]), []
        for call, d_y in zip(calls, d_h, strict=True):
            layer = call.made.layers[number]
            flow = deltas(cell, layer.weights, layer.run, d_y, on)
            given.append(gradients(cell, layer.weights, layer.run, flow, on).x[0])
        yield beside, given


def _together(each: Sequence[tuple[FaultSet, ...]]) -> tuple[FaultSet, ...]:
    """Explanations of the layers, the topmost first, as explanations of all of them.

    What is wrong in every layer in the same way is one slip: people write a layer once.
    """
    keys = [{frozenset(f.key for f in s): s for s in sets} for sets in each]
    same = set(keys[0]).intersection(*keys[1:])
    if same:
        found = [keys[0][one] for one in keys[0] if one in same]
        return tuple(tuple(_said(f, "in every layer") for f in s) for s in found)
    names = [f"in layer {number}" for number in reversed(range(len(each)))]
    combined = itertools.islice(itertools.product(*each), MOST_SETS)
    return tuple(
        tuple(
            replace(_said(f, name), key=f"{f.key}@{name.rpartition(' ')[2]}")
            for s, name in zip(sets, names, strict=True)
            for f in s
        )
        for sets in combined
    )


def _said(one: Fault, where: str) -> Fault:
    return replace(one, wrong=f"{where}, {one.wrong}")
