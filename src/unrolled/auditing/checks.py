"""The audit, as it is called: of two functions, in a test, or of a learner."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from unrolled.auditing.examining import Examiner
from unrolled.auditing.layouts import AuditError
from unrolled.auditing.learner import DEFAULT_PARAMS, Learner
from unrolled.auditing.report import Report
from unrolled.auditing.systems import Sizes, System

__all__ = ["assert_exact", "audit", "audit_learner"]

INPUTS, HIDDEN, BATCH, OUTPUTS = 4, 3, 3, 5


def audit(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    *,
    params: Mapping[str, str] | None = None,
    gates: str = "ifgo",
    axes: str = "TBI",
    output: Literal["tanh", "identity"] = "tanh",
    library: Literal["numpy", "torch"] = "numpy",
    loss: Literal["every", "last"] = "every",
    head: str | None = None,
    target: Literal["index", "one-hot"] = "index",
    states: bool = False,
    inputs: int = INPUTS,
    hidden: int = HIDDEN,
    batch: int = BATCH,
    seed: int = 0,
) -> Report:
    """Compare a hand-written LSTM with the exact one, and say what is wrong with it.

    Parameters
    ----------
    forward : callable, ``forward(params, x) -> h`` or ``(h, anything)``
        h of every step, from a state of zeros.
    backward : callable, ``backward(params, x, d_h) -> dict``
        The gradient of each parameter by its name, and of ``"x"`` if there is one, for the
        gradient ``d_h`` of every step's h.  ``forward`` has been called just before.
    params : mapping of str to str
        What is in each parameter; see `ArrayLayout`.  By default torch's two weights
        and two biases: ``w_ih``, ``w_hh``, ``b_ih``, ``b_hh``.
    gates, axes, output
        See `unrolled.auditing.ArrayLayout`.
    library : {"numpy", "torch"}
        Which arrays the functions are given; float64 always.
    loss : {"every", "last"}
        Which step's h the loss is of.  With ``"last"``, ``forward`` returns the last h alone, and
        ``backward`` is given its gradient: [B, H] each.
    head : str, optional
        What reads h, and the loss behind it, if the functions have them inside; see `System`.
        With ``"linear"`` they are called for the head's output instead of h.  With a loss they are
        ``forward(params, x, target) -> loss`` and ``backward(params, x, target) -> dict``; what
        the loss is a sum or a mean over is found out.
    target : {"index", "one-hot"}
        What a class is told by, for ``head="softmax"``.
    states : bool
        Whether they are called with h_0 and c_0 [B, H] after x, and after d_h; the gradients of
        both may be returned.
    inputs, hidden, batch : int
        The sizes it is tried at; lengths are 1, 2, 3 and 6.
    seed : int
        Weights and sequences are drawn from it.

    Returns
    -------
    Report

    Raises
    ------
    unrolled.auditing.AuditError
        If what the functions return is not such a thing at all.
    """
    for name, size in (("inputs", inputs), ("hidden", hidden), ("batch", batch)):
        if size < 1:
            raise AuditError(f"{name} = {size} makes no sense: expected 1 or more.")
    named = dict(DEFAULT_PARAMS if params is None else params)
    system = System(named, gates, axes, output, head)
    learner = Learner(forward, backward, system, library, loss=loss, states=states, target=target)
    return audit_learner(learner, inputs=inputs, hidden=hidden, batch=batch, seed=seed)


def assert_exact(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    **layout: Any,
) -> None:
    """Raise AssertionError, with the report as its message, unless both passes are exact.

    Takes what `audit` takes.
    """
    report = audit(forward, backward, **layout)
    if not report.exact:
        raise AssertionError(f"this LSTM is not exact\n{report}")


def audit_learner(
    learner: Learner,
    *,
    inputs: int = INPUTS,
    hidden: int = HIDDEN,
    batch: int = BATCH,
    seed: int = 0,
) -> Report:
    """`audit`, of a learner's file or functions."""
    outputs = OUTPUTS if learner.system.head is not None else 0
    return Examiner(learner, Sizes(inputs, hidden, outputs), batch, seed).report()
