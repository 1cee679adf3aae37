"""No tensor of ours lands on the process's default device: the source says where each is made."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "unrolled"
FACTORIES = frozenset(
    [
        "empty",
        "zeros",
        "ones",
        "full",
        "rand",
        "randn",
        "randint",
        "randperm",
        "arange",
        "linspace",
        "logspace",
        "eye",
        "tensor",
        "as_tensor",
        "Generator",
        "empty_strided",
        "scalar_tensor",
        "tril_indices",
        "triu_indices",
        "normal",
    ]
)


def without_device(source: str) -> list[int]:
    """The lines of calls of torch's factories that leave the device to the process."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        ours = ast.unparse(node.func.value) == "torch" and node.func.attr in FACTORIES
        said = {keyword.arg for keyword in node.keywords} & {"device", "out", "like"}
        positional = node.func.attr == "Generator" and node.args
        if ours and not said and not positional:
            found.append(node.lineno)
    return sorted(found)


def test_a_factory_without_a_device_is_seen() -> None:
    assert without_device("import torch\nx = torch.empty(3)\ntorch.zeros(1, device=d)") == [2]
    assert without_device("torch.Generator(x.device)\ntorch.Generator()") == [2]


@pytest.mark.parametrize("room", ["layer", "engines", "steps"])
def test_no_factory_leaves_its_device_to_the_process(room: str) -> None:
    left = {
        f"{path.relative_to(SOURCE)}:{line}"
        for path in sorted((SOURCE / room).rglob("*.py"))
        for line in without_device(path.read_text(encoding="utf-8"))
    }
    assert not left, f"no device= at {', '.join(sorted(left))}"
