"""What people get wrong in an LSTM's forward pass: a catalogue, and the search through it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
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
    """What a forward pass was called with, and what came out.

    ``layers`` are the weights of each layer by part and gate, the lowest first; ``states`` h_0 and
    c_0 of the lowest.  ``seen`` makes of the last layer's h [N, T, B, H] what the pass returned,
    with N in front; ``found`` is what it did return.
    """

    layers: Sequence[dict[tuple[str, str], Tensor]]
    x: Tensor
    found: Tensor
    seen: Callable[[Tensor], Tensor]
    states: tuple[Tensor, Tensor] | None = None


def forward_catalogue(
    cell: Cell, biases: Sequence[str] = ("b",), states: bool = False
) -> Iterator[Fault]:
    """Every fault of the forward pass of a cell with these biases (b, or b_ih and b_hh).

    With those of the states that it is given, if it is given any.
    """
    for a, b in itertools.combinations("ifgo", 2):
        yield Fault(
            f"{a}-{b}-swapped",
            f"the gates {a} and {b} are exchanged",
            f"look at the order of the gates: take the rows of {a} for {a} and of {b} for {b}, or "
            "set GATES to your order",
            "order",
        )
    for order in itertools.permutations("ifgo"):
        if sum(a != b for a, b in zip(order, "ifgo", strict=True)) > 2:
            told = "".join(order)
            yield Fault(
                f"order-{told}",
                f"the gates i, f, g, o are made from the rows of {', '.join(order)}",
                "look at the order of the gates: take each gate's own rows, or set GATES to your "
                "order",
                "order",
                rare=True,
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
    yield from _starts() if states else ()


def _activations() -> Iterator[Fault]:
    for k in "ifgo":
        own, other = ("tanh", "the sigmoid") if k == "g" else ("the sigmoid", "tanh")
        mend = f"{k} = {own.removeprefix('the ')}(a_{k})"
        yield Fault(f"{k}-other", f"{other} stands in {k} for {own}", mend, k)
        yield Fault(f"{k}-raw", f"{own} is missing in {k}", mend, k)
        yield Fault(f"{k}-squashed-twice", f"{own} is taken twice in {k}", mend, k, rare=True)
        yield Fault(
            f"{k}-before-bias",
            f"the bias is added after {own} in {k}, instead of before it",
            f"{k} = {own.removeprefix('the ')}(W x + U h + b)",
            k,
            rare=True,
        )
        for j in "ifgo".replace(k, ""):
            yield Fault(f"{k}-of-{j}", f"{k} is made from a_{j}", mend, f"{k} from", rare=True)
            yield Fault(
                f"{k}-squashes-{j}",
                f"{k} is made from the gate {j} after it was squashed",
                mend,
                f"{k} from",
                rare=True,
            )
    for kind, wrong, gates, mend in (
        ("sigmoid-other", "tanh stands for the sigmoid in i, f and o", "ifo", "sigmoid(a)"),
        ("sigmoid-raw", "the sigmoid is missing in i, f and o", "ifo", "sigmoid(a)"),
        ("every-raw", "no gate has an activation", "ifgo", "sigmoid(a), of g tanh(a)"),
        (
            "every-squashed-twice",
            "every gate is squashed twice",
            "ifgo",
            "sigmoid(a), of g tanh(a)",
        ),
        (
            "every-before-bias",
            "the bias is added after the activation, instead of before it, in every gate",
            "ifgo",
            "sigmoid(W x + U h + b), of g tanh of the same",
        ),
    ):
        end = kind.partition("-")[2]
        parts = tuple(f"{k}-{end}" for k in gates)
        yield Fault(kind, wrong, mend, " + ".join(gates), parts=parts, slots=tuple(gates))


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


def _starts() -> Iterator[Fault]:
    mend = "h, c = h_0, c_0, before the first step"
    yield Fault("h_0-missing", "h_0 is not read: the first step sees zeros", mend, "h_0")
    yield Fault("c_0-missing", "c_0 is not read: the first step sees zeros", mend, "c_0")
    for key, wrong in (
        ("states-missing", "neither h_0 nor c_0 is read: the first step sees zeros"),
        ("states-swapped", "h_0 and c_0 are exchanged"),
    ):
        yield Fault(key, wrong, mend, "h_0 + c_0", slots=("h_0", "c_0"))


def run_forward(cell: Cell, case: ForwardCase, on: Switches) -> Tensor:
    """The last layer's h of all steps for each set of faults, [N, T, B, H]."""
    h, states = case.x[None], case.states
    for blocks in case.layers:
        h, states = _layer(cell, blocks, h, states, on), None
    return h


def _layer(
    cell: Cell,
    blocks: dict[tuple[str, str], Tensor],
    x: Tensor,
    states: tuple[Tensor, Tensor] | None,
    on: Switches,
) -> Tensor:
    """One layer, of x [1 or N, T, B, I]."""
    h, c = _start(blocks, x, states, on)
    out, steps = [], x.shape[1]
    for t in range(steps):
        x_t = on.pick("backwards", x[:, t], lambda: x[:, steps - 1 - t])  # noqa: B023
        a = {k: _pre_activation(blocks, k, x_t, h, c, on) for k in "ifgo"}
        bias = {k: _bias(blocks, k, on) for k in "ifgo"}
        a = _exchanged({k: a[k] + bias[k] for k in a}, on)
        if cell.peephole:
            a["i"], a["f"] = a["i"] + blocks["p", "i"] * c, a["f"] + blocks["p", "f"] * c
        i, f, g = (_gate(k, a, bias[k], on) for k in "ifg")
        f = on.pick("f-missing", f, lambda: torch.ones_like(f))  # noqa: B023
        f = on.pick("f-coupled", f, lambda: 1 - i)  # noqa: B023
        f = on.pick("c-not-kept", f, lambda: torch.zeros_like(f))  # noqa: B023
        added = on.pick("i-missing", i * g, lambda: g)  # noqa: B023
        added = on.pick("g-missing", added, lambda: i)  # noqa: B023
        old, c = c, f * on.pick("c-reads-h", c, lambda: h) + added  # noqa: B023
        if cell.peephole:
            a["o"] = a["o"] + blocks["p", "o"] * c
        before, h = h, _output(cell, _gate("o", a, bias["o"], on), c, old, on)
        output = on.pick("returns-c", h, lambda: c)  # noqa: B023
        output = on.pick("returns-h-prev", output, lambda: before)  # noqa: B023
        out.append(output.expand(on.count, *output.shape[1:]))
        c = on.pick("c-squashed", c, lambda: torch.tanh(c))  # noqa: B023
    turned = torch.stack(out, 1)
    return on.number("backwards", turned, turned.flip(1))


def _start(
    blocks: dict[tuple[str, str], Tensor],
    x: Tensor,
    states: tuple[Tensor, Tensor] | None,
    on: Switches,
) -> tuple[Tensor, Tensor]:
    """H and c before the first step, [1 or N, B, H]."""
    if states is None:
        zero = x.new_zeros(1, x.shape[2], len(blocks["hh", "i"]))
        return zero, zero
    h_0, c_0 = (state[None] for state in states)
    h, c = h_0, c_0
    for key, swapped in (
        ("h_0-missing", False),
        ("states-missing", False),
        ("states-swapped", True),
    ):
        h = on.pick(key, h, lambda: c_0 if swapped else torch.zeros_like(h_0))  # noqa: B023
    for key, swapped in (
        ("c_0-missing", False),
        ("states-missing", False),
        ("states-swapped", True),
    ):
        c = on.pick(key, c, lambda: h_0 if swapped else torch.zeros_like(c_0))  # noqa: B023
    return h, c


def _pre_activation(
    blocks: dict[tuple[str, str], Tensor], k: str, x: Tensor, h: Tensor, c: Tensor, on: Switches
) -> Tensor:
    read = on.pick("recurrent-reads-c", h, lambda: c)
    w_hh = blocks["hh", k]
    recurrent = on.pick("recurrent-transposed", read @ w_hh.T, lambda: read @ w_hh)
    for key in ("recurrent-missing", f"recurrent-missing-{k}"):
        recurrent = on.pick(key, recurrent, lambda: torch.zeros_like(recurrent))  # noqa: B023
    return x @ blocks["ih", k].T + recurrent


def _bias(blocks: dict[tuple[str, str], Tensor], k: str, on: Switches) -> Tensor:
    whole = blocks["ih", k].new_zeros(1, 1, 1)
    for bias in ("b", "b_ih", "b_hh"):
        if (bias, k) in blocks:
            b = blocks[bias, k].expand(1, 1, -1)
            used = on.pick(f"{bias}-missing", b, lambda: torch.zeros_like(b))  # noqa: B023
            used = on.pick(f"{bias}-missing-{k}", used, lambda: torch.zeros_like(b))  # noqa: B023
            whole = whole + on.pick(f"{bias}-twice", used, lambda: 2 * b)  # noqa: B023
    return whole


def _exchanged(a: dict[str, Tensor], on: Switches) -> dict[str, Tensor]:
    """What each gate is made from, where it is not its own."""
    found = dict(a)
    for j, k in itertools.combinations("ifgo", 2):
        one, two = found[j], found[k]
        found[j] = on.pick(f"{j}-{k}-swapped", one, lambda: two)  # noqa: B023
        found[k] = on.pick(f"{j}-{k}-swapped", two, lambda: one)  # noqa: B023
    for order in itertools.permutations("ifgo"):
        key = f"order-{''.join(order)}"
        if on.on(key):
            for k, j in zip("ifgo", order, strict=True):
                found[k] = on.pick(key, found[k], lambda: a[j])  # noqa: B023
    own = dict(found)
    for k, j in itertools.permutations("ifgo", 2):
        found[k] = on.pick(f"{k}-of-{j}", found[k], lambda: own[j])  # noqa: B023
        if on.on(f"{k}-squashes-{j}"):
            squash = _activations_of(j)[0]
            found[k] = on.pick(f"{k}-squashes-{j}", found[k], lambda: squash(own[j]))  # noqa: B023
    return found


def _activations_of(k: str) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """A gate's own activation, and the other."""
    return (torch.tanh, torch.sigmoid) if k == "g" else (torch.sigmoid, torch.tanh)


def _gate(k: str, every: dict[str, Tensor], bias: Tensor, on: Switches) -> Tensor:
    a = every[k]
    own, other = _activations_of(k)
    value = on.pick(f"{k}-other", own(a), lambda: other(a))
    value = on.pick(f"{k}-squashed-twice", value, lambda: own(own(a)))
    value = on.pick(f"{k}-before-bias", value, lambda: own(a - bias) + bias)
    return on.pick(f"{k}-raw", value, lambda: a)


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
    """The smallest sets of faults of the forward pass that give all it returned; empty if none."""
    every = tuple(forward_catalogue(cell, biases, cases[0].states is not None))
    for size in range(MOST + 1):
        known = every if size < MOST else tuple(f for f in every if not f.rare)
        sets = [s for s in itertools.combinations(known, size) if compatible(s)]
        found: list[tuple[Fault, ...]] = []
        for start in range(0, len(sets), CHUNK):
            alive = sets[start : start + CHUNK]
            for case in cases:
                alive = _agreeing(cell, case, alive, rtol)
                if not alive:
                    break
            found += alive
        if found:
            return tuple(found)
    return ()


def _agreeing(
    cell: Cell, case: ForwardCase, sets: list[tuple[Fault, ...]], rtol: float
) -> list[tuple[Fault, ...]]:
    """The sets that give what this case returned."""
    seen = case.seen(run_forward(cell, case, Switches(sets))).reshape(len(sets), -1)
    scale = torch.maximum(case.found.abs().max(), seen.abs().amax(1))
    off = (seen - case.found.reshape(1, -1)).abs().amax(1)
    near = off <= rtol * scale.clamp(min=1e-12)
    return [s for s, yes in zip(sets, near.tolist(), strict=True) if yes]
