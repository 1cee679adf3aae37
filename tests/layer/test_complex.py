"""Complex numbers: the gradient is torch's, the conjugate of the Wirtinger derivative, every way.

For a real loss L of z = a + ib, torch gives dL/da + i·dL/db, and backward through a holomorphic
y = f(z) multiplies by conj(f'(z)).  So the right value comes from central differences along the
real and along the imaginary axis, and `torch.autograd.gradcheck` takes just these.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from cases import CELLS, MASKS, make_inputs, make_masks, name_of
from processes import one_sentence
from unrolled import LSTM, Cell, Declined
from unrolled.engines import Gradients, Inputs, reference
from unrolled.engines.masks import StateMasks
from unrolled.layer.recurrence import recurrence

T, B, I, H = 3, 2, 2, 2
WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "lengths": {"lengths": [3, 1]},
    "resets": {"resets": torch.tensor([[0, 1], [1, 0], [0, 0]]).bool()},
    "mask": {"mask": torch.tensor([[1, 1], [0, 1], [1, 0]]).bool()},
}


def complex_normal(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator, dtype=torch.complex128) * 0.6


def along(loss: Callable[[], Tensor], z: Tensor, u: Tensor, step: float = 1e-6) -> float:
    """The derivative of the loss where z moves along u: a central difference."""
    at = z.detach().clone()
    with torch.no_grad():
        above = loss_at(loss, z, at + step * u)
        below = loss_at(loss, z, at - step * u)
        z.copy_(at)
    return (above - below) / (2 * step)


def loss_at(loss: Callable[[], Tensor], z: Tensor, value: Tensor) -> float:
    z.copy_(value)
    return loss().item()


def exact(loss: Callable[[], Tensor], inputs: list[Tensor]) -> None:
    """The gradient g of each is dL/da + i·dL/db: along any u the loss grows by Re⟨g, u⟩."""
    found = torch.autograd.grad(loss(), inputs)
    generator = torch.Generator().manual_seed(7)
    for t, gradient in zip(inputs, found, strict=True):
        for _ in range(2):
            u = complex_normal(generator, *t.shape)
            right = along(loss, t, u)
            mine = (gradient.conj() * u).sum().real.item()
            assert abs(mine - right) <= 1e-6 * max(1.0, abs(right)), f"{mine}, and not {right}"


def squared(*tensors: Tensor) -> Tensor:
    """A real loss that depends on every part of every number."""
    return sum((t * t.conj()).real.sum() + (t * (0.3 - 0.7j)).real.sum() for t in tensors)


def lstm_of(generator: torch.Generator, **options: Any) -> LSTM:
    lstm = LSTM(I, H, dtype=torch.complex128, **options)
    with torch.no_grad():
        for p in lstm.parameters():
            p.copy_(complex_normal(generator, *p.shape))
    return lstm


def complex_inputs(cell: Cell) -> Inputs:
    """Inputs with an imaginary part: without one, a conjugate that is not there is not missed."""
    g = torch.Generator().manual_seed(3)
    real = make_inputs(cell, T, B, I, H, dtype=torch.complex128)
    return Inputs(
        *(None if t is None else complex_normal(g, *t.shape).requires_grad_() for t in real)
    )


def right_or_declined(loss: Callable[[], Tensor], inputs: list[Tensor]) -> None:
    """The gradient of each is that of central differences, or the layer declines."""
    try:
        exact(loss, inputs)
    except Declined as error:
        one_sentence(error)


@pytest.mark.parametrize("engine", ["auto", "reference"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("cell", ["vanilla", "carousel", "peephole", "coupled", "linear"])
def test_each_way_has_the_exact_gradient(
    cell: str, way: str, engine: str, generator: torch.Generator
) -> None:
    lstm = lstm_of(generator, cell=cell, engine=engine)
    x = complex_normal(generator, T, B, I).requires_grad_()
    hx = tuple(complex_normal(generator, 1, B, H).requires_grad_() for _ in range(2))

    def loss() -> Tensor:
        y, (h, c) = lstm(x, hx, **WAYS[way])
        return squared(y, h, c)

    right_or_declined(loss, [x, *hx, *lstm.parameters()])


@pytest.mark.parametrize(
    "options",
    [
        {"zoneout": (0.3, 0.2)},
        {"num_layers": 2, "bidirectional": True},
        {"proj_size": 1},
        {"bias": False},
    ],
    ids=["zoneout", "layers, both directions", "projection", "no bias"],
)
def test_each_option_has_the_exact_gradient(
    options: dict[str, Any], generator: torch.Generator
) -> None:
    lstm = lstm_of(generator, **options).eval()
    x = complex_normal(generator, T, B, I).requires_grad_()
    for way in WAYS.values():
        right_or_declined(lambda way=way: squared(lstm(x, **way)[0]), [x, *lstm.parameters()])


@pytest.mark.parametrize("cell", ["vanilla", "carousel", "peephole", "coupled", "linear"])
def test_a_loss_on_the_trace_has_the_exact_gradient(cell: str, generator: torch.Generator) -> None:
    lstm = lstm_of(generator, cell=cell)
    x = complex_normal(generator, T, B, I).requires_grad_()

    def loss() -> Tensor:
        return squared(*lstm.trace(x)["l0"])

    right_or_declined(loss, [x, *lstm.parameters()])


def test_a_packed_sequence_is_taken_as_torch_takes_it(generator: torch.Generator) -> None:
    lstm = lstm_of(generator)
    theirs = nn.LSTM(I, H, dtype=torch.complex128)
    theirs.load_state_dict(lstm.state_dict())
    data = complex_normal(generator, 4, I)  # torch itself packs no complex input with a gradient
    found = []
    for layer in (lstm, theirs):
        given = data.clone().requires_grad_()
        y, (h, _) = layer(PackedSequence(given, torch.tensor([2, 1, 1])))
        squared(y.data, h).backward()
        found.append([y.data, h, given.grad, layer.weight_hh_l0.grad])
    for ours, right in zip(*found, strict=True):
        torch.testing.assert_close(ours, right)


def op(cell: Cell, inputs: Inputs, masks: StateMasks) -> tuple[Tensor, ...]:
    out = recurrence(cell, inputs, masks, engine="reference", trace=True)
    return tuple(t for t in out if t is not None)


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("cell", CELLS, ids=name_of)
def test_every_cell_and_mask_has_the_exact_gradient(cell: Cell, mask: str) -> None:
    inputs = complex_inputs(cell)
    masks = make_masks(mask, T, B, H, dtype=torch.complex128)
    exact(lambda: squared(*op(cell, inputs, masks)), [t for t in inputs if t is not None])


@pytest.mark.parametrize("cell", CELLS, ids=name_of)
def test_every_cell_passes_gradcheck_under_all_masks(cell: Cell) -> None:
    inputs = complex_inputs(cell)
    masks = make_masks("all", T, B, H, dtype=torch.complex128)

    def outputs(*tensors: Tensor) -> tuple[Tensor, ...]:
        given = iter(tensors)
        there = {n: next(given) for n, t in inputs._asdict().items() if t is not None}
        return op(cell, inputs._replace(**there), masks)

    there = [t for t in inputs if t is not None]
    assert torch.autograd.gradcheck(outputs, there, fast_mode=True)


def test_the_backward_pass_by_hand_is_autograds(generator: torch.Generator) -> None:
    cell, masks = Cell(peephole=True), StateMasks()
    inputs = complex_inputs(cell)
    leaves = [None if t is None else t.detach().requires_grad_() for t in inputs]
    out, _ = reference.forward(cell, type(inputs)(*leaves), masks, save=True)
    d_y = complex_normal(generator, T, B, H)
    there = [t for t in leaves if t is not None]
    right = torch.autograd.grad(out.y, there, d_y)
    gradients = reference.backward(
        cell,
        inputs,
        masks,
        type(out)(*(t.detach() for t in out if t is not None)),
        None,
        Gradients(d_y, None, None, None, None),
        tuple(t is not None for t in leaves),
    )
    found = [g for g, t in zip(gradients, leaves, strict=True) if t is not None]
    for mine, exact in zip(found, right, strict=True):
        torch.testing.assert_close(mine, exact)
