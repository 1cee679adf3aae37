"""A layer goes to torch.nn.LSTM and comes back with the same bits, or says why it cannot."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cases import normal
from processes import one_sentence
from unrolled import CELLS, LSTM

KINDS = [
    dict(
        zip(("num_layers", "bidirectional", "proj_size", "bias", "batch_first"), kind, strict=True)
    )
    for kind in itertools.product((1, 2), (False, True), (0, 2), (True, False), (False, True))
]
quantised = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore:torch.ao:UserWarning", "ignore:.*quantiz.*deprecated"
)


def layer(**options: Any) -> LSTM:
    torch.manual_seed(5)
    return LSTM(3, 5, **options)


def same_bits(one: nn.Module, other: nn.Module) -> bool:
    state, theirs = one.state_dict(), other.state_dict()
    return list(state) == list(theirs) and all(torch.equal(state[n], theirs[n]) for n in state)


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_a_layer_is_torchs_and_comes_back_with_the_same_bits(
    generator: torch.Generator, options: dict[str, Any]
) -> None:
    ours = layer(**options, dtype=torch.float64)
    theirs = ours.to_torch()
    assert type(theirs) is nn.LSTM
    assert same_bits(ours, theirs)
    x = normal(generator, 4, 2, 3)
    expected, (h, c) = ours(x)
    found, (theirs_h, theirs_c) = theirs(x)
    for a, b in ((found, expected), (theirs_h, h), (theirs_c, c)):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)
    back = LSTM.from_torch(theirs)
    assert same_bits(ours, back)
    assert repr(back) == repr(ours)
    assert torch.equal(back(x)[0], expected)


@pytest.mark.parametrize("way", [LSTM.to_torch, lambda one: LSTM.from_torch(one.to_torch())])
def test_all_that_a_layer_is_goes_with_it(way: Callable[[LSTM], Any]) -> None:
    ours = layer(num_layers=2, dropout=0.25, dtype=torch.bfloat16).eval()
    ours.weight_hh_l1.requires_grad_(False)
    drawn = torch.get_rng_state()
    other = way(ours)
    assert torch.equal(torch.get_rng_state(), drawn)  # nothing was drawn on the way
    assert (other.dropout, other.training) == (0.25, False)
    for name, weight in ours.named_parameters():
        theirs = other.get_parameter(name)
        assert theirs.dtype == torch.bfloat16
        assert theirs.requires_grad == weight.requires_grad
        assert theirs.data_ptr() != weight.data_ptr()  # a copy: training one leaves the other
    assert layer(device="meta").to_torch().weight_ih_l0.is_meta
    assert way(layer()).training


def test_a_layer_trains_the_same_as_torchs(generator: torch.Generator) -> None:
    ours, x = layer(num_layers=2, dtype=torch.float64), normal(generator, 4, 2, 3)
    theirs = ours.to_torch()
    for one in (ours, theirs):
        one(x)[0].square().sum().backward()
    for name, weight in ours.named_parameters():
        grad: Tensor | None = theirs.get_parameter(name).grad
        torch.testing.assert_close(weight.grad, grad, rtol=0, atol=1e-12)


@pytest.mark.parametrize("cell", [name for name in CELLS if name != "vanilla"])
def test_a_cell_that_torch_has_not_is_named(cell: str) -> None:
    with pytest.raises(ValueError, match=f"no cell {cell}") as caught:
        layer(cell=cell).to_torch()
    one_sentence(caught.value)


@pytest.mark.parametrize(
    "noise", [{"zoneout": 0.1}, {"recurrent_dropout": 0.1}, {"update_dropout": 0.1}]
)
def test_noise_that_torch_has_not_is_named(noise: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(noise))) as caught:
        layer(**noise).to_torch()
    one_sentence(caught.value)
    layer(**dict.fromkeys(noise, 0.0)).to_torch()


@quantised
@pytest.mark.parametrize("dtype", [torch.qint8, torch.float16])
def test_quantize_dynamic_takes_it_and_gives_it_back(
    generator: torch.Generator, dtype: torch.dtype
) -> None:
    ours = layer(num_layers=2, bidirectional=True)
    model = nn.Sequential(ours.to_torch())
    made = torch.ao.quantization.quantize_dynamic(model, {nn.LSTM}, dtype=dtype)[0]
    assert isinstance(made, torch.ao.nn.quantized.dynamic.LSTM)
    x = normal(generator, 6, 2, 3).float()
    torch.testing.assert_close(made(x)[0], ours(x)[0], rtol=0, atol=0.03)
    with pytest.warns(UserWarning, match="were quantised"):
        back = LSTM.from_torch(made)
    weights = {**made.get_weight(), **made.get_bias()}
    for name, weight in back.named_parameters():
        right = weights[name].dequantize() if weights[name].is_quantized else weights[name]
        assert torch.equal(weight, right), name
    torch.testing.assert_close(back(x)[0], made(x)[0], rtol=0, atol=0.03)


@quantised
@pytest.mark.parametrize("dtype", [torch.qint8, torch.float16])
@pytest.mark.parametrize(
    ("inputs", "layers", "both"), [(3, 1, True), (3, 2, False), (3, 3, False), (5, 2, True)]
)
def test_the_state_dict_of_a_quantised_layer_comes_in(
    inputs: int, layers: int, both: bool, dtype: torch.dtype
) -> None:
    model = nn.ModuleDict({"rec": nn.LSTM(inputs, 5, layers, bidirectional=both)})
    made = torch.ao.quantization.quantize_dynamic(model, {nn.LSTM}, dtype=dtype)
    with pytest.warns(UserWarning, match="were quantised"):
        right = LSTM.from_torch(made["rec"])
    with pytest.warns(UserWarning, match="were quantised"):
        back = LSTM.from_torch(made.state_dict())
    assert same_bits(right, back)


@quantised
@pytest.mark.parametrize(("layers", "both"), [(1, True), (2, False)])
def test_packed_weights_that_look_alike_are_asked_about(layers: int, both: bool) -> None:
    model = nn.Sequential(nn.LSTM(5, 5, layers, bidirectional=both))
    made = torch.ao.quantization.quantize_dynamic(model, {nn.LSTM})
    with pytest.raises(ValueError, match="bidirectional=False or True") as caught:
        LSTM.from_torch(made.state_dict())
    one_sentence(caught.value)
    with pytest.warns(UserWarning, match="were quantised"):
        right = LSTM.from_torch(made[0])
    with pytest.warns(UserWarning, match="were quantised"):
        back = LSTM.from_torch(made.state_dict(), bidirectional=both)
    assert same_bits(right, back)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("tool", ["script", "trace"])
def test_torchscript_takes_it(generator: torch.Generator, tool: str) -> None:
    ours, x = layer(num_layers=2), normal(generator, 6, 2, 3).float()
    theirs = nn.Sequential(ours.to_torch())  # script wants a module around torch's layer
    made = torch.jit.script(theirs) if tool == "script" else torch.jit.trace(theirs, (x,))
    torch.testing.assert_close(made(x)[0], ours(x)[0], rtol=1e-5, atol=1e-6)


@quantised
def test_a_cell_of_torchs_comes_in(generator: torch.Generator) -> None:
    cell = nn.LSTMCell(3, 5)
    x = normal(generator, 1, 2, 3).float()
    right = cell(x[0])[0]
    for theirs in (cell, cell.state_dict()):
        torch.testing.assert_close(LSTM.from_torch(theirs)(x)[0][0], right)
    made = torch.ao.quantization.quantize_dynamic(nn.Sequential(cell), {nn.LSTMCell})
    for theirs in (made[0], made.state_dict()):
        with pytest.warns(UserWarning, match="were quantised"):
            back = LSTM.from_torch(theirs)
        torch.testing.assert_close(back(x)[0][0], right, rtol=0, atol=0.03)


@pytest.mark.parametrize("options", KINDS[::3], ids=str)
def test_a_state_dict_tells_its_sizes(options: dict[str, Any]) -> None:
    model = nn.Module()
    model.rec, model.lin = layer(**options).to_torch(), nn.Linear(5, 1)
    state = model.state_dict()
    back = LSTM.from_torch(state, batch_first=options["batch_first"], engine="reference")
    assert same_bits(back, model.rec)
    assert back.engine == "reference"
    assert all(weight.requires_grad for weight in back.parameters())


def broken(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    state: dict[str, Any] = copy.copy(layer(num_layers=2, proj_size=2).state_dict())
    change(state)
    return state


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (nn.GRU(3, 5), "a GRU came"),
        ({}, "there are none"),
        ({3: torch.zeros(2)}, "there are none"),
        (nn.Linear(3, 5).state_dict(), "there are none"),
        (nn.ModuleList([nn.LSTM(3, 5), nn.LSTM(3, 5)]).state_dict(), "those of 2: 0., 1."),
        (nn.GRU(3, 5).state_dict(), "weight_ih_l0 should be"),
        (nn.GRU(4, 4).state_dict(), "ask for"),
        (broken(lambda s: s.pop("weight_hr_l1")), "weight_hr_l1 is none"),
        (broken(lambda s: s.pop("bias_hh_l0")), "bias_hh_l0 is none"),
        (broken(lambda s: s.pop("weight_ih_l0")), "there is none"),
        (broken(lambda s: s.update(bias_ih_l99999999=torch.zeros(20))), "a layer 99999999"),
        (broken(lambda s: s.update(weight_hh_l1=torch.zeros(20, 5))), r"weight_hh_l1 is \[20, 5\]"),
        (broken(lambda s: s.update(weight_hh_l1=[1.0])), "weight_hh_l1 is a list"),
    ],
)
def test_what_is_no_lstm_is_refused_in_a_sentence(state: Any, words: str) -> None:
    with pytest.raises((ValueError, TypeError), match=words) as caught:
        LSTM.from_torch(state)
    one_sentence(caught.value)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [({"hidden_size": 4}, "hidden_size=4 was given"), ({"cell": "peephole"}, "cell cannot be")],
)
def test_an_argument_that_the_weights_answer_is_refused(
    arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises((ValueError, TypeError), match=words) as caught:
        LSTM.from_torch(nn.LSTM(3, 5), **arguments)
    one_sentence(caught.value)
