"""The exact pass behind the faults, and that every fault changes what it says it changes."""

from __future__ import annotations

from collections.abc import Collection

import pytest
import torch
from torch import Tensor

from fault_pairs import cases, observed
from unrolled.equations import CELLS, Cell, step
from unrolled.faults import PUBLISHED, Fault, catalogue, compatible, fault, faulty_lstm

T, B, I, H = 4, 3, 2, 3


def inputs(cell: Cell, seed: int = 0) -> dict[str, Tensor]:
    """Random float64 arguments of `faulty_lstm`, all of which want a gradient."""
    generator = torch.Generator().manual_seed(seed)
    rows = len(cell.gates) * H
    shapes = {
        "x": (T, B, I),
        "h_0": (B, H),
        "c_0": (B, H),
        "w_ih": (rows, I),
        "w_hh": (rows, H),
        "b_ih": (rows,),
        "b_hh": (rows,),
    }
    if cell.peephole:
        shapes["w_ph"] = (len(cell.peepholes), H)
    return {
        name: torch.randn(shape, dtype=torch.float64, generator=generator).requires_grad_()
        for name, shape in shapes.items()
    }


def by_autograd(cell: Cell, **given: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """The same layer, differentiated by autograd through the reference's step."""
    h, c, ys = given["h_0"], given["c_0"], []
    for x in given["x"]:
        a = x @ given["w_ih"].T + given["b_ih"] + h @ given["w_hh"].T + given["b_hh"]
        s = step(cell, a, c, given.get("w_ph"))
        h, c = s.h, s.c
        ys.append(h)
    return torch.stack(ys), (h, c)


def gradients(cell: Cell, faults: Collection[Fault] | None = ()) -> dict[str, Tensor]:
    """The gradients of a loss on everything that a layer returns; None: autograd's."""
    given = inputs(cell)
    if faults is None:
        y, (h_n, c_n) = by_autograd(cell, **given)
    else:
        y, (h_n, c_n) = faulty_lstm(**given, cell=cell, faults=faults)
    wave = torch.linspace(0.5, 2, y.numel(), dtype=y.dtype).sin().view_as(y)
    loss = (y * wave).sum() + 0.3 * h_n.square().sum() - 0.7 * c_n.sin().sum()
    return dict(zip(given, torch.autograd.grad(loss, list(given.values())), strict=True))


@pytest.mark.parametrize("name", CELLS)
def test_without_a_fault_the_pass_is_exact(name: str) -> None:
    cell = CELLS[name]
    exact = gradients(cell, None)
    ours = gradients(cell)
    for key, value in exact.items():
        torch.testing.assert_close(ours[key], value, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", CELLS)
def test_the_terms_that_faults_replace_are_exact_where_they_are_not_replaced(name: str) -> None:
    """A fault of the flow that does nothing at this length sends the pass through the switches."""
    cell = CELLS[name]
    exact = gradients(cell, None)
    ours = gradients(cell, [fault(f"truncated-{T}", cell)])
    for key, value in exact.items():
        torch.testing.assert_close(ours[key], value, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", CELLS)
def test_every_fault_is_seen_in_some_gradient(name: str) -> None:
    cell = CELLS[name]
    exact = gradients(cell)
    for wrong in catalogue(cell, longest=3):
        got = gradients(cell, [wrong])
        apart = {key for key, value in exact.items() if not torch.allclose(got[key], value)}
        assert apart, wrong.key
        if not wrong.flow:
            part = wrong.key.partition("-")[0]
            if wrong.key[:3] in ("h_0", "c_0"):
                part = wrong.key[:3]
            own = {"ih": {"w_ih"}, "hh": {"w_hh"}, "b": {"b_ih", "b_hh"}}.get(part)
            own = {part} if part in ("x", "h_0", "c_0") else own
            assert not apart & ({"x", "h_0", "c_0"} - set(wrong.places)), wrong.key
            assert own is None or apart == own, wrong.key


@pytest.mark.parametrize("name", CELLS)
def test_many_sets_at_once_are_each_what_they_are_alone(name: str) -> None:
    cell = CELLS[name]
    known = catalogue(cell, longest=3)
    carried = [wrong for wrong in known if wrong.slot.startswith(("h ", "c "))]  # not the last step
    (case,) = cases(cell, [4])
    for some in (known, carried):
        sets = [(), *((wrong,) for wrong in some)]
        for faults, together in zip(sets, observed(cell, case, sets), strict=True):
            (alone,) = observed(cell, case, [faults])
            for block, value in alone.items():
                torch.testing.assert_close(together[block], value, rtol=1e-12, atol=1e-14)


def test_keys_are_names() -> None:
    for cell in CELLS.values():
        keys = [wrong.key for wrong in catalogue(cell)]
        assert len(set(keys)) == len(keys)
        assert all(fault(key, cell).key == key for key in keys)
    assert fault("truncated-17").steps == 17
    with pytest.raises(ValueError, match="'c-squared' is not a fault of this cell"):
        fault("c-squared", CELLS["linear"])


def test_two_faults_in_one_place_are_refused() -> None:
    both = [fault("c-squared"), fault("phi-prime-forgotten")]
    assert not compatible(both)
    with pytest.raises(ValueError, match="c-squared, phi-prime-forgotten cannot go together"):
        faulty_lstm(**inputs(Cell()), faults=both)


def test_document_002_by_hand() -> None:
    """The biases of i and o are f's, W_ih is the last step's, and the cell has no path."""
    cell = Cell()
    got = gradients(cell, PUBLISHED["002"])
    i, f, g, o = got["b_ih"].view(4, H)
    assert torch.equal(i, f)
    assert torch.equal(o, f)
    assert not torch.allclose(g, f)


def test_a_network_trains_in_float32() -> None:
    given = {name: value.detach().float() for name, value in inputs(Cell()).items()}
    weight = given.pop("w_hh").requires_grad_()
    y, _ = faulty_lstm(**given, w_hh=weight, faults=PUBLISHED["000"])
    y.square().mean().backward()
    assert weight.grad is not None
    assert weight.grad.dtype == torch.float32
    assert weight.grad.isfinite().all()
