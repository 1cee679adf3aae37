"""One audit: draw, call both passes, compare with the exact ones, and explain what differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from unrolled.auditing.departing import departure, in_words_of
from unrolled.auditing.exact import Draw, Gradient, draw, gradient, run
from unrolled.auditing.explaining import Observed, explain
from unrolled.auditing.forwards import ForwardCase, explain_forward
from unrolled.auditing.heads import RULES, Rule, losses
from unrolled.auditing.learner import STATES, Learner
from unrolled.auditing.report import Report
from unrolled.auditing.systems import Sizes
from unrolled.faults.fault import Fault

__all__ = ["LENGTHS", "Examiner", "expected", "relative"]

LENGTHS = (1, 2, 3, 6)
SEARCHED = (1, 3, 6, 2)  # one step is soon computed, and tells most sets apart; then three
DOUBLE, SINGLE = 1e-6, 1e-3  # what counts as exact, in units of the largest entry


class _Forward(NamedTuple):
    """How the forward pass compares: the largest error, in which rule of the loss, in float64?"""

    error: float
    rule: Rule
    tolerance: float


class Examiner:
    """One audit: the sizes, the draws and the learner they are given to."""

    def __init__(self, learner: Learner, sizes: Sizes, batch: int, seed: int) -> None:
        self.learner, self.system, self.sizes = learner, learner.system, sizes
        self.batch = batch if self.system.batched else 1
        self.generator = torch.Generator().manual_seed(seed)

    def report(self) -> Report:
        """Forward first; the gradients only where that is right."""
        drawn = {steps: self.draw(steps) for steps in LENGTHS}
        forward, wrong = self._forward(drawn)
        return wrong if wrong is not None else self._backward(drawn, forward)

    def draw(self, steps: int) -> Draw:
        """The numbers of one call."""
        return draw(
            self.system,
            self.sizes,
            steps,
            self.batch,
            self.generator,
            last=self.learner.loss == "last",
            states=self.learner.states,
        )

    # --- forward ---

    def _forward(self, drawn: Mapping[int, Draw]) -> tuple[_Forward, Report | None]:
        found, double = {}, True
        for steps, given in drawn.items():
            value, is_double = self.learner.forward(given)
            double &= is_double
            if not torch.equal(value, self.learner.forward(given)[0]):
                note = (
                    "A second call with the same arguments gives another answer: start from h = 0 "
                    "and c = 0 in every call, and draw nothing at random."
                )
                error = relative(value, expected(self.learner, given)[RULES[0]])
                known = _Forward(error, RULES[0], DOUBLE)
                return known, Report(False, error, (), notes=(note,))
            found[steps] = value
        right = {steps: expected(self.learner, given) for steps, given in drawn.items()}
        errors = {rule: max(relative(found[t], right[t][rule]) for t in drawn) for rule in right[1]}
        rule = min(errors, key=lambda one: (errors[one] > SINGLE, sum(one), errors[one]))
        known = _Forward(errors[rule], rule, DOUBLE if double else SINGLE)
        if known.error <= known.tolerance:
            return known, None
        return known, self._wrong_forward(drawn, found, known)

    def _wrong_forward(
        self, drawn: Mapping[int, Draw], found: Mapping[int, Tensor], known: _Forward
    ) -> Report:
        biases = self.system.layers[0].biases
        faults: tuple[tuple[Fault, ...], ...] = ()
        for rule in RULES if self.system.loss_inside else RULES[:1]:
            cases = [self._forward_case(drawn[t], found[t], rule) for t in SEARCHED]
            faults = explain_forward(self.system.cell, biases, cases, known.tolerance)
            if faults:
                break
        own = self._own_derivative(drawn[3], known)
        what = (
            "the loss"
            if self.system.loss_inside
            else "h"
            if self.system.head is None
            else ("the head's output")
        )
        return Report(False, known.error, faults, notes=(own,) if own else (), what=what)

    def _forward_case(self, given: Draw, found: Tensor, rule: Rule) -> ForwardCase:
        layers = [
            part.split(given.flat, self.sizes.hidden) for part in self.system.parts(self.sizes)
        ]

        def seen(h: Tensor) -> Tensor:
            return _seen(self.learner, given, h, (rule,))[0]

        return ForwardCase(layers, given.x, found, seen, given.states)

    def _own_derivative(self, given: Draw, known: _Forward) -> str | None:
        """Whether the backward pass is that of their own forward pass, by central differences."""
        if known.tolerance != DOUBLE:
            return None
        found = self.learner.backward(given).flat
        numeric = torch.empty_like(given.flat)
        for place in range(len(given.flat)):
            ends = []
            for way in (1e-5, -1e-5):
                moved = given.flat.clone()
                moved[place] += way
                value = self.learner.forward(given._replace(flat=moved))[0]
                weight = 1 if value.dim() == 0 else given.d_y[-len(value) :]
                ends.append((value * weight).sum())
            numeric[place] = (ends[0] - ends[1]) / 2e-5
        if relative(found, numeric) < 1e-6:
            return "Your backward pass is the derivative of this forward pass: mend both together."
        return (
            "Nor is your backward pass the derivative of this forward pass "
            f"(relative error {relative(found, numeric):.2g}). Mend the forward pass, then audit "
            "again for the gradients."
        )

    # --- backward ---

    def observed(self, given: Draw) -> Observed:
        """What a call of the backward pass gives."""
        return Observed(given, run(self.system, given), self.learner.backward(given))

    def _backward(self, drawn: Mapping[int, Draw], forward: _Forward) -> Report:
        errors: dict[str, dict[int, float]] = {}
        cosine, calls, double = {}, {}, True
        for steps, given in drawn.items():
            call = self.observed(given)
            if not torch.equal(call.returned.flat, self.learner.backward(given).flat):
                note = (
                    "A second call with the same arguments gives another gradient: set the sums to "
                    "zero at the start of every backward pass."
                )
                return Report(False, forward.error, notes=(note,))
            exact = gradient(self.system, given, call.made, forward.rule)
            calls[steps], double = call, double and call.returned.double
            for name, error in self._errors(call, exact).items():
                errors.setdefault(name, {})[steps] = error
            cosine[steps] = float(torch.cosine_similarity(call.returned.flat, exact.flat, 0))
        tolerance = DOUBLE if double else SINGLE
        loss = f"{self.system.head} loss, {forward.rule}" if self.system.loss_inside else ""
        what = "the loss" if loss else "h" if self.system.head is None else "the head's output"
        known = Report(
            True, forward.error, None, errors, cosine, tolerance=tolerance, what=what, loss=loss
        )
        if all(error <= tolerance for of in errors.values() for error in of.values()):
            return known
        return self._explained(known, [calls[steps] for steps in SEARCHED], forward.rule)

    def _explained(self, known: Report, calls: list[Observed], rule: Rule) -> Report:
        found = explain(self.system, calls, rule, known.tolerance)
        notes: list[str] = []
        if not found.sets:
            notes.append(departure(self, rule, known.tolerance))
            if found.nearest is not None:
                faults, left = found.nearest
                words = "; and ".join(fault.wrong for fault in faults)
                notes.append(
                    f"Nearest: all but {in_words_of(left)} would be explained by: {words}."
                )
        return known.with_faults(found.sets, notes)

    def _errors(self, call: Observed, exact: Gradient) -> dict[str, float]:
        """The relative error of each gradient by the learner's name."""
        theirs = call.returned
        errors = {
            name: relative(theirs.flat[place], exact.flat[place])
            for name, place in self.system.places(self.sizes).items()
        }
        for name in ("x", *STATES):
            if (own := getattr(theirs, name)) is not None:
                errors[name] = relative(own, getattr(exact, name))
        return errors


def _seen(learner: Learner, given: Draw, h: Tensor, rules: Sequence[Rule]) -> list[Tensor]:
    """What a forward pass with these h [N, T, B, H] returns, by each rule of the loss."""
    system = learner.system
    steps = slice(-1, None) if learner.loss == "last" else slice(None)
    if system.head is None:
        return [h[:, steps]]
    weight, bias = system.of_head(given.flat, given.sizes)
    output = h @ weight.T + (0 if bias is None else bias)
    if given.target is None:
        return [output[:, steps]]
    entries = losses(system.head, output, given.target)[:, steps]
    total = entries.flatten(1).sum(1)
    return [total * rule.factor(entries[0]) for rule in rules]


def expected(learner: Learner, given: Draw) -> dict[Rule, Tensor]:
    """What forward has to return, by what its loss is a sum or a mean over."""
    h = run(learner.system, given).layers[-1].run.h[None, 1:]
    rules = RULES if learner.system.loss_inside else RULES[:1]
    return {rule: one[0] for rule, one in zip(rules, _seen(learner, given, h, rules), strict=True)}


def relative(found: Tensor, exact: Tensor) -> float:
    """The error in units of the exact norm; where that is zero, the norm of what is there."""
    size = float(exact.norm())
    return float((found - exact).norm()) / (size if size > 1e-300 else 1.0)
