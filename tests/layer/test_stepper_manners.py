"""A `Stepper` is a good citizen: it copies, travels, takes what is assigned, notices changes."""

from __future__ import annotations

import copy
import io
import pickle

import pytest
import torch
from torch import Tensor, nn

from cases import normal
from processes import one_sentence
from unrolled import LSTM, Declined, Stepper


@pytest.fixture
def lstm() -> LSTM:
    torch.manual_seed(1)
    return LSTM(2, 5, 2)


def _saved(stepper: Stepper) -> Stepper:
    file = io.BytesIO()
    torch.save(stepper, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize(
    "duplicate",
    [copy.copy, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s)), _saved],
    ids=["copy", "deepcopy", "pickle", "torch.save"],
)
def test_a_copy_goes_on_from_where_it_was(
    duplicate: object, lstm: LSTM, generator: torch.Generator
) -> None:
    stepper, x = lstm.stepper(), normal(generator, 3, 1, 2).float()
    stepper(x[0])
    twin = duplicate(stepper)  # type: ignore[operator]
    right = lstm(x[[0, 1]])[0][-1].detach()
    torch.testing.assert_close(twin(x[1]).clone(), right)
    torch.testing.assert_close(stepper(x[1]).clone(), right)


def test_a_deep_copy_has_a_state_of_its_own(lstm: LSTM, generator: torch.Generator) -> None:
    stepper, x = lstm.stepper(), normal(generator, 2, 1, 2).float()
    twin = copy.deepcopy(stepper)
    stepper(x[0])
    assert not twin.h.any()
    torch.testing.assert_close(twin(x[1]).clone(), lstm(x[1:])[0][0].detach())


def test_a_model_that_holds_a_stepper_is_saved(lstm: LSTM) -> None:
    model = nn.Module()
    model.lstm = lstm
    model.stepper = lstm.stepper()
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    found = torch.load(file, weights_only=False)
    x = torch.ones(1, 2)
    torch.testing.assert_close(found.stepper(x).clone(), model.stepper(x).clone())


def test_assigned_state_is_copied_in(lstm: LSTM, generator: torch.Generator) -> None:
    x = normal(generator, 4, 1, 2).float()
    _, (h, c) = lstm(x[:3])
    h, c = h.detach(), c.detach()
    stepper = lstm.stepper()
    at = (stepper.h.data_ptr(), stepper.c.data_ptr())
    stepper.h, stepper.c = h, c
    assert at == (stepper.h.data_ptr(), stepper.c.data_ptr())
    right = lstm(x[3:], (h, c))[0][0].detach()
    torch.testing.assert_close(stepper(x[3]).clone(), right)
    assert torch.equal(h, lstm(x[:3])[1][0])  # the caller's own is not written to


def test_assigned_input_is_copied_in(lstm: LSTM) -> None:
    stepper, x = lstm.stepper(), torch.ones(1, 2)
    stepper.x = x
    stepper.step()
    torch.testing.assert_close(stepper.y.clone(), lstm(x[None])[0][0].detach())


WRONG = {"shape": torch.zeros(7, 9, 11), "word": "zero", "None": None}


@pytest.mark.parametrize("name", ["h", "c", "x"])
@pytest.mark.parametrize("wrong", WRONG)
def test_what_does_not_fit_is_not_assigned(name: str, wrong: str, lstm: LSTM) -> None:
    stepper = lstm.stepper()
    with pytest.raises((RuntimeError, ValueError, TypeError, AttributeError)) as caught:
        setattr(stepper, name, WRONG[wrong])
    one_sentence(caught.value)


def test_weights_of_another_dtype_are_noticed_at_the_next_step(
    lstm: LSTM, generator: torch.Generator
) -> None:
    stepper, x = lstm.stepper(), normal(generator, 2, 1, 2)
    stepper(x[0])
    lstm.double()
    said = ""
    try:
        assert stepper(x[1]).dtype == torch.float64
    except (RuntimeError, ValueError, TypeError) as error:
        said = one_sentence(error)
    assert not said or "float64" in said


def test_weights_on_another_device_are_noticed_at_the_next_step(lstm: LSTM) -> None:
    stepper = lstm.stepper()
    stepper(torch.ones(1, 2))
    lstm.to("meta")
    with pytest.raises((RuntimeError, ValueError)) as caught:
        stepper.step()
    assert "meta" in one_sentence(caught.value)


def _states(stepper: Stepper, x: Tensor) -> Tensor:
    for step in x:
        stepper.x.copy_(step)
        stepper.step()
    return stepper.h.clone()


@pytest.mark.parametrize("made", [True, False])
@pytest.mark.parametrize("used", [True, False])
def test_it_is_used_inside_and_outside_inference_mode(
    made: bool, used: bool, lstm: LSTM, generator: torch.Generator
) -> None:
    x = normal(generator, 3, 1, 2).float()
    right = lstm(x)[1][0].detach()
    with torch.inference_mode(made):
        stepper = lstm.stepper()
    with torch.inference_mode(used):
        found = _states(stepper, x)
        stepper.reset()
        stepper.h.copy_(torch.ones(2, 1, 5))
        y = stepper(x[0])
    torch.testing.assert_close(torch.tensor(found.tolist()), right)
    assert y.isfinite().all()


def test_the_advice_is_not_what_was_done_already() -> None:
    with pytest.raises(Declined) as caught:
        LSTM(2, 3, proj_size=2).stepper()
    assert "projection" in one_sentence(caught.value)
    assert "engine='auto'" not in str(caught.value)


def _data(lstm: LSTM) -> None:
    for weight in lstm.parameters():
        weight.data = weight.data.double()


REPLACED = {
    "module": lambda lstm: nn.Sequential(lstm).double(),
    "state_dict": lambda lstm: lstm.load_state_dict(
        {name: t.double() for name, t in lstm.state_dict().items()}, assign=True
    ),
    "parameter": lambda lstm: setattr(
        lstm, "weight_ih_l0", nn.Parameter(lstm.weight_ih_l0.detach().double())
    ),
}


@pytest.mark.parametrize("way", REPLACED)
def test_who_kept_hold_of_step_is_told_too(way: str, lstm: LSTM) -> None:
    stepper = lstm.stepper()
    step = stepper.step
    REPLACED[way](lstm)
    with pytest.raises(RuntimeError, match=r"float64 on cpu now.*call stepper.refresh"):
        step()


def test_weights_replaced_through_data_are_noticed_by_a_call(lstm: LSTM) -> None:
    stepper = lstm.stepper()
    _data(lstm)
    with pytest.raises(RuntimeError, match=r"call stepper.refresh"):
        stepper(torch.ones(1, 2))


def test_refreshed_it_goes_on_in_the_weights_dtype(lstm: LSTM, generator: torch.Generator) -> None:
    stepper, x = lstm.stepper(), normal(generator, 2, 1, 2)
    stepper(x[0])
    lstm.double()
    stepper.refresh()
    y = stepper(x[1])
    assert y.dtype == torch.float64
    torch.testing.assert_close(y, lstm(x)[0][-1].detach(), rtol=0, atol=1e-6)


def test_weights_that_come_back_are_stepped_again(lstm: LSTM) -> None:
    stepper = lstm.stepper()
    lstm.double()
    lstm.float()
    torch.testing.assert_close(stepper(torch.ones(1, 2)), lstm(torch.ones(1, 1, 2))[0][0].detach())


@pytest.mark.parametrize("name", ["x", "y", "h", "c"])
def test_the_memory_that_it_writes_to_cannot_be_freed(name: str, lstm: LSTM) -> None:
    stepper = lstm.stepper()
    with pytest.raises(RuntimeError, match="not resizable"):
        getattr(stepper, name).untyped_storage().resize_(0)
    stepper.step()


def test_an_input_with_a_gradient_leaves_none(lstm: LSTM) -> None:
    stepper = lstm.stepper()
    y = stepper(torch.ones(1, 2, requires_grad=True))
    assert not y.requires_grad
    assert not stepper.x.requires_grad


def test_a_copy_has_the_weights_that_were_read(lstm: LSTM) -> None:
    stepper = lstm.stepper()
    with torch.no_grad():
        lstm.weight_ih_l0.mul_(2)
    twin = copy.copy(stepper)
    x = torch.ones(1, 2)
    assert torch.equal(twin(x), stepper(x))
