"""Which engine is chosen, for device × cell × mask × way, as a table.

There need be no GPU: what is decided is decided from a `Request`, or on meta tensors.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence

from unrolled import CELLS, LSTM, engines
from unrolled.engines import Request, choose, cpu
from unrolled.equations import Cell

F32, F64, BF16 = torch.float32, torch.float64, torch.bfloat16
LENGTHS, RESETS, ZONEOUT = ("live",), ("carry",), ("keep_h", "keep_c")
NOTHING: tuple[str, ...] = ()

# cell, masks, dtype, projected, trace, compiled and trained: the engine on the CPU, and on CUDA
TABLE: list[tuple[str, tuple[str, ...], torch.dtype, bool, bool, bool, str, str]] = [
    ("vanilla", NOTHING, F32, False, False, False, "cpu", "aten"),
    ("vanilla", NOTHING, F64, False, False, False, "cpu", "aten"),
    ("vanilla", NOTHING, BF16, False, False, False, "aten", "aten"),
    ("vanilla", NOTHING, F32, True, False, False, "aten", "aten"),
    ("vanilla", NOTHING, F32, False, True, False, "cpu", "reference"),
    ("vanilla", NOTHING, F32, False, False, True, "cpu", "aten"),  # under torch.compile
    ("vanilla", NOTHING, BF16, False, False, True, "aten", "aten"),
    ("vanilla", LENGTHS, F32, False, False, False, "cpu", "reference"),
    ("vanilla", LENGTHS, F32, True, False, False, "reference", "reference"),
    ("vanilla", RESETS, F32, False, False, False, "cpu", "reference"),
    ("vanilla", ZONEOUT, F32, False, False, False, "cpu", "reference"),
    *(
        (cell, masks, F32, False, trace, compiled, "cpu", "reference")
        for cell in ("carousel", "peephole", "coupled", "linear")
        for masks in (NOTHING, LENGTHS, RESETS, ZONEOUT)
        for trace in (False, True)
        for compiled in (False, True)
    ),
]


@pytest.mark.skipif(cpu.level() is None, reason="the native engine is not built")
@pytest.mark.parametrize("row", TABLE, ids=str)
def test_the_engine_is_the_one_in_the_table(row: tuple[Any, ...]) -> None:
    cell, masks, dtype, projected, trace, compiled, on_cpu, on_cuda = row
    for device, expected in (("cpu", on_cpu), ("cuda", on_cuda)):
        request = Request(CELLS[cell], masks, dtype, device, projected, trace, compiled)
        choice = choose("auto", request)
        assert choice.engine == expected, f"{device}: {choice}"


def test_every_cell_is_in_the_table() -> None:
    assert {row[0] for row in TABLE} == set(CELLS)


def _chosen(monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    """Every request that is put while a layer runs, as if its tensors lay on a GPU."""
    from unrolled.layer import recurrence

    asked: list[Request] = []

    def noted(name: str, request: Request) -> Any:
        asked.append(request)
        return choose(name, request)

    monkeypatch.setattr(recurrence, "choose", noted)
    monkeypatch.setattr(recurrence, "_choices", {})
    return asked


def test_a_packed_sequence_of_a_vanilla_cell_asks_for_no_mask(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """CuDNN takes a packed sequence as such: it must not become ``lengths`` before it is asked."""
    asked = _chosen(monkeypatch)
    lstm = LSTM(2, 3, engine="aten")
    packed = pack_padded_sequence(torch.randn(4, 2, 2), [4, 2])
    y, (h, c) = lstm(packed)
    right = torch.nn.LSTM(2, 3)
    right.load_state_dict(lstm.state_dict())
    y_right, (h_right, c_right) = right(packed)
    for ours, theirs in ((y.data, y_right.data), (h, h_right), (c, c_right)):
        torch.testing.assert_close(ours, theirs)
    assert all(not request.masks for request in asked)


def test_engine_for_says_that_a_packed_sequence_on_a_gpu_is_cudnns() -> None:
    lstm = LSTM(2, 3)
    packed = pack_padded_sequence(torch.randn(4, 2, 2), [4, 2])
    choice = lstm.engine_for(packed)
    assert not any("mask" in reason for name, reason in choice.declined if name == "aten")


def test_training_vanilla_under_compile_is_not_declined_by_torchs_engine() -> None:
    assert (
        engines.engine_named("aten").supports(Request(Cell(), (), F32, "cuda", compiled=True))
        is None
    )


@pytest.mark.parametrize(
    "options", [{}, {"proj_size": 2}, {"num_layers": 2, "bidirectional": True}]
)
def test_training_under_compile_on_torchs_engine_is_training(options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    lstm = LSTM(3, 5, dtype=F64, engine="aten", **options)
    x = torch.randn(4, 2, 3, dtype=F64, requires_grad=True)

    def gradients(run: Any) -> list[torch.Tensor]:
        y, (h, c) = run(x)
        loss = (
            (y * torch.arange(y.numel(), dtype=F64).view_as(y)).sum() + h.sum() + c.square().sum()
        )
        return list(torch.autograd.grad(loss, [x, *lstm.parameters()]))

    compiled = torch.compile(lstm, backend="aot_eager", fullgraph=True)
    for ours, right in zip(gradients(compiled), gradients(lstm), strict=True):
        torch.testing.assert_close(ours, right, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"proj_size": 2},
        {"num_layers": 2, "bidirectional": True, "dropout": 0.5},
        {"num_layers": 3, "bias": False},
    ],
)
@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("given", [True, False])
def test_packed_rows_are_torchs_in_all_its_forms(
    options: dict[str, Any], ordered: bool, given: bool
) -> None:
    torch.manual_seed(0)
    ours, right = LSTM(3, 5, engine="aten", **options), torch.nn.LSTM(3, 5, **options)
    right.load_state_dict(ours.state_dict())
    lengths = [4, 3, 1] if ordered else [1, 4, 3]
    packed = pack_padded_sequence(torch.randn(4, 3, 3), lengths, enforce_sorted=False)
    hx = None
    if given:
        hx = tuple(torch.randn_like(s) for s in right(packed)[1])
    found = []
    for lstm in (ours, right):
        torch.manual_seed(1)  # dropout draws
        y, (h, c) = lstm(packed, hx)
        weights = list(lstm.parameters())
        grads = torch.autograd.grad(y.data.square().sum() + h.sum() + c.sum(), weights)
        assert torch.equal(y.batch_sizes, packed.batch_sizes)
        found.append([y.data, h, c, *grads])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)
