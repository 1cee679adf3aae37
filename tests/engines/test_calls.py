"""What is handed to the extension is what it says it takes, or the engine declines."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from fresh import OPTIMISERS, FreshPython
from unrolled import LSTM, Loss, _native
from unrolled.engines import calls, cpu
from unrolled.engines.calls import MEMBERS, Calls, mismatch
from unrolled.layer import elman
from unrolled.layer.settings import WEIGHTS
from unrolled.steps import updates


class Extension:
    """What the extension says of itself, for a test to change."""

    def __init__(self) -> None:
        self.names = dict(_native.takes())
        self.numbers = {kind: dict(words) for kind, words in _native.members().items()}

    def takes(self) -> Any:
        return self.names

    def members(self) -> Any:
        return self.numbers


def against(extension: Any) -> str:
    return mismatch(extension, cpu._MASKS) or ""


def test_the_extension_takes_what_is_passed() -> None:
    assert mismatch(_native, cpu._MASKS) is None
    assert cpu.built()


@pytest.mark.parametrize("call", sorted(_native.takes()))
def test_another_order_is_seen_in_every_call(call: str) -> None:
    for k in range(len(_native.takes()[call]) - 1):
        extension = Extension()
        names = list(extension.names[call])
        names[k], names[k + 1] = names[k + 1], names[k]
        extension.names[call] = tuple(names)
        expected = f"{call} takes {names[k]} as its argument {k + 1}, and not {names[k + 1]}"
        assert against(extension) == expected


@pytest.mark.parametrize("call", sorted(_native.takes()))
def test_an_argument_more_or_less_is_seen(call: str) -> None:
    count = len(_native.takes()[call])
    more, fewer, none = Extension(), Extension(), Extension()
    more.names[call] = (*more.names[call], "new")
    assert against(more) == f"{call} takes new as its argument {count + 1}, and not nothing"
    fewer.names[call] = fewer.names[call][:-1]
    assert f"{call} takes nothing as its argument {count}" in against(fewer)
    del none.names[call]
    assert f"{call} takes nothing as its argument 1" in against(none)


@pytest.mark.parametrize("kind", sorted(MEMBERS))
def test_a_word_more_or_less_is_seen(kind: str) -> None:
    more, fewer, other = Extension(), Extension(), Extension()
    more.numbers[kind]["new"] = 99
    fewer.numbers[kind].popitem()
    other.numbers[kind] = {word: 9 - k for k, word in enumerate(MEMBERS[kind])}
    assert against(more).startswith(f"{kind} has ")
    assert against(fewer).startswith(f"{kind} has ")
    assert not against(other)  # the numbers are the extension's own


def test_an_extension_that_says_nothing_does_not_fit() -> None:
    assert against(object()) == "it does not say what it takes"


def test_what_is_compared_is_what_is_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a list beside the code: with the code changed, the comparison fails."""
    forward = Calls.forward

    def swapped(self: Calls, steps: int, rows: int, x: Any, h_0: Any, c_0: Any, *out: Any) -> None:
        forward(self, steps, rows, x, c_0, h_0, *out)

    monkeypatch.setattr(Calls, "forward", swapped)
    assert against(_native) == "forward takes h_0 as its argument 24, and not c_0"
    monkeypatch.undo()
    monkeypatch.setattr(calls.Batch, "_fields", calls.Batch._fields[::-1])
    assert against(_native) == "batches takes steps as its argument 1, and not fresh"


def test_the_words_are_those_that_the_package_knows() -> None:
    assert tuple(elman._ACTIVATIONS) == MEMBERS["Activation"]
    assert set(updates._METHODS.values()) == set(MEMBERS["Method"])
    for kind in MEMBERS["Criterion"]:
        for over in MEMBERS["Over"]:
            quantiles = (0.1, 0.9) if kind == "quantile" else ()
            assert Loss(kind, over, quantiles=quantiles).kind == kind
    names = [name.removesuffix("_l0") for name, _ in LSTM(2, 3, cell="peephole").named_parameters()]
    assert names == list(WEIGHTS)


def test_another_number_of_arguments_is_refused() -> None:
    with pytest.raises(ValueError, match="another number of arguments"):
        _native.forward_f32(None, *range(20))
    with pytest.raises(ValueError, match="another number of arguments"):
        _native.Trainer_f32(1).set_head(1, 2, 3)
    with pytest.raises(ValueError, match="neither a layer's nor the head's"):
        lost_parameter()


def lost_parameter() -> None:
    trainer = cpu.trainer(torch.float32, 1)
    weights = [torch.zeros(4, 1), torch.zeros(4, 1)]
    layer = cpu.layer(LSTM(1, 1).cell, 1, 1, [*map(cpu.address, weights), 0, 0, 0])
    trainer.add_lstm(layer, 0, 0)
    trainer.set_head(1, 0, 0, False)
    trainer.add_parameter(torch.zeros(4).data_ptr(), 4, 0, 0, 0, 0, False)
    trainer.reserve(1, 1)


CHANGED = """
import importlib.machinery, importlib.util, sys
loader = importlib.machinery.ExtensionFileLoader("unrolled._native", {file!r})
spec = importlib.util.spec_from_file_location("unrolled._native", {file!r}, loader=loader)
native = importlib.util.module_from_spec(spec)
loader.exec_module(native)
{change}
sys.modules["unrolled._native"] = native
import torch, unrolled
from torch import nn
for _ in range(3):
    y, _ = unrolled.LSTM(2, 3)(torch.zeros(4, 1, 2))
print(unrolled.LSTM(2, 3).engine_for(torch.zeros(4, 1, 2)))
stepper = unrolled.LSTM(2, 3).stepper()
stepper(torch.zeros(1, 2))
network = unrolled.Network(unrolled.LSTM(2, 3), nn.Linear(3, 1))
optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
losses = unrolled.train_steps(
    network, optimizer, unrolled.Loss(), (torch.zeros(2, 4, 1, 2), torch.zeros(2, 4, 1, 1))
)
assert losses.isfinite().all()
"""


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            "takes = native.takes()\n"
            "takes['backward'] = ('H', 'I', *takes['backward'][2:])\n"
            "native.takes = lambda: takes",
            "the extension is not that of this package: backward takes H as its argument 1",
        ),
        (
            "members = native.members()\nmembers['Method']['lion'] = 5\n"
            "native.members = lambda: members",
            "the extension is not that of this package: Method has sgd,",
        ),
        ("del native.takes", "the extension is not that of this package: it does not say"),
    ],
    ids=["order", "word", "silent"],
)
def test_with_an_extension_that_does_not_fit_the_package_works_and_says_so_once(
    change: str, reason: str, fresh_python: FreshPython
) -> None:
    code = CHANGED.format(change=change, file=str(_native.__file__))
    done = fresh_python(code, having=OPTIMISERS)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"aten; cpu declined: {reason}")
    assert done.stderr.count("runs without its native engine") == 1
