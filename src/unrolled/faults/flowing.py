"""The faults of what flows back: from step to step, and inside a step."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from unrolled.equations import Cell
from unrolled.faults.fault import GATES, Fault

__all__ = ["carried", "within_step"]

# --- the flow: from step to step ---


def carried(cell: Cell, longest: int) -> Iterator[Fault]:
    yield Fault(
        "h-not-carried",
        "the hidden state's gradient is not carried from step t+1 to step t",
        "d_h = d_y[t] + d_a_next @ W_hh",
        "h carried",
    )
    yield Fault(
        "h-replaces",
        "at every step but the last, the gradient carried from step t+1 replaces the loss's own "
        "gradient instead of being added to it",
        "d_h = d_y[t] + d_a_next @ W_hh",
        "h added",
    )
    yield Fault(
        "hh-transposed",
        "the recurrent matrix of each gate is transposed on the way from step t+1 to step t",
        "d_h_prev = d_a @ W_hh, with W_hh of shape [4H, H], once transposed from h @ W_hh.T",
        "h carried",
    )
    yield from (
        Fault(
            f"h-without-{k}",
            f"the {GATES[k]} {k}'s share is missing in the hidden state's gradient",
            f"d_h_prev += d_a_{k} @ W_h{k}",
            f"h from {k}",
        )
        for k in cell.gates
    )
    yield Fault(
        "h-twice",
        "the hidden state's gradient is carried to step t-1 twice",
        "d_h = d_y[t] + d_a_next @ W_hh",
        "h carried",
    )
    yield from (
        Fault(
            f"h-{j}-{k}-exchanged",
            f"the deltas of {j} and {k} are exchanged on the way to step t-1: stacked in one "
            "order, and multiplied with W_hh in another",
            f"stack the deltas in the order of W_hh's rows: {', '.join(cell.gates)}",
            "h carried",
            rare=True,
        )
        for j, k in itertools.combinations(cell.gates, 2)
    )
    yield from (
        Fault(
            f"stacked-{''.join(order)}",
            f"the deltas are stacked in the order {', '.join(order)} and used in the order "
            f"{', '.join(cell.gates)}: in the sums, and on the way to step t-1",
            f"stack the deltas in the order of W_hh's rows: {', '.join(cell.gates)}",
            "stacked",
            rare=True,
        )
        for order in itertools.permutations(cell.gates)
        if order != tuple(cell.gates)
    )
    yield Fault(
        "c-not-carried",
        "the cell's gradient is not carried from step t+1 to step t",
        "d_c = d_h * o * (1 - tanh(c)**2) + d_c_next * f_next"
        if cell.output == "tanh"
        else "d_c = d_h * o + d_c_next * f_next",
        "c carried",
    )
    yield Fault(
        "c-replaces",
        "at every step but the last, the cell's gradient from step t+1 replaces what comes "
        "through h instead of being added to it",
        "d_c = d_c_next * f_next + d_h * o * (1 - tanh(c)**2)"
        if cell.output == "tanh"
        else "d_c = d_c_next * f_next + d_h * o",
        "c added",
    )
    if cell.forget != "one":
        yield Fault(
            "c-without-f",
            "the cell's gradient is carried to step t-1 without the factor f",
            "d_c_prev = d_c * f",
            "c carried",
        )
        yield Fault(
            "c-with-other-f",
            "the cell's gradient is carried to step t-1 with the forget gate of step t-1 instead "
            "of step t's",
            "d_c_prev = d_c * f, with the f of the same step",
            "c carried",
        )
    yield Fault(
        "c-twice",
        "the cell's gradient is carried to step t-1 twice",
        "d_c_prev = d_c * f",
        "c carried",
    )
    yield Fault(
        "loop-forward",
        "the backward pass runs forward, from t = 0 up: what is carried goes to step t+1",
        "for t in reversed(range(T)):",
        "direction",
        slots=("direction", "truncation"),
    )
    yield Fault(
        "begins-late",
        "the backward pass begins at step T-2: the last step's loss goes nowhere",
        "for t in reversed(range(T)):",
        "truncation",
    )
    for k in range(1, longest + 1):
        steps = f"{k} steps" if k > 1 else "1 step"
        if k > 1:
            yield Fault(
                f"truncated-{k}",
                f"the gradient of each step's loss is truncated after {steps}",
                "let the loop run from the loss's step down to t = 0",
                "truncation",
                steps=k,
            )
            yield Fault(
                f"detached-{k}",
                f"nothing is carried back over the bounds of every {steps}, as if the state were "
                "detached there",
                "carry d_h_prev and d_c_prev over every step",
                "truncation",
                steps=k,
            )
        yield Fault(
            f"stopped-{k}",
            f"the backward pass stops after {steps}, counted from the last",
            "for t in reversed(range(T)):",
            "truncation",
            steps=k,
        )


# --- the flow: inside a step ---


def within_step(cell: Cell) -> Iterator[Fault]:
    if cell.output == "tanh":
        yield from _output_derivative()
    phi = "tanh(c)" if cell.output == "tanh" else "c"
    yield Fault(
        "o-reads-old-c",
        f"the output gate's delta reads the old cell: {phi.replace('c)', 'c_prev)')}"
        if cell.output == "tanh"
        else "the output gate's delta reads the old cell, c_prev",
        f"d_o = d_h * {phi}",
        "d_o",
    )
    if cell.forget != "one":
        yield Fault(
            "f-reads-c",
            "c stands in the forget gate's delta where c_prev belongs",
            "d_f = d_c * c_prev",
            "d_f",
        )
        yield Fault(
            "f-wraps",
            "at t = 0 the forget gate's delta reads the last step's cell: c[t-1] is c[-1] there",
            "d_f = d_c * c_prev, with c_prev = c_0 at t = 0",
            "d_f",
        )
    yield Fault(
        "o-own-loss",
        "the output gate's delta is given the step's own loss only, without what comes from step "
        "t+1",
        "d_o = d_h * tanh(c)" if cell.output == "tanh" else "d_o = d_h * c",
        "d_o from",
    )
    yield Fault(
        "c-own-loss",
        "the cell is given the step's own loss only through h, without what comes to h from step "
        "t+1",
        "d_c += d_h * o * (1 - tanh(c)**2)" if cell.output == "tanh" else "d_c += d_h * o",
        "d_c from",
    )
    yield Fault(
        "i-g-swapped",
        "i and g are exchanged: d_i is multiplied by i and d_g by g",
        "d_i = d_c * g; d_g = d_c * i",
        "d_i d_g",
    )
    for k in cell.gates:
        yield from _gate_derivative(k)
        yield Fault(
            f"{k}-delta-sign",
            f"the delta of the {GATES[k]} {k} has the wrong sign",
            f"d_a_{k} = -d_a_{k}",
            f"{k} sign",
        )
    if cell.peephole:
        yield Fault(
            "peephole-not-carried",
            "the cell's gradient lacks what comes through the peepholes",
            "d_c += d_a_o * p_o; d_c_prev += d_a_i * p_i + d_a_f * p_f",
            "peephole",
        )


def _output_derivative() -> Iterator[Fault]:
    right = "d_c += d_h * o * (1 - tanh(c)**2)"
    yield Fault("c-squared", "1 - c² stands where 1 - tanh²(c) belongs", right, "phi'")
    yield Fault(
        "phi-prime-forgotten", "the derivative 1 - tanh²(c) of the output is missing", right, "phi'"
    )
    yield Fault("phi-prime-half", "1 - tanh(c) stands where 1 - tanh²(c) belongs", right, "phi'")
    for key, wrong in (
        ("twice", "1 - tanh²(tanh(c)) stands where 1 - tanh²(c) belongs"),
        ("squared", "the derivative 1 - tanh²(c) of the output is multiplied by twice"),
        ("value", "tanh(c) stands where its derivative 1 - tanh²(c) belongs"),
    ):
        yield Fault(f"phi-prime-{key}", wrong, right, "phi'", rare=key == "value")
    yield Fault("h-squared", "1 - h² stands where 1 - tanh²(c) belongs", right, "phi'")
    yield Fault(
        "c-prev-for-c", "1 - tanh²(c_prev) stands where 1 - tanh²(c) belongs", right, "phi'"
    )
    yield Fault(
        "o-reads-raw-c",
        "the output gate's delta reads c where tanh(c) belongs",
        "d_o = d_h * tanh(c)",
        "d_o",
    )


def _gate_derivative(k: str) -> Iterator[Fault]:
    name = f"the {GATES[k]} {k}"
    exact = "1 - g**2" if k == "g" else f"{k} * (1 - {k})"
    mend, slot = f"d_a_{k} = d_{k} * ({exact})", f"{k}'"
    yield Fault(
        f"{k}-prime-forgotten",
        f"the derivative of {'tanh' if k == 'g' else 'the sigmoid'} is missing in {name}",
        mend,
        slot,
    )
    yield Fault(
        f"{k}-prime-half",
        "1 - g stands where 1 - g² belongs"
        if k == "g"
        else f"the derivative of the sigmoid in {name} lacks the factor {k}",
        mend,
        slot,
    )
    yield Fault(
        f"{k}-prime-twice",
        f"the derivative in {name} squashes a value that is squashed already",
        mend,
        slot,
    )
    yield Fault(
        f"{k}-prime-of-other",
        f"the derivative of {'the sigmoid' if k == 'g' else 'tanh'} stands in {name}, where that "
        f"of {'tanh' if k == 'g' else 'the sigmoid'} belongs",
        mend,
        slot,
    )
    for kind, wrong in (
        ("value", f"the value {k} stands where its derivative belongs in {name}"),
        (
            "squashed",
            f"a value that is squashed already is squashed again where the derivative belongs in "
            f"{name}",
        ),
        ("squared", f"the derivative in {name} is multiplied by twice"),
        (
            "raw",
            f"the derivative in {name}, written for squashed values, is given that from before "
            "the activation",
        ),
    ):
        yield Fault(f"{k}-prime-{kind}", wrong, mend, slot, rare=True)
