"""What leaves Python through torch: it holds no op of ours, and gives the layer's numbers."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fresh import FreshPython
from unrolled import LSTM, Cell, Network
from unrolled.errors import UnrolledError
from unrolled.inside.intervention import held
from unrolled.layer.portable import PortableLSTM, for_export

# Of torch's about its own ways.
pytestmark = pytest.mark.filterwarnings("ignore")

time, batch = torch.export.Dim("time"), torch.export.Dim("batch")
OTHER = Cell("one", peephole=True, output="identity")


def given(lstm: LSTM, steps: int, rows: int) -> dict[str, Any]:
    """All that a call takes, with rows of all lengths."""
    count = lstm.num_layers * (2 if lstm.bidirectional else 1)
    width = lstm.proj_size or lstm.hidden_size
    return {
        "input": torch.randn(steps, rows, lstm.input_size),
        "hx": (torch.randn(count, rows, width), torch.randn(count, rows, lstm.hidden_size)),
        "lengths": torch.tensor([steps, *torch.randint(0, steps, (rows - 1,)).tolist()]),
        "resets": torch.rand(steps, rows) < 0.4,
        "mask": torch.rand(steps, rows) < 0.7,
    }


SHAPES = {
    "input": {0: time, 1: batch},
    "hx": ({1: batch}, {1: batch}),
    "lengths": {0: batch},
    "resets": {0: time, 1: batch},
    "mask": {0: time, 1: batch},
}


def program_of(module: nn.Module, inputs: dict[str, Any]) -> Any:
    shapes = {name: SHAPES[name] for name in inputs}
    with torch.no_grad():
        return torch.export.export(module, (), inputs, dynamic_shapes=shapes)


def hold(found: Any, expected: Any) -> None:
    y, (h, c) = expected
    own, (own_h, own_c) = found
    for one, other in ((own, y), (own_h, h), (own_c, c)):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"cell": OTHER, "bidirectional": True, "bias": False},
        {"num_layers": 2, "proj_size": 2, "zoneout": (0.1, 0.3)},
    ],
    ids=str,
)
def test_a_program_gives_what_the_layer_gives_for_any_size(options: dict[str, Any]) -> None:
    lstm = LSTM(3, 4, **options).eval()
    program = program_of(for_export(lstm), given(lstm, 5, 2))
    names = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert not [name for name in names if "unrolled" in name]
    assert "scan" in names
    for steps, rows in ((9, 3), (1, 1)):
        inputs = given(lstm, steps, rows)
        hold(program.module()(**inputs), lstm(**inputs))


def test_states_that_are_one_tensor_stay_apart() -> None:
    """Torch makes one of two inits of a scan that are the same tensor, and so h would be c."""
    lstm = LSTM(3, 4).eval()
    inputs: dict[str, Any] = {"input": torch.randn(5, 2, 3), "resets": torch.rand(5, 2) < 0.5}
    program = program_of(for_export(lstm), inputs)
    hold(program.module()(**inputs), lstm(**inputs))

    class Twice(nn.Module):
        def __init__(self, lstm: LSTM) -> None:
            super().__init__()
            self.lstm = lstm

        def forward(self, input: Tensor, resets: Tensor) -> Any:
            s = input[:1, :, :1].expand(1, -1, 4).contiguous()
            return self.lstm(input, (s, s), resets=resets, reset_to="initial")

    hold(program_of(for_export(Twice(lstm)), inputs).module()(**inputs), Twice(lstm)(**inputs))


def test_each_lstm_in_a_module_is_replaced_and_the_module_stays() -> None:
    module = nn.ModuleDict({"a": Network(LSTM(2, 3), nn.Linear(3, 1)), "b": LSTM(2, 3)})
    copy = for_export(module.train())
    assert type(copy["a"].recurrent) is PortableLSTM
    assert type(copy["b"]) is PortableLSTM
    assert copy["b"].training
    assert type(module["b"]) is LSTM
    x = torch.randn(4, 2, 2)
    hold(copy["a"](x), module["a"](x))
    assert copy["b"].weight_ih_l0 is not module["b"].weight_ih_l0  # type: ignore[union-attr]


def test_a_program_runs_where_we_are_not(fresh_python: FreshPython, tmp_path: Path) -> None:
    lstm = LSTM(3, 4, cell=OTHER, bidirectional=True).eval()
    path = tmp_path / "lstm.pt2"
    x = torch.randn(7, 3, 3)
    torch.export.save(program_of(for_export(lstm), {"input": torch.randn(5, 2, 3)}), path)
    done = fresh_python(f"""
import json, sys, torch
sys.modules["unrolled"] = None  # as if it were not installed
program = torch.export.load({str(path)!r})
y, (h, c) = program.module()(input=torch.tensor({x.tolist()!r}))
print(json.dumps([y.tolist(), [h.tolist(), c.tolist()]]))
assert not [name for name in sys.modules if name.startswith("unrolled.")]
""")
    assert done.returncode == 0, done.stderr
    y, state = json.loads(done.stdout)
    hold((torch.tensor(y), map(torch.tensor, state)), lstm(x))


@pytest.mark.skipif(not shutil.which("g++"), reason="there is no C++ compiler")
def test_a_program_is_compiled_ahead_of_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", os.fspath(tmp_path / "cache"))
    lstm = LSTM(3, 4).eval()
    inputs = given(lstm, 5, 2)
    inputs = {name: inputs[name] for name in ("input", "hx")}
    package = os.fspath(tmp_path / "lstm.pt2")
    aoti = torch._inductor
    aoti.aoti_compile_and_package(program_of(for_export(lstm), inputs), package_path=package)
    program = aoti.aoti_load_package(package)
    for steps, rows in ((9, 3), (4, 5)):
        more = {name: value for name, value in given(lstm, steps, rows).items() if name in inputs}
        hold(program(**more), lstm(**more))


def test_a_traced_layer_holds_no_op_of_ours() -> None:
    lstm = LSTM(3, 4, cell="coupled").eval()
    x = torch.randn(5, 2, 3)
    traced = torch.jit.trace(for_export(lstm), x)
    assert "unrolled::" not in str(traced.inlined_graph)
    hold(traced(x), lstm(x))


def test_an_intervention_is_declined() -> None:
    lstm = LSTM(3, 4)
    with held(lstm, "l0", [0]), pytest.raises(UnrolledError, match="intervention"):
        for_export(lstm)
