"""One suite for every engine: engine × cell × mask × dtype × size, forward and backward.

float64 is held to 1e-10 of autograd; a lower precision to twice (forward) or three times
(gradients) the error that the reference makes in that precision.  One run of the reference is a
lucky or an unlucky draw of roundings, so its error is the largest of four: as the inputs are, and
with each of them moved by no more than its own rounding, which is what a stable computation may do.
"""

import pytest
import torch
from torch import Tensor

from cases import (
    CELLS,
    DTYPES,
    MASKS,
    error,
    make_gradients,
    make_inputs,
    make_masks,
    name_of,
    native_level,
)
from unrolled import _native
from unrolled.engines import (
    Choice,
    Declined,
    Forward,
    Inputs,
    Request,
    choose,
    engine_named,
    engine_names,
    reference,
)
from unrolled.engines.masks import StateMasks
from unrolled.equations import Cell

# Few columns of x and many, batches of fewer rows than a tile has and of more than a chunk.
SIZES = [(1, 1, 1, 1), (2, 3, 19, 7), (63, 9, 5, 7), (63, 1, 1, 65), (1, 3, 4, 65)]
OTHERS = [name for name in engine_names() if name != "reference"]
# The native engine at every level of instruction sets that this machine has.
RUNS = [f"cpu/{level}" for level in _native.levels()] + ["aten"]


def run(
    engine: str, cell: Cell, inputs: Inputs, masks: StateMasks, d_from: Forward
) -> tuple[list[Tensor | None], list[Tensor | None]]:
    """Outputs and gradients of an engine; the outputs that it does not give are None."""
    d = make_gradients(d_from)._replace(gates=None, c=None)
    needs = tuple(t is not None for t in inputs)
    with torch.no_grad():
        out, saved = engine_named(engine).forward(cell, inputs, masks, save=True, trace=False)
        grads = engine_named(engine).backward(cell, inputs, masks, out, saved, d, needs)
    return list(out[:3]), grads


def cast(inputs: Inputs, dtype: torch.dtype) -> Inputs:
    return Inputs(*(None if t is None else t.detach().to(dtype) for t in inputs))


def moved(inputs: Inputs, seed: int) -> Inputs:
    """Every number moved by up to one rounding of its dtype."""
    g = torch.Generator().manual_seed(seed)

    def move(t: Tensor) -> Tensor:
        by = (2 * torch.rand(t.shape, generator=g, dtype=torch.float64) - 1) * torch.finfo(
            t.dtype
        ).eps
        return (t.double() * (1 + by)).to(t.dtype)

    return Inputs(*(None if t is None else move(t) for t in inputs))


def request_for(cell: Cell, masks: StateMasks, dtype: torch.dtype) -> Request:
    return Request(cell, masks.names(), dtype, "cpu")


def test_memory_is_poisoned() -> None:
    """What conftest.py promises: an output that nobody wrote is NaN."""
    assert torch.empty(3).isnan().all()


@pytest.mark.parametrize("mask", MASKS, ids=name_of)
@pytest.mark.parametrize("cell", CELLS, ids=name_of)
@pytest.mark.parametrize("size", [(1, 3, 2, 7), (2, 3, 2, 7), (63, 3, 5, 7)], ids=str)
@pytest.mark.parametrize("projected", [0, 3])
def test_hand_written_backward_is_the_gradient(
    size: tuple[int, int, int, int], cell: Cell, mask: str, projected: int
) -> None:
    """The reference's backward against autograd through its forward, gates' gradients included."""
    inputs = make_inputs(cell, *size, projected)
    masks = make_masks(mask, size[0], size[1], size[3], projected)
    out, _ = reference.forward(cell, inputs, masks, trace=True)
    d = make_gradients(out)
    there = [t for t in inputs if t is not None]
    exact = torch.autograd.grad(out, there, list(d))
    needs = tuple(t is not None for t in inputs)
    with torch.no_grad():
        grads = reference.backward(cell, inputs, masks, out, None, d, needs)
    found = [g for g in grads if g is not None]
    assert len(found) == len(exact)
    assert max(error(f, e) for f, e in zip(found, exact, strict=True)) <= 1e-10


@pytest.mark.parametrize("dtype", DTYPES, ids=name_of)
@pytest.mark.parametrize("mask", MASKS, ids=name_of)
@pytest.mark.parametrize("cell", CELLS, ids=name_of)
@pytest.mark.parametrize("engine_run", RUNS)
def test_engine_conforms(engine_run: str, cell: Cell, mask: str, dtype: torch.dtype) -> None:
    engine, _, level = engine_run.partition("/")
    with native_level(level):
        conform(engine, cell, mask, dtype)


def conform(engine: str, cell: Cell, mask: str, dtype: torch.dtype) -> None:
    reason = engine_named(engine).supports(request_for(cell, make_masks(mask, 2, 1, 1), dtype))
    if reason is not None:
        pytest.skip(reason)
    for T, B, I, H in SIZES:
        # Rounded to the dtype first: the question is how the engine computes, not how it reads.
        # Half-sized weights keep the steps from magnifying what one rounding more or less does.
        low = cast(make_inputs(cell, T, B, I, H, size=0.5), dtype)
        masks = make_masks(mask, T, B, H, dtype=dtype)
        exact_masks = make_masks(mask, T, B, H)
        high = cast(low, torch.float64)
        d_from, _ = reference.forward(cell, low, masks, trace=True)
        exact = run("reference", cell, high, exact_masks, d_from)
        found = run(engine, cell, low, masks, d_from)
        draws = [] if dtype == torch.float64 else [low, *(moved(low, seed) for seed in range(3))]
        same = [run("reference", cell, draw, masks, d_from) for draw in draws]
        # The roundings of the longest sum are no error: √n of them (Higham & Mary 2019), and an
        # activation's 4 ulp count as 16.
        roundings = (16 + max(I + H + 2, T * B)) ** 0.5 * torch.finfo(dtype).eps / 2
        for kind, slack in ((0, 2), (1, 3)):
            for k, (e, f) in enumerate(zip(exact[kind], found[kind], strict=True)):
                assert (e is None) == (f is None)
                if e is None or f is None:
                    continue
                assert f.dtype == dtype
                if dtype == torch.float64:
                    assert error(f, e) <= 1e-10, (T, B, I, H)
                    continue
                errors = [error(s[kind][k], e) for s in same]  # type: ignore[arg-type]
                assert error(f, e) <= slack * max(*errors, roundings), (T, B, I, H)


def test_skips_are_counted() -> None:
    """How much of the suite above each engine declines; a new decline changes this number."""
    declined = {
        engine: sum(
            engine_named(engine).supports(request_for(cell, make_masks(mask, 2, 1, 1), dtype))
            is not None
            for cell in CELLS
            for mask in MASKS
            for dtype in DTYPES
        )
        for engine in OTHERS
    }
    # cpu: bfloat16.  aten: all but one cell of 12 and one set of masks of 9.
    assert declined == {"cpu": 12 * 9, "aten": 12 * 9 * 3 - 3}


def test_auto_takes_the_first_that_supports() -> None:
    vanilla = Request(Cell(), (), torch.float32, "cpu")
    assert choose("auto", vanilla) == Choice("cpu")
    carousel = Request(Cell(forget="one"), (), torch.bfloat16, "cpu")
    choice = choose("auto", carousel)
    assert choice.engine == "reference"
    assert "cpu declined: it has float32 and float64, not bfloat16" in str(choice)
    assert "aten declined: torch has the vanilla cell only" in str(choice)


def test_an_engine_asked_for_by_name_declines_with_its_reason() -> None:
    with pytest.raises(Declined, match=r"engine='aten' declined: .*masks.*live"):
        choose("aten", Request(Cell(), ("live",), torch.float32, "cpu"))
    with pytest.raises(ValueError, match=r"engine='fast' .* expected auto, cpu, aten or ref"):
        choose("fast", Request(Cell(), (), torch.float32, "cpu"))
