"""`torch.compile(fullgraph=True)` and `torch.export` of the module, time and batch dynamic."""

from typing import Any

import pytest
import torch
from torch.export import Dim, export

from cases import error, normal
from unrolled import LSTM

KINDS: list[dict[str, Any]] = [
    {},
    {"num_layers": 2, "bidirectional": True, "proj_size": 2},
    {"cell": "peephole", "zoneout": 0.1},
    {"cell": "carousel", "batch_first": True, "bias": False},
]


def layer(arguments: dict[str, Any]) -> LSTM:
    torch.manual_seed(0)
    return LSTM(3, 5, dtype=torch.float64, **arguments).eval()


@pytest.mark.parametrize("arguments", KINDS, ids=str)
def test_one_graph_for_every_length(arguments: dict[str, Any], generator: torch.Generator) -> None:
    torch._dynamo.reset()
    m = layer(arguments)
    compiled = torch.compile(m, fullgraph=True, backend="aot_eager", dynamic=True)
    for shape in ((6, 4, 3), (9, 2, 3), (3, 7, 3)):
        x = normal(generator, *shape)
        found, expected = [], []
        for call, into in ((compiled, found), (m, expected)):
            leaf = x.clone().requires_grad_()
            y, (h, c) = call(leaf)
            loss = y.sin().sum() + h.sum() + (c * c).sum()
            into += [y, h, c, *torch.autograd.grad(loss, [leaf, *m.parameters()])]
        for a, b in zip(found, expected, strict=True):
            assert error(a, b) <= 1e-12


def test_masks_in_one_graph(generator: torch.Generator) -> None:
    torch._dynamo.reset()
    m = layer({"cell": "peephole", "bidirectional": True})
    compiled = torch.compile(m, fullgraph=True, backend="aot_eager")
    x = normal(generator, 6, 4, 3)
    arguments: dict[str, Any] = {
        name: torch.rand(6, 4, generator=generator) < 0.7 for name in ("mask", "resets")
    }
    arguments["lengths"] = torch.tensor([6, 0, 3, 1])
    assert error(compiled(x, **arguments)[0], m(x, **arguments)[0]) <= 1e-12


def test_a_trace_in_one_graph(generator: torch.Generator) -> None:
    torch._dynamo.reset()
    m, x = layer({"num_layers": 2}), normal(generator, 6, 4, 3)

    def openness(x: torch.Tensor) -> torch.Tensor:
        return m.trace(x)["l1"].f.mean()

    compiled = torch.compile(openness, fullgraph=True, backend="aot_eager")
    grads = [torch.autograd.grad(f(x), m.weight_hh_l0)[0] for f in (compiled, openness)]
    assert error(*grads) <= 1e-12


def test_in_training_the_compiled_noise_is_noise(generator: torch.Generator) -> None:
    torch._dynamo.reset()
    m = layer({"num_layers": 2, "dropout": 0.3, "zoneout": 0.2, "recurrent_dropout": 0.2}).train()
    compiled = torch.compile(m, fullgraph=True, backend="aot_eager")
    x = normal(generator, 6, 4, 3)
    a, b = compiled(x)[0], compiled(x)[0]
    assert a.isfinite().all()
    assert not torch.equal(a, b)


@pytest.mark.parametrize("arguments", KINDS, ids=str)
@pytest.mark.parametrize("with_gradients", [True, False])
def test_exported_with_dynamic_batch_and_time(
    arguments: dict[str, Any], with_gradients: bool, generator: torch.Generator
) -> None:
    m = layer(arguments)
    count = m.num_layers * (2 if m.bidirectional else 1)

    def example(steps: int, batch: int) -> tuple[Any, ...]:
        x = normal(generator, *((batch, steps) if m.batch_first else (steps, batch)), 3)
        return x, (
            normal(generator, count, batch, m.proj_size or 5),
            normal(generator, count, batch, 5),
        )

    time, rows = Dim("T", min=1, max=4096), Dim("B", min=1, max=4096)
    x_dims = {0: rows, 1: time} if m.batch_first else {0: time, 1: rows}
    with torch.set_grad_enabled(with_gradients):
        program = export(
            m, example(6, 4), dynamic_shapes=(x_dims, ({1: rows}, {1: rows})), strict=False
        ).module()
        for steps, batch in ((6, 4), (11, 1), (1, 9)):
            args = example(steps, batch)
            found, expected = program(*args), m(*args)
            assert error(found[0], expected[0]) <= 1e-12
            assert error(found[1][1], expected[1][1]) <= 1e-12
