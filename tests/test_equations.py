"""E1–E8 against the papers, written here once more for single numbers, and against autograd."""

import math

import pytest
import torch

from cases import CELLS, name_of, normal
from unrolled import equations
from unrolled.equations import CELLS as PRESETS
from unrolled.equations import Cell, Gates


def sigma(v: float) -> float:
    return 1 / (1 + math.exp(-v))


def one_unit(
    cell: Cell, a: dict[str, float], c: float, p: dict[str, float], update: float
) -> tuple[float, ...]:
    """One unit of the cell in the papers' own order, number by number."""
    i = sigma(a["i"] + p["i"] * c)
    f = {"learned": sigma(a.get("f", 0) + p.get("f", 0) * c), "one": 1.0, "coupled": 1 - i}[
        cell.forget
    ]
    g = math.tanh(a["g"])
    new = f * c + i * g * update
    o = sigma(a["o"] + p["o"] * new)
    return i, f, g, o, new, o * (math.tanh(new) if cell.output == "tanh" else new)


@pytest.mark.parametrize("cell", CELLS, ids=name_of)
def test_step_is_the_cell_of_the_papers(cell: Cell, generator: torch.Generator) -> None:
    H, G = 3, len(cell.gates)
    a, c, update = normal(generator, G * H), normal(generator, H), normal(generator, H)
    p = normal(generator, len(cell.peepholes), H) if cell.peephole else None
    s = equations.step(cell, a, c, p, update)
    for k in range(H):
        gates = "ifgo" if cell.forget == "learned" else "igo"
        a_k = {gate: float(a[n * H + k]) for n, gate in enumerate(gates)}
        p_k = dict.fromkeys("ifo", 0.0)
        if p is not None:
            p_k |= {gate: float(p[n, k]) for n, gate in enumerate(gates.replace("g", ""))}
        expected = one_unit(cell, a_k, float(c[k]), p_k, float(update[k]))
        assert [float(t[k]) for t in s] == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("cell", CELLS, ids=name_of)
@pytest.mark.parametrize("with_update", [False, True])
def test_step_backward_is_the_gradient(
    cell: Cell, with_update: bool, generator: torch.Generator
) -> None:
    B, H = 2, 5
    a = normal(generator, B, len(cell.gates) * H).requires_grad_()
    c = normal(generator, B, H).requires_grad_()
    p = normal(generator, len(cell.peepholes), H).requires_grad_() if cell.peephole else None
    update = normal(generator, B, H) if with_update else None
    s = equations.step(cell, a, c, p, update)
    d = Gates(*(normal(generator, B, H) for _ in s))
    wanted = [a, c] if p is None else [a, c, p]
    pairs = [(t, g) for t, g in zip(s, d, strict=True) if t.requires_grad]
    exact = torch.autograd.grad([t for t, _ in pairs], wanted, [g for _, g in pairs])
    with torch.no_grad():
        d_a, d_c, d_p = equations.step_backward(cell, s, d, c, p, update)
    torch.testing.assert_close(d_a, exact[0], rtol=0, atol=1e-12)
    torch.testing.assert_close(d_c, exact[1], rtol=0, atol=1e-12)
    assert (d_p is None) == (p is None)
    if d_p is not None:
        torch.testing.assert_close(d_p.sum(1), exact[2], rtol=0, atol=1e-12)


@pytest.mark.parametrize("cell", CELLS, ids=name_of)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_gates_are_finite_for_any_input(cell: Cell, dtype: torch.dtype) -> None:
    """Documents 000 and 001 compute exp(x) and overflow at x = 710 (in float64)."""
    ends = torch.finfo(dtype)
    values = torch.tensor([ends.min, -1e4, -89.0, -0.0, 0.0, 89.0, 1e4, ends.max], dtype=dtype)
    a = values.repeat(len(cell.gates)).requires_grad_()
    s = equations.step(cell, a, torch.ones_like(values), None if not cell.peephole else _ones(cell))
    sum(t.sum() for t in s).backward()
    assert all(t.isfinite().all() for t in s)
    assert a.grad is not None
    assert a.grad.isfinite().all()


def _ones(cell: Cell) -> torch.Tensor:
    return torch.ones(len(cell.peepholes), 8)


def test_a_reset_does_not_multiply() -> None:
    state = torch.tensor([[math.inf], [math.nan], [2.0]])
    carry = torch.tensor([[False], [False], [True]])
    assert equations.before(state, None, carry).tolist() == [[0.0], [0.0], [2.0]]
    start = torch.tensor([[7.0], [8.0], [9.0]])
    assert equations.before(state, start, carry).tolist() == [[7.0], [8.0], [2.0]]


def test_a_step_that_is_not_live_holds() -> None:
    old, new = torch.tensor([[1.0], [1.0]]), torch.tensor([[math.nan], [3.0]])
    live = torch.tensor([[False], [True]])
    assert equations.after(old, new, None, live).tolist() == [[1.0], [3.0]]
    half = torch.full((2, 1), 0.5)
    assert equations.after(old, new, half, live).tolist() == [[1.0], [2.0]]


def test_presets_are_the_cells_they_say() -> None:
    assert PRESETS["carousel"].gates == ("i", "g", "o")
    assert PRESETS["peephole"].peepholes == ("i", "f", "o")
    assert Cell("coupled", peephole=True).peepholes == ("i", "o")
    assert PRESETS["linear"].output == "identity"
    assert PRESETS["vanilla"] == Cell()


@pytest.mark.parametrize(("kind", "value"), [("forget", "none"), ("output", "relu")])
def test_a_cell_of_unknown_kind_is_refused(kind: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"{kind}='{value}'.*use"):
        Cell(**{kind: value})  # type: ignore[arg-type]
