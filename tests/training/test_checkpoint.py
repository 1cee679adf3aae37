"""A tree goes into a file and comes out the same, and a damaged file is told in a sentence."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unrolled.training import checkpoint
from unrolled.training.runs import RunError

PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
TREES = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.integers() | st.text(), inner)
    ),
    max_leaves=12,
)


def same(a: Any, b: Any) -> bool:
    """Equal, of the same kind, all the way down."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TREES)
def test_any_tree_comes_back(tmp_path: Path, tree: Any) -> None:
    checkpoint.write_tree(tmp_path / "tree", {"tree": tree, "tensor": torch.tensor([1.5])})
    found = checkpoint.read_tree(tmp_path / "tree")
    assert same(found, {"tree": tree, "tensor": torch.tensor([1.5])})


def test_an_optimisers_state_comes_back(tmp_path: Path) -> None:
    weight = torch.nn.Parameter(torch.randn(3, 2))
    optimizer = torch.optim.Adam([weight], betas=(0.8, 0.95), fused=True)
    for _ in range(3):
        weight.grad = torch.randn(3, 2)
        optimizer.step()
    checkpoint.write_tree(tmp_path / "tree", optimizer.state_dict())
    assert same(checkpoint.read_tree(tmp_path / "tree"), optimizer.state_dict())


@pytest.mark.parametrize(
    "tensor",
    [
        torch.zeros(0),
        torch.tensor(3.5, dtype=torch.bfloat16),
        torch.arange(6).reshape(2, 3).T,
        torch.tensor([True, False]),
        torch.tensor([math.nan, -0.0]).view(torch.int32),
        torch.get_rng_state(),
    ],
)
def test_every_kind_of_tensor_comes_back(tmp_path: Path, tensor: torch.Tensor) -> None:
    checkpoint.write_tree(tmp_path / "tree", [tensor])
    assert same(checkpoint.read_tree(tmp_path / "tree"), [tensor])


def test_tensors_that_share_memory_can_be_saved(tmp_path: Path) -> None:
    both = torch.arange(4.0)
    checkpoint.write_weights(tmp_path / "weights", {"a": both, "b": both[1:]})
    found = checkpoint.read_weights(tmp_path / "weights")
    assert torch.equal(found["a"], both)
    assert torch.equal(found["b"], both[1:])


def test_what_is_neither_tensor_nor_plain_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="a set cannot be saved"):
        checkpoint.write_tree(tmp_path / "tree", {"state": {1, 2}})
    assert list(tmp_path.iterdir()) == []


def test_a_file_cut_anywhere_is_told(tmp_path: Path) -> None:
    path = tmp_path / "tree"
    checkpoint.write_tree(path, {"a": torch.randn(5), "step": 3})
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(RunError, match="is damaged"):
            checkpoint.read_tree(path)


def test_another_safetensors_file_is_told(tmp_path: Path) -> None:
    checkpoint.write_weights(tmp_path / "weights", {"a": torch.zeros(1)})
    with pytest.raises(RunError, match="is damaged"):
        checkpoint.read_tree(tmp_path / "weights")


def test_no_weights_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no weights yet"):
        checkpoint.read_weights(tmp_path / "weights.safetensors")
