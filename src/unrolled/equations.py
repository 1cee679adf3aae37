"""The LSTM cell, written once: E1–E8 and, beside each, its derivative.

Everything in the library that computes an LSTM carries these numbers at the same lines and is
tested against this file.  a = W_ih x + b_ih + W_hh h_rec + b_hh is the pre-activation, ⊙ the
elementwise product, and φ is tanh or the identity.

====  =========================================  ==============================================
E1    i = σ(a_i + p_i⊙c_in)                      input gate; Graves 2013, eq. 7
E2    f = σ(a_f + p_f⊙c_in)  |  1  |  1 − i      forget gate; Graves 2013, eq. 8 (introduced by
                                                 Gers et al. 2000); 1 is the constant error carousel
                                                 of Hochreiter & Schmidhuber 1997 (Greff et al.
                                                 2017: NFG); 1 − i is Greff et al. 2017: CIFG
E3    g = tanh(a_g)                              block input; inside Graves 2013, eq. 9
E4    c_new = f⊙c_in + i⊙(g⊙update)              cell; Graves 2013, eq. 9
E5    o = σ(a_o + p_o⊙c_new)                     output gate, sees the *new* cell; Graves 2013,
                                                 eq. 10 (peepholes: Gers & Schmidhuber 2000)
E6    h_new = o⊙φ(c_new)                         hidden state; Graves 2013, eq. 11; φ the identity
                                                 is Greff et al. 2017: NOAF, and document 001
E7    h_in = h, or the start after a reset;      what a mask does before the step; ``recur`` is
      c_in alike; h_rec = h_in⊙recur             Gal & Ghahramani 2016
E8    h = h_in + keep⊙(h_new − h_in) where       what a mask does after it; ``keep`` is zoneout,
      live, else h_in; c alike                   Krueger et al. 2017; a padded or missing step is
                                                 not live and holds the state
====  =========================================  ==============================================

How this differs from the papers: peepholes (p) are diagonal, as everywhere since Graves 2013; the
1997 cell squashed g to [−2, 2] and truncated its gradient after one step, here g is in [−1, 1] and
the gradient is the exact one; ``update`` (Semeniuta et al. 2016) is a dropout mask on g.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from unrolled.errors import InvalidValueError

__all__ = [
    "CELLS",
    "Cell",
    "Gates",
    "after",
    "after_backward",
    "as_made",
    "before",
    "before_backward",
    "step",
]


@dataclass(frozen=True)
class Cell:
    """Which equations a cell follows.

    Parameters
    ----------
    forget : {"learned", "one", "coupled"}
        E2: a gate of its own (Gers et al. 2000), f = 1 (the carousel of 1997), or f = 1 − i.
    peephole : bool
        Whether the gates see the cell state through diagonal weights (Gers & Schmidhuber 2000).
    output : {"tanh", "identity"}
        φ in E6.  Document 001 and Greff et al. 2017 (NOAF) use the identity.

    Raises
    ------
    ValueError
        If ``forget`` or ``output`` is not one of the names above.
    """

    forget: Literal["learned", "one", "coupled"] = "learned"
    peephole: bool = False
    output: Literal["tanh", "identity"] = "tanh"

    def __post_init__(self) -> None:
        if self.forget not in ("learned", "one", "coupled"):
            raise InvalidValueError(
                f"forget={self.forget!r} is not a forget gate: use 'learned', 'one' or 'coupled'."
            )
        if self.output not in ("tanh", "identity"):
            raise InvalidValueError(
                f"output={self.output!r} is not known: use 'tanh' or 'identity'."
            )

    @property
    def gates(self) -> tuple[str, ...]:
        """The gates that have weights, in the order in which their rows are stored."""
        return ("i", "f", "g", "o") if self.forget == "learned" else ("i", "g", "o")

    @property
    def peepholes(self) -> tuple[str, ...]:
        """The gates that have a peephole, in the order of the rows of ``weight_ph``."""
        if not self.peephole:
            return ()
        return ("i", "f", "o") if self.forget == "learned" else ("i", "o")


CELLS: dict[str, Cell] = {
    "vanilla": Cell(),
    "carousel": Cell(forget="one"),
    "peephole": Cell(peephole=True),
    "coupled": Cell(forget="coupled"),
    "linear": Cell(output="identity"),
}


class Gates(NamedTuple):
    """What happens in one step, each [..., H]; c and h are the new values, before E8."""

    i: Tensor
    f: Tensor
    g: Tensor
    o: Tensor
    c: Tensor
    h: Tensor


def as_made(letter: str, value: Tensor) -> Tensor:
    """A value of a step as its equation makes it: what `step` does where no place is changed."""
    return value


def _rows(cell: Cell, p: Tensor | None) -> dict[str, Tensor]:
    return {} if p is None else dict(zip(cell.peepholes, p.unbind(0), strict=True))


def step(
    cell: Cell,
    a: Tensor,
    c_in: Tensor,
    p: Tensor | None = None,
    update: Tensor | None = None,
    place: Callable[[str, Tensor], Tensor] = as_made,
) -> Gates:
    """One step of the cell, E1–E6.

    Parameters
    ----------
    cell : Cell
    a : Tensor, [..., G·H]
        Pre-activations of the gates in ``cell.gates``, side by side.
    c_in : Tensor, [..., H]
        The cell state that the step starts from.
    p : Tensor, [P, H], optional
        Peephole weights of the gates in ``cell.peepholes``.
    update : Tensor, [..., H], optional
        What g is multiplied by.
    place : callable, optional
        Handed i, f, g, c and o with their letters, each as its equation makes it and before any
        other equation reads it; gives the value to go on with.
    """
    a_ = dict(zip(cell.gates, a.chunk(len(cell.gates), -1), strict=True))
    p_ = _rows(cell, p)

    def seen(gate: str, c: Tensor) -> Tensor:
        return a_[gate] + p_[gate] * c if gate in p_ else a_[gate]

    i = place("i", torch.sigmoid(seen("i", c_in)))  # E1
    if cell.forget == "learned":
        f = torch.sigmoid(seen("f", c_in))  # E2
    else:
        f = torch.ones_like(i) if cell.forget == "one" else 1 - i  # E2
    f = place("f", f)
    g = place("g", torch.tanh(a_["g"]))  # E3
    c = place("c", f * c_in + i * (g if update is None else g * update))  # E4
    o = place("o", torch.sigmoid(seen("o", c)))  # E5
    h = o * (torch.tanh(c) if cell.output == "tanh" else c)  # E6
    return Gates(i, f, g, o, c, h)


def step_backward(
    cell: Cell,
    s: Gates,
    d: Gates,
    c_in: Tensor,
    p: Tensor | None = None,
    update: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """The gradient of `step`, derived by hand: E6 back to E1.

    Parameters
    ----------
    cell, c_in, p, update
        As in `step`.
    s : Gates
        What `step` returned (``s.h`` is not read).
    d : Gates
        The gradient that reaches each of them from outside the step.

    Returns
    -------
    d_a : Tensor, [..., G·H]
    d_c_in : Tensor, [..., H]
    d_p : Tensor, [P, ..., H], or None
        Not yet summed over the batch.
    """
    # Of complex numbers a gradient goes back through a derivative's conjugate, as torch has it; of
    # real ones that is the derivative itself.
    s, c_in = Gates(*(t.conj() for t in s)), c_in.conj()
    update = None if update is None else update.conj()
    p_ = {gate: row.conj() for gate, row in _rows(cell, p).items()}
    g_up = s.g if update is None else s.g * update
    # E6: h = o⊙φ(c)
    if cell.output == "tanh":
        phi = torch.tanh(s.c)
        d_c = d.c + d.h * s.o * (1 - phi * phi)
    else:
        phi = s.c
        d_c = d.c + d.h * s.o
    d_o = d.o + d.h * phi
    # E5: o = σ(a_o + p_o⊙c)
    d_a = {"o": d_o * s.o * (1 - s.o)}
    if "o" in p_:
        d_c = d_c + d_a["o"] * p_["o"]
    # E4: c = f⊙c_in + i⊙(g⊙update)
    d_c_in = d_c * s.f
    d_i = d.i + d_c * g_up
    d_f = d.f + d_c * c_in
    d_g = d.g + d_c * (s.i if update is None else s.i * update)
    # E3: g = tanh(a_g)
    d_a["g"] = d_g * (1 - s.g * s.g)
    # E2: f = σ(a_f + p_f⊙c_in) | 1 | 1 − i
    if cell.forget == "learned":
        d_a["f"] = d_f * s.f * (1 - s.f)
    elif cell.forget == "coupled":
        d_i = d_i - d_f
    # E1: i = σ(a_i + p_i⊙c_in)
    d_a["i"] = d_i * s.i * (1 - s.i)
    for gate in ("f", "i"):
        if gate in p_:
            d_c_in = d_c_in + d_a[gate] * p_[gate]
    d_p = None
    if p_:
        d_p = torch.stack([d_a[k] * (s.c if k == "o" else c_in) for k in cell.peepholes])
    return torch.cat([d_a[k] for k in cell.gates], -1), d_c_in, d_p


def before(state: Tensor, start: Tensor | None, carry: Tensor | None) -> Tensor:
    """E7: the state a step starts from; ``start`` (None: zero) where ``carry`` is False.

    A reset selects and does not multiply: a state that is not finite does not survive it.
    """
    if carry is None:
        return state
    return torch.where(carry, state, torch.zeros_like(state) if start is None else start)


def before_backward(d_in: Tensor, carry: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """E7 back: the gradient of the state, and of what the row started again from."""
    if carry is None:
        return d_in, None
    zero = torch.zeros_like(d_in)
    return torch.where(carry, d_in, zero), torch.where(carry, zero, d_in)


def after(s_in: Tensor, s_new: Tensor, keep: Tensor | None, live: Tensor | None) -> Tensor:
    """E8: the state after the step; what was there before where the step is not live."""
    s = s_new if keep is None else s_in + keep * (s_new - s_in)
    return s if live is None else torch.where(live, s, s_in)


def after_backward(
    d: Tensor, keep: Tensor | None, live: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """E8 back: (d_new, d_in); d_in is None where nothing of the old state came through."""
    d_new = d if keep is None else d * keep.conj()
    if live is not None:
        d_new = torch.where(live, d_new, torch.zeros_like(d_new))
    return d_new, (None if keep is None and live is None else d - d_new)
