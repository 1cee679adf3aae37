"""ONNX: a module with LSTMs of ours in it as a graph for ONNX Runtime, OpenVINO and others."""

from __future__ import annotations

import inspect
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from importlib.util import find_spec
from itertools import chain, count
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from unrolled.export.nodes import NodeLSTM
from unrolled.export.parts import ExportError, parts_of
from unrolled.files.whole import check_place, replace_file
from unrolled.layer.lstm import LSTM
from unrolled.layer.portable import PortableLSTM, replaced

__all__ = ["to_onnx", "write"]

Inputs = Tensor | tuple[Any, ...] | Mapping[str, Any]
OPSET = 18  # the first in which torch writes every operation that it knows


def to_onnx(
    module: nn.Module,
    example_inputs: Inputs,
    path: str | Path,
    *,
    scan: bool = False,
    dynamic_shapes: Mapping[str, Any] | None = None,
) -> Path:
    """Write a module with LSTMs of ours in it as an ONNX file, as it is in ``eval()``.

    An LSTM is one LSTM node for each layer where ONNX has its cell: vanilla, peephole and coupled,
    in both directions, with ``lengths``.  Any other (the carousel, h = o⊙c, a projection, zoneout,
    float64) and any call with ``resets`` or ``mask`` is a Scan over the equations, with the same
    numbers.  All else is written by torch.

    Parameters
    ----------
    module : nn.Module
        It stays as it is.
    example_inputs : Tensor, tuple or dict
        What it is called with: one input, those by position, or those by name, as in
        ``{"input": x, "hx": (h_0, c_0), "lengths": lengths}``.  Their sizes are examples, and at
        least 2 where they are to vary.
    path : str or Path
        A file that is there is replaced once the new one is whole.
    scan : bool
        Whether every LSTM is a Scan.  OpenVINO needs that for peepholes, coupled gates and
        lengths: it reads the nodes that have them, and passes over them without a word.
    dynamic_shapes : dict, optional
        Which sizes vary, as in ``torch.export.export``; if left out, all that the module lets
        vary, and of the first input its first two: those of time and batch.

    Returns
    -------
    Path
        The file.  Its inputs are named as the module's arguments, a pair of states ``h_0`` and
        ``c_0``; its outputs are ``output``, ``h_n`` and ``c_n`` where these are what is returned.

    Raises
    ------
    unrolled.export.ExportError
        If onnx is not installed, or the module cannot be said in ONNX, in one sentence.
    unrolled.files.whole.PlaceError, OSError
        If the file cannot be written.

    Examples
    --------
    >>> from unrolled import LSTM
    >>> lstm = LSTM(3, 8, cell="peephole")
    >>> to_onnx(lstm, {"input": torch.randn(5, 2, 3)}, "lstm.onnx")  # doctest: +SKIP
    PosixPath('lstm.onnx')
    """
    _need()
    place = Path(path)
    check_place(place)
    _check_size(module)
    copy = replaced(module, PortableLSTM.of if scan else NodeLSTM.of).eval().requires_grad_(False)
    bound = _bound(module, example_inputs)
    given = bound.arguments
    if dynamic_shapes is None:
        _check_example(given)
    shapes = _varying(copy, given) if dynamic_shapes is None else dynamic_shapes
    program = _recorded(copy, bound, shapes)
    if dynamic_shapes is None:
        _check_varying(program, given)
    _describe(program, module)
    replace_file(place, partial(program.save, external_data=False))
    return place


def write(module: nn.Module, path: Path) -> list[Path]:
    """Write the one LSTM in a module, and the linear head that reads it, as an ONNX file.

    Its inputs are ``input`` (x as the layer takes it), ``h_0`` and ``c_0``, its outputs ``output``,
    ``h_n`` and ``c_n``; any number of steps and of rows.

    Raises
    ------
    unrolled.export.ExportError
        If there is no such LSTM in it, or onnx is not installed.
    """
    lstm, head = parts_of(module)
    weight = lstm.weight_ih_l0
    steps, rows = 3, 2
    shape = (rows, steps) if lstm.batch_first else (steps, rows)
    layers = lstm.num_layers * (2 if lstm.bidirectional else 1)
    h, c = (
        weight.new_zeros(layers, rows, size)
        for size in (lstm.proj_size or lstm.hidden_size, lstm.hidden_size)
    )
    x = weight.new_zeros(*shape, lstm.input_size)
    return [to_onnx(_Whole(lstm, head), {"input": x, "hx": (h, c)}, path)]


class _Whole(nn.Module):
    """An LSTM and its head, from one state to the next."""

    def __init__(self, lstm: LSTM, head: nn.Linear | None) -> None:
        super().__init__()
        self.lstm, self.head = lstm, head

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor]) -> tuple[Tensor, Any]:
        y, state = self.lstm(input, hx)
        return (y if self.head is None else self.head(y)), state


def _need() -> None:
    missing = [name for name in ("onnx", "onnxscript") if find_spec(name) is None]
    if missing:
        raise ExportError(
            f"an ONNX file needs {' and '.join(missing)}: pip install 'unrolled[onnx]' brings it."
        )


def _check_size(module: nn.Module) -> None:
    """Protocol buffers end at 2 GiB."""
    size = sum(t.nbytes for t in (*module.parameters(), *module.buffers()))
    if size >= 2**31:
        raise ExportError(
            f"{type(module).__name__} has {size / 2**30:.1f} GiB of weights: expected less than "
            "2 GiB, which is all that one ONNX file holds."
        )


def _bound(module: nn.Module, given: Inputs) -> inspect.BoundArguments:
    """The example inputs as the arguments of the module's call."""
    positional = (
        () if isinstance(given, Mapping) else given if isinstance(given, tuple) else (given,)
    )
    named = given if isinstance(given, Mapping) else {}
    try:
        return inspect.signature(module.forward).bind(*positional, **named)
    except TypeError as error:
        raise ExportError(
            f"example_inputs do not fit the call of {type(module).__name__}: {error}."
        ) from None


def _each(value: Any, name: str, change: Callable[[str, Tensor], Any]) -> Any:
    """A structure like ``value``, with ``change(name, tensor)`` in place of each tensor."""
    if isinstance(value, Tensor):
        return change(name, value)
    if isinstance(value, Mapping):
        return {key: _each(one, key, change) for key, one in value.items()}
    if isinstance(value, (tuple, list)):
        pair = len(value) == 2 and name in ("hx", "state")
        names = ("h_0", "c_0") if pair else [f"{name}_{k}" for k in range(len(value))]
        return type(value)(_each(one, n, change) for n, one in zip(names, value, strict=True))
    return None


def _named(arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors in the arguments by the names of the graph's inputs, in their order."""
    found: dict[str, Tensor] = {}

    def note(name: str, t: Tensor) -> None:
        names = chain([name], (f"{name}_{k}" for k in count(1)))
        found[next(free for free in names if free not in found)] = t

    _each(arguments, "", note)
    return found


# Of each size of what an LSTM takes: x, as it is in the first input; b, the batch's; -, fixed.
_SIZES = {"resets": "xx", "mask": "xx", "lengths": "b", "h_0": "-b-", "c_0": "-b-"}


def _varying(module: nn.Module, arguments: Mapping[str, Any]) -> Any:
    """Which sizes vary: time and batch, where the arguments are those of an LSTM; else any may."""
    inputs = _named(arguments)
    first = next(iter(inputs), "")
    known = _SIZES | {first: "xx-"}
    if first and inputs[first].dim() == 2:  # one sequence, without a batch
        known = {first: "x-", "h_0": "--", "c_0": "--", "resets": "x", "mask": "x"}
    if any(t.dim() != len(known.get(name, "")) for name, t in inputs.items()):
        return _each(arguments, "", lambda _, t: dict.fromkeys(range(t.dim()), Dim.AUTO))
    time, batch = Dim("time"), Dim("batch")
    lstms = [one for one in module.modules() if isinstance(one, LSTM)]
    turned = any(one.batch_first for one in lstms) and inputs[first].dim() == 3
    order = (batch, time) if turned else (time, batch)

    def sizes(name: str, _: Tensor) -> dict[int, Any]:
        kinds = enumerate(known[name])
        return {k: batch if kind == "b" else order[k] for k, kind in kinds if kind != "-"}

    return _each(arguments, "", sizes)


def _recorded(module: nn.Module, bound: inspect.BoundArguments, shapes: Any) -> Any:
    """The graph as torch has it."""
    try:
        with _quiet(), torch.no_grad():
            outputs = _output_names(module(*bound.args, **bound.kwargs))
            return torch.onnx.export(
                module,
                bound.args,
                kwargs=bound.kwargs,
                dynamo=True,
                dynamic_shapes=shapes,
                input_names=list(_named(bound.arguments)),
                output_names=outputs,
                opset_version=OPSET,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        cause = error.__cause__ or error
        first = str(cause).strip().partition("\n")[0]
        raise ExportError(f"torch could not write the module as ONNX: {first}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what torch says of itself: of operations it does not need, and of its own ways."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.filterwarnings("ignore", ".*axis name.*", UserWarning)
            yield
    finally:
        logger.setLevel(level)


def _output_names(output: Any) -> list[str] | None:
    """The outputs' names where they are an LSTM's; else torch gives them."""
    match output:
        case Tensor():
            return ["output"]
        case (Tensor(), (Tensor(), Tensor())):
            return ["output", "h_n", "c_n"]
    return None


def _check_example(arguments: Mapping[str, Any]) -> None:
    """Raise where time or batch, the first two sizes of the first input, are 1."""
    for name, x in list(_named(arguments).items())[:1]:
        if 1 in x.shape[: min(2, x.dim() - 1)]:
            raise ExportError(
                f"the example {name} is {list(x.shape)}: expected 2 steps and 2 rows or more, for "
                "torch lets no size vary that is 1; or dynamic_shapes=, where it is to stay so."
            )


def _check_varying(program: Any, arguments: Mapping[str, Any]) -> None:
    """Raise where time or batch, the first two sizes of the first input, stayed what they were."""
    for name, x in list(_named(arguments).items())[:1]:
        sizes = program.model.graph.inputs[0].shape[: min(2, x.dim() - 1)]
        if any(isinstance(size, int) for size in sizes):
            shown = ", ".join(str(getattr(size, "value", size)) for size in sizes)
            raise ExportError(
                f"the module takes {name} as [{shown}, …] alone: expected time and batch to vary; "
                "give dynamic_shapes= to say that they do not."
            )


def _describe(program: Any, module: nn.Module) -> None:
    """Say in the file what each LSTM in it is."""
    names = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "bidirectional")
    for place, one in module.named_modules():
        if isinstance(one, LSTM):
            said = {name: getattr(one, name) for name in (*names, "proj_size")}
            said |= {"cell": asdict(one.cell), "noise": asdict(one.noise)}
            program.model.metadata_props[f"unrolled.{place or 'LSTM'}"] = json.dumps(said)
