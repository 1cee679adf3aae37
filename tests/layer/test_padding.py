"""What lies outside a row's length: never read, never written but as 0, in every engine alike."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from cases import make_inputs, make_masks, normal
from unrolled.engines import Inputs
from unrolled.engines.masks import StateMasks, row_masks, until
from unrolled.equations import CELLS
from unrolled.layer.recurrence import recurrence

T, B, I, H = 6, 5, 3, 7
LENGTHS = torch.tensor([6, 0, 3, 1, 4])


def masks_of(name: str, reverse: bool) -> StateMasks:
    """Lengths, one of them 0, and on top of them what else is named."""
    g = torch.Generator().manual_seed(3)
    present, resets = (torch.rand(T, B, generator=g) < p for p in (0.6, 0.3))
    every = name == "all"
    rows = row_masks(
        until(LENGTHS, T),
        present if every or name == "missing" else None,
        resets if every or name == "resets" else None,
        reverse=reverse,
        to_start=every,
    )
    if not every:
        return rows
    units = make_masks("all", T, B, H)
    return replace(
        rows, recur=units.recur, update=units.update, keep_h=units.keep_h, keep_c=units.keep_c
    )


def outcome(
    cell: str, masks: StateMasks, engine: str, padding: float, start: bool = True
) -> tuple[list[Tensor], list[Tensor | None]]:
    """Outputs, and the gradients of a loss on all of y and on both states."""
    inputs = make_inputs(CELLS[cell], T, B, I, H)
    assert masks.inside is not None
    with torch.no_grad():
        inputs.x[~masks.inside] = padding
    if not start:
        inputs = inputs._replace(h_0=torch.zeros(B, H).double(), c_0=torch.zeros(B, H).double())
    out = recurrence(CELLS[cell], inputs, masks, engine=engine)
    g = torch.Generator().manual_seed(4)
    loss = sum((t * normal(g, *t.shape)).sum() for t in out[:3] if t is not None)
    wanted = [t for t in inputs if t is not None and t.requires_grad]
    return [t.detach() for t in out[:3] if t is not None], list(torch.autograd.grad(loss, wanted))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", ["lengths", "missing", "resets", "all"])
@pytest.mark.parametrize("cell", ["vanilla", "peephole", "coupled"])
def test_the_kernel_does_in_the_padding_what_the_reference_does(
    cell: str, name: str, reverse: bool
) -> None:
    masks = masks_of(name, reverse)
    assert masks.inside is not None
    exact = outcome(cell, masks, "reference", 0.0)
    assert torch.equal(
        exact[0][0][~masks.inside], torch.zeros(int((~masks.inside).sum()), H).double()
    )
    for engine, padding in (("cpu", float("nan")), ("reference", float("nan"))):
        found = outcome(cell, masks, engine, padding)
        for ours, theirs in zip(found[0] + found[1], exact[0] + exact[1], strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)
            assert ours is not None
            assert ours.isfinite().all()


@pytest.mark.parametrize("reverse", [False, True])
def test_no_state_given_is_a_state_of_zeros(reverse: bool) -> None:
    masks = masks_of("lengths", reverse)
    found, exact = (outcome("vanilla", masks, e, 0.0, start=False) for e in ("cpu", "reference"))
    for ours, theirs in zip(found[0] + found[1], exact[0] + exact[1], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_a_trace_holds_h_in_the_padding() -> None:
    masks = masks_of("lengths", reverse=False)
    inputs = make_inputs(CELLS["vanilla"], T, B, I, H)
    seen = {
        e: recurrence(CELLS["vanilla"], inputs, masks, engine=e, trace=True)
        for e in ("cpu", "reference")
    }
    for out in seen.values():
        assert torch.equal(out.y[-1], out.h_n)
    torch.testing.assert_close(seen["cpu"].y, seen["reference"].y, rtol=1e-10, atol=1e-12)


def test_the_second_derivative_knows_the_padding() -> None:
    masks = masks_of("all", reverse=False)
    given = make_inputs(CELLS["vanilla"], T, B, I, H)
    assert masks.inside is not None
    with torch.no_grad():
        given.x[~masks.inside] = float("nan")

    def penalty(engine: str) -> Tensor:
        inputs = Inputs(*(None if t is None else t.detach().requires_grad_() for t in given))
        y = recurrence(CELLS["vanilla"], inputs, masks, engine=engine).y
        g = normal(torch.Generator().manual_seed(5), *y.shape)
        (d_x,) = torch.autograd.grad((y * g).sum(), inputs.x, create_graph=True)
        return torch.autograd.grad(d_x.square().sum(), inputs.w_hh)[0]

    torch.testing.assert_close(penalty("cpu"), penalty("reference"), rtol=1e-10, atol=1e-12)
    assert penalty("cpu").isfinite().all()
