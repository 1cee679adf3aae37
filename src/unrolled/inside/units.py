"""What single units do: how long they remember, what they track, and which ones do a thing.

===========  ======================================================================================
half-life    ln 2 over the mean of −ln f_t.  What a cell holds is multiplied by f_t at each step
             (E4), so by exp(Σ ln f_t) over a passage; at the mean rate it halves in so many steps.
             1 / mean(−ln f_t) is the time constant of Mahto et al. 2021; Tallec & Ollivier's (2018)
             forgetting time 1 / (1 − f) is the same for f near 1.
tracking     Pearson's r of a unit's value and a property, over all steps: 1 or −1 where the one is
             linear in the other, 0 where either is constant.  Of a property that is there or not
             (1 or 0), it is the point-biserial correlation.
responsible  Units whose loss does a kind of harm, found one by one; how a unit is lost is in
             `unrolled.inside.intervention`.
===========  ======================================================================================
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from unrolled.errors import InvalidValueError

__all__ = ["half_life", "mean_where", "responsible", "tracking"]


def half_life(f: Tensor) -> Tensor:
    """How many steps it takes until half of what a cell holds is forgotten.

    Parameters
    ----------
    f : Tensor, [..., H]
        The forget gate at every step, of one sequence or of many.

    Returns
    -------
    Tensor, [H]
        Steps; infinite where f was 1 throughout, 0 where it was ever 0.
    """
    rate = f.double().flatten(0, -2).log().mean(0).abs()  # not −: ln 2 / −0 is −∞
    return (math.log(2) / rate).to(f.dtype)


def tracking(values: Tensor, property: Tensor) -> Tensor:
    """How closely each unit follows a property: Pearson's r.

    Parameters
    ----------
    values : Tensor, [..., H]
        What the units held at every step: c, h, or tanh(c).
    property : Tensor, [...]
        A number for every step, or whether something is there.

    Returns
    -------
    Tensor, [H]
        From −1 to 1; 0 for a unit or a property that is constant.
    """
    if property.shape != values.shape[:-1]:
        raise InvalidValueError(
            f"property is {list(property.shape)}, expected {list(values.shape[:-1])}: one number "
            "for every step."
        )
    x = values.double().flatten(0, -2)
    y = property.double().flatten()
    # A constant less its mean need not be 0 in floating point: its r would be near 0, and not 0.
    moves = (x != x[:1]).any(0) & (y != y[:1]).any()
    x, y = x - x.mean(0), y - y.mean()
    r = (x * y[:, None]).sum(0) / (x.square().sum(0) * y.square().sum()).sqrt()
    return torch.where(moves, r.nan_to_num(0.0), 0.0).clamp(-1, 1).to(values.dtype)


def mean_where(values: Tensor, there: Tensor) -> Tensor:
    """The mean of each unit's value over the steps where something is there: [H].

    Parameters
    ----------
    values : Tensor, [..., H]
    there : Tensor of bool, [...]

    Raises
    ------
    ValueError
        If it is nowhere.
    """
    if not there.any():
        raise InvalidValueError("there is no step to take the mean over.")
    return values[there].double().mean(0).to(values.dtype)


def responsible(harm: Callable[[tuple[int, ...]], float], units: int, enough: float) -> list[int]:
    """The units whose loss does a kind of harm: the one that does most, and more until ``enough``.

    Each unit that is added is the one that, together with those before it, does the most harm
    (greedy); where none adds to it, the search ends.

    Parameters
    ----------
    harm : callable
        What is lost when these units are held.
    units : int
        How many there are.
    enough : float
        The harm at which to stop.
    """
    chosen: tuple[int, ...] = ()
    done = -math.inf
    while done < enough and len(chosen) < units:
        rest = (unit for unit in range(units) if unit not in chosen)
        worst, unit = max((harm((*chosen, unit)), -unit) for unit in rest)
        if worst <= done:
            break
        done, chosen = worst, (*chosen, -unit)
    return list(chosen)
