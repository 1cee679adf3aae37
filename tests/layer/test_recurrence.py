"""The op under autograd, torch.func, torch.compile and torch.export."""

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad, gradcheck, gradgradcheck
from torch.utils.checkpoint import checkpoint

from cases import CELLS, MASKS, error, make_inputs, make_masks, name_of
from unrolled.engines import Inputs
from unrolled.engines.masks import StateMasks
from unrolled.equations import Cell
from unrolled.layer.recurrence import recurrence

T, B, I, H = 3, 2, 2, 3

# torch itself compiles a decomposition with torch.jit the first time forward-mode AD is used.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.*deprecated:DeprecationWarning")


def outputs(cell: Cell, masks: StateMasks, inputs: Inputs, engine: str = "auto") -> list[Tensor]:
    out = recurrence(cell, inputs, masks, engine=engine, trace=engine != "aten")
    return [t for t in out if t is not None]


def call(cell: Cell, masks: StateMasks, inputs: Inputs, engine: str = "auto"):  # type: ignore[no-untyped-def]
    """A function of the tensors that are there, and those tensors."""
    at = [k for k, t in enumerate(inputs) if t is not None]

    def f(*tensors: Tensor) -> tuple[Tensor, ...]:
        full: list[Tensor | None] = [None] * len(inputs)
        for k, t in zip(at, tensors, strict=True):
            full[k] = t
        return tuple(outputs(cell, masks, Inputs(*full), engine))  # type: ignore[arg-type]

    return f, tuple(t for t in inputs if t is not None)


@pytest.mark.parametrize("mask", ["none", "all"])
@pytest.mark.parametrize("cell", CELLS, ids=name_of)
def test_first_and_second_derivatives(cell: Cell, mask: str) -> None:
    f, tensors = call(cell, make_masks(mask, T, B, H), make_inputs(cell, T, B, I, H))
    assert gradcheck(f, tensors, fast_mode=True)
    assert gradgradcheck(f, tensors, fast_mode=True)


def test_second_derivatives_through_aten() -> None:
    f, tensors = call(Cell(), StateMasks(), make_inputs(Cell(), T, B, I, H), "aten")
    assert gradcheck(f, tensors)
    assert gradgradcheck(f, tensors)


@pytest.mark.parametrize("cell", CELLS, ids=name_of)
@pytest.mark.parametrize("mask", MASKS, ids=name_of)
def test_jvp_agrees_with_the_gradient(cell: Cell, mask: str) -> None:
    """⟨v, J u⟩ from forward mode equals ⟨Jᵀ v, u⟩ from the hand-written backward."""
    f, tensors = call(cell, make_masks(mask, T, B, H), make_inputs(cell, T, B, I, H))
    g = torch.Generator().manual_seed(3)
    u = tuple(torch.randn(t.shape, generator=g, dtype=t.dtype) for t in tensors)
    plain = tuple(t.detach() for t in tensors)
    out, moved = torch.func.jvp(f, plain, u)
    v = [torch.randn(t.shape, generator=g, dtype=t.dtype) for t in out]
    back = torch.autograd.grad(f(*tensors), tensors, v)
    forward = sum(float((a * b).sum()) for a, b in zip(v, moved, strict=True))
    backward = sum(float((a * b).sum()) for a, b in zip(back, u, strict=True))
    assert forward == pytest.approx(backward, abs=1e-12)
    with forward_ad.dual_level():
        dual = [forward_ad.make_dual(t, w) for t, w in zip(plain, u, strict=True)]
        tangent = forward_ad.unpack_dual(f(*dual)[0]).tangent
    assert tangent is not None
    torch.testing.assert_close(tangent, moved[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("cell", [Cell(), Cell("coupled", peephole=True)], ids=name_of)
def test_vmap_over_inputs_and_over_parameters(cell: Cell) -> None:
    f, tensors = call(cell, StateMasks(), make_inputs(cell, T, B, I, H))
    plain = [t.detach() for t in tensors]

    for mapped in (0, 3):  # x, then W_ih
        many = torch.stack([plain[mapped], 2 * plain[mapped], -plain[mapped]])
        dims = [None] * len(plain)
        dims[mapped] = 0  # type: ignore[call-overload]
        args = list(plain)
        args[mapped] = many
        together = torch.func.vmap(f, in_dims=tuple(dims))(*args)
        for k, one in enumerate(many):
            args[mapped] = one
            for a, b in zip(together, f(*args), strict=True):
                torch.testing.assert_close(a[k], b, rtol=0, atol=1e-12)


def test_a_gradient_for_every_row_at_once() -> None:
    cell = Cell(peephole=True)
    inputs = Inputs(*(None if t is None else t.detach() for t in make_inputs(cell, T, 4, I, H)))

    def loss(w_hh: Tensor, x: Tensor, h_0: Tensor, c_0: Tensor) -> Tensor:
        row = inputs._replace(w_hh=w_hh, x=x[:, None], h_0=h_0[None], c_0=c_0[None])
        return recurrence(cell, row, StateMasks()).y.square().sum()

    each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 1, 0, 0))(
        inputs.w_hh, inputs.x, inputs.h_0, inputs.c_0
    )
    w_hh = inputs.w_hh.clone().requires_grad_()
    recurrence(cell, inputs._replace(w_hh=w_hh), StateMasks()).y.square().sum().backward()
    torch.testing.assert_close(each.sum(0), w_hh.grad, rtol=0, atol=1e-12)


@pytest.mark.parametrize("engine", ["cpu", "aten", "reference"])
@pytest.mark.parametrize("use_reentrant", [False, True])
def test_checkpointed(engine: str, use_reentrant: bool) -> None:
    f, tensors = call(Cell(), StateMasks(), make_inputs(Cell(), T, B, I, H), engine)
    exact = torch.autograd.grad(f(*tensors)[0].square().sum(), tensors)
    for t in tensors:
        t.grad = None
    checkpoint(f, *tensors, use_reentrant=use_reentrant)[0].square().sum().backward()
    for t, e in zip(tensors, exact, strict=True):
        assert t.grad is not None
        assert torch.equal(t.grad, e)


@pytest.mark.parametrize("mask", ["none", "all"])
@pytest.mark.parametrize("cell", [Cell(), Cell("one", peephole=True)], ids=name_of)
@pytest.mark.parametrize("engine", ["cpu", "reference"])
def test_the_compiled_op(cell: Cell, mask: str, engine: str) -> None:
    """Torch's own check of the op: schema, fake kernel, autograd registration, dynamic shapes."""
    masks = make_masks(mask, T, B, H)
    args = (
        *make_inputs(cell, T, B, I, H),
        *masks.tensors(),
        masks.to_start,
        cell.forget,
        cell.peephole,
        cell.output,
        engine,
        True,
    )
    torch.library.opcheck(torch.ops.unrolled.recurrence.default, args)


@pytest.mark.parametrize("mask", ["none", "all"])
@pytest.mark.parametrize("cell", [Cell(), Cell("coupled", peephole=True)], ids=name_of)
def test_compiled_as_one_graph(cell: Cell, mask: str) -> None:
    torch._dynamo.reset()
    masks = make_masks(mask, T, B, H)
    f, tensors = call(cell, masks, make_inputs(cell, T, B, I, H))
    compiled = torch.compile(f, fullgraph=True, backend="aot_eager")
    out, exact = compiled(*tensors), f(*tensors)
    found = torch.autograd.grad(sum(t.square().sum() for t in out), tensors)
    truth = torch.autograd.grad(sum(t.square().sum() for t in exact), tensors)
    for a, b in zip((*out, *found), (*exact, *truth), strict=True):
        assert error(a, b) <= 1e-12
    with torch.no_grad():
        assert error(compiled(*tensors)[0], exact[0]) <= 1e-12


def test_only_what_is_asked_for_gets_a_gradient() -> None:
    inputs = make_inputs(Cell(), T, B, I, H)
    inputs = inputs._replace(x=inputs.x.detach(), w_ih=inputs.w_ih.detach())
    for engine in ("cpu", "aten", "reference"):
        y = recurrence(Cell(), inputs, StateMasks(), engine=engine).y
        grads = torch.autograd.grad(y.sum(), [inputs.w_hh, inputs.h_0])
        assert all(g.abs().sum() > 0 for g in grads)
    assert not recurrence(
        Cell(),
        Inputs(*(t.detach() if t is not None else None for t in inputs)),  # type: ignore[arg-type]
        StateMasks(),
    ).y.requires_grad
