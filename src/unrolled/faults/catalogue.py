"""The faults that people make in an LSTM's backward pass: one entry each, in words.

A fault is a switch on the exact pass (`unrolled.faults.passes`).  Its ``slot`` says what it
changes; two faults with the same slot cannot both be on.  Faults of the *flow* change the deltas,
the gradients of the pre-activations, and through them every gradient; faults of the *sums* change
how one parameter's gradient is summed from the deltas, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from unrolled.equations import Cell
from unrolled.errors import InvalidValueError

__all__ = ["PARTS", "Fault", "catalogue", "compatible", "fault"]

# The parameters by the names that keys and slots use; "b" is the bias, be there one or two.
PARTS = {"ih": "W_ih", "hh": "W_hh", "b": "bias"}

_GATES = {"i": "input gate", "f": "forget gate", "g": "block input", "o": "output gate"}
_INPUT = {"ih": "x[t]", "hh": "h[t-1]"}


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a backward pass.

    Parameters
    ----------
    key : str
        Its short name.
    wrong : str
        What is wrong, as the end of a sentence.
    mend : str
        The line that mends it.  d_h, d_c and d_a are the gradients of h[t], c[t] and the
        pre-activations of step t; k_next those of step t+1.
    slot : str
        What it changes.
    flow : bool
        Whether it changes the deltas, and so everything.
    steps : int
        The number of steps, of a fault that has one.
    """

    key: str
    wrong: str
    mend: str
    slot: str
    flow: bool = True
    steps: int = 0


def compatible(faults: Iterable[Fault]) -> bool:
    """Whether these faults can be in one backward pass, no two of them in the same place."""
    slots = [fault.slot for fault in faults]
    return len(set(slots)) == len(slots)


def fault(key: str, cell: Cell | None = None) -> Fault:
    """The fault with this short name, such as ``"h-not-carried"`` or ``"truncated-4"``.

    Raises
    ------
    ValueError
        If the cell has no such fault.
    """
    cell = cell or Cell()
    number = key.rstrip("0123456789")
    steps = int(key[len(number) :] or 0)
    for known in catalogue(cell, steps):
        if known.key == key:
            return known
    raise InvalidValueError(
        f"{key!r} is not a fault of this cell: unrolled.faults.catalogue(cell) lists them."
    )


@cache
def catalogue(cell: Cell | None = None, longest: int = 4) -> tuple[Fault, ...]:
    """Every fault of a cell, those with a number of steps up to ``longest``."""
    cell = cell or Cell()
    return (*_carried(cell, longest), *_step(cell), *_sums(cell))


# --- the flow: from step to step ---


def _carried(cell: Cell, longest: int) -> Iterator[Fault]:
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
            f"the {_GATES[k]} {k}'s share is missing in the hidden state's gradient",
            f"d_h_prev += d_a_{k} @ W_h{k}",
            f"h from {k}",
        )
        for k in cell.gates
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


def _step(cell: Cell) -> Iterator[Fault]:
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
        "i-g-swapped",
        "i and g are exchanged: d_i is multiplied by i and d_g by g",
        "d_i = d_c * g; d_g = d_c * i",
        "d_i d_g",
    )
    for k in cell.gates:
        yield from _gate_derivative(k)
        yield Fault(
            f"{k}-delta-sign",
            f"the delta of the {_GATES[k]} {k} has the wrong sign",
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
    name = f"the {_GATES[k]} {k}"
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


# --- the sums ---


def _sums(cell: Cell) -> Iterator[Fault]:
    for part, name in PARTS.items():
        product = f"d_a[t].T @ {_INPUT[part]}" if part in _INPUT else "d_a[t].sum(0)"
        right = f"d_{name} = sum over all t of {product}"
        for key, wrong in (
            ("last", "is taken from the last step only"),
            ("first", "is taken from the first step only"),
            ("without-first", "lacks the first step"),
            ("without-last", "lacks the last step"),
            ("zero", "is left at zero"),
        ):
            yield Fault(
                f"{part}-{key}", f"the gradient of {name} {wrong}", right, f"{part} steps", False
            )
        yield Fault(
            f"{part}-sign",
            f"the gradient of {name} has the wrong sign",
            f"d_{name} = -d_{name}",
            f"{part} sign",
            False,
        )
        for k in cell.gates:
            for j in cell.gates:
                if j != k:
                    yield Fault(
                        f"{part}-{k}-from-{j}",
                        f"the {_GATES[j]} {j}'s delta is used for the {name} of the "
                        f"{_GATES[k]} {k}",
                        right.replace("d_a", f"d_a_{k}").replace(f"d_{name}", f"d_{name}_{k}"),
                        f"{part} {k} from",
                        False,
                    )
    yield Fault(
        "hh-reads-h",
        "h[t] stands in the gradient of W_hh where h[t-1] belongs",
        "d_W_hh += d_a[t].T @ h[t-1]",
        "hh reads",
        False,
    )
    yield Fault(
        "hh-gradient-transposed",
        "the gradient of each gate's W_hh is transposed",
        "d_W_hh += d_a[t].T @ h[t-1]",
        "hh transposed",
        False,
    )
    summed = "sum each gradient over every row of the batch"
    yield Fault(
        "batch-first-row",
        "the gradient is not summed over the batch: it is the first row's",
        summed,
        "batch",
        False,
    )
    yield Fault(
        "batch-mean",
        "the gradient is divided by the size of the batch, which the gradient of the output "
        "already answers for",
        summed,
        "batch",
        False,
    )
    # A product of matrices sums over the batch by itself; a bias is where it is forgotten.
    summed_bias = "d_bias = sum over all t of d_a[t].sum(0)"
    for key, wrong in (
        ("b-first-row", "of the bias is not summed over the batch: it is the first row's"),
        ("b-mean", "of the bias is the mean over the batch, where the sum belongs"),
    ):
        yield Fault(key, f"the gradient {wrong}", summed_bias, "b batch", False)
    yield Fault(
        "time-mean",
        "the gradient is divided by the number of steps, which the gradient of the output "
        "already answers for",
        "sum each gradient over every step",
        "time",
        False,
    )
