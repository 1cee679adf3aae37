"""The faults that people make in an LSTM's backward pass: one entry each, in words.

A fault is a switch on the exact pass (`unrolled.faults.passes`).  Its ``slot`` says what it
changes; two faults with the same slot cannot both be on.  Faults of the *flow* change the deltas,
the gradients of the pre-activations, and through them every gradient; faults of the *sums* change
how one parameter's gradient is summed from the deltas, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from unrolled.equations import Cell
from unrolled.errors import InvalidValueError
from unrolled.faults.causes import causes_of_flow, causes_of_sums
from unrolled.faults.fault import GATES, Fault, compatible
from unrolled.faults.flowing import carried, within_step

__all__ = ["PARTS", "Fault", "catalogue", "compatible", "fault"]

# The parameters by the names that keys and slots use; "b" is the bias, be there one or two.
PARTS = {"ih": "W_ih", "hh": "W_hh", "b": "bias"}

_INPUT = {"ih": "x[t]", "hh": "h[t-1]"}


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
    flow = (*carried(cell, longest), *within_step(cell))
    sums = tuple(_sums(cell))
    inputs = (*_of_x(cell), *_of_states(cell))
    return (*flow, *sums, *inputs, *causes_of_flow(cell, flow), *causes_of_sums((*sums, *inputs)))


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
                        f"the {GATES[j]} {j}'s delta is used for the {name} of the {GATES[k]} {k}",
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
        "hh-wraps",
        "at t = 0 the last step's h stands in the gradient of W_hh: h[t-1] is h[-1] there",
        "d_W_hh += d_a[t].T @ h[t-1], with h_0 at t = 0",
        "hh reads",
        False,
    )
    for key, where in (("earlier", "t-1"), ("later", "t+1")):
        yield Fault(
            f"ih-reads-{key}",
            f"x[{where}] stands in the gradient of W_ih where x[t] belongs, the other end of the "
            "sequence beyond its end",
            "d_W_ih += d_a[t].T @ x[t]",
            "ih reads",
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
        "batch-mean-twice",
        "the gradient is divided by the size of the batch twice over, which the gradient of the "
        "output already answers for",
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
    for key, wrong in (
        ("twice", "every gradient is twice what it should be"),
        ("half", "every gradient is half of what it should be"),
    ):
        yield Fault(key, wrong, "the gradient of the loss that is given, times 1", "scale", False)
    # A product of matrices sums over the batch by itself; a bias is where it is forgotten.
    summed_bias = "d_bias = sum over all t of d_a[t].sum(0)"
    for key, wrong in (
        ("b-first-row", "of the bias is not summed over the batch: it is the first row's"),
        ("b-mean", "of the bias is the mean over the batch, where the sum belongs"),
    ):
        yield Fault(key, f"the gradient {wrong}", summed_bias, "b batch", False)
    for key, often in (("time-mean", ""), ("time-mean-twice", " twice over")):
        yield Fault(
            key,
            f"the gradient is divided by the number of steps{often}, which the gradient of the "
            "output already answers for",
            "sum each gradient over every step",
            "time",
            False,
        )


def _of_x(cell: Cell) -> Iterator[Fault]:
    right = "d_x[t] = d_a[t] @ W_ih"
    for key, wrong in (
        ("zero", "the gradient of x is left at zero"),
        ("sign", "the gradient of x has the wrong sign"),
        ("twice", "the gradient of x is twice what it should be"),
        ("half", "the gradient of x is half of what it should be"),
        ("reversed", "the gradient of x is returned with its last step first"),
    ):
        yield Fault(f"x-{key}", wrong, right, "x", False)
    for k in cell.gates:
        wrong = f"the {GATES[k]} {k}'s share is missing in the gradient of x"
        yield Fault(f"x-without-{k}", wrong, right, "x", False)


def _of_states(cell: Cell) -> Iterator[Fault]:
    for name, right in (("h_0", "d_h_0 = d_a[0] @ W_hh"), ("c_0", "d_c_0 = d_c[0] * f[0]")):
        for key, wrong in (
            ("zero", "is left at zero"),
            ("sign", "has the wrong sign"),
            ("twice", "is twice what it should be"),
            ("half", "is half of what it should be"),
        ):
            yield Fault(f"{name}-{key}", f"the gradient of {name} {wrong}", right, name, False)
    if cell.forget != "one" and not cell.peephole:
        yield Fault(
            "c_0-without-f",
            "the gradient of c_0 is that of c[1]: it lacks the forget gate of the first step",
            "d_c_0 = d_c[0] * f[0]",
            "c_0",
            False,
        )
