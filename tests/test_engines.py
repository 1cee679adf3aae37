"""One suite for every engine: engine × cell × mask × dtype × size, forward and backward.

float64 is held to 1e-10 of autograd; a lower precision to twice (forward) or three times
(gradients) the error that the reference makes in that precision.
"""

import pytest
import torch
from torch import Tensor

from cases import CELLS, DTYPES, MASKS, error, make_gradients, make_inputs, make_masks, name_of
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
from unrolled.equations import Cell
from unrolled.masks import StateMasks

SIZES = [(1, 1, 1, 1), (2, 3, 2, 7), (63, 3, 5, 7), (63, 1, 1, 65), (1, 3, 4, 65)]
OTHERS = [name for name in engine_names() if name != "reference"]


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


def request_for(cell: Cell, masks: StateMasks, dtype: torch.dtype) -> Request:
    return Request(cell, masks.names(), dtype, "cpu")


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
@pytest.mark.parametrize("engine", OTHERS)
def test_engine_conforms(engine: str, cell: Cell, mask: str, dtype: torch.dtype) -> None:
    reason = engine_named(engine).supports(request_for(cell, make_masks(mask, 2, 1, 1), dtype))
    if reason is not None:
        pytest.skip(reason)
    for T, B, I, H in SIZES:
        # Rounded to the dtype first: the question is how the engine computes, not how it reads.
        low = cast(make_inputs(cell, T, B, I, H), dtype)
        masks = make_masks(mask, T, B, H, dtype=dtype)
        exact_masks = make_masks(mask, T, B, H)
        high = cast(low, torch.float64)
        d_from, _ = reference.forward(cell, low, masks, trace=True)
        exact = run("reference", cell, high, exact_masks, d_from)
        same = run("reference", cell, low, masks, d_from)
        found = run(engine, cell, low, masks, d_from)
        for kind, slack in ((0, 2), (1, 3)):
            for e, s, f in zip(exact[kind], same[kind], found[kind], strict=True):
                assert (e is None) == (f is None)
                if e is None or s is None or f is None:
                    continue
                assert f.dtype == dtype
                # Where the reference happens to be exact, a rounding is still no error.
                floor = 1e-10 if dtype == torch.float64 else torch.finfo(dtype).eps
                assert error(f, e) <= slack * max(error(s, e), floor), (T, B, I, H)


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
    # aten: one cell of 12, one set of masks of 9.
    assert declined == {"aten": 12 * 9 * 3 - 3}


def test_auto_takes_the_first_that_supports() -> None:
    vanilla = Request(Cell(), (), torch.float32, "cpu")
    assert choose("auto", vanilla) == Choice("aten")
    carousel = Request(Cell(forget="one"), (), torch.float32, "cpu")
    choice = choose("auto", carousel)
    assert choice.engine == "reference"
    assert "aten declined: torch has the vanilla cell only" in str(choice)


def test_an_engine_asked_for_by_name_declines_with_its_reason() -> None:
    with pytest.raises(Declined, match=r"engine='aten' declined: .*masks.*live"):
        choose("aten", Request(Cell(), ("live",), torch.float32, "cpu"))
    with pytest.raises(ValueError, match=r"engine='fast' is not an engine: use one of 'auto'"):
        choose("fast", Request(Cell(), (), torch.float32, "cpu"))
