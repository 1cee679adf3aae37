"""A tree of tensors, numbers and words in one safetensors file, and back.

An optimiser's state is nested: dictionaries by number, with tensors and settings side by side.
The tensors go where safetensors puts tensors; the rest is JSON in the file's metadata, with a
reference where a tensor stood.  No pickle: to read a file can run nothing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unrolled.errors import InvalidTypeError
from unrolled.files.whole import replace_file
from unrolled.training.runs import RunError

__all__ = ["copy_tree", "read_tree", "read_weights", "write_tree", "write_weights"]

_PLAIN = (bool, int, float, str, type(None))


def _safetensors() -> Any:
    try:
        import safetensors.torch
    except ImportError as error:
        raise RunError(
            "a run's folder needs safetensors: pip install 'unrolled[cli]' brings it."
        ) from error
    return safetensors


def _pack(value: Any, tensors: dict[str, Tensor]) -> Any:
    """JSON for ``value``; its tensors are put into ``tensors``."""
    if isinstance(value, Tensor):
        name = str(len(tensors))
        # A copy: safetensors takes no two tensors that share memory.
        tensors[name] = value.detach().clone(memory_format=torch.contiguous_format)
        return {"tensor": name}
    if isinstance(value, dict):
        return {"dict": [[_pack(k, tensors), _pack(v, tensors)] for k, v in value.items()]}
    if type(value) in (list, tuple):
        return {type(value).__name__: [_pack(v, tensors) for v in value]}
    if isinstance(value, _PLAIN):
        return value
    raise InvalidTypeError(
        f"a {type(value).__name__} cannot be saved: a state is made of tensors, lists, tuples, "
        "dictionaries, numbers and words."
    )


def _unpack(value: Any, tensors: dict[str, Tensor]) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, inside),) = value.items()
    if kind == "tensor":
        return tensors[inside]
    if kind == "dict":
        return {_unpack(k, tensors): _unpack(v, tensors) for k, v in inside}
    return {"list": list, "tuple": tuple}[kind](_unpack(v, tensors) for v in inside)


def copy_tree(value: Any) -> Any:
    """The same tree with tensors of its own."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {k: copy_tree(v) for k, v in value.items()}
    if type(value) in (list, tuple):
        return type(value)(copy_tree(v) for v in value)
    return value


def write_tree(path: Path, tree: Any) -> None:
    """Write a tree of tensors, lists, tuples, dictionaries, numbers and words.

    Raises
    ------
    TypeError
        If there is anything else in it.
    """
    tensors: dict[str, Tensor] = {}
    record = {"tree": json.dumps(_pack(tree, tensors))}
    data = _safetensors().torch.save(tensors, metadata=record)
    replace_file(path, lambda beside: beside.write_bytes(data))


def read_tree(path: Path) -> Any:
    """What `write_tree` wrote.

    Raises
    ------
    RunError
        If the file is damaged.
    """
    tensors, metadata = _read(path)
    try:
        return _unpack(json.loads(metadata["tree"]), tensors)
    except (KeyError, ValueError, TypeError) as error:
        raise RunError(f"{path} is damaged: what it says of its tensors makes no sense.") from error


def write_weights(path: Path, state: dict[str, Any]) -> None:
    """Write a model's ``state_dict``, each tensor by its own name."""
    copies = {
        name: value.detach().clone(memory_format=torch.contiguous_format)
        for name, value in state.items()
        if isinstance(value, Tensor)
    }
    data = _safetensors().torch.save(copies)
    replace_file(path, lambda beside: beside.write_bytes(data))


def read_weights(path: Path) -> dict[str, Tensor]:
    """What `write_weights` wrote.

    Raises
    ------
    RunError
        If there is no such file, or it is damaged.
    """
    if not path.is_file():
        raise RunError(f"{path.parent} has no weights yet: the run was stopped before it had any.")
    return _read(path)[0]


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    safetensors = _safetensors()
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            # Copies: what is read must not hang on a file that the next checkpoint replaces.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
            return tensors, file.metadata() or {}
    except (OSError, safetensors.SafetensorError) as error:
        raise RunError(f"{path} is damaged: {error}.") from error
