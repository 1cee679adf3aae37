"""The audit: draw weights and sequences, call both passes, compare, and explain what differs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from unrolled.auditing.forwards import ForwardCase, explain_forward
from unrolled.auditing.layouts import ArrayLayout, AuditError, Block
from unrolled.auditing.learner import DEFAULT_PARAMS, Learner
from unrolled.auditing.report import Report
from unrolled.auditing.search import Case, FaultSearch
from unrolled.faults.passes import deltas, forward
from unrolled.faults.sums import gradients
from unrolled.faults.switches import Switches

__all__ = ["assert_exact", "audit", "audit_learner"]

LENGTHS = (1, 2, 3, 6)
SEARCHED = (1, 3, 6, 2)  # one step is soon computed, and tells most sets apart; then three
INPUTS, HIDDEN, BATCH = 4, 3, 3
DOUBLE, SINGLE = 1e-6, 1e-3  # what counts as exact, in units of the largest entry


def audit(
    forward: Callable[[dict[str, Any], Any], Any],
    backward: Callable[[dict[str, Any], Any, Any], Any],
    *,
    params: Mapping[str, str] | None = None,
    gates: str = "ifgo",
    axes: str = "TBI",
    output: Literal["tanh", "identity"] = "tanh",
    library: Literal["numpy", "torch"] = "numpy",
    loss: Literal["every", "last"] = "every",
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
    layout = ArrayLayout(dict(DEFAULT_PARAMS if params is None else params), gates, axes, output)
    learner = Learner(forward, backward, layout, library, loss=loss)
    return audit_learner(learner, inputs=inputs, hidden=hidden, batch=batch, seed=seed)


def assert_exact(
    forward: Callable[[dict[str, Any], Any], Any],
    backward: Callable[[dict[str, Any], Any, Any], Any],
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
    examiner = _Examiner(learner, inputs, hidden, batch if learner.layout.batched else 1, seed)
    return examiner.report()


class _Examiner:
    """One audit: the sizes, the draws and the learner they are given to."""

    def __init__(self, learner: Learner, inputs: int, hidden: int, batch: int, seed: int) -> None:
        self.learner, self.cell = learner, learner.layout.cell
        self.inputs, self.hidden, self.batch = inputs, hidden, batch
        self.generator = torch.Generator().manual_seed(seed)
        self.blocks = learner.layout.blocks(inputs, hidden)
        self.size = sum(torch.Size(shape).numel() for _, shape in self.blocks.values())

    def report(self) -> Report:
        """Forward first; the gradients only where that is right."""
        drawn = {steps: self._draw(steps) for steps in LENGTHS}
        found = self._forward(drawn)
        if found is not None:
            return found
        return self._backward(drawn)

    def _draw(self, steps: int) -> tuple[Tensor, Tensor, Tensor]:
        """Weights (flat), x and d_h."""

        def uniform(*shape: int) -> Tensor:
            return torch.rand(shape, generator=self.generator, dtype=torch.float64) * 2 - 1

        flat = uniform(self.size)
        x = 1.5 * uniform(steps, self.batch, self.inputs)
        d_h = uniform(steps, self.batch, self.hidden)
        if self.learner.loss == "last":
            d_h[:-1] = 0
        return flat, x, d_h

    def _exact_run(self, flat: Tensor, x: Tensor) -> Any:
        weights = self.learner.layout.weights(flat, self.inputs, self.hidden)
        zero = torch.zeros(self.batch, self.hidden, dtype=torch.float64)
        return weights, forward(self.cell, weights, x, zero, zero)

    def _split(self, flat: Tensor) -> dict[Block, Tensor]:
        return {
            block: flat[start : start + torch.Size(shape).numel()].view(shape)
            for block, (start, shape) in self.blocks.items()
        }

    # --- forward ---

    def _forward(self, drawn: Mapping[int, tuple[Tensor, Tensor, Tensor]]) -> Report | None:
        cases, worst, double = [], 0.0, True
        for flat, x, _ in drawn.values():
            h, is_double = self.learner.forward(flat, x, self.hidden)
            again, _ = self.learner.forward(flat, x, self.hidden)
            double &= is_double
            exact = self._exact_run(flat, x)[1].h[-len(h) :]
            if not torch.equal(h, again):
                note = (
                    "A second call with the same arguments gives another answer: start from h = 0 "
                    "and c = 0 in every call, and draw nothing at random."
                )
                return Report(False, _relative(h, exact), (), notes=(note,))
            worst = max(worst, _relative(h, exact))
            cases.append(ForwardCase(self._split(flat), x, h))
        self.forward_error = worst
        tolerance = DOUBLE if double else SINGLE
        if worst <= tolerance:
            return None
        cases.sort(key=lambda case: SEARCHED.index(len(case.x)))
        faults = explain_forward(self.cell, self.learner.layout.biases, cases, tolerance)
        own = self._own_derivative(drawn[3], double)
        return Report(False, worst, faults, notes=(own,) if own else ())

    def _own_derivative(self, drawn: tuple[Tensor, Tensor, Tensor], double: bool) -> str | None:
        """Whether the backward pass is that of their own forward pass, by central differences."""
        if not double:
            return None
        flat, x, d_h = drawn
        found, _, _ = self.learner.backward(flat, x, d_h)
        numeric = torch.empty_like(flat)
        for place in range(len(flat)):
            ends = []
            for way in (1e-5, -1e-5):
                moved = flat.clone()
                moved[place] += way
                h = self.learner.forward(moved, x, self.hidden)[0]
                ends.append((h * d_h[-len(h) :]).sum())
            numeric[place] = (ends[0] - ends[1]) / 2e-5
        if _relative(found, numeric) < 1e-6:
            return "Your backward pass is the derivative of this forward pass: mend both together."
        return (
            "Nor is your backward pass the derivative of this forward pass "
            f"(relative error {_relative(found, numeric):.2g}). Mend the forward pass, then audit "
            "again for the gradients."
        )

    # --- backward ---

    def _backward(self, drawn: Mapping[int, tuple[Tensor, Tensor, Tensor]]) -> Report:
        errors: dict[str, dict[int, float]] = {}
        cosine, cases, double, wrong = {}, {}, True, False
        for steps, (flat, x, d_h) in drawn.items():
            case, blocks, exact, is_double = self._compare(flat, x, d_h)
            found = self._joined(blocks)
            again, _, _ = self.learner.backward(flat, x, d_h)
            if not torch.equal(found, again):
                note = (
                    "A second call with the same arguments gives another gradient: set the sums to "
                    "zero at the start of every backward pass."
                )
                return Report(False, self.forward_error, notes=(note,))
            cases[steps], double = (case, blocks), double and is_double
            for name, place in self.learner.layout.places(self.inputs, self.hidden).items():
                errors.setdefault(name, {})[steps] = _relative(found[place], exact[place])
            if ("x", "") in blocks:
                right = self._exact_gradients(flat, x, d_h)[1]
                errors.setdefault("x", {})[steps] = _relative(blocks["x", ""], right)
            cosine[steps] = float(torch.cosine_similarity(found, exact, 0))
        tolerance = DOUBLE if double else SINGLE
        wrong = any(error > tolerance for of in errors.values() for error in of.values())
        if not wrong:
            return Report(True, self.forward_error, None, errors, cosine, tolerance=tolerance)
        search = FaultSearch(self.cell, [cases[steps][0] for steps in SEARCHED])
        found_sets = search.explain([cases[steps][1] for steps in SEARCHED], tolerance)
        notes: list[str] = []
        if not found_sets.sets:
            notes.append(self._departure(tolerance))
            if found_sets.nearest is not None:
                faults, left = found_sets.nearest
                words = "; and ".join(fault.wrong for fault in faults)
                notes.append(f"Nearest: all but {_blocks(left)} would be explained by: {words}.")
        return Report(
            False,
            self.forward_error,
            None,
            errors,
            cosine,
            found_sets.sets,
            tuple(notes),
            tolerance,
        )

    def _compare(
        self, flat: Tensor, x: Tensor, d_h: Tensor
    ) -> tuple[Case, dict[Block, Tensor], Tensor, bool]:
        """What was computed from what: theirs by blocks, and the exact one as a flat vector."""
        found, d_x, double = self.learner.backward(flat, x, d_h)
        blocks = self._split(found)
        if d_x is not None:
            blocks["x", ""] = d_x
        weights, run = self._exact_run(flat, x)
        exact, _ = self._exact_gradients(flat, x, d_h)
        return Case(weights, run, d_h, self._split(flat)), blocks, exact, double

    def _joined(self, blocks: Mapping[Block, Tensor]) -> Tensor:
        return torch.cat([blocks[block].flatten() for block in self.blocks])

    def _exact_gradients(self, flat: Tensor, x: Tensor, d_h: Tensor) -> tuple[Tensor, Tensor]:
        """The exact gradient as a flat vector, and that of x."""
        weights, run = self._exact_run(flat, x)
        none = Switches([()])
        d = gradients(self.cell, weights, run, deltas(self.cell, weights, run, d_h, none), none)
        parts = {"ih": d.w_ih, "hh": d.w_hh, "p": d.p}
        out = torch.empty_like(flat)
        for (part, k), (start, shape) in self.blocks.items():
            whole = parts.get(part, d.bias)
            assert whole is not None
            order = self.cell.peepholes if part == "p" else self.cell.gates
            rows = whole[0].reshape(len(order), *shape)
            out[start : start + torch.Size(shape).numel()] = rows[order.index(k)].flatten()
        return out, d.x[0]

    def _departure(self, tolerance: float) -> str:
        """Where a gradient that nothing explains is wrong first, in length and going back."""
        for steps in range(1, max(LENGTHS) + 1):
            flat, x, d_h = self._draw(steps)
            wrong = self._wrong_blocks(flat, x, d_h, tolerance)
            if not wrong:
                continue
            begins = f"It is exact up to T = {steps - 1}, and" if steps > 1 else "It"
            begins += f" departs at T = {steps} in {_blocks(wrong)}."
            last = torch.zeros_like(d_h)
            last[-1] = d_h[-1]
            for d, loss in ((last, "the last step's loss alone"), (d_h, "a loss at every step")):
                delta = self._first_wrong_delta(flat, x, d, tolerance)
                if delta:
                    return f"{begins} Going back from {loss}, the first wrong delta is {delta}."
            return f"{begins} The input weights' gradients are right there, so the deltas are too."
        return "It is exact on other draws: something in it depends on the values."

    def _first_wrong_delta(
        self, flat: Tensor, x: Tensor, d_h: Tensor, tolerance: float
    ) -> str | None:
        """With x at one step alone, the input weights' gradient is that step's delta."""
        for t in range(len(x) - 1, -1, -1):
            alone = torch.zeros_like(x)
            alone[t] = x[t]
            wrong = self._wrong_blocks(flat, alone, d_h, tolerance)
            gates = [k for part, k in wrong if part == "ih"]
            if gates:
                return f"that of {' and '.join(gates)} at step {t + 1} of {len(x)}"
        return None

    def _wrong_blocks(self, flat: Tensor, x: Tensor, d_h: Tensor, tolerance: float) -> list[Block]:
        found, d_x, _ = self.learner.backward(flat, x, d_h)
        exact, right = self._exact_gradients(flat, x, d_h)
        ours, theirs = self._split(exact), self._split(found)
        wrong = [b for b in ours if _relative(theirs[b], ours[b]) > tolerance]
        if d_x is not None and _relative(d_x, right) > tolerance:
            wrong.append(("x", ""))
        return wrong


def _relative(found: Tensor, exact: Tensor) -> float:
    """The error in units of the exact norm; where that is zero, the norm of what is there."""
    size = float(exact.norm())
    return float((found - exact).norm()) / (size if size > 1e-300 else 1.0)


_NAMES = {"ih": "W_ih", "hh": "W_hh", "p": "the peephole", "b": "the bias"}


def _blocks(blocks: Sequence[Block]) -> str:
    """Blocks in words, gates together: "W_ih (i, f) and the bias (o)"."""
    gates: dict[str, list[str]] = {}
    for part, k in blocks:
        gates.setdefault(part, []).append(k)
    words = [
        "x" if part == "x" else f"{_NAMES.get(part, part)} ({', '.join(ks)})"
        for part, ks in gates.items()
    ]
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]
