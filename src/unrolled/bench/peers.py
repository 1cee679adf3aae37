"""What people use today on whole sequences, with our weights, ready to be called.

A loop over time is here as a careful person writes it: the input product of all steps at once
where the cell is written by hand, tensors instead of numbers, no copy that is not needed.
"""

from __future__ import annotations

import importlib
import importlib.util
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from unrolled.bench.timing import Call, NotMeasured, Peer
from unrolled.equations import Cell
from unrolled.layer.lstm import LSTM

__all__ = [
    "Run",
    "compiled",
    "in_inference",
    "in_training",
    "library",
    "looped_cell",
    "looped_layer",
    "packed",
    "seeded",
    "torch_cell",
    "torch_layer",
    "torchrecurrent_layer",
    "written_loop",
]

Run = Callable[[Tensor], Tensor]  # x [T, B, I] to y [T, B, H]

# Which of torchrecurrent's layers has the cell; the others of ours it does not have.
TORCHRECURRENT = {
    Cell(forget="one"): "OriginalLSTM",
    Cell(peephole=True): "PeepholeLSTM",
}


@contextmanager
def seeded() -> Iterator[None]:
    """Draw weights that are the same each time, and leave the global generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def library(name: str, *modules: str) -> Any:
    """Import what `unrolled` does not need itself.

    Raises
    ------
    NotMeasured
        If it is not installed.
    """
    missing = [m for m in modules if importlib.util.find_spec(m) is None]
    if missing:
        raise NotMeasured(
            f"{name}: {' and '.join(missing)} is not installed "
            "(pip install 'unrolled[bench]' brings it)"
        )
    return importlib.import_module(modules[0])


# --- how a layer is called ------------------------------------------------------------------


def in_training(run: Run, weights: Sequence[Tensor], x: Tensor, d_y: Tensor) -> Call:
    """Forward and backward with the gradient of x; gives y and every gradient."""
    leaf = x.clone().requires_grad_()
    watched = (leaf, *weights)

    def call() -> tuple[Tensor, ...]:
        y = run(leaf)
        torch.autograd.backward(y, d_y)
        found = (y, *(t.grad for t in watched if t.grad is not None))
        for t in watched:
            t.grad = None
        return found

    return call


def in_inference(run: Run, x: Tensor) -> Call:
    """Forward alone, without autograd."""

    def call() -> tuple[Tensor, ...]:
        with torch.no_grad():
            return (run(x),)

    return call


# --- torch ----------------------------------------------------------------------------------


def torch_layer(ours: LSTM) -> nn.LSTM:
    """`torch.nn.LSTM` with the weights of a layer of ours."""
    theirs = nn.LSTM(ours.input_size, ours.hidden_size)
    theirs.load_state_dict(ours.state_dict())
    return theirs


def torch_cell(ours: LSTM) -> nn.LSTMCell:
    """`torch.nn.LSTMCell`, the same."""
    theirs = nn.LSTMCell(ours.input_size, ours.hidden_size)
    theirs.load_state_dict({k.removesuffix("_l0"): t for k, t in ours.state_dict().items()})
    return theirs


def packed(layer: nn.LSTM, lengths: Tensor) -> Run:
    """Ragged rows through `PackedSequence`, and back to a padded tensor."""

    def run(x: Tensor) -> Tensor:
        y, _ = layer(pack_padded_sequence(x, lengths, enforce_sorted=False))
        padded: Tensor = pad_packed_sequence(y, total_length=x.shape[0])[0]
        return padded

    return run


def looped_cell(cell: nn.LSTMCell, keep: Tensor | None = None) -> Run:
    """A loop over time around one step; ``keep`` [T, B] is 0 where a row begins again."""

    def run(x: Tensor) -> Tensor:
        h = c = x.new_zeros(x.shape[1], cell.hidden_size)
        ys = []
        for t, x_t in enumerate(x.unbind(0)):
            if keep is not None:
                carried = keep[t, :, None]
                h, c = h * carried, c * carried
            h, c = cell(x_t, (h, c))
            ys.append(h)
        return torch.stack(ys)

    return run


def looped_layer(layer: nn.LSTM, keep: Tensor) -> Run:
    """The same around `torch.nn.LSTM`, one step at a time, as most rollouts have it."""

    def run(x: Tensor) -> Tensor:
        h = c = x.new_zeros(1, x.shape[1], layer.hidden_size)
        ys = []
        for t in range(x.shape[0]):
            carried = keep[t][None, :, None]
            y, (h, c) = layer(x[t : t + 1], (h * carried, c * carried))
            ys.append(y)
        return torch.cat(ys)

    return run


def written_loop(cell: Cell, weights: Sequence[Tensor]) -> Run:
    """A variant written by hand in plain torch; ``weights`` in the order of our parameters."""
    w_ih, w_hh, b_ih, b_hh, *peepholes = weights
    p = dict(zip(cell.peepholes, peepholes[0], strict=True)) if peepholes else {}

    def run(x: Tensor) -> Tensor:
        h = c = x.new_zeros(x.shape[1], w_hh.shape[1])
        ys = []
        for a_x in linear(x, w_ih, b_ih + b_hh).unbind(0):
            parts = linear(h, w_hh, None).add(a_x).chunk(len(cell.gates), 1)
            a = dict(zip(cell.gates, parts, strict=True))
            i = torch.sigmoid(a["i"] + p["i"] * c if p else a["i"])
            new = i * torch.tanh(a["g"])
            if cell.forget == "one":
                c_new = c + new
            elif cell.forget == "coupled":
                c_new = (1 - i) * c + new
            else:
                c_new = torch.sigmoid(a["f"] + p["f"] * c if p else a["f"]) * c + new
            o = torch.sigmoid(a["o"] + p["o"] * c_new if p else a["o"])
            h, c = o * (torch.tanh(c_new) if cell.output == "tanh" else c_new), c_new
            ys.append(h)
        return torch.stack(ys)

    return run


def compiled(name: str, run: Run, make: Callable[[Run], Call]) -> Peer:
    """`torch.compile` of a loop, compiled now.

    Raises
    ------
    NotMeasured
        If there is no C++ compiler, or torch cannot compile the loop.
    """
    if not any(shutil.which(compiler) for compiler in ("c++", "g++", "clang++")):
        raise NotMeasured(f"{name}: there is no C++ compiler for torch.compile to use")
    # Of one function torch compiles eight versions, and calls it as it is ever after.
    torch.compiler.reset()
    call = make(torch.compile(run, dynamic=False, fullgraph=True))
    try:
        call()
    except RuntimeError as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise NotMeasured(f"{name}: torch.compile failed ({first})") from error
    return Peer(name, call)


# --- torchrecurrent -------------------------------------------------------------------------


def torchrecurrent_layer(ours: LSTM) -> tuple[Run, list[Tensor]]:
    """The layer of torchrecurrent with our cell and weights, and these in our order.

    Raises
    ------
    NotMeasured
        If it is not installed, or has no such cell.
    """
    if ours.cell not in TORCHRECURRENT:
        raise NotMeasured(f"torchrecurrent: it has no cell with {_described(ours.cell)}")
    module = library("torchrecurrent", "torchrecurrent")
    layer = getattr(module, TORCHRECURRENT[ours.cell])(ours.input_size, ours.hidden_size)
    names = [name for name, _ in ours.named_parameters()]
    weights = [getattr(layer.cells[0], name.removesuffix("_l0")) for name in names]
    with torch.no_grad():
        for mine, its in zip(ours.parameters(), weights, strict=True):
            its.copy_(mine.reshape(its.shape))

    def run(x: Tensor) -> Tensor:
        y: Tensor = layer(x)[0]
        return y

    return run, weights


def _described(cell: Cell) -> str:
    f = {"learned": "a forget gate", "one": "f = 1", "coupled": "f = 1 − i"}[cell.forget]
    return f"{f} and h = o⊙c" if cell.output == "identity" else f
