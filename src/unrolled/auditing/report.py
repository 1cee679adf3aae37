"""What an audit found, as data and in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from unrolled.faults.catalogue import Fault

__all__ = ["Report"]

FaultSet = tuple[Fault, ...]


@dataclass(frozen=True)
class Report:
    """What an audit found; ``str(report)`` says it in words.

    Parameters
    ----------
    exact : bool
        Whether the forward pass and every gradient are exact.
    forward_error : float
        The largest error of h over all lengths, in units of its largest entry.
    forward_faults : tuple of sets of Fault, or None
        None where the forward pass is exact; else the sets that give its numbers, none if none.
    errors : dict
        For each parameter by its name, and each length T, the relative error of its gradient.
        Empty where the forward pass is wrong.
    cosine : dict
        For each length, the cosine between all gradients and the exact ones.
    faults : tuple of sets of Fault
        The sets of faults that give exactly these gradients; several where they cannot be told
        apart.  Empty where the gradients are exact, or nothing explains them.
    notes : tuple of str
        What else was found, in sentences.
    what : str
        What forward returns: h, the head's output, or the loss.
    loss : str
        Where the loss is inside: which one, and what it is a sum or a mean over.
    """

    exact: bool
    forward_error: float
    forward_faults: tuple[FaultSet, ...] | None = None
    errors: dict[str, dict[int, float]] = field(default_factory=dict)
    cosine: dict[int, float] = field(default_factory=dict)
    faults: tuple[FaultSet, ...] = ()
    notes: tuple[str, ...] = ()
    tolerance: float = 1e-6
    what: str = "h"
    loss: str = ""

    def with_faults(self, sets: tuple[FaultSet, ...], notes: Sequence[str]) -> Report:
        """The same, of a gradient that is not exact."""
        return replace(self, exact=False, faults=sets, notes=tuple(notes))

    def __str__(self) -> str:
        lines = []
        if self.forward_faults is not None:
            lines += self._of_forward()
        else:
            error = f"{self.what} differs by {self.forward_error:.1g} at most"
            lines.append(f"forward   exact: {error}")
            lines += [f"loss      {self.loss}"] if self.loss else []
        if self.errors:
            lines += ["", *self._table(), ""]
            lines += self._of_backward()
        lines += [line for note in self.notes for line in ("", note)]
        return "\n".join(lines)

    def _of_forward(self) -> list[str]:
        head = f"forward   {self.what} is wrong: a relative error of {self.forward_error:.2g}"
        if not self.forward_faults:
            return [head, "", "No set of faults in the catalogue explains its numbers."]
        return [
            head,
            "",
            *in_words("Your forward pass is the right one with:", self.forward_faults),
        ]

    def _of_backward(self) -> list[str]:
        if self.exact:
            return ["Every gradient is exact."]
        if not self.faults:
            return ["Your gradient is wrong, and no set of faults in the catalogue explains it."]
        return in_words("Your gradient equals the exact one with:", self.faults)

    def _table(self) -> list[str]:
        lengths = sorted(self.cosine)
        width = max(8, *(len(name) for name in self.errors))
        rows = [f"{'gradient':<{width}}" + "".join(f"{f'T = {t}':>10}" for t in lengths)]
        for name, errors in self.errors.items():
            cells = [
                "exact" if errors[t] <= self.tolerance else f"{errors[t]:.2g}" for t in lengths
            ]
            rows.append(f"{name:<{width}}" + "".join(f"{cell:>10}" for cell in cells))
        cosines = "".join(f"{self.cosine[t]:>10.4f}" for t in lengths)
        rows.append(f"{'cosine':<{width}}{cosines}")
        return rows


def in_words(opening: str, sets: Sequence[FaultSet]) -> list[str]:
    """Sets of faults that give the same numbers, with the lines that mend the first of them."""
    first, *others = sets
    lines = [opening, *(f"  - {fault.wrong}" for fault in first)]
    mends = list(dict.fromkeys(fault.mend for fault in first))
    lines += ["To mend it:", *(f"  {mend}" for mend in mends)]
    if others:
        lines.append("The same numbers come, and cannot be told from it, with:")
        for other in others[:5]:
            lines.append("  - " + "; and ".join(fault.wrong for fault in other))
            new = [fault.mend for fault in other if fault.mend not in mends]
            lines += [f"    mended by: {mend}" for mend in new]
        if len(others) > 5:
            lines.append(f"  and {len(others) - 5} sets more")
    return lines
