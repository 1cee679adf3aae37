"""What can be written, by name: the one list that the command line and the docs read."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from torch import nn

from unrolled.export.parts import ExportError

__all__ = ["TARGETS", "Target", "write"]


class Target(NamedTuple):
    """What one target writes: how its files end, in a few words what it is, and the function."""

    suffix: str  # of the file whose path is given; another may be written beside it
    summary: str
    place: str  # module:function, (nn.Module, Path) -> the paths that were written


TARGETS = {
    "onnx": Target(".onnx", "a graph for ONNX Runtime, OpenVINO and others", "onnx:write"),
    "c": Target(".c", "a .c and a .h file in C99, with no dependency", "c:write"),
    "rtneural": Target(".json", "the JSON that RTNeural reads", "rtneural:write"),
    "guitarml": Target(".json", "the JSON of GuitarML's Proteus and its readers", "guitarml:write"),
    "nam": Target(".nam", "a file for Neural Amp Modeler", "nam:write"),
    "torch": Target(".safetensors", "the weights as torch.nn.LSTM names them", "torch_state:write"),
}


def write(module: nn.Module, target: str, path: Path) -> list[Path]:
    """Write a module as a target does; returns the files that were written.

    Raises
    ------
    ExportError
        If there is no such target, or it cannot say what the module is.
    """
    if target not in TARGETS:
        raise ExportError(f"{target!r} is no target: expected one of {', '.join(TARGETS)}.")
    place, _, name = TARGETS[target].place.partition(":")
    function: Callable[[nn.Module, Path], list[Path]] = getattr(
        import_module(f"unrolled.export.{place}"), name
    )
    return function(module, path)
