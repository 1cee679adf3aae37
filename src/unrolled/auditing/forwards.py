"""What people get wrong in an LSTM's forward pass: a catalogue, and the search through it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from unrolled.equations import Cell
from unrolled.faults.catalogue import Fault, compatible
from unrolled.faults.switches import Switches

__all__ = ["ForwardCase", "explain_forward", "forward_catalogue", "run_forward"]

MOST = 3
CHUNK = 2048


class ForwardCase(NamedTuple):
    """Inputs x [T, B, I], blocks of weights by part and gate, and the h [T, B, H] that came out."""

    blocks: dict[tuple[str, str], Tensor]
    x: Tensor
    h: Tensor


def forward_catalogue(cell: Cell, biases: Sequence[str] = ("b",)) -> Iterator[Fault]:
    """Every fault of the forward pass of a cell with these biases (b, or b_ih and b_hh)."""
    for a, b in itertools.combinations("ifgo", 2):
        yield Fault(
            f"{a}-{b}-swapped",
            f"the gates {a} and {b} are exchanged",
            f"look at the order of the gates: take the rows of {a} for {a} and of {b} for {b}, or "
            "set GATES to your order",
            "order",
        )
    for bias in biases:
        name = {"b": "the bias", "b_ih": "b_ih", "b_hh": "b_hh"}[bias]
        yield Fault(f"{bias}-missing", f"{name} is not added", f"a += {bias}", bias)
        yield Fault(f"{bias}-twice", f"{name} is added twice", f"a += {bias}, once", bias)
        for k in "ifgo":
            yield Fault(
                f"{bias}-missing-{k}",
                f"{name} is not added in gate {k}",
                f"a_{k} += {bias}_{k}",
                bias,
            )
    yield Fault(
        "recurrent-missing", "h[t-1] does not reach the gates", "a += h_prev @ W_hh.T", "recurrent"
    )
    yield Fault(
        "recurrent-transposed",
        "the recurrent matrix of each gate is transposed",
        "a += h_prev @ W_hh.T, with W_hh of shape [4H, H]",
        "recurrent",
    )
    yield Fault(
        "recurrent-reads-c",
        "c[t-1] stands in the gates where h[t-1] belongs",
        "a += h_prev @ W_hh.T",
        "recurrent reads",
    )
    yield from (
        Fault(
            f"recurrent-missing-{k}",
            f"h[t-1] does not reach gate {k}",
            f"a_{k} += h_prev @ W_h{k}.T",
            "recurrent",
        )
        for k in "ifgo"
    )
    yield from _activations()
    yield from _state(cell)


def _activations() -> Iterator[Fault]:
    for k in "ifgo":
        own, other = ("tanh", "the sigmoid") if k == "g" else ("the sigmoid", "tanh")
        mend = f"{k} = {own.removeprefix('the ')}(a_{k})"
        yield Fault(f"{k}-other", f"{other} stands in {k} for {own}", mend, k)
        yield Fault(f"{k}-raw", f"{own} is missing in {k}", mend, k)


def _state(cell: Cell) -> Iterator[Fault]:
    mend = "c = f * c_prev + i * g"
    for key, wrong, slot in (
        ("f-missing", "c[t-1] is kept whole: f is missing", "f"),
        ("f-coupled", "1 - i stands where f belongs", "f"),
        ("c-not-kept", "the new cell state lacks f * c[t-1]", "f"),
        ("i-missing", "g is added whole: i is missing", "i g"),
        ("g-missing", "i * g lacks the block input: i is added alone", "i g"),
        ("c-reads-h", "h[t-1] stands in the cell state where c[t-1] belongs", "c reads"),
        ("c-squashed", "the cell state that is carried on has gone through tanh", "c kept"),
    ):
        yield Fault(key, wrong, mend, slot)
    tanh = cell.output == "tanh"
    mend = "h = o * tanh(c)" if tanh else "h = o * c"
    also = ", or set OUTPUT to '{}' if that is what you want"
    if tanh:
        yield Fault(
            "output-raw",
            "tanh is missing on the output: h is o * c",
            mend + also.format("identity"),
            "output",
        )
    else:
        yield Fault(
            "output-tanh",
            "h is o * tanh(c), where o * c is declared",
            mend + also.format("tanh"),
            "output",
        )
    yield Fault("output-sigmoid", "the sigmoid stands on the output", mend, "output")
    yield Fault("o-missing", "the output gate is missing", mend, "o used")
    yield Fault("output-reads-old-c", "h is made from c[t-1] instead of c[t]", mend, "output reads")
    yield Fault("returns-c", "c is returned instead of h", "return h", "returned")
    yield Fault(
        "returns-h-prev",
        "the state before each step is returned instead of the one after it",
        "return h[1:] where h[0] is the start",
        "returned",
    )
    yield Fault("backwards", "the steps are walked in reverse", "for t in range(T):", "time")


def run_forward(cell: Cell, case: ForwardCase, on: Switches) -> Tensor:
    """The h of all steps for each set of faults, [N, T, B, H]."""
    x, blocks = case.x, case.blocks
    zero = torch.zeros_like(case.h[0])[None]
    h, c, out = zero, zero, []
    for t in range(len(x)):
        x_t = on.pick("backwards", x[t][None], lambda: x[len(x) - 1 - t])  # noqa: B023
        a = {k: _pre_activation(blocks, k, x_t, h, c, on) for k in "ifgo"}
        for j, k in itertools.combinations("ifgo", 2):
            one, two = a[j], a[k]
            a[j] = on.pick(f"{j}-{k}-swapped", one, lambda: two)  # noqa: B023
            a[k] = on.pick(f"{j}-{k}-swapped", two, lambda: one)  # noqa: B023
        if cell.peephole:
            a["i"], a["f"] = a["i"] + blocks["p", "i"] * c, a["f"] + blocks["p", "f"] * c
        i, f, g = (_gate(k, a[k], on) for k in "ifg")
        f = on.pick("f-missing", f, lambda: torch.ones_like(f))  # noqa: B023
        f = on.pick("f-coupled", f, lambda: 1 - i)  # noqa: B023
        f = on.pick("c-not-kept", f, lambda: torch.zeros_like(f))  # noqa: B023
        added = on.pick("i-missing", i * g, lambda: g)  # noqa: B023
        added = on.pick("g-missing", added, lambda: i)  # noqa: B023
        old, c = c, f * on.pick("c-reads-h", c, lambda: h) + added  # noqa: B023
        if cell.peephole:
            a["o"] = a["o"] + blocks["p", "o"] * c
        before, h = h, _output(cell, _gate("o", a["o"], on), c, old, on)
        output = on.pick("returns-c", h, lambda: c)  # noqa: B023
        output = on.pick("returns-h-prev", output, lambda: before)  # noqa: B023
        out.append(output.expand(on.count, *output.shape[1:]))
        c = on.pick("c-squashed", c, lambda: torch.tanh(c))  # noqa: B023
    turned = torch.stack(out, 1)
    return on.number("backwards", turned, turned.flip(1))


def _pre_activation(
    blocks: dict[tuple[str, str], Tensor], k: str, x: Tensor, h: Tensor, c: Tensor, on: Switches
) -> Tensor:
    read = on.pick("recurrent-reads-c", h, lambda: c)
    w_hh = blocks["hh", k]
    recurrent = on.pick("recurrent-transposed", read @ w_hh.T, lambda: read @ w_hh)
    for key in ("recurrent-missing", f"recurrent-missing-{k}"):
        recurrent = on.pick(key, recurrent, lambda: torch.zeros_like(recurrent))  # noqa: B023
    a = x @ blocks["ih", k].T + recurrent
    for bias in ("b", "b_ih", "b_hh"):
        if (bias, k) in blocks:
            b = blocks[bias, k].expand(1, 1, -1)
            used = on.pick(f"{bias}-missing", b, lambda: torch.zeros_like(b))  # noqa: B023
            used = on.pick(f"{bias}-missing-{k}", used, lambda: torch.zeros_like(b))  # noqa: B023
            a = a + on.pick(f"{bias}-twice", used, lambda: 2 * b)  # noqa: B023
    return a


def _gate(k: str, a: Tensor, on: Switches) -> Tensor:
    own, other = (torch.tanh, torch.sigmoid) if k == "g" else (torch.sigmoid, torch.tanh)
    return on.pick(f"{k}-raw", on.pick(f"{k}-other", own(a), lambda: other(a)), lambda: a)


def _output(cell: Cell, o: Tensor, c: Tensor, old: Tensor, on: Switches) -> Tensor:
    read = on.pick("output-reads-old-c", c, lambda: old)
    phi = torch.tanh(read) if cell.output == "tanh" else read
    phi = on.pick("output-raw", phi, lambda: read)
    phi = on.pick("output-tanh", phi, lambda: torch.tanh(read))
    phi = on.pick("output-sigmoid", phi, lambda: torch.sigmoid(read))
    return on.pick("o-missing", o * phi, lambda: phi)


def explain_forward(
    cell: Cell, biases: Sequence[str], cases: Sequence[ForwardCase], rtol: float = 1e-6
) -> tuple[tuple[Fault, ...], ...]:
    """The smallest sets of faults of the forward pass that give every h; empty if none does."""
    known = tuple(forward_catalogue(cell, biases))
    for size in range(MOST + 1):
        sets = [s for s in itertools.combinations(known, size) if compatible(s)]
        found: list[tuple[Fault, ...]] = []
        for start in range(0, len(sets), CHUNK):
            alive = sets[start : start + CHUNK]
            for case in cases:
                h = run_forward(cell, case, Switches(alive))
                scale = torch.maximum(case.h.abs().max(), h.flatten(1).abs().amax(1))
                near = (h - case.h).flatten(1).abs().amax(1) <= rtol * scale.clamp(min=1e-12)
                alive = [s for s, yes in zip(alive, near.tolist(), strict=True) if yes]
                if not alive:
                    break
            found += alive
        if found:
            return tuple(found)
    return ()
