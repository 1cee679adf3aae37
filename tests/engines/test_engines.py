"""One suite for every engine: engine × cell × mask × dtype × size, forward and backward.

float64 is held to 1e-10 of autograd; a lower precision to twice (forward) or three times
(gradients) the error that the reference makes in that precision.  One run of the reference is a
lucky or an unlucky draw of roundings, so its error is the largest of four: as the inputs are, and
with each of them moved by no more than its own rounding, which is what a stable computation may do.
"""

from collections import Counter
from collections.abc import Sequence
from functools import cache, lru_cache
from itertools import product
from typing import NamedTuple

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
    Backward,
    Choice,
    Declined,
    Forward,
    Gradients,
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
Size = tuple[int, int, int, int]


@cache
def declined(engine: str, cell: Cell, mask: str, dtype: torch.dtype) -> str | None:
    """The engine's reason not to take such a case; None where it takes it."""
    names = make_masks(mask, 2, 1, 1).names()
    return engine_named(engine).supports(Request(cell, names, dtype, "cpu"))


# An engine's levels follow each other, so that what they are held against is made once for all.
TAKEN = [
    pytest.param(run, cell, mask, dtype, id="-".join(map(name_of, (run, cell, mask, dtype))))
    for cell, mask, dtype, run in product(CELLS, MASKS, DTYPES, RUNS)
    if declined(run.partition("/")[0], cell, mask, dtype) is None
]


def run(
    engine: str, cell: Cell, inputs: Inputs, masks: StateMasks, d: Gradients
) -> tuple[list[Tensor | None], list[Tensor | None]]:
    """Outputs and gradients of an engine; the outputs that it does not give are None."""
    needs = tuple(t is not None for t in inputs)
    with torch.no_grad():
        out, saved = engine_named(engine).forward(cell, inputs, masks, save=True, trace=False)
        back = Backward(cell, inputs, masks, out, saved, d, needs)
        grads = engine_named(engine).backward(back)
    return list(out[:3]), grads


def run_together(
    cell: Cell, draws: Sequence[Inputs], masks: StateMasks, d: Gradients
) -> list[tuple[list[Tensor | None], list[Tensor | None]]]:
    """`run` of the reference for each of the draws, all of them in every call of torch."""
    there = [k for k, t in enumerate(draws[0]) if t is not None]

    def one(*tensors: Tensor) -> tuple[list[Tensor | None], list[Tensor]]:
        given = dict(zip(there, tensors, strict=True))
        inputs = Inputs(*(given.get(k) for k in range(len(draws[0]))))  # type: ignore[arg-type]
        out, grads = run("reference", cell, inputs, masks, d)
        return out, [grads[k] for k in there]  # type: ignore[misc]

    every = torch.func.vmap(one)(*(torch.stack([draw[k] for draw in draws]) for k in there))
    outs, grads = ([list(t) for t in kind] for kind in every)
    return [
        (
            [of[n] for of in outs],
            [grads[there.index(k)][n] if k in there else None for k in range(len(draws[0]))],
        )
        for n in range(len(draws))
    ]


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
        grads = reference.backward(Backward(cell, inputs, masks, out, None, d, needs))
    found = [g for g in grads if g is not None]
    assert len(found) == len(exact)
    assert max(error(f, e) for f, e in zip(found, exact, strict=True)) <= 1e-10


class Expected(NamedTuple):
    """What an engine is given, what is exact, and how far from it each result may be."""

    inputs: Inputs
    masks: StateMasks
    d: Gradients
    exact: tuple[list[Tensor | None], list[Tensor | None]]
    allowed: tuple[list[float], list[float]]


@lru_cache(maxsize=len(SIZES))
def expected(cell: Cell, mask: str, dtype: torch.dtype, size: Size) -> Expected:
    """The same for every engine and level, so it is made once while they take their turns."""
    T, B, I, H = size
    # Rounded to the dtype first: the question is how the engine computes, not how it reads.
    # Half-sized weights keep the steps from magnifying what one rounding more or less does.
    low = cast(make_inputs(cell, T, B, I, H, size=0.5), dtype)
    masks = make_masks(mask, T, B, H, dtype=dtype)
    like = (torch.empty(shape, dtype=dtype) for shape in ((T, B, H), (B, H), (B, H)))
    d = make_gradients(Forward(*like))
    exact = run("reference", cell, cast(low, torch.float64), make_masks(mask, T, B, H), d)
    if dtype == torch.float64:
        return Expected(low, masks, d, exact, ([1e-10] * 3, [1e-10] * len(low)))
    draws = [low, *(moved(low, seed) for seed in range(3))]
    same = run_together(cell, draws, masks, d)
    # The roundings of the longest sum are no error: √n of them (Higham & Mary 2019), and an
    # activation's 4 ulp count as 16.
    roundings = (16 + max(I + H + 2, T * B)) ** 0.5 * torch.finfo(dtype).eps / 2

    def bounds(kind: int, slack: float) -> list[float]:
        """Of the outputs, or of the gradients; one that is not there is held to nothing."""
        draws_of_each = zip(*(s[kind] for s in same), strict=True)
        return [
            slack * max(roundings, *(error(d, e) for d in drawn)) if e is not None else 0.0  # type: ignore[arg-type]
            for e, drawn in zip(exact[kind], draws_of_each, strict=True)
        ]

    return Expected(low, masks, d, exact, (bounds(0, 2), bounds(1, 3)))


@pytest.mark.parametrize(("engine_run", "cell", "mask", "dtype"), TAKEN)
def test_engine_conforms(engine_run: str, cell: Cell, mask: str, dtype: torch.dtype) -> None:
    engine, _, level = engine_run.partition("/")
    for size in SIZES:
        known = expected(cell, mask, dtype, size)
        with native_level(level):
            found = run(engine, cell, known.inputs, known.masks, known.d)
        for kind in (0, 1):
            for f, e, allowed in zip(
                found[kind], known.exact[kind], known.allowed[kind], strict=True
            ):
                assert (e is None) == (f is None)
                if e is None or f is None:
                    continue
                assert f.dtype == dtype
                assert error(f, e) <= allowed, size


def test_what_an_engine_declines_is_counted() -> None:
    """How much of the suite above is not made, and why; a new decline changes these numbers."""
    reasons: dict[str, Counter[str]] = {engine: Counter() for engine in OTHERS}
    for engine, *case in product(OTHERS, CELLS, MASKS, DTYPES):
        reason = declined(engine, *case)
        reasons[engine].update([] if reason is None else [reason])
    inside = "torch has no masks inside the loop"
    assert reasons == {
        "cpu": {"it has float32 and float64, not bfloat16": 12 * 9},
        "aten": {
            "torch has the vanilla cell only": 11 * 9 * 3,
            f"{inside} (live)": 2 * 3,  # lengths and missing
            f"{inside} (carry)": 2 * 3,  # resets and restarts
            f"{inside} (keep_h, keep_c)": 3,
            f"{inside} (recur)": 3,
            f"{inside} (update)": 3,
            f"{inside} (carry, live, recur, update, keep_h, keep_c)": 3,
        },
    }
    every = len(RUNS) * len(CELLS) * len(MASKS) * len(DTYPES)
    left_out = sum(reasons[run.partition("/")[0]].total() for run in RUNS)
    assert len(TAKEN) == every - left_out
    assert {case.values[0] for case in TAKEN} == set(RUNS)


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
