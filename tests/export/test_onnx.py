"""ONNX files: what ONNX Runtime and OpenVINO make of them is what the layer gives."""

from __future__ import annotations

import json
import random
import warnings
from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ecosystem_needs import needed
from unrolled import LSTM, Cell, Network
from unrolled.export import ExportError, to_onnx
from unrolled.export.targets import write

onnx = needed("onnx")
onnxruntime = needed("onnxruntime")
needed("onnxscript")

State = tuple[Tensor, Tensor]
NEAR = {"rtol": 1e-6, "atol": 1e-6}


def states(lstm: LSTM, rows: int) -> State:
    count = lstm.num_layers * (2 if lstm.bidirectional else 1)
    width = lstm.proj_size or lstm.hidden_size
    return torch.randn(count, rows, width), torch.randn(count, rows, lstm.hidden_size)


def example(lstm: LSTM, steps: int, rows: int, lengths: bool = False) -> dict[str, Any]:
    shape = (rows, steps) if lstm.batch_first else (steps, rows)
    given: dict[str, Any] = {
        "input": torch.randn(*shape, lstm.input_size),
        "hx": states(lstm, rows),
    }
    if lengths:
        given["lengths"] = torch.tensor([steps, *torch.randint(0, steps, (rows - 1,)).tolist()])
    return given


def leaves(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        yield from leaves(list(value.values()))
    elif value is not None:
        for one in value:
            yield from leaves(one)


def ran(path: Path, given: Any) -> list[np.ndarray]:
    """What ONNX Runtime makes of a file."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]
    arrays = [t.detach().numpy() for t in leaves(given)]
    found: list[np.ndarray] = session.run(None, dict(zip(names, arrays, strict=True)))
    return found


def hold(found: list[np.ndarray], expected: Any) -> None:
    for one, own in zip(found, leaves(expected), strict=True):
        assert one.dtype == own.detach().numpy().dtype
        np.testing.assert_allclose(one, own.detach().numpy(), **NEAR)


def nodes(path: Path) -> list[str]:
    """The kinds of the recurrent nodes in a file."""
    kinds = [node.op_type for node in onnx.load(path).graph.node]
    return [kind for kind in kinds if kind in ("LSTM", "Scan")]


# --- the standard's own vectors ---

VECTORS = (
    "defaults",
    "with_initial_bias",
    "with_peepholes",
    "batchwise",
    "reverse",
    "bidirectional",
)


@cache
def vectors() -> dict[str, Any]:
    """The standard's tests of its LSTM, by their names."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        return {case.name.removeprefix("test_lstm_"): case for case in collect_testcases("LSTM")}


def vector(name: str) -> tuple[Any, dict[str, np.ndarray], list[np.ndarray]]:
    """A test of the standard: its node, its inputs by the operator's names, its outputs."""
    case = vectors()[name]
    (node,) = case.model.graph.node
    order = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
    inputs, outputs = case.data_sets[0]
    there = [kind for kind, own in zip(order, node.input, strict=False) if own]
    return node, dict(zip(there, inputs, strict=True)), outputs


def from_standard(node: Any, given: dict[str, np.ndarray]) -> LSTM:
    """An LSTM of ours with the standard's weights: its gates are i, o, f, c; its peepholes i, o, f.

    Written here by the standard's words, and not by what the library writes with.
    """
    options = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    both = options.get("direction") == b"bidirectional"
    cell = "peephole" if "P" in given else "vanilla"
    width, hidden = given["X"].shape[2], given["R"].shape[2]
    lstm = LSTM(
        width,
        hidden,
        cell=cell,
        bidirectional=both,
        batch_first=options.get("layout") == 1,
        forget_bias=None,
    )
    bias = given.get("B", np.zeros((len(given["W"]), 8 * hidden), np.float32))
    for d, end in enumerate(("_l0", "_l0_reverse")[: len(given["W"])]):
        for name, rows in (
            ("weight_ih", given["W"][d]),
            ("weight_hh", given["R"][d]),
            ("bias_ih", bias[d, : 4 * hidden]),
            ("bias_hh", bias[d, 4 * hidden :]),
        ):
            i, o, f, g = np.split(rows, 4)
            weight = torch.from_numpy(np.concatenate((i, f, g, o)))
            getattr(lstm, name + end).data.copy_(weight)
        if "P" in given:
            i, o, f = np.split(given["P"][d], 3)
            getattr(lstm, f"weight_ph{end}").data.copy_(torch.from_numpy(np.stack((i, f, o))))
    return lstm


@pytest.mark.parametrize("name", VECTORS)
def test_the_standards_vectors_are_read_and_written(name: str, tmp_path: Path) -> None:
    node, given, expected = vector(name)
    lstm = from_standard(node, given)
    x = torch.from_numpy(given["X"].copy())
    backwards = name == "reverse"
    y, (h, c) = lstm(x.flip(0) if backwards else x)
    ours = {"Y": y.flip(0) if backwards else y, "Y_h": h, "Y_c": c}
    # Three steps and two rows more, for torch lets no size vary that is 1.
    more = torch.cat([torch.cat([x, x], 0)] * 2, 1)
    written = to_onnx(lstm, more, tmp_path / "own.onnx")
    found = ran(written, x.flip(0) if backwards else x)
    theirs = dict(zip(ours, map(torch.from_numpy, found), strict=True))
    if backwards:
        theirs["Y"] = theirs["Y"].flip(0)
    for own in (ours, theirs):
        for kind, value in zip([n for n in node.output if n], expected, strict=True):
            where = {"Y": "Y", "Y_h": "Y_h", "Y_c": "Y_c"}[kind]
            seen = own[where].detach().numpy()
            if where == "Y":  # theirs has the directions apart
                there = value.swapaxes(1, 2) if not lstm.batch_first else value
                value = there.reshape(seen.shape)
            elif lstm.batch_first:
                value = value.swapaxes(0, 1)
            np.testing.assert_allclose(seen, value, **NEAR)


# --- sixty-four configurations ---


def configuration(k: int) -> dict[str, Any]:
    """The k-th of 64: each cell in turn, all else drawn."""
    draw = random.Random(1997 + k)
    cells = list(product(("learned", "one", "coupled"), (False, True), ("tanh", "identity")))
    hidden = draw.randint(2, 5)
    return {
        "cell": Cell(*cells[k % len(cells)]),
        "input_size": draw.randint(1, 4),
        "hidden_size": hidden,
        "num_layers": draw.choice((1, 1, 1, 2)),
        "bidirectional": draw.random() < 0.25,
        "bias": draw.random() < 0.7,
        "batch_first": draw.random() < 0.4,
        "proj_size": hidden - 1 if draw.random() < 0.2 else 0,
        "zoneout": draw.choice((0.0, 0.0, 0.0, 0.2, (0.1, 0.3))),
    }


class Member(nn.Module):
    """One configuration: an LSTM, and a head on some."""

    def __init__(self, k: int) -> None:
        super().__init__()
        torch.manual_seed(k)
        self.lstm = LSTM(**configuration(k))
        width = (self.lstm.proj_size or self.lstm.hidden_size) * (1 + self.lstm.bidirectional)
        self.head = nn.Linear(width, 2) if k % 2 else nn.Identity()

    def forward(self, given: dict[str, Any]) -> Any:
        y, state = self.lstm(given["input"], given["hx"], lengths=given.get("lengths"))
        return self.head(y), state


class Together(nn.Module):
    """Some configurations as one module: an export takes seconds, whatever is in it."""

    def __init__(self, members: range) -> None:
        super().__init__()
        self.members = nn.ModuleList(map(Member, members))

    def examples(self, steps: int, rows: int) -> list[dict[str, Any]]:
        pairs = enumerate(self.members)
        return [example(one.lstm, steps, rows, k % 4 > 1) for k, one in pairs]  # type: ignore[arg-type]

    def shapes(self) -> list[dict[str, Any]]:
        time, batch = torch.export.Dim("time"), torch.export.Dim("batch")
        found = []
        for k, one in enumerate(self.members):
            turned = one.lstm.batch_first  # type: ignore[union-attr]
            first = {0: batch, 1: time} if turned else {0: time, 1: batch}
            own: dict[str, Any] = {"input": first, "hx": ({1: batch}, {1: batch})}
            found.append(own | ({"lengths": {0: batch}} if k % 4 > 1 else {}))
        return found

    def forward(self, cases: list[dict[str, Any]]) -> list[Any]:
        return [one(case) for one, case in zip(self.members, cases, strict=True)]


@pytest.mark.parametrize("first", range(0, 64, 4))
def test_random_configurations(first: int, tmp_path: Path) -> None:
    module = Together(range(first, first + 4)).eval()
    given, shapes = (module.examples(5, 2),), {"cases": module.shapes()}
    path = to_onnx(module, given, tmp_path / "all.onnx", dynamic_shapes=shapes)
    for steps, rows in ((9, 3), (1, 1)):
        torch.manual_seed(steps)
        cases = module.examples(steps, rows)
        hold(ran(path, cases), module(cases))
    known = 0
    for one in module.members:
        lstm: Any = one.lstm  # type: ignore[union-attr]
        cell = lstm.cell.forget != "one" and lstm.cell.output == "tanh"
        plain = not lstm.proj_size and not lstm.noise.zoneout_h and not lstm.noise.zoneout_c
        known += lstm.num_layers if cell and plain else 0
    assert nodes(path).count("LSTM") == known


# --- names, sizes, the whole of a network ---


def test_inputs_and_outputs_have_their_names_and_vary(tmp_path: Path) -> None:
    lstm = LSTM(3, 4, cell="peephole", bidirectional=True, batch_first=True)
    path = to_onnx(lstm, example(lstm, 5, 2, lengths=True), tmp_path / "lstm.onnx")
    graph = onnx.load(path).graph
    sizes = {
        one.name: [d.dim_param or d.dim_value for d in one.type.tensor_type.shape.dim]
        for one in (*graph.input, *graph.output)
    }
    assert sizes == {
        "input": ["batch", "time", 3],
        "h_0": [2, "batch", 4],
        "c_0": [2, "batch", 4],
        "lengths": ["batch"],
        "output": ["batch", "time", 8],
        "h_n": [2, "batch", 4],
        "c_n": [2, "batch", 4],
    }
    (node,) = [one for one in graph.node if one.op_type == "LSTM"]
    options = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    assert options == {"direction": b"bidirectional", "hidden_size": 4}
    onnx.checker.check_model(path, full_check=True)
    given = example(lstm, 8, 4, lengths=True)
    given["lengths"] = torch.tensor([0, 8, 3, 1])
    hold(ran(path, given), lstm(**given))


def test_weights_lie_in_the_file_once(tmp_path: Path) -> None:
    lstm = LSTM(32, 64)
    path = to_onnx(lstm, torch.randn(4, 2, 32), tmp_path / "lstm.onnx")
    weights = sum(p.nbytes for p in lstm.parameters())
    assert weights < path.stat().st_size < weights + 8000


def test_the_file_says_what_it_holds(tmp_path: Path) -> None:
    network = Network(LSTM(3, 4, cell="coupled", zoneout=0.1), nn.Linear(4, 1))
    path = to_onnx(network, torch.randn(4, 2, 3), tmp_path / "network.onnx")
    said = {one.key: one.value for one in onnx.load(path).metadata_props}
    told = json.loads(said["unrolled.recurrent"])
    assert told["cell"] == {"forget": "coupled", "peephole": False, "output": "tanh"}
    assert (told["input_size"], told["hidden_size"], told["noise"]["zoneout_c"]) == (3, 4, 0.1)


def test_resets_and_a_mask_are_a_scan(tmp_path: Path) -> None:
    lstm = LSTM(3, 4, bidirectional=True)
    given: dict[str, Any] = example(lstm, 5, 2, lengths=True)
    for name in ("resets", "mask"):
        given[name] = torch.rand(5, 2) < 0.5
    path = to_onnx(lstm, given, tmp_path / "lstm.onnx")
    assert nodes(path) == ["Scan", "Scan"]
    given = example(lstm, 7, 3, lengths=True)
    for name in ("resets", "mask"):
        given[name] = torch.rand(7, 3) < 0.5
    hold(ran(path, given), lstm(**given))


def test_one_sequence_without_a_batch(tmp_path: Path) -> None:
    lstm = LSTM(3, 4)
    path = to_onnx(lstm, torch.randn(5, 3), tmp_path / "lstm.onnx")
    x = torch.randn(8, 3)
    hold(ran(path, x), lstm(x))


def test_double_precision_is_a_scan(tmp_path: Path) -> None:
    lstm = LSTM(3, 4, dtype=torch.float64)
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    path = to_onnx(lstm, x, tmp_path / "lstm.onnx")
    assert nodes(path) == ["Scan"]
    hold(ran(path, x), lstm(x))


def test_a_module_that_trains_is_written_as_it_is_in_eval(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Dropout(0.5), LSTM(3, 4, num_layers=2, dropout=0.5, zoneout=0.1))
    path = to_onnx(model, torch.randn(5, 2, 3), tmp_path / "model.onnx")
    assert model.training
    x = torch.randn(5, 2, 3)
    hold(ran(path, x), model.eval()(x))


def test_torchs_own_export_knows_the_layer(tmp_path: Path) -> None:
    lstm = LSTM(3, 4, num_layers=2, cell="coupled", bidirectional=True).eval()
    given = example(lstm, 5, 2)
    time, batch = torch.export.Dim("time"), torch.export.Dim("batch")
    shapes = {"input": {0: time, 1: batch}, "hx": ({1: batch}, {1: batch})}
    path = tmp_path / "lstm.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's about itself
        torch.onnx.export(
            lstm, (), path, kwargs=given, dynamo=True, dynamic_shapes=shapes, verbose=False
        )
    assert nodes(path) == ["LSTM"] * 4
    given = example(lstm, 9, 3)
    hold(ran(path, given), lstm(**given))


# --- the command's way ---


@pytest.mark.parametrize("batch_first", [False, True])
def test_write_takes_an_lstm_and_its_head(batch_first: bool, tmp_path: Path) -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = LSTM(3, 4, batch_first=batch_first)
            self.head = nn.Linear(4, 2)

    model = Model()
    (path,) = write(model, "onnx", tmp_path / "model.onnx")
    given = example(model.lstm, 9, 3)
    y, state = model.lstm(**given)
    hold(ran(path, given), (model.head(y), state))
    assert [one.name for one in onnx.load(path).graph.output] == ["output", "h_n", "c_n"]


# --- OpenVINO ---


def in_openvino(path: Path, given: Any) -> list[np.ndarray]:
    openvino = needed("openvino")
    model = openvino.Core().compile_model(path, "CPU")
    found = model([t.detach().numpy() for t in leaves(given)])
    return [found[k] for k in range(len(model.outputs))]


def test_openvino_reads_the_node(tmp_path: Path) -> None:
    lstm = LSTM(3, 4, num_layers=2, bidirectional=True)
    path = to_onnx(lstm, example(lstm, 5, 2), tmp_path / "lstm.onnx")
    assert nodes(path) == ["LSTM", "LSTM"]
    for steps, rows in ((9, 3), (2, 1)):
        given = example(lstm, steps, rows)
        hold(in_openvino(path, given), lstm(**given))


@pytest.mark.parametrize(
    "options",
    [{}, {"cell": "peephole"}, {"cell": "coupled", "bidirectional": True}, {"zoneout": 0.2}],
    ids=str,
)
def test_openvino_runs_a_scan_with_lengths(options: dict[str, Any], tmp_path: Path) -> None:
    lstm = LSTM(3, 4, **options).eval()
    path = tmp_path / "lstm.onnx"
    to_onnx(lstm, example(lstm, 5, 2, lengths=True), path, scan=True)
    assert set(nodes(path)) == {"Scan"}
    for steps, rows in ((9, 3), (2, 1)):
        given = example(lstm, steps, rows, lengths=True)
        hold(in_openvino(path, given), lstm(**given))


# --- sentences ---


def test_what_cannot_be_written_is_declined(tmp_path: Path, monkeypatch: Any) -> None:
    lstm, path = LSTM(3, 4), tmp_path / "lstm.onnx"
    for given, words in (
        (torch.randn(1, 2, 3), "the example input is [1, 2, 3]: expected 2 steps and 2 rows"),
        ({"inputs": torch.randn(5, 2, 3)}, "example_inputs do not fit the call of LSTM"),
    ):
        with pytest.raises(ExportError) as caught:
            to_onnx(lstm, given, path)
        assert words in str(caught.value)

    class Fixed(nn.Module):
        def forward(self, input: Tensor) -> Tensor:
            return input.reshape(5, 6)

    with pytest.raises(ExportError, match=r"time and batch to vary|could not write the module"):
        to_onnx(Fixed(), torch.randn(5, 2, 3), path)
    assert not path.exists()


def test_without_onnx_it_says_what_brings_it(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("unrolled.export.onnx.find_spec", lambda name: None)
    with pytest.raises(ExportError) as caught:
        to_onnx(LSTM(3, 4), torch.randn(5, 2, 3), tmp_path / "lstm.onnx")
    assert "pip install 'unrolled[onnx]'" in str(caught.value)


def test_a_file_that_was_good_stays(tmp_path: Path) -> None:
    path = tmp_path / "lstm.onnx"
    path.write_text("good")
    with pytest.raises(ExportError):
        to_onnx(LSTM(3, 4), torch.randn(1, 2, 3), path)
    assert path.read_text() == "good"
