"""ONNX files: what ONNX Runtime and OpenVINO make of them is what the layer gives."""

from __future__ import annotations

import json
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from ecosystem_needs import needed
from exported import NEAR, example, hold, leaves, nodes, ran
from unrolled import LSTM, Elman, Network
from unrolled.export import ExportError, to_onnx
from unrolled.export.targets import write

onnx = needed("onnx")
needed("onnxruntime")
needed("onnxscript")

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
    """Their weights are one number throughout, and blind to the order of gates; see the next."""
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


def test_a_network_with_lengths(tmp_path: Path) -> None:
    network = Network(LSTM(3, 4), nn.Linear(4, 2), read="last").eval()
    given = {"input": torch.randn(5, 2, 3), "lengths": torch.tensor([5, 3])}
    path = to_onnx(network, given, tmp_path / "network.onnx")
    given = {"input": torch.randn(9, 3, 3), "lengths": torch.tensor([9, 0, 4])}
    hold(ran(path, given), network(**given))


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


def test_what_cannot_be_written_is_declined(tmp_path: Path) -> None:
    lstm, path = LSTM(3, 4), tmp_path / "lstm.onnx"
    for given, words in (
        (torch.randn(1, 2, 3), "the example input is [1, 2, 3]: expected 2 steps and 2 rows"),
        ({"inputs": torch.randn(5, 2, 3)}, "example_inputs do not fit the call of LSTM"),
    ):
        with pytest.raises(ExportError) as caught:
            to_onnx(lstm, given, path)
        assert words in str(caught.value)

    # Elman's loop over time is Python's, and so its length is the example's.
    with pytest.raises(ExportError, match=r"takes input as \[5, batch, …\] alone"):
        to_onnx(Network(Elman(3, 4)), torch.randn(5, 2, 3), path)
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
