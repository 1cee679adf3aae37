"""A head and the loss behind it: their exact derivative, and what people get wrong in it.

The gradient of the output (of the logits, before the head's own activation) is what flows on into
the LSTM.  A fault here changes it, or how the head's own gradient is summed from it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import log_softmax, logsigmoid

from unrolled.faults.fault import Fault

__all__ = ["RULES", "HeadWay", "Output", "Rule", "into_layer", "losses", "output_faults", "ways"]


class Rule(NamedTuple):
    """What a loss is a mean over: of the steps, the batch, the outputs; and whether it is halved.

    What it is no mean over, it is a sum over.
    """

    steps: bool = False
    batch: bool = False
    outputs: bool = False
    half: bool = False

    def factor(self, like: Tensor) -> float:
        """What the sum over all of [T, B, V] is multiplied by."""
        count = 1
        for yes, size in zip(self[:3], like.shape, strict=True):
            count *= size if yes else 1
        return (0.5 if self.half else 1.0) / count

    def __str__(self) -> str:
        names = ("steps", "batch", "outputs")
        means = [name for name, yes in zip(names, self[:3], strict=True) if yes]
        text = f"a mean over {' and '.join(means)}" if means else "a sum"
        return text + (", halved" if self.half else "")


# The plainest first: sums and halves are commoner than means over some axes alone.
RULES = tuple(
    sorted(
        (Rule(*flags) for flags in itertools.product((False, True), repeat=4)),
        key=lambda rule: sum(rule),
    )
)


def losses(head: str, logits: Tensor, target: Tensor) -> Tensor:
    """The loss of each output, [T, B, V]; the whole is their sum, times a rule's factor."""
    if head == "softmax":
        return -target * log_softmax(logits, -1)
    if head == "sigmoid":
        return -target * logsigmoid(logits) - (1 - target) * logsigmoid(-logits)
    value = logits.sigmoid() if head == "sigmoid squared error" else logits
    return (value - target) ** 2


class Output(NamedTuple):
    """The gradient of the logits [T, B, V] for a sum over all, with one fault in it or none."""

    fault: Fault | None
    gradient: Tensor


def _exact(head: str, logits: Tensor, target: Tensor) -> Tensor:
    """The exact gradient of the logits, of the sum of `losses`."""
    if head == "softmax":
        return logits.softmax(-1) - target
    if head == "sigmoid":
        return logits.sigmoid() - target
    if head == "squared error":
        return 2 * (logits - target)
    s = logits.sigmoid()
    return 2 * (s - target) * s * (1 - s)


# Key, what is wrong, what mends it, and the gradient from the squashed value p and the target y.
_Wrong = tuple[str, str, str, Callable[[Tensor, Tensor], Tensor]]
_LEFT = "the target is not subtracted in the gradient of the output"
_AGAIN = (
    "the derivative of {} is multiplied by once more, which the gradient of the output has in it"
)
_OF_P = (
    "the gradient of the loss for the probabilities is used as that of the logits: the derivative "
    "of {} is missing"
)
_WRONG: dict[str, tuple[_Wrong, ...]] = {
    "softmax": (
        ("output-without-target", _LEFT, "d_logits = p - y", lambda p, _: p),
        (
            "output-prime-again",
            _AGAIN.format("the softmax"),
            "d_logits = p - y",
            lambda p, y: (p - y) * p * (1 - p),
        ),
        (
            "output-prime-forgotten",
            _OF_P.format("the softmax"),
            "d_logits = p - y",
            lambda p, y: -y / p,
        ),
        (
            "output-target-alone",
            "the gradient of the output is there for the target's class alone",
            "d_logits = p - y, for every class",
            lambda p, y: (p - y) * y,
        ),
    ),
    "sigmoid": (
        ("output-without-target", _LEFT, "d_logits = p - y", lambda p, _: p),
        (
            "output-prime-again",
            _AGAIN.format("the sigmoid"),
            "d_logits = p - y",
            lambda p, y: (p - y) * p * (1 - p),
        ),
        (
            "output-prime-forgotten",
            _OF_P.format("the sigmoid"),
            "d_logits = p - y",
            lambda p, y: (p - y) / (p * (1 - p)),
        ),
    ),
    "squared error": (
        ("output-without-target", _LEFT, "d_output = 2 * (output - target)", lambda p, _: 2 * p),
    ),
    "sigmoid squared error": (
        (
            "output-prime-forgotten",
            "the derivative of the sigmoid is missing in the gradient of the output",
            "d_logits = 2 * (s - target) * s * (1 - s)",
            lambda p, y: 2 * (p - y),
        ),
        (
            "output-prime-value",
            "the value s stands where the derivative s * (1 - s) belongs in the "
            "gradient of the output",
            "d_logits = 2 * (s - target) * s * (1 - s)",
            lambda p, y: 2 * (p - y) * p,
        ),
        (
            "output-prime-again",
            "the derivative of the sigmoid is multiplied by twice in the gradient of the output",
            "d_logits = 2 * (s - target) * s * (1 - s)",
            lambda p, y: 2 * (p - y) * (p * (1 - p)) ** 2,
        ),
    ),
}


def output_faults(
    head: str, rule: Rule, logits: Tensor, target: Tensor, counted: Tensor
) -> Iterator[Output]:
    """The exact gradient of the logits first, then with each fault that it can have.

    ``counted`` [T, 1, 1] is 1 at the steps that the loss is of.
    """
    p = logits.softmax(-1) if head == "softmax" else logits.sigmoid()
    p = logits if head == "squared error" else p
    counts = logits[counted[:, 0, 0] > 0]
    factor = rule.factor(counts)
    exact = _exact(head, logits, target) * counted
    yield Output(None, exact * factor)
    yield Output(_SIGN, -exact * factor)
    for key, wrong, mend, gradient in _WRONG[head]:
        yield Output(
            Fault(key, wrong, mend, "output", True), gradient(p, target) * counted * factor
        )
    for other in RULES:
        if other != rule:
            yield Output(_of_rule(rule, other), exact * other.factor(counts))


_SIGN = Fault(
    "output-sign",
    "the gradient of the output has the wrong sign",
    "d_output = output - target, not target - output",
    "output",
)


def _of_rule(rule: Rule, other: Rule) -> Fault:
    return Fault(
        f"output-of-{'-'.join(name for name, yes in other._asdict().items() if yes) or 'sum'}",
        f"the gradient is that of {other}, and the loss is {rule}",
        "make the gradient that of the loss which forward returns",
        "output",
    )


class HeadWay(NamedTuple):
    """The head's gradient, weights [V, H] or bias [V], with one fault of its sum or none."""

    fault: Fault | None
    gradient: Tensor


def ways(bias: bool, d_logits: Tensor, h: Tensor, c: Tensor) -> Iterator[HeadWay]:
    """The head's gradient from that of the logits [T, B, V], with h and c [T+1, B, H].

    The right one first.
    """
    name, right = (
        ("b", "d_head_b = d_logits.sum over steps and rows")
        if bias
        else ("w", "d_head += d_logits[t].T @ h[t]")
    )
    read = torch.ones_like(h[1:, :, :1]) if bias else h[1:]

    def summed(d: Tensor, what: Tensor) -> Tensor:
        found = torch.einsum("tbv,tbh->vh", d, what)
        return found[:, 0] if bias else found

    def fault(key: str, wrong: str) -> Fault:
        whose = "the head's bias" if bias else "the head's weights"
        return Fault(
            f"head-{name}-{key}", f"the gradient of {whose} {wrong}", right, f"head {name}", False
        )

    whole = summed(d_logits, read)
    yield HeadWay(None, whole)
    yield HeadWay(fault("sign", "has the wrong sign"), -whole)
    yield HeadWay(fault("zero", "is left at zero"), 0 * whole)
    for key, wrong, steps in (
        ("last", "is taken from the last step only", slice(-1, None)),
        ("first", "is taken from the first step only", slice(0, 1)),
        ("without-first", "lacks the first step", slice(1, None)),
        ("without-last", "lacks the last step", slice(0, -1)),
    ):
        yield HeadWay(fault(key, wrong), summed(d_logits[steps], read[steps]))
    rows = d_logits.shape[1]
    if rows > 1:
        yield HeadWay(
            fault("first-row", "is the first row's"), summed(d_logits[:, :1], read[:, :1])
        )
        yield HeadWay(
            fault("mean", "is a mean over the batch, where the sum belongs"), whole / rows
        )
    for by, wrong in ((2.0, "is twice what it should be"), (0.5, "is half of what it should be")):
        yield HeadWay(fault("twice" if by > 1 else "half", wrong), by * whole)
    if not bias:
        yield HeadWay(
            fault("reads-h-prev", "is made with h[t-1], where h[t] belongs"),
            summed(d_logits, h[:-1]),
        )
        yield HeadWay(
            fault("reads-c", "is made with c[t], where h[t] belongs"), summed(d_logits, c[1:])
        )


def into_layer(d_logits: Tensor, weight: Tensor) -> Iterator[HeadWay]:
    """The gradient of the last layer's h [T, B, H], the exact one first."""
    exact = d_logits @ weight
    yield HeadWay(None, exact)
    right = "d_h[t] = d_logits[t] @ W_head"
    last = torch.zeros_like(exact)
    last[-1] = exact[-1]
    for key, wrong, value in (
        ("zero", "nothing of the loss reaches h: the LSTM's gradients are zero", 0 * exact),
        ("last", "of the loss only the last step's reaches h", last),
        ("sign", "the loss reaches h with the wrong sign", -exact),
        ("twice", "the loss reaches h twice", 2 * exact),
    ):
        yield HeadWay(Fault(f"head-into-h-{key}", wrong, right, "head h"), value)
