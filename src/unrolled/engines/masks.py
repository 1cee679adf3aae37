"""Lengths, resets, missing steps, zoneout and dropout as the tensors that E7 and E8 take.

An engine sees `StateMasks` and none of the words above.  A mask over rows is boolean and *selects*
(whatever stands in a padded step, NaN included, has no effect, and an engine may skip the step);
a mask over units is a number and multiplies.  All functions are pure; time comes first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from unrolled.engines.watching import values_hidden

__all__ = ["NO_MASKS", "StateMasks", "bernoulli", "blank", "row_masks", "until"]


@dataclass(frozen=True)
class StateMasks:
    """What E7 and E8 take.  None means that the mask does nothing.

    Parameters
    ----------
    carry : Tensor of bool, [T, B]
        False: the row starts again before this step.
    live : Tensor of bool, [T, B]
        False: the step does not happen for this row; its state is held, its gates read 0.
    recur : Tensor, [B, P]
        Multiplies h in the recurrent product alone; the same at every step.
    update : Tensor, [T, B, H]
        Multiplies g.
    keep_h : Tensor, [T, B, P]
        How much of the new h replaces the old: zoneout.
    keep_c : Tensor, [T, B, H]
        The same for c.
    to_start : bool
        Whether a row that starts again does so from the initial state (h_0, c_0) or from zero.
    inside : Tensor of bool, [T, B]
        False: the row's sequence has ended there, or not begun.  ``live`` is False there too; on
        top of it, y reads 0 and no gradient of y is read.  The steps inside are one run.
    """

    carry: Tensor | None = None
    live: Tensor | None = None
    recur: Tensor | None = None
    update: Tensor | None = None
    keep_h: Tensor | None = None
    keep_c: Tensor | None = None
    to_start: bool = False
    inside: Tensor | None = None

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of `tensors`."""
        return _NAMES

    def tensors(self) -> tuple[Tensor | None, ...]:
        """E7's and E8's masks in the order of the fields."""
        return (self.carry, self.live, self.recur, self.update, self.keep_h, self.keep_c)

    def to(self, dtype: torch.dtype) -> StateMasks:
        """The same with the masks over units in another dtype."""
        units = zip(_NAMES[2:], self.tensors()[2:], strict=True)
        changed: dict[str, Any] = {name: t.to(dtype) for name, t in units if t is not None}
        return replace(self, **changed)

    def names(self) -> tuple[str, ...]:
        """The masks that are there."""
        there = zip(_NAMES, self.tensors(), strict=True)
        return tuple(name for name, mask in there if mask is not None)


_NAMES = ("carry", "live", "recur", "update", "keep_h", "keep_c")
NO_MASKS = StateMasks()


def until(lengths: Tensor, steps: int) -> Tensor:
    """Which steps lie within each row's length: [T, B] bool from [B] integers."""
    return torch.arange(steps, device=lengths.device)[:, None] < lengths


def row_masks(
    inside: Tensor | None,
    present: Tensor | None,
    resets: Tensor | None,
    *,
    reverse: bool = False,
    to_start: bool = False,
) -> StateMasks:
    """The row masks of one direction.

    Parameters
    ----------
    inside : Tensor of bool, [T, B], optional
        Steps within the row's length; see `until`.
    present : Tensor of bool, [T, B], optional
        Steps that are not missing.
    resets : Tensor of bool, [T, B], optional
        Steps before which a new sequence begins.  One outside a row's length is padding like all
        else there and has no effect.
    reverse : bool
        For the direction that reads time backwards.  The masks come back in the order in which
        that direction meets the steps: a sequence that begins at t ends, seen from behind, before
        t − 1.
    """
    if inside is None and present is None and resets is None:
        return NO_MASKS
    live = present if inside is None else inside if present is None else inside & present
    carry = None
    if resets is not None:
        begins = resets if inside is None else resets & inside
        if reverse:
            begins = functional.pad(begins, (0, 0, 0, 1))[1:]
        carry = ~begins
    masks = StateMasks(carry=carry, live=live, to_start=to_start, inside=inside)
    return _flipped(masks) if reverse else masks


def _flipped(masks: StateMasks) -> StateMasks:
    def flip(m: Tensor | None) -> Tensor | None:
        return None if m is None else m.flip(0)

    return replace(masks, carry=flip(masks.carry), live=flip(masks.live), inside=flip(masks.inside))


def blank(x: Tensor, live: Tensor | None) -> Tensor:
    """Zero wherever a step is not live, so that nothing that stands there can be read.

    ``x`` is [T, B, ...] and ``live`` [T, B].  Where every step is live, x comes back itself.
    """
    if live is None:
        return x
    if x.device.type != "cpu" or values_hidden():
        return torch.where(live[..., None], x, torch.zeros_like(x))
    # A fifth of the time that selecting takes, and none where nothing is to be blanked; but how
    # many steps there are must be known.
    dead = live.logical_not().flatten().nonzero()[:, 0]
    if not len(dead):
        return x
    return x.flatten(0, 1).index_fill(0, dead, 0).view(x.shape)


def bernoulli(
    like: Tensor, shape: tuple[int, ...], keep: float, generator: torch.Generator | None
) -> Tensor:
    """Ones with probability ``keep``, else zeros, in the dtype and on the device of ``like``."""
    if like.device.type == "cpu" and 2**-31 < keep < 1 - 2**-31 and not values_hidden():
        return _kept(keep, shape, like.dtype, generator)
    # Drawn in float32 at the least: in half precision the probability itself would be rounded.
    dtype = torch.promote_types(like.dtype, torch.float32)
    drawn = torch.full(shape, keep, dtype=dtype, device=like.device)
    return torch.bernoulli(drawn, generator=generator).to(like.dtype)


def _kept(
    keep: float, shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator | None
) -> Tensor:
    """Ones with probability ``keep``, to 2⁻³².

    torch draws one 64-bit number for each zero or one; zoneout would take as long as the LSTM.
    Here each such number is four of 16 bits.  The bits of the probability beyond these are drawn
    once for each row: its bound is the next one with that probability.
    """
    rounded = keep if keep >= 0.5 else 1 - keep  # so that the bounds fit into 16 bits
    whole, rest = divmod(round(rounded * 2**32), 2**16)
    count = math.prod(shape)
    drawn = torch.empty((count + 3) // 4, dtype=torch.int64, device="cpu")
    drawn.random_(-(2**63), None, generator=generator)
    bound = torch.empty((*shape[:-1], 1), dtype=torch.int32, device="cpu")
    bound = (bound.random_(0, 2**16, generator=generator) < rest).to(torch.int16)
    bound += whole - 2**15 - 1
    compare = torch.le if keep >= 0.5 else torch.gt
    # Written as numbers at once; by way of booleans it takes twice as long as to draw.
    into = torch.empty(shape, dtype=dtype, device="cpu")
    return compare(drawn.view(torch.int16)[:count].view(shape), bound, out=into)
