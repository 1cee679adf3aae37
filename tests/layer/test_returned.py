"""What a layer returns is the caller's: it may be changed in place wherever torch's may."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from unrolled import LSTM, Elman, LSTMCell

T, B, I, H = 4, 2, 3, 5
Outputs = dict[str, Tensor]


def _outputs(y: Any, h: Tensor, c: Tensor) -> Outputs:
    return {"y": y.data if isinstance(y, PackedSequence) else y, "h": h, "c": c}


def _detach(name: str) -> Callable[[Outputs], None]:
    def change(out: Outputs) -> None:
        out[name].detach_()

    return change


def _zero(name: str) -> Callable[[Outputs], None]:
    def change(out: Outputs) -> None:
        out[name][:1].zero_()

    return change


def _both(name: str) -> Callable[[Outputs], None]:
    def change(out: Outputs) -> None:
        out[name][..., 0] = 0
        out[name].mul_(2)

    return change


CHANGES: dict[str, Callable[[Outputs], None]] = {
    **{f"{name}.detach_()": _detach(name) for name in "yhc"},
    **{f"{name}[:1].zero_()": _zero(name) for name in "yhc"},
    **{f"{name}[..., 0] = 0, *= 2": _both(name) for name in "yhc"},
}


def _gradients(
    module: nn.Module, call: Callable[[nn.Module], Outputs], change: str
) -> list[Tensor | None]:
    """The loss on what is returned, changed in place, and every gradient of it."""
    out = call(module)
    CHANGES[change](out)
    loss = sum((t.double() ** 2).sum() for t in out.values() if t.requires_grad)
    for p in module.parameters():
        p.grad = None
    loss.backward()
    return [loss.detach(), *(p.grad for p in module.parameters())]


def _refused(does: Callable[[], Any]) -> str:
    try:
        does()
    except RuntimeError as error:
        return str(error)
    return ""


PLAIN: dict[str, tuple[dict[str, Any], torch.dtype, bool]] = {
    "one layer": ({}, torch.float32, False),
    "two layers": ({"num_layers": 2}, torch.float32, False),
    "batch first": ({"batch_first": True}, torch.float32, False),
    "packed": ({}, torch.float32, True),
    "projection": ({"proj_size": 2}, torch.float32, False),
    "bfloat16": ({}, torch.bfloat16, False),
    "both directions": ({"bidirectional": True}, torch.float32, False),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("kind", PLAIN)
def test_where_torch_allows_it_so_do_we_with_its_gradient(kind: str, change: str) -> None:
    options, dtype, packed = PLAIN[kind]
    torch.manual_seed(0)
    theirs = nn.LSTM(I, H, dtype=dtype, **options)
    ours = LSTM(I, H, dtype=dtype, **options)
    ours.load_state_dict(theirs.state_dict())
    x = (
        torch.randn(B, T, I, dtype=dtype)
        if "batch_first" in options
        else torch.randn(T, B, I, dtype=dtype)
    )

    def call(module: nn.Module) -> Outputs:
        given: Any = pack_padded_sequence(x, [4, 2]) if packed else x
        y, (h, c) = module(given)
        return _outputs(y, h, c)

    said = _refused(lambda: _gradients(theirs, call, change))
    if said:
        pytest.skip(f"torch refuses it too: {said.splitlines()[0][:80]}")
    right, found = _gradients(theirs, call, change), _gradients(ours, call, change)
    close = {"rtol": 0.05, "atol": 0.02} if dtype == torch.bfloat16 else {}
    for mine, exact in zip(found, right, strict=True):
        assert mine is not None
        assert exact is not None
        torch.testing.assert_close(mine, exact, **close)


def _with(**masks: Any) -> Callable[[nn.Module], Outputs]:
    def call(module: nn.Module) -> Outputs:
        y, (h, c) = module(torch.linspace(-1, 1, T * B * I).view(T, B, I), **masks)
        return _outputs(y, h, c)

    return call


def _cell(module: nn.Module) -> Outputs:
    h, c = module(torch.linspace(-1, 1, B * I).view(B, I))
    return {"h": h, "c": c}


def _elman(module: nn.Module) -> Outputs:
    y, h = module(torch.linspace(-1, 1, T * B * I).view(T, B, I))
    return {"y": y, "h": h}


TORCHS = {"LSTMCell": nn.LSTMCell, "Elman": nn.RNN}
OURS: dict[str, tuple[Callable[[], nn.Module], Callable[[nn.Module], Outputs]]] = {
    "lengths": (lambda: LSTM(I, H), _with(lengths=[4, 2])),
    "full lengths": (lambda: LSTM(I, H), _with(lengths=[4, 4])),
    "resets": (lambda: LSTM(I, H), _with(resets=torch.eye(T, B).bool())),
    "mask": (lambda: LSTM(I, H), _with(mask=~torch.eye(T, B).bool())),
    "zoneout": (lambda: LSTM(I, H, zoneout=0.2).eval(), _with()),
    "two layers, lengths": (lambda: LSTM(I, H, 2), _with(lengths=[4, 2])),
    "peephole": (lambda: LSTM(I, H, cell="peephole"), _with()),
    "reference": (lambda: LSTM(I, H, engine="reference"), _with()),
    "LSTMCell": (lambda: LSTMCell(I, H), _cell),
    "Elman": (lambda: Elman(I, H), _elman),
}
OF = [
    (kind, change)
    for kind in OURS
    for change in CHANGES
    if not (kind == "Elman" and change[0] == "c") and not (kind == "LSTMCell" and change[0] == "y")
]


@pytest.mark.parametrize(("kind", "change"), OF)
def test_what_torch_does_not_have_may_be_changed_alike(kind: str, change: str) -> None:
    """The right value: the same change to copies.  Refused only where torch's own layer refuses."""
    make, call = OURS[kind]
    torch.manual_seed(0)
    module = make()

    def copies(module: nn.Module) -> Outputs:
        return {name: t.clone() for name, t in call(module).items()}

    right = _gradients(module, copies, change)
    said = _refused(lambda: _gradients(module, call, change))
    if said:
        theirs = TORCHS.get(kind, nn.LSTM)(I, H)
        plain = call if kind in TORCHS else _with()
        assert _refused(lambda: _gradients(theirs, plain, change)), said
        assert "modified by an inplace operation" in said
        return
    for mine, exact in zip(_gradients(module, call, change), right, strict=True):
        assert (mine is None) == (exact is None)
        if mine is not None and exact is not None:
            torch.testing.assert_close(mine, exact)


def test_the_cases_of_the_report() -> None:
    y, (h, c) = LSTM(1, 1, batch_first=True)(torch.zeros(2, 2, 1))
    h.detach_()
    c.detach_()
    assert not h.requires_grad
    y, (h, c) = LSTM(1, 1, batch_first=True)(torch.zeros(2, 2, 1))
    h[:, 0] = 0
    y.sum().backward()
