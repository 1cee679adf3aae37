"""Named places, read and patched, against a loop of their own."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from cases import normal
from processes import one_sentence
from unrolled import CELLS, LSTM, Elman
from unrolled.export import to_keras
from unrolled.inside import intervention
from unrolled.layer.places import patched, place_names

LETTERS = "ifgoch"
Function = Callable[[Tensor], Tensor]


def made(**options: Any) -> LSTM:
    torch.manual_seed(0)
    return LSTM(3, 4, dtype=torch.float64, **options)


def by_hand(lstm: LSTM, x: Tensor, change: Mapping[str, Function]) -> dict[str, Tensor]:
    """One layer of any cell, written out, each value changed where it is made; [T, B, H] each."""

    def at(letter: str, value: Tensor) -> Tensor:
        return change[letter](value) if letter in change else value

    h = x.new_zeros(x.shape[1], lstm.proj_size or lstm.hidden_size)
    c = x.new_zeros(x.shape[1], lstm.hidden_size)
    peep = dict(zip(lstm.cell.peepholes, getattr(lstm, "weight_ph_l0", ()), strict=True))
    kept: dict[str, list[Tensor]] = {letter: [] for letter in LETTERS}
    for x_t in x:
        a = x_t @ lstm.weight_ih_l0.T + lstm.bias_ih_l0 + h @ lstm.weight_hh_l0.T + lstm.bias_hh_l0
        a_ = dict(zip(lstm.cell.gates, a.chunk(len(lstm.cell.gates), -1), strict=True))
        i = at("i", torch.sigmoid(a_["i"] + peep.get("i", 0) * c))
        if lstm.cell.forget == "learned":
            f = at("f", torch.sigmoid(a_["f"] + peep.get("f", 0) * c))
        else:
            f = at("f", 1 - i if lstm.cell.forget == "coupled" else torch.ones_like(i))
        g = at("g", torch.tanh(a_["g"]))
        c = at("c", f * c + i * g)
        o = at("o", torch.sigmoid(a_["o"] + peep.get("o", 0) * c))
        h = o * (torch.tanh(c) if lstm.cell.output == "tanh" else c)
        h = at("h", h @ lstm.weight_hr_l0.T if lstm.proj_size else h)
        for letter, value in zip(LETTERS, (i, f, g, o, c, h), strict=True):
            kept[letter].append(value)
    return {letter: torch.stack(values) for letter, values in kept.items()}


def half(value: Tensor) -> Tensor:
    return 0.5 * value + 0.1


# --- names ---


def test_every_value_has_one_name_and_the_trace_knows_it(generator: torch.Generator) -> None:
    lstm = made(num_layers=2, bidirectional=True)
    trace = lstm.trace(normal(generator, 5, 2, 3))
    assert lstm.places[:7] == [*(f"l0.{letter}" for letter in LETTERS), "l0_reverse.i"]
    assert len(lstm.places) == 24
    for name in lstm.places:
        layer, letter = name.split(".")
        assert trace[name] is getattr(trace[layer], letter)


def test_the_places_of_a_model_lie_below_its_layers() -> None:
    model = nn.ModuleDict({"recurrent": LSTM(3, 4), "plain": Elman(3, 4), "head": nn.Linear(4, 1)})
    assert place_names(model) == [*(f"recurrent.l0.{letter}" for letter in LETTERS), "plain.l0.h"]


@pytest.mark.parametrize("key", ["l0.z", "l1.c", "l0.", "c", "l0.c.c", ""])
def test_a_name_that_is_not_there_is_refused_in_a_sentence(
    key: str, generator: torch.Generator
) -> None:
    lstm = made()
    with pytest.raises(KeyError, match="its layers are l0, and a place is one of them"):
        lstm.trace(normal(generator, 5, 2, 3))[key]
    with pytest.raises(ValueError, match="there is no place") as caught, lstm.patched({key: half}):
        pass
    assert "expected a layer (l0), a point, and one of i, f, g, o, c, h" in one_sentence(
        caught.value
    )


def test_a_name_that_is_nearly_right_is_named() -> None:
    with pytest.raises(ValueError, match=r"did you mean 'l0\.c'\?"), made().patched({"10.c": half}):
        pass
    with (
        pytest.raises(ValueError, match="holds no layer of unrolled"),
        patched(nn.Tanh(), {"c": half}),
    ):
        pass


# --- patching ---


@pytest.mark.parametrize("letter", LETTERS)
@pytest.mark.parametrize("cell", CELLS)
def test_a_patch_acts_where_the_equation_makes_the_value(
    cell: str, letter: str, generator: torch.Generator
) -> None:
    lstm, x = made(cell=cell), normal(generator, 6, 2, 3)
    expected = by_hand(lstm, x, {letter: half})
    with lstm.patched({f"l0.{letter}": half}):
        trace, (y, (h, c)) = lstm.trace(x), lstm(x)
    for each in LETTERS:
        torch.testing.assert_close(trace[f"l0.{each}"], expected[each], rtol=0, atol=1e-12)
    torch.testing.assert_close(y, expected["h"], rtol=0, atol=1e-12)
    torch.testing.assert_close((h[0], c[0]), (expected["h"][-1], expected["c"][-1]))
    assert (y - lstm(x)[0]).abs().max() > 1e-3


@pytest.mark.parametrize("letter", LETTERS)
def test_the_gradient_goes_through_the_patch(letter: str, generator: torch.Generator) -> None:
    lstm, x = made(cell="peephole"), normal(generator, 5, 2, 3).requires_grad_()
    scale = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    wanted = [x, scale, *lstm.parameters()]
    weights = normal(generator, 5, 2, 4)

    def change(value: Tensor) -> Tensor:
        return scale * value.square()

    right = by_hand(lstm, x, {letter: change})["h"]
    with lstm.patched({f"l0.{letter}": change}):
        y, _ = lstm(x)
    found, expected = (torch.autograd.grad((out * weights).sum(), wanted) for out in (y, right))
    for d, d_right in zip(found, expected, strict=True):
        torch.testing.assert_close(d, d_right, rtol=0, atol=1e-12)


def test_a_projected_h_is_what_the_trace_holds(generator: torch.Generator) -> None:
    lstm, x = made(proj_size=2), normal(generator, 6, 2, 3)
    expected = by_hand(lstm, x, {"h": half, "c": half})
    with lstm.patched({"l0.h": half, "l0.c": half}):
        trace = lstm.trace(x)
    assert trace["l0.h"].shape == (6, 2, 2)
    for letter in "ch":
        torch.testing.assert_close(trace[f"l0.{letter}"], expected[letter], rtol=0, atol=1e-12)


def test_layers_and_directions_are_told_apart(generator: torch.Generator) -> None:
    lstm, x = made(num_layers=2, bidirectional=True), normal(generator, 5, 2, 3)
    before = lstm.trace(x)
    with lstm.patched({"l1_reverse.c": torch.zeros_like}):
        after = lstm.trace(x)
    for name in lstm.places:
        changed = not torch.allclose(before[name], after[name])
        # c of 0 makes h of 0, which the gates of the next step read; the first reads none of it.
        assert changed == (name.startswith("l1_reverse")), name
    assert not after["l1_reverse.h"].any()


def test_a_step_counts_as_the_inputs_time_runs(generator: torch.Generator) -> None:
    lstm, x = made(bidirectional=True), normal(generator, 5, 2, 3)
    with lstm.patched({"l0.c": {1: torch.ones_like}, "l0_reverse.c": {1: torch.ones_like}}):
        trace = lstm.trace(x)
    before = lstm.trace(x)
    for key in ("l0", "l0_reverse"):
        assert ((trace[key].c == 1).all(-1).all(-1)).tolist() == [False, True, False, False, False]
    assert torch.allclose(trace["l0.c"][0], before["l0.c"][0])
    assert torch.allclose(trace["l0_reverse.c"][2:], before["l0_reverse.c"][2:])
    assert not torch.allclose(trace["l0_reverse.c"][0], before["l0_reverse.c"][0])


@pytest.mark.parametrize(
    ("options", "shape"), [({}, (6, 2)), ({"batch_first": True}, (2, 6)), ({}, (6,))]
)
def test_values_may_come_from_another_trace(
    options: dict[str, bool], shape: tuple[int, ...], generator: torch.Generator
) -> None:
    """Activation patching: with every cell of the other run, h is the other's but for its gates."""
    lstm = made(bidirectional=True, **options)
    x, other = normal(generator, *shape, 3), normal(generator, *shape, 3)
    names = [place for place in lstm.places if place[-1] in "oc"]
    source = lstm.trace(other)
    with lstm.patched({name: source[name] for name in names}):
        found = lstm(x)[0]
    torch.testing.assert_close(found, source.output, rtol=0, atol=1e-12)
    assert (found - lstm(x)[0]).abs().max() > 1e-2


def test_padding_and_missing_steps_stay_what_they_are(generator: torch.Generator) -> None:
    lstm, x = made(), normal(generator, 6, 2, 3)
    x[3:, 1] = torch.nan
    x.requires_grad_()
    with lstm.patched({"l0.c": half, "l0.h": half}):
        y, (h, c) = lstm(x, lengths=[6, 3])
        alone, (h_1, c_1) = lstm(x[:3, 1:])
        held = lstm.trace(x[:3, 1:], mask=torch.tensor([[True], [False], [True]]))
    torch.testing.assert_close(y[:3, 1:], alone, rtol=0, atol=1e-12)
    assert not y[3:, 1].any()
    torch.testing.assert_close((h[:, 1:], c[:, 1:]), (h_1, c_1), rtol=0, atol=1e-12)
    assert torch.equal(held["l0.c"][1], held["l0.c"][0])
    (d_x,) = torch.autograd.grad(y.sum(), x)
    assert d_x.isfinite().all()
    assert not d_x[3:, 1].any()


def test_packed_rows_are_patched_as_padded_ones(generator: torch.Generator) -> None:
    lstm, x = made(), normal(generator, 6, 2, 3)
    for engine in ("auto", "aten"):
        lstm.engine = engine
        with lstm.patched({"l0.c": half}):
            packed, _ = lstm(pack_padded_sequence(x, torch.tensor([6, 3])))
            padded, _ = lstm(x, lengths=[6, 3])
        assert torch.equal(pad_packed_sequence(packed)[0], padded)


def test_zoneout_mixes_what_was_patched(generator: torch.Generator) -> None:
    lstm, x = made(zoneout=(0.0, 0.25)).eval(), normal(generator, 6, 2, 3)
    with lstm.patched({"l0.c": torch.ones_like}):
        c = lstm.trace(x)["l0.c"]
    expected = 1 - 0.25 ** torch.arange(1, 7, dtype=torch.float64)
    torch.testing.assert_close(c, expected[:, None, None].expand(6, 2, 4), rtol=0, atol=1e-12)


def test_blocks_lie_in_each_other_and_in_those_that_hold(generator: torch.Generator) -> None:
    lstm, x = made(), normal(generator, 6, 2, 3)
    plain = lstm(x)[0]
    both = by_hand(lstm, x, {"c": lambda c: half(c).square()})["h"]
    with lstm.patched({"l0.c": half}), lstm.patched({"l0.c": torch.square}):
        torch.testing.assert_close(lstm(x)[0], both, rtol=0, atol=1e-12)
    with lstm.patched({"l0.o": half}), intervention.held(lstm, "l0", [1], 0.5):
        trace = lstm.trace(x)
        seen = intervention.watch(lstm, lambda: lstm(x))["l0"]
    assert (trace["l0.h"][..., 1] == 0.5).all()
    assert (trace["l0.o"] > 0.1).all()
    torch.testing.assert_close(seen.values["o"], trace["l0.o"])
    assert set(lstm.__dict__) == set(made().__dict__)
    torch.testing.assert_close(lstm(x)[0], plain, rtol=0, atol=0)


def test_after_an_error_the_layer_is_as_it_was(generator: torch.Generator) -> None:
    lstm, x = made(), normal(generator, 6, 2, 3)
    plain = lstm(x)[0]
    with pytest.raises(ZeroDivisionError), lstm.patched({"l0.c": lambda c: 1 / 0}):  # type: ignore[dict-item]
        lstm(x)
    assert torch.equal(lstm(x)[0], plain)


def test_a_model_of_several_layers_and_an_elman_network(generator: torch.Generator) -> None:
    model = nn.ModuleList([made(), Elman(4, 5, dtype=torch.float64)])
    x = normal(generator, 6, 2, 3)
    lstm, elman = model
    below = by_hand(lstm, x, {"f": half})["h"]
    h, expected = below.new_zeros(2, 5), []
    for t, y in enumerate(below):
        a = y @ elman.weight_ih_l0.T + elman.bias_ih_l0 + h @ elman.weight_hh_l0.T
        h = torch.tanh(a + elman.bias_hh_l0)
        h = half(h) if t == 2 else h
        expected.append(h)
    with patched(model, {"0.l0.f": half, "1.l0.h": {2: half}}):
        found, _ = elman(lstm(x)[0])
    torch.testing.assert_close(found, torch.stack(expected), rtol=0, atol=1e-12)


# --- what cannot be taken ---


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (0.5, TypeError, "is a float, expected a function"),
        (None, TypeError, "is a NoneType, expected a function"),
        ({-1: half}, ValueError, "is for step -1, expected a whole number from 0"),
        ({True: half}, ValueError, "is for step True"),
        ({2: 0.5}, TypeError, "at step 2 is a float, expected a function"),
    ],
)
def test_a_change_of_another_kind_is_refused_at_once(
    change: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words) as caught, made().patched({"l0.c": change}):
        pass
    one_sentence(caught.value)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({6: half}, RuntimeError, "for step 6, and the input has 6 steps"),
        (lambda c: None, TypeError, r"gave a NoneType, expected a tensor \[2, 4\]"),
        (lambda c: c[:1], RuntimeError, r"gave torch.float64 \[1, 4\]"),
        (lambda c: c.float(), RuntimeError, r"gave torch.float32 \[2, 4\]"),
        (torch.zeros(5, 2, 4), RuntimeError, r"are \[5, 2, 4\], expected \[6, 2, 4\]"),
    ],
)
def test_a_change_that_does_not_fit_is_refused_in_the_call(
    change: Any, error: type[Exception], words: str, generator: torch.Generator
) -> None:
    lstm, x = made(), normal(generator, 6, 2, 3)
    with pytest.raises(error, match=words) as caught, lstm.patched({"l0.c": change}):
        lstm(x)
    one_sentence(caught.value)


# --- places as submodules ---


def test_an_opened_layer_gives_what_it_gave_and_hooks_see_each_step(
    generator: torch.Generator,
) -> None:
    lstm, x = made(bidirectional=True, batch_first=True), normal(generator, 2, 6, 3)
    opened = lstm.opened()
    seen: list[Tensor] = []
    opened.l0.c.register_forward_hook(lambda *given: seen.append(given[2]))
    y, (h, c) = opened(x, lengths=[6, 4])
    right, (h_r, c_r) = lstm(x, lengths=[6, 4])
    torch.testing.assert_close((y, h, c), (right, h_r, c_r), rtol=0, atol=1e-12)
    torch.testing.assert_close(torch.stack(seen, 1)[:, :4], lstm.trace(x)["l0.c"][:, :4])
    assert dict(opened.named_parameters()).keys() == {
        f"layer.{name}" for name, _ in lstm.named_parameters()
    }


def test_what_a_hook_gives_or_writes_takes_the_values_place(generator: torch.Generator) -> None:
    lstm, x = made(), normal(generator, 6, 2, 3)
    expected = by_hand(lstm, x, {"o": torch.ones_like, "i": half})
    opened = copy.deepcopy(lstm).opened()

    def in_place(module: nn.Module, given: object, out: Tensor) -> None:
        out.mul_(0.5).add_(0.1)

    opened.l0.o.register_forward_hook(lambda module, given, out: torch.ones_like(out))
    opened.l0.i.register_forward_hook(in_place)
    y, _ = opened(x)
    torch.testing.assert_close(y, expected["h"], rtol=0, atol=1e-12)
    y.sum().backward()
    assert set(opened.get_submodule("l0")._modules) == set(LETTERS)


def test_a_stepper_and_weights_are_refused_inside() -> None:
    lstm = LSTM(2, 3)
    with lstm.patched({"l0.c": torch.zeros(3)}):
        with pytest.raises(ValueError, match="make it outside of the `with`"):
            lstm.stepper()
        with pytest.raises(ValueError, match="export it outside of the `with`"):
            to_keras(lstm)
    lstm.stepper()
    to_keras(lstm)
