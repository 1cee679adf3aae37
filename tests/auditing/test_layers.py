"""The conformance suite for layers: what is right passes, and what is wrong is told where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import unrolled
from unrolled import cli
from unrolled.auditing.layers import CASES, hold, load_layer
from unrolled.auditing.layouts import AuditError
from unrolled.faults import fault, faulty_lstm


class Detached(nn.LSTM):
    """Nothing goes back to the initial states."""

    def forward(self, x: Any, hx: Any = None) -> Any:
        return super().forward(x, None if hx is None else tuple(s.detach() for s in hx))


class Swapped(nn.LSTM):
    """The states are returned the other way round."""

    def forward(self, x: Any, hx: Any = None) -> Any:
        y, (h, c) = super().forward(x, hx)
        return y, (c, h)


class Deaf(nn.LSTM):
    """The second direction reads what the first one reads."""

    def forward(self, x: Any, hx: Any = None) -> Any:
        if self.bidirectional:
            with torch.no_grad():
                self.weight_hh_l0_reverse.mul_(1 + 1e-6)
        return super().forward(x, hx)


class Changing(nn.LSTM):
    """The input is scaled in place."""

    def forward(self, x: Any, hx: Any = None) -> Any:
        y = super().forward(x, hx)
        if isinstance(x, Tensor):
            x.data.mul_(2)
        return y


class Restless(nn.LSTM):
    """Dropout, also where nobody asked for it."""

    def forward(self, x: Any, hx: Any = None) -> Any:
        y, state = super().forward(x, hx)
        return (nn.functional.dropout(y, 0.5) if isinstance(y, Tensor) else y), state


class Faulty(nn.Module):
    """One layer with a backward pass of its own, that forgets the cell."""

    keys = ("c-not-carried",)

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        like = nn.LSTM(input_size, hidden_size)
        for name, parameter in like.named_parameters():
            self.register_parameter(name, parameter)

    def forward(self, x: Tensor, hx: Any = None) -> Any:
        h, c = hx or (x.new_zeros(1, x.shape[1], self.weight_hh_l0.shape[1]) for _ in range(2))
        faults = [fault(key) for key in self.keys]
        weights = list(self.parameters())
        y, (h, c) = faulty_lstm(x, h[0], c[0], *weights, faults=faults)
        return y, (h[None], c[None])


def told(build: Any) -> dict[str, Any]:
    return {found.case.name: found for found in hold(build).findings}


@pytest.mark.parametrize("build", [nn.LSTM, unrolled.LSTM])
def test_what_is_right_is_right_in_every_case(build: Any) -> None:
    found = hold(build)
    assert found.exact
    assert not [one.case.name for one in found.findings if one.declined]
    assert len(found.findings) == len(CASES)


@pytest.mark.parametrize("seed", range(1, 6))
def test_there_is_no_false_alarm(seed: int) -> None:
    assert hold(nn.LSTM, seed=seed).exact


def test_what_is_wrong_is_told_where_it_is() -> None:
    found = told(Detached)
    assert set(found["one layer"].wrong) == {"gradient of h_0", "gradient of c_0"}
    assert found["without initial states"].exact
    assert set(told(Swapped)["one layer"].wrong) >= {"h_n", "c_n"}
    assert told(Swapped)["a projection"].wrong["h_n"] == float("inf")
    found = told(Deaf)
    assert found["one layer"].exact
    assert "weight_hh_l0_reverse" in " ".join(found["both directions"].wrong) or (
        "a second call" in found["both directions"].note
    )
    assert "changes what it was given" in told(Changing)["one layer"].note
    assert "a second call gives other numbers" in told(Restless)["one layer"].note


def test_a_case_that_is_not_taken_is_said_and_not_held_against_it() -> None:
    class Plain(nn.LSTM):
        def __init__(self, input_size: int, hidden_size: int) -> None:
            super().__init__(input_size, hidden_size)

    found = hold(Plain)
    assert found.exact
    assert "unexpected keyword argument 'num_layers'" in str(found)


class Crashing(nn.LSTM):
    """One step is one too few."""

    def forward(self, x: Any, hx: Any = None) -> Any:
        if isinstance(x, Tensor) and x.dim() == 3 and 1 in x.shape[:2]:
            raise IndexError("boom")
        return super().forward(x, hx)


class Frozen(nn.LSTM):
    """No gradient goes anywhere."""

    @torch.no_grad()
    def forward(self, x: Any, hx: Any = None) -> Any:
        return super().forward(x, hx)


class Listing(nn.LSTM):
    """The output alone is returned."""

    def forward(self, x: Any, hx: Any = None) -> Any:
        return super().forward(x, hx)[0]


@pytest.mark.parametrize(
    ("build", "case", "sentence"),
    [
        (Crashing, "one step", "IndexError: boom"),
        (Frozen, "one layer", "no gradient goes back from what it returns"),
        (Listing, "one layer", "it returns something else than output, (h_n, c_n)"),
    ],
)
def test_what_is_raised_where_a_layer_has_to_work_is_wrong(
    build: Any, case: str, sentence: str
) -> None:
    assert sentence in told(build)[case].note
    assert not hold(build).exact


def test_a_file_is_taken_by_its_path_whatever_it_is_called(tmp_path: Path) -> None:
    path = tmp_path / "copy.py"  # a module of Python's own has this name
    path.write_text("from torch import nn\n\nclass Out:\n    class Mine(nn.LSTM):\n        pass\n")
    assert issubclass(load_layer(f"{path}:Out.Mine"), nn.LSTM)  # type: ignore[arg-type]
    assert load_layer("torch:nn.LSTM") is nn.LSTM


def test_other_parameters_are_refused() -> None:
    with pytest.raises(AuditError, match=r"weight_ih_l0 is \[15, 4\], expected \[20, 4\]"):
        hold(nn.GRU)
    with pytest.raises(AuditError, match="it has no parameter bias_hh_l0"):
        hold(lambda *sizes, **more: nn.Linear(*sizes))
    with pytest.raises(AuditError, match="it gives a NoneType, expected"):
        hold(lambda *sizes, **more: None)
    with pytest.raises(AuditError, match="cannot be built"):
        hold(lambda *sizes, **more: nn.LSTM("x", *sizes))


MINE = """
from unrolled.faults import fault, faulty_lstm
import torch
from torch import nn

class Mine(nn.LSTM):
    def forward(self, x, hx=None):
        rows = x.shape[1] if x.dim() == 3 else 1
        h, c = hx or (x.new_zeros(1, rows, self.hidden_size) for _ in range(2))
        y, (h, c) = faulty_lstm(x, h[0], c[0], *self.parameters(), faults=[fault({key!r})])
        return y, (h[None], c[None])
"""


@pytest.mark.parametrize("key", ["c-not-carried", "sigmoid-squared", "h-twice"])
def test_the_fault_of_a_layer_is_named(
    key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"mine_{key.replace('-', '_')}.py"
    path.write_text(MINE.format(key=key))
    monkeypatch.syspath_prepend(str(tmp_path))
    assert cli.main(["audit", "--layer", f"{path}:Mine"]) == 1
    said = capsys.readouterr().out
    assert "wrong, by a relative error of: gradient of x" in said
    assert f"  - {fault(key).wrong}" in said


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("torch.nn", "expected 'module:Class'"),
        ("torch.nn:Nope", "torch.nn has no class Nope"),
        ("no_such_module_:X", "No module named 'no_such_module_'"),
        ("nowhere.py:X", "there is no file nowhere.py"),
        (".x:Y", "relative import"),
    ],
)
def test_a_class_that_is_not_there_is_a_sentence(name: str, sentence: str) -> None:
    with pytest.raises(AuditError, match=sentence):
        load_layer(name)
