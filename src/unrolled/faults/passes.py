"""The exact backward pass over all steps, with a switch for each fault.

What is exact comes from `unrolled.equations`; the terms of a step are written out here once more
only where a fault has to replace one of them; `tests/faults/test_faults.py` holds the two together.

Many sets of faults run at once: a dimension N in front of the batch, and each switch a choice
along it.  That is what makes the search of `unrolled audit` a matter of seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from unrolled.equations import Cell, Gates, step, step_backward
from unrolled.errors import InvalidValueError
from unrolled.faults.catalogue import Fault, compatible

__all__ = [
    "Deltas",
    "FaultyRun",
    "Switches",
    "Weights",
    "deltas",
    "forward",
]


class Weights(NamedTuple):
    """A layer's parameters, as torch lays them out.

    ``w_ih`` [G·H, I], ``w_hh`` [G·H, H], ``bias`` [G·H] or None, ``p`` [P, H] for peepholes.
    """

    w_ih: Tensor
    w_hh: Tensor
    bias: Tensor | None = None
    p: Tensor | None = None


class FaultyRun(NamedTuple):
    """What a forward pass leaves: x [T, B, I]; h and c [T+1, B, H], from the start; the gates."""

    x: Tensor
    h: Tensor
    c: Tensor
    gates: list[Gates]


class Deltas(NamedTuple):
    """What flows back: d_a [T, N, B, G, H], d_p [T, N, P, B, H] or None, d_h_0, d_c_0 [N, B, H]."""

    d_a: Tensor
    d_p: Tensor | None
    d_h_0: Tensor
    d_c_0: Tensor


class Switches:
    """Which faults are on, in each of N sets.

    Raises
    ------
    ValueError
        If two faults of one set are in the same place.
    """

    def __init__(self, sets: Sequence[Collection[Fault]]) -> None:
        for faults in sets:
            if not compatible(faults):
                raise InvalidValueError(
                    f"{', '.join(sorted(f.key for f in faults))} cannot go together: each part "
                    "of the pass can be wrong in one way."
                )
        self.count = len(sets)
        self.flow = any(fault.flow for faults in sets for fault in faults)
        self.steps: dict[str, list[int]] = {}
        places: dict[str, list[int]] = {}
        for place, faults in enumerate(sets):
            for fault in faults:
                places.setdefault(fault.key, []).append(place)
                if fault.steps:
                    name = fault.key.rpartition("-")[0]
                    self.steps.setdefault(name, [0] * self.count)[place] = fault.steps
        self._on: dict[str, Tensor | None] = {}  # None: in every set
        for key, where in places.items():
            mask = torch.zeros(self.count, 1, 1, dtype=torch.bool)
            mask[where] = True
            self._on[key] = None if len(where) == self.count else mask

    def on(self, *keys: str) -> bool:
        """Whether any of these faults is on in any set."""
        return any(key in self._on for key in keys)

    def pick(self, key: str, exact: Tensor, wrong: Callable[[], Tensor]) -> Tensor:
        """The exact term [N or 1, B, H], or the wrong one in the sets that have this fault."""
        if key not in self._on:
            return exact
        on = self._on[key]
        return wrong() if on is None else torch.where(on.to(exact.device), wrong(), exact)

    def number(self, key: str, off: Tensor, on: Tensor) -> Tensor:
        """``on`` for the sets that have this fault and ``off`` for the others, with N in front."""
        if key not in self._on:
            return off.expand(self.count, *off.shape[1:])
        mask = self._on[key]
        if mask is None:
            return on.expand(self.count, *on.shape[1:])
        return torch.where(mask.to(off.device).view(-1, *[1] * (off.dim() - 1)), on, off)


def forward(cell: Cell, weights: Weights, x: Tensor, h_0: Tensor, c_0: Tensor) -> FaultyRun:
    """All steps of the exact forward pass; x is [T, B, I], the states [B, H]."""
    h, c, gates = [h_0], [c_0], []
    a_x = x @ weights.w_ih.T
    if weights.bias is not None:
        a_x = a_x + weights.bias
    for t in range(len(x)):
        s = step(cell, a_x[t] + h[-1] @ weights.w_hh.T, c[-1], weights.p)
        gates.append(s)
        h.append(s.h)
        c.append(s.c)
    return FaultyRun(x, torch.stack(h), torch.stack(c), gates)


# --- the flow ---


def deltas(
    cell: Cell,
    weights: Weights,
    run: FaultyRun,
    d_y: Tensor,
    on: Switches,
    d_h_n: Tensor | None = None,
    d_c_n: Tensor | None = None,
) -> Deltas:
    """The gradients of the pre-activations, for each set of faults.

    ``d_y`` [T, B, H] is the gradient of every step's h, ``d_h_n`` and ``d_c_n`` [B, H] that of the
    last states.
    """
    zero = torch.zeros_like(run.c[0])
    d_h_n = zero if d_h_n is None else d_h_n
    d_c_n = zero if d_c_n is None else d_c_n
    last = len(d_y) - 1
    if "truncated" not in on.steps:
        return _walk(cell, weights, run, d_y, d_h_n, d_c_n, on, None)
    # The pass is linear in d_y, so each step's loss may go back by itself, as far as it may.
    total: Deltas | None = None
    for s in range(last + 1):
        alone = torch.zeros_like(d_y)
        alone[s] = d_y[s]
        ends = (d_h_n, d_c_n) if s == last else (zero, zero)
        part = _walk(cell, weights, run, alone, *ends, on, s)
        total = part if total is None else _sum(total, part)
    assert total is not None
    return total


def _sum(a: Deltas, b: Deltas) -> Deltas:
    d_p = None if a.d_p is None or b.d_p is None else a.d_p + b.d_p
    return Deltas(a.d_a + b.d_a, d_p, a.d_h_0 + b.d_h_0, a.d_c_0 + b.d_c_0)


def _walk(
    cell: Cell,
    weights: Weights,
    run: FaultyRun,
    d_y: Tensor,
    d_h_n: Tensor,
    d_c_n: Tensor,
    on: Switches,
    source: int | None,
) -> Deltas:
    last, size = len(d_y) - 1, run.h.shape[-1]
    w_hh = weights.w_hh.view(len(cell.gates), size, size)
    d_h_next, d_c_next = d_h_n[None], d_c_n[None]
    d_as, d_ps = [], []
    for t in range(last, -1, -1):
        d_h = d_y[t] + d_h_next
        if t < last:
            d_h = on.pick("h-replaces", d_h, lambda: d_h_next)  # noqa: B023
        live = _live(on, t, last, source)
        if live is not None:
            live = live.to(d_h.device)
            d_h, d_c_next = d_h * live, d_c_next * live
        d_a, d_c_prev, d_p = _step_backward(
            cell, run.gates[t], run.c[t], run.h[t + 1], d_h, d_c_next, weights.p, on, t < last
        )
        d_a = d_a.view(*d_a.shape[:-1], len(cell.gates), size)
        d_h_next = _carry(cell, d_a, w_hh, on)
        d_c_next = on.pick("c-not-carried", d_c_prev, lambda: torch.zeros_like(d_c_prev))  # noqa: B023
        through = _passes(on, t)
        if through is not None:
            through = through.to(d_h.device)
            d_h_next, d_c_next = d_h_next * through, d_c_next * through
        d_as.append(d_a.expand(on.count, *d_a.shape[1:]))
        if d_p is not None:
            d_ps.append(d_p.transpose(0, 1).expand(on.count, *d_p.shape[:1], *d_p.shape[2:]))
    d_as.reverse()
    d_ps.reverse()
    return Deltas(
        torch.stack(d_as),
        torch.stack(d_ps) if d_ps else None,
        d_h_next.expand(on.count, *d_h_next.shape[1:]),
        d_c_next.expand(on.count, *d_c_next.shape[1:]),
    )


def _carry(cell: Cell, d_a: Tensor, w_hh: Tensor, on: Switches) -> Tensor:
    """The gradient of the h that the step has read, from d_a [N, B, G, H]."""
    share = torch.einsum("nbgh,ghk->nbgk", d_a, w_hh)
    if on.on("hh-transposed"):
        turned = torch.einsum("nbgh,gkh->nbgk", d_a, w_hh)
        # One set may have become N of them.
        flat = on.pick("hh-transposed", share.flatten(2), lambda: turned.flatten(2))
        share = flat.view(-1, *share.shape[1:])
    d_h = share.sum(2)
    for place, k in enumerate(cell.gates):
        d_h = on.pick(f"h-without-{k}", d_h, lambda: d_h - share[:, :, place])  # noqa: B023
    return on.pick("h-not-carried", d_h, lambda: torch.zeros_like(d_h))


def _live(on: Switches, t: int, last: int, source: int | None) -> Tensor | None:
    """Whether step t is visited at all, [N, 1, 1]; None: by every set."""
    dead = [False] * on.count
    for name, end in (("stopped", last), ("truncated", source)):
        for place, k in enumerate(on.steps.get(name, ())):
            if k and end is not None and end - t >= k:
                dead[place] = True
    return ~torch.tensor(dead)[:, None, None] if any(dead) else None


def _passes(on: Switches, t: int) -> Tensor | None:
    """Whether anything goes from step t to step t-1, [N, 1, 1]; None: in every set."""
    shut = [bool(k) and t % k == 0 for k in on.steps.get("detached", ())]
    return ~torch.tensor(shut)[:, None, None] if any(shut) else None


def _step_backward(
    cell: Cell,
    s: Gates,
    c_in: Tensor,
    h: Tensor,
    d_h: Tensor,
    d_c_next: Tensor,
    p: Tensor | None,
    on: Switches,
    inner: bool,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """`unrolled.equations.step_backward`, each term of which a fault may replace."""
    if not on.flow:
        zero = torch.zeros_like(s.c)
        return step_backward(cell, s, Gates(zero, zero, zero, zero, d_c_next, d_h), c_in, p)
    pick = on.pick
    p_ = {} if p is None else dict(zip(cell.peepholes, p.unbind(0), strict=True))
    # E6
    if cell.output == "tanh":
        phi, old = torch.tanh(s.c), torch.tanh(c_in)
        slope = (1 - phi * phi)[None]
        slope = pick("c-squared", slope, lambda: 1 - s.c * s.c)
        slope = pick("phi-prime-forgotten", slope, lambda: torch.ones_like(s.c))
        slope = pick("phi-prime-half", slope, lambda: 1 - phi)
        slope = pick("h-squared", slope, lambda: 1 - h * h)
        slope = pick("c-prev-for-c", slope, lambda: 1 - old * old)
        d_c = d_c_next + d_h * s.o * slope
    else:
        phi, old = s.c, c_in
        d_c = d_c_next + d_h * s.o
    if inner:
        d_c = pick("c-replaces", d_c, lambda: d_c_next)
    read = pick("o-reads-old-c", phi[None], lambda: old)
    read = pick("o-reads-raw-c", read, lambda: s.c)
    # E5
    d_a = {"o": _through_gate("o", s.o, d_h * read, on)}
    if p_:
        d_c = pick("peephole-not-carried", d_c + d_a["o"] * p_["o"], lambda: d_c)
    # E4
    d_c_in = pick("c-without-f", d_c * s.f, lambda: d_c)
    d_i = pick("i-g-swapped", d_c * s.g, lambda: d_c * s.i)
    d_g = pick("i-g-swapped", d_c * s.i, lambda: d_c * s.g)
    d_f = pick("f-reads-c", d_c * c_in, lambda: d_c * s.c)
    # E3, E2, E1
    d_a["g"] = _through_gate("g", s.g, d_g, on)
    if cell.forget == "learned":
        d_a["f"] = _through_gate("f", s.f, d_f, on)
    elif cell.forget == "coupled":
        d_i = d_i - d_f
    d_a["i"] = _through_gate("i", s.i, d_i, on)
    for k in ("f", "i"):
        if k in p_:
            seen, added = d_c_in, d_a[k] * p_[k]
            d_c_in = pick("peephole-not-carried", seen + added, lambda: seen)  # noqa: B023
    d_p = None
    if p_:
        shares = [d_a[k] * (s.c if k == "o" else c_in) for k in cell.peepholes]
        d_p = torch.stack(torch.broadcast_tensors(*shares))  # type: ignore[no-untyped-call]
    every = torch.broadcast_tensors(*(d_a[k] for k in cell.gates))  # type: ignore[no-untyped-call]
    return torch.cat(every, -1), d_c_in, d_p


def _through_gate(k: str, value: Tensor, d: Tensor, on: Switches) -> Tensor:
    """The gradient before a gate's activation, from that behind it."""

    def of_sigmoid(z: Tensor) -> Tensor:
        return z * (1 - z)

    def of_tanh(z: Tensor) -> Tensor:
        return 1 - z * z

    exact, other = (of_tanh, of_sigmoid) if k == "g" else (of_sigmoid, of_tanh)
    squash = torch.tanh if k == "g" else torch.sigmoid
    slope = exact(value)[None]
    slope = on.pick(f"{k}-prime-forgotten", slope, lambda: torch.ones_like(value))
    slope = on.pick(f"{k}-prime-half", slope, lambda: 1 - value)
    slope = on.pick(f"{k}-prime-twice", slope, lambda: exact(squash(value)))
    slope = on.pick(f"{k}-prime-of-other", slope, lambda: other(value))
    d_a = d * slope
    return on.pick(f"{k}-delta-sign", d_a, lambda: -d_a)
