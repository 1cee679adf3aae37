"""The backward passes that the documents publish, beside autograd's gradient.

Each is drawn as its document draws it: sizes, weights and loss.  What is exact comes from autograd
through `unrolled.equations.step`, so that a pass without a fault is compared with something too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from unrolled.equations import CELLS, Cell, step
from unrolled.faults import PUBLISHED, Fault, faulty_lstm

__all__ = ["LENGTHS", "SYSTEMS", "System", "measure"]

LENGTHS = (1, 2, 8)
DRAWS = 100  # of 20, the median error of 000 at T = 8 is .65 to .84

Gradient = dict[str, Tensor]


@dataclass(frozen=True)
class System:
    """One document's backward pass: its name, its faults, and a draw of (its own, the exact)."""

    name: str
    setting: str
    faults: tuple[Fault, ...]
    draw: Callable[[int, torch.Generator], tuple[Gradient, Gradient]]


def measure(system: System, draws: int = DRAWS) -> dict[str, dict[int, tuple[float, float]]]:
    """Relative error and cosine by parameter and over "all", at each length; medians of draws."""
    found: dict[str, dict[int, tuple[float, float]]] = {}
    for steps in LENGTHS:
        rows: dict[str, list[tuple[float, float]]] = {}
        for seed in range(draws):
            theirs, exact = system.draw(steps, torch.Generator().manual_seed(seed))
            theirs["all"] = torch.cat([theirs[name].flatten() for name in exact])
            exact["all"] = torch.cat([value.flatten() for value in exact.values()])
            for name, value in exact.items():
                rows.setdefault(name, []).append(_apart(theirs[name], value))
        for name, pairs in rows.items():
            middle = torch.tensor(pairs, dtype=torch.float64).quantile(0.5, 0)
            found.setdefault(name, {})[steps] = (float(middle[0]), float(middle[1]))
    return found


def _apart(found: Tensor, exact: Tensor) -> tuple[float, float]:
    """The relative error and the cosine; W_hh has no gradient at T = 1 from a state of zeros."""
    size = float(exact.norm())
    if size == 0:
        return float(found.norm()), 1.0
    cosine = torch.cosine_similarity(found.flatten(), exact.flatten(), 0)
    return float((found - exact).norm()) / size, float(cosine)


def _uniform(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.rand(shape, generator=generator, dtype=torch.float64) * 2 - 1


def _both(
    cell: Cell,
    faults: tuple[Fault, ...],
    x: Tensor,
    weights: dict[str, Tensor],
    loss: Callable[[Tensor, dict[str, Tensor]], Tensor],
) -> tuple[Gradient, Gradient]:
    """The gradient with the faults, and autograd's; ``loss`` is given y and the weights."""
    weights = {name: weight.requires_grad_() for name, weight in weights.items()}
    layer = [weights[name] for name in ("W_ih", "W_hh", "bias")]
    zero = torch.zeros(x.shape[1], layer[1].shape[1], dtype=x.dtype)
    y, _ = faulty_lstm(x, zero, zero, *layer, faults=faults, cell=cell)
    theirs = torch.autograd.grad(loss(y, weights), list(weights.values()))
    h, c, ys = zero, zero, []
    for x_t in x:
        s = step(cell, x_t @ layer[0].T + h @ layer[1].T + layer[2], c)
        h, c = s.h, s.c
        ys.append(h)
    exact = torch.autograd.grad(loss(torch.stack(ys), weights), list(weights.values()))
    return dict(zip(weights, theirs, strict=True)), dict(zip(weights, exact, strict=True))


def _sum_of_bits(steps: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The lowest bits of two numbers of 7, [T, 1, 2], and of their sum, [T, 1, 1]."""
    numbers = torch.randint(0, 128, (2,), generator=generator)
    places = torch.arange(steps)
    bits, total = numbers >> places[:, None] & 1, numbers.sum() >> places & 1
    return bits[:, None].double(), total[:, None, None].double()


def _document_000(steps: int, generator: torch.Generator) -> tuple[Gradient, Gradient]:
    hidden = 32
    x, bits = _sum_of_bits(steps, generator)
    weights = {
        "W_ih": _uniform(generator, 4 * hidden, 2),
        "W_hh": _uniform(generator, 4 * hidden, hidden),
        "bias": _uniform(generator, 4).repeat_interleave(hidden),
        "output": _uniform(generator, hidden, 1),
    }

    def loss(y: Tensor, w: dict[str, Tensor]) -> Tensor:
        return torch.nn.functional.binary_cross_entropy_with_logits(
            y @ w["output"], bits, reduction="sum"
        )

    return _both(Cell(), PUBLISHED["000"], x, weights, loss)


def _document_001_network(steps: int, generator: torch.Generator) -> tuple[Gradient, Gradient]:
    """The Elman network: h = σ(W_ih x + W_hh h), its output σ(h W), half the squared error."""
    hidden = 16
    x, bits = _sum_of_bits(steps, generator)
    w = {
        "W_ih": _uniform(generator, hidden, 2).requires_grad_(),
        "W_hh": _uniform(generator, hidden, hidden).requires_grad_(),
        "output": _uniform(generator, hidden, 1).requires_grad_(),
    }
    h = [torch.zeros(1, hidden, dtype=torch.float64)]
    for x_t in x:
        h.append(torch.sigmoid(x_t @ w["W_ih"].T + h[-1] @ w["W_hh"].T))
    output = torch.sigmoid(torch.stack(h[1:]) @ w["output"])
    exact = torch.autograd.grad(0.5 * (output - bits).square().sum(), list(w.values()))
    # The document's pass, from the last bit back to the first.
    with torch.no_grad():
        theirs = {name: torch.zeros_like(value) for name, value in w.items()}
        delta = torch.zeros_like(h[0])
        for t in range(steps - 1, -1, -1):
            d_out = (output[t] - bits[t]) * output[t] * (1 - output[t])
            delta = (delta @ w["W_hh"] + d_out @ w["output"].T) * h[t + 1] * (1 - h[t + 1])
            theirs["output"] += h[t + 1].T @ d_out
            theirs["W_hh"] += delta.T @ h[t]
            theirs["W_ih"] += delta.T @ x[t]
    return theirs, dict(zip(w, exact, strict=True))


def _document_001_lstm(steps: int, generator: torch.Generator) -> tuple[Gradient, Gradient]:
    """50 inputs, 100 cells, weights of ±0.1, the squared error of h[0]."""
    hidden, inputs = 100, 50
    weights = {
        "W_ih": 0.1 * _uniform(generator, 4 * hidden, inputs),
        "W_hh": 0.1 * _uniform(generator, 4 * hidden, hidden),
        "bias": 0.1 * _uniform(generator, 4 * hidden),
    }
    x = torch.rand(steps, 1, inputs, generator=generator, dtype=torch.float64)
    targets = torch.tensor([-0.5, 0.2, 0.1, -0.5], dtype=torch.float64).repeat(2)[:steps, None]

    def loss(y: Tensor, w: dict[str, Tensor]) -> Tensor:
        return (y[..., 0] - targets).square().sum()

    return _both(CELLS["linear"], PUBLISHED["001"], x, weights, loss)


def _document_002(steps: int, generator: torch.Generator) -> tuple[Gradient, Gradient]:
    """No task is given; its backward pass begins with a gradient at the last step alone."""
    hidden, inputs = 5, 3
    weights = {
        "W_ih": 0.5 * _uniform(generator, 4 * hidden, inputs),
        "W_hh": 0.5 * _uniform(generator, 4 * hidden, hidden),
        "bias": 0.5 * _uniform(generator, 4 * hidden),
    }
    x = torch.randn(steps, 1, inputs, generator=generator, dtype=torch.float64)
    d_h = torch.randn(hidden, generator=generator, dtype=torch.float64)

    def loss(y: Tensor, w: dict[str, Tensor]) -> Tensor:
        return (y[-1] * d_h).sum()

    return _both(Cell(), PUBLISHED["002"], x, weights, loss)


SYSTEMS = (
    System(
        "000, LSTM in MATLAB",
        "its adder: 32 cells, weights of ±1, cross entropy at every step",
        PUBLISHED["000"],
        _document_000,
    ),
    System(
        "001, Elman network in NumPy",
        "its adder: 16 units, weights of ±1, squared error at every step",
        (),
        _document_001_network,
    ),
    System(
        "001, LSTM in NumPy, h = o*c",
        "its sequence: 50 inputs, 100 cells, weights of ±0.1, squared error of h[0]",
        PUBLISHED["001"],
        _document_001_lstm,
    ),
    System(
        "002, LstmLayer in NumPy",
        "3 inputs, 5 cells, weights of ±0.5, a random gradient at the last step",
        PUBLISHED["002"],
        _document_002,
    ),
)
