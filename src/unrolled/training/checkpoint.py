"""A tree of tensors, numbers and words in one safetensors file, and back.

An optimiser's state is nested: dictionaries by number, with tensors and settings side by side.
The tensors go where safetensors puts tensors; the rest is JSON in the file's metadata, with a
reference where a tensor stood.  No pickle: to read a file can run nothing.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unrolled.errors import InvalidTypeError, InvalidValueError
from unrolled.files import sealed
from unrolled.files.bounded import check_json, parse_json
from unrolled.training import documents, runs
from unrolled.training.documents import DamagedError, RunError

__all__ = ["copy_tree", "read_tree", "read_weights", "seal_folder", "write_tree", "write_weights"]

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
    """The tree again; each tensor is taken out of ``tensors``, so that none serves twice."""
    if not isinstance(value, dict):
        return value
    ((kind, inside),) = value.items()
    if kind == "tensor":
        return tensors.pop(inside)
    if kind == "dict":
        found = {_unpack(k, tensors): _unpack(v, tensors) for k, v in inside}
        if len(found) < len(inside):
            raise ValueError("a key stands twice")
        return found
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
    tree = json.dumps(_pack(tree, tensors))
    check_json(tree.encode())  # what could not be read again is not written
    _write(path, tensors, {"tree": tree})


def read_tree(path: Path) -> Any:
    """What `write_tree` wrote.

    Raises
    ------
    RunError
        If the file is damaged.
    """
    tensors, metadata = _read(path)
    try:
        found = _unpack(parse_json(metadata["tree"].encode("utf-8", "surrogatepass")), tensors)
    except InvalidValueError as error:
        raise DamagedError(path, error) from error
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise DamagedError(path, "what it says of its tensors makes no sense") from error
    if tensors:
        raise DamagedError(path, f"{len(tensors)} of its tensors have no place")
    return found


def write_weights(path: Path, state: dict[str, Any]) -> None:
    """Write a model's ``state_dict``, each tensor by its own name."""
    copies = {
        name: value.detach().clone(memory_format=torch.contiguous_format)
        for name, value in state.items()
        if isinstance(value, Tensor)
    }
    _write(path, copies, {})


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


def seal_folder(folder: Path) -> None:
    """Seal the files of a run from before there were seals, but its config.json.

    That one is sealed last: a run killed on the way has files with a seal and some without, and a
    config.json that asks for none.
    """
    if not (folder / runs.CONFIG).is_file() or documents.owner(folder).sealed:
        return
    for name, read, write in (
        (runs.WEIGHTS, read_weights, write_weights),
        (runs.RESUME, read_tree, write_tree),
    ):
        if (folder / name).is_file():
            write(folder / name, read(folder / name))
    runs.cut_metrics(folder, sys.maxsize)
    if (result := runs.read_result(folder)) is not None:
        runs.write_result(folder, result)


# --- safetensors with a seal ---


def _write(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    signed = {**metadata, sealed.KEY: sealed.blank(documents.owner(path.parent).run)}
    data = _safetensors().torch.save(tensors, metadata=signed)
    documents.write_pieces(path, sealed.stamped(data, end=_header_end(data)))


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    whose = documents.owner(path.parent)
    safetensors = _safetensors()
    try:
        data = path.read_bytes()
        end = _header_end(data)
        metadata = _metadata(data[8:end])
        seal = sealed.examined(data, end=end)
        documents.take_seal(metadata, seal)
        tensors = dict(sorted(safetensors.torch.load(data).items()))  # copies of their own
    except (ValueError, KeyError, AssertionError, RuntimeError) as error:
        raise DamagedError(path, error) from error
    except safetensors.SafetensorError as error:
        raise DamagedError(path, error) from error
    documents.check_owner(path, seal, whose)
    return tensors, metadata


def _header_end(data: bytes) -> int:
    """Where the JSON ends that safetensors begins with, after eight bytes that say how long."""
    length = int.from_bytes(data[:8], "little")
    if not 8 + length <= len(data):
        raise InvalidValueError("it ends within its header")
    return 8 + length


def _metadata(header: bytes) -> dict[str, Any]:
    found = parse_json(header)
    metadata = found.get("__metadata__", {}) if isinstance(found, dict) else None
    if not isinstance(metadata, dict):
        raise InvalidValueError("its header is no JSON object")
    return metadata
