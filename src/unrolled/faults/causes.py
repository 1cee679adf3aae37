"""Causes: one slip that is several faults at once, such as a wrong helper that every gate calls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from unrolled.equations import Cell
from unrolled.faults.fault import Fault

__all__ = ["causes_of_flow", "causes_of_sums"]

_MENDS = {
    "sigmoid": "def d_sigmoid(s): return s * (1 - s)  # of s = sigmoid(a), for {gates}",
    "tanh": "def d_tanh(t): return 1 - t**2  # of t = tanh(a), for g and for tanh(c)",
    "every": "d_a_k = d_k * k * (1 - k) for {gates}; d_a_g = d_g * (1 - g**2)",
    "all": "d_a_k = d_k * k * (1 - k) for {gates}; d_a_g = d_g * (1 - g**2); and "
    "d_c += d_h * o * (1 - tanh(c)**2)",
}

_SIGMOID, _TANH = "the derivative of the sigmoid", "the derivative of tanh"
_BOTH, _ALL = "the derivative of each gate's activation", "the derivative of every activation"
_WRONG = {
    "forgotten": "{what} is missing, {where}",
    "half": "{what} lacks a factor, {where}: 1 - s stands where s * (1 - s) belongs",
    "twice": "{what} is given values that are squashed already and squashes them again, {where}",
    "of-other": "{what} is that of the other activation, {where}",
    "value": "the activation's value stands where {what} belongs, {where}",
    "squashed": "the activation itself, of values that are squashed already, stands where {what} "
    "belongs, {where}",
    "squared": "{what} is multiplied by twice, {where}",
    "raw": "{what}, written for squashed values, is given those from before the activation, "
    "{where}",
    "sign": "the deltas have the wrong sign, {where}",
}


def causes_of_flow(cell: Cell, flow: Sequence[Fault]) -> Iterator[Fault]:
    """Slips in what several gates share: a helper, or a line that is copied."""
    known = {fault.key: fault for fault in flow}
    sigmoids = [k for k in cell.gates if k != "g"]
    several = f"in {', '.join(sigmoids[:-1])} and {sigmoids[-1]}"
    for kind, wrong in _WRONG.items():
        for group, gates, end, what, where in (
            ("sigmoid", sigmoids, None, _SIGMOID, several),
            ("tanh", ["g"], f"phi-prime-{kind}", _TANH, "in g and in h = o * tanh(c)"),
            ("every", list(cell.gates), None, _BOTH, "in every gate"),
            ("all", list(cell.gates), f"phi-prime-{kind}", _ALL, "in every gate and in tanh(c)"),
        ):
            name = "{k}-delta-sign" if kind == "sign" else f"{{k}}-prime-{kind}"
            keys = [name.format(k=k) for k in gates] + ([] if end is None else [end])
            if len(keys) < 2 or not all(key in known for key in keys):
                continue
            if kind in ("half", "of-other") and group in ("every", "all"):
                continue  # two slips, one in each helper
            text = wrong.format(what=what, where=where)
            if kind == "half" and group == "tanh":
                text = text.replace("1 - s stands where s * (1 - s)", "1 - t stands where 1 - t²")
            mend = _MENDS[group].format(gates=" and ".join(sigmoids))
            if kind == "sign":
                mend = "d_a = -d_a"
            yield _together(f"{group}-{kind}", text, mend, [known[key] for key in keys])


def causes_of_sums(sums: Sequence[Fault]) -> Iterator[Fault]:
    """A sum that is wrong in the same way for every parameter: the loop's fault, not a line's."""
    known = {fault.key: fault for fault in sums}
    every = "for t in reversed(range(T)):"
    for kind, wrong, mend in (
        ("last", "every gradient is taken from the last step only", every),
        ("first", "every gradient is taken from the first step only", "d_W += …, not d_W = …"),
        ("without-first", "every gradient lacks the first step: the loop stops short", every),
        ("without-last", "every gradient lacks the last step", every),
        ("zero", "every gradient is left at zero", "d_W += d_a[t].T @ …"),
        ("sign", "every gradient has the wrong sign", "d_W = -d_W"),
    ):
        parts = [known[f"{part}-{kind}"] for part in ("ih", "hh", "b")]
        yield _together(f"sums-{kind}", wrong, mend, parts)
    for kind, is_what, mend in (
        ("twice", "is twice what it should be", "the gradient of the loss that is given, times 1"),
        ("half", "is half of what it should be", "the gradient of the loss that is given, times 1"),
        ("sign", "has the wrong sign", "the gradient of the loss that is given, times 1"),
    ):
        own = ["ih-sign", "hh-sign", "b-sign"] if kind == "sign" else [kind]
        parts = [known[key] for key in (*own, f"x-{kind}", f"h_0-{kind}", f"c_0-{kind}")]
        wrong = f"the whole gradient, that of what the LSTM was given too, {is_what}"
        yield _together(f"whole-{kind}", wrong, mend, parts)


def _together(key: str, wrong: str, mend: str, parts: Sequence[Fault]) -> Fault:
    return Fault(
        key,
        wrong,
        mend,
        " + ".join(part.slot for part in parts),
        parts[0].flow,
        parts=tuple(part.key for part in parts),
        slots=tuple(place for part in parts for place in part.places),
    )
