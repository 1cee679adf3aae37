"""What people use today one step at a time, with our weights; each carries its own state on."""

from __future__ import annotations

import importlib
import importlib.util

import numpy as np
import torch
from torch import Tensor, nn

from unrolled.bench.peers import library, torch_cell, torch_layer
from unrolled.bench.timing import Peer
from unrolled.layer.lstm import LSTM

__all__ = ["numpy_step", "onnx_step", "our_step", "torch_cell_step", "torch_layer_step"]


def our_step(ours: LSTM, x: Tensor) -> Peer:
    """`Stepper.step`, in place."""
    stepper = ours.stepper(x.shape[0])
    stepper.x.copy_(x)
    return Peer("unrolled", stepper.step, read=lambda: (stepper.y,))


def torch_layer_step(ours: LSTM, x: Tensor) -> Peer:
    """`torch.nn.LSTM` over one step."""
    layer, sequence = torch_layer(ours), x[None]
    state = [torch.zeros(1, x.shape[0], ours.hidden_size)] * 2

    def call() -> tuple[Tensor, ...]:
        with torch.no_grad():
            y, state[:] = layer(sequence, tuple(state))
        return (y,)

    return Peer("torch.nn.LSTM", call)


def torch_cell_step(ours: LSTM, x: Tensor) -> Peer:
    """`torch.nn.LSTMCell`."""
    cell: nn.LSTMCell = torch_cell(ours)
    state = [torch.zeros(x.shape[0], ours.hidden_size)] * 2

    def call() -> tuple[Tensor, ...]:
        with torch.no_grad():
            state[:] = cell(x, tuple(state))
        return (state[0],)

    return Peer("torch.nn.LSTMCell", call)


def numpy_step(ours: LSTM, x: Tensor, threads: int) -> Peer:
    """A step written in NumPy: x and h side by side, so one product, and one tanh for all gates."""
    w_ih, w_hh, b_ih, b_hh = (t.detach().numpy() for t in ours.parameters())
    hidden, rows = ours.hidden_size, x.shape[0]
    w = np.ascontiguousarray(np.concatenate([w_ih, w_hh], 1).T)
    # σ(a) = (1 + tanh(a/2))/2, and a/2 for i, f and o is made once, in the weights.
    scale = np.full(4 * hidden, 0.5, np.float32)
    scale[2 * hidden : 3 * hidden] = 1
    w, b = w * scale, (b_ih + b_hh) * scale
    shift = 1 - scale
    shift[2 * hidden : 3 * hidden] = 0
    x_h = np.concatenate([x.numpy(), np.zeros((rows, hidden), np.float32)], 1)
    c = np.zeros((rows, hidden), np.float32)
    a = np.empty((rows, 4 * hidden), np.float32)
    i, f, g, o = (a[:, k * hidden : (k + 1) * hidden] for k in range(4))
    h = x_h[:, x.shape[1] :]

    def call() -> None:
        np.matmul(x_h, w, out=a)
        np.add(a, b, out=a)
        np.tanh(a, out=a)
        np.multiply(a, scale, out=a)
        np.add(a, shift, out=a)
        np.multiply(c, f, out=c)
        np.add(c, i * g, out=c)
        np.multiply(o, np.tanh(c), out=h)

    name = "NumPy"
    if importlib.util.find_spec("threadpoolctl") is None:
        name = "NumPy (its threads not pinned)"
    else:
        # Set for the process and left so: nothing else in a benchmark uses this library's threads.
        importlib.import_module("threadpoolctl").threadpool_limits(threads, "blas")
    return Peer(name, call, read=lambda: (torch.from_numpy(h.copy()),))


def onnx_step(ours: LSTM, x: Tensor, threads: int) -> Peer:
    """ONNX Runtime over one step of the operator LSTM.

    Called by ``run``: with inputs and outputs bound beforehand it takes three times as long.

    Raises
    ------
    NotMeasured
        If onnxruntime or onnx is not installed.
    """
    runtime = library("ONNX Runtime", "onnxruntime", "onnx")
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    session = runtime.InferenceSession(
        _onnx_model(ours, x.shape[0]), options, providers=["CPUExecutionProvider"]
    )
    zero = np.zeros((1, x.shape[0], ours.hidden_size), np.float32)
    feeds = {"x": x[None].numpy(), "h": zero, "c": zero}

    def call() -> None:
        feeds["h"], feeds["c"] = session.run(None, feeds)

    return Peer("ONNX Runtime", call, read=lambda: (torch.from_numpy(feeds["h"]),))


def _onnx_model(ours: LSTM, rows: int) -> bytes:
    onnx = importlib.import_module("onnx")
    helper, numpy_helper = onnx.helper, onnx.numpy_helper

    def reordered(t: Tensor) -> Tensor:
        i, f, g, o = t.detach().chunk(4)
        return torch.cat([i, o, f, g])

    w_ih, w_hh, b_ih, b_hh = (reordered(t) for t in ours.parameters())
    hidden = ours.hidden_size
    held = {"w": w_ih, "r": w_hh, "b": torch.cat([b_ih, b_hh])}
    shapes = {"x": (1, rows, ours.input_size)} | dict.fromkeys(
        ("h", "c", "h_n", "c_n"), (1, rows, hidden)
    )
    values = {
        name: helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in shapes.items()
    }
    graph = helper.make_graph(
        [
            helper.make_node(
                "LSTM",
                ["x", "w", "r", "b", "", "h", "c"],
                ["", "h_n", "c_n"],
                hidden_size=hidden,
            )
        ],
        "step",
        [values["x"], values["h"], values["c"]],
        [values["h_n"], values["c_n"]],
        [numpy_helper.from_array(t[None].numpy(), name) for name, t in held.items()],
    )
    # Versions from years ago, which every runtime of today reads.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    serialized: bytes = model.SerializeToString()
    return serialized
