"""How far an output is from its target: a loss as data, taken in C++ as well as in torch.

`Loss` is the definition, in plain torch; ``src/native/losses.hpp`` has the same kinds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from unrolled.engines.calls import MEMBERS
from unrolled.errors import InvalidValueError

__all__ = ["Loss", "as_loss"]


@dataclass(frozen=True)
class Loss:
    """How far a network's output is from its target, as one number that training makes small.

    Parameters
    ----------
    kind : {"squared_error", "sigmoid_squared_error", "binary_cross_entropy", "cross_entropy", \
"quantile", "emphasised_squared_error"}
        (z − y)²; (σ(z) − y)², document 001's adder; that of bits, from logits; that of classes,
        from logits, where the target holds the class's number; that of quantiles (pinball loss),
        Koenker & Bassett 1978: q·(y − z) where z ≤ y, else (q − 1)·(y − z); that of the error
        e = z − y of a signal, step by step, after a filter, (e_t − emphasis·e_{t−1})², with what
        ``offset`` adds.
    over : {"mean", "sum", "rows"}
        What the sum over all that counts is divided by: their number, nothing, or B.
    factor : float
        Multiplies it; 0.5 makes the gradient of a squared error z − y.
    ignore_index : int
        The class that does not count, as in `torch.nn.CrossEntropyLoss`.
    quantiles : tuple of float
        Of kind ``"quantile"``: which ones, each between 0 and 1.  The output has them side by side
        for each number of the target, so its last size is theirs times the target's.  A target that
        is NaN is not known and does not count.
    emphasis : float
        Of kind ``"emphasised_squared_error"``, from 0 up to 1: how much of the error of the step
        before is taken away; it is 0 before the first step.  A target that is NaN is not known: it
        does not count, and its error is 0 for the step after.
    offset : float
        Of the same kind: how much n·(mean of e)² of each row and output of n steps weighs, which
        the filter all but takes away.

    Raises
    ------
    ValueError
        If a word is not known, or the factor not a finite number.

    Examples
    --------
    >>> import torch
    >>> loss = Loss("squared_error", over="sum", factor=0.5)
    >>> loss(torch.tensor([1.0, 2.0]), torch.zeros(2))
    tensor(2.5000)
    """

    kind: str = "squared_error"
    over: str = "mean"
    factor: float = 1.0
    ignore_index: int = -100
    quantiles: tuple[float, ...] = ()
    emphasis: float = 0.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        for name, known in (("kind", MEMBERS["Criterion"]), ("over", MEMBERS["Over"])):
            if getattr(self, name) not in known:
                raise InvalidValueError(
                    f"{name}={getattr(self, name)!r} is not known: use one of {', '.join(known)}."
                )
        if not math.isfinite(self.factor):
            raise InvalidValueError(
                f"factor={self.factor} makes no sense: expected a finite number."
            )
        if (self.kind == "quantile") != bool(self.quantiles):
            raise InvalidValueError(
                f"kind={self.kind!r} came with quantiles={self.quantiles}: give quantiles, such as "
                "(0.1, 0.5, 0.9), with kind='quantile' and with no other."
            )
        for level in self.quantiles:
            if not 0 < level < 1:
                raise InvalidValueError(
                    f"quantiles holds {level}, expected numbers between 0 and 1."
                )
        self._check_filter()

    def _check_filter(self) -> None:
        if not (0 <= self.emphasis < 1 and 0 <= self.offset < math.inf):
            raise InvalidValueError(
                f"emphasis={self.emphasis} with offset={self.offset} makes no sense: expected an "
                "emphasis from 0 up to 1, and an offset that is 0 or more."
            )
        if (self.emphasis or self.offset) and self.kind != "emphasised_squared_error":
            raise InvalidValueError(
                f"kind={self.kind!r} came with emphasis={self.emphasis} and offset={self.offset}: "
                "leave them out, or use kind='emphasised_squared_error'."
            )

    def __call__(self, output: Tensor, target: Tensor, inside: Tensor | None = None) -> Tensor:
        """The loss in plain torch.

        Parameters
        ----------
        output : Tensor, [T, B, O] or [B, O]
        target : Tensor
            Shaped like it, or without O where that is 1; of classes always without O.
        inside : Tensor of bool, [T, B], optional
            False: the step does not count.
        """
        rows = output.shape[-2]
        if self.kind == "quantile":
            output = output.reshape(*output.shape[:-1], -1, len(self.quantiles))
            target = target.reshape(output.shape[:-1])
        elif self.kind != "cross_entropy":
            target = target.reshape(output.shape)
        if self.kind == "emphasised_squared_error":
            total, count = self._emphasised(output, target, inside)
            return self._divided(total, count, rows)
        if inside is not None:
            output, target = output[inside], target[inside]
        if self.kind == "cross_entropy":
            logits, target = output.flatten(0, -2), target.flatten()
            ignored = self.ignore_index
            total = cross_entropy(logits, target, reduction="sum", ignore_index=ignored)
            count = int((target != ignored).sum())
        elif self.kind == "quantile":
            total, count = self._at_quantiles(output, target)
        elif self.kind == "binary_cross_entropy":
            total = binary_cross_entropy_with_logits(output, target, reduction="sum")
            count = output.numel()
        else:
            z = output.sigmoid() if self.kind == "sigmoid_squared_error" else output
            total = (z - target).square().sum()
            count = output.numel()
        return self._divided(total, count, rows)

    def _divided(self, total: Tensor, count: int, rows: int) -> Tensor:
        by = {"mean": count, "rows": rows, "sum": 1}
        return total / by[self.over] * self.factor

    def _emphasised(
        self, output: Tensor, target: Tensor, inside: Tensor | None
    ) -> tuple[Tensor, int]:
        known = ~target.isnan()
        if inside is not None:
            known = known & inside[..., None]
        error = torch.where(known, output - target.nan_to_num(), 0.0)
        error = error.reshape(-1, *error.shape[-2:])  # a step of its own, where it has no time
        known = known.reshape(error.shape)
        before = torch.cat((torch.zeros_like(error[:1]), error[:-1]))
        total = torch.where(known, error - self.emphasis * before, 0.0).square().sum()
        number = known.sum(0).clamp(min=1)
        total = total + self.offset * (error.sum(0).square() / number).sum()
        return total, max(int(known.sum()), 1)

    def _at_quantiles(self, output: Tensor, target: Tensor) -> tuple[Tensor, int]:
        known = ~target.isnan()
        error = target[known][:, None] - output[known]
        levels = error.new_tensor(self.quantiles)
        slope = torch.where(error >= 0, levels, levels - 1)
        return (slope * error).sum(), max(error.numel(), 1)


def as_loss(loss: object) -> Loss | str:
    """A `Loss` from what names one, or why it is none.

    Parameters
    ----------
    loss : Loss, str or torch.nn.Module
        A kind by its name, or one of torch's: `nn.MSELoss`, `nn.BCEWithLogitsLoss`,
        `nn.CrossEntropyLoss`.
    """
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, str):
        return Loss(loss)
    kinds = {
        nn.MSELoss: "squared_error",
        nn.BCEWithLogitsLoss: "binary_cross_entropy",
        nn.CrossEntropyLoss: "cross_entropy",
    }
    kind = kinds.get(type(loss))
    if kind is None:
        return f"it has no loss like {type(loss).__name__}"
    given = vars(loss)
    if given["reduction"] not in ("mean", "sum"):
        return f"it has no {type(loss).__name__} with reduction={given['reduction']!r}"
    for name in ("weight", "pos_weight"):
        if getattr(loss, name, None) is not None:
            return f"it has no {type(loss).__name__} with {name}"
    if given.get("label_smoothing"):
        return f"it has no {type(loss).__name__} with label_smoothing"
    return Loss(kind, given["reduction"], ignore_index=given.get("ignore_index", -100))
