"""`Stepper`: step by step what the layer is in `eval()`."""

import gc

import pytest
import torch

from cases import CELLS, name_of, native_level, normal
from unrolled import LSTM, Cell, Declined, Stepper, _native


@pytest.mark.parametrize("level", _native.levels())
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("batch_size", [1, 2, 7])
@pytest.mark.parametrize("cell", CELLS, ids=name_of)
def test_steps_are_the_layer(
    cell: Cell, batch_size: int, dtype: torch.dtype, level: str, generator: torch.Generator
) -> None:
    lstm = LSTM(3, 17, 2, cell=cell, zoneout=(0.2, 0.1), dropout=0.5, dtype=dtype).eval()
    x = normal(generator, 6, batch_size, 3).to(dtype)
    with native_level(level):
        stepper = lstm.stepper(batch_size)
        seen = [stepper(step).clone() for step in x]
    y, (h, c) = lstm(x)
    atol = 1e-6 if dtype == torch.float32 else 1e-12
    torch.testing.assert_close(torch.stack(seen), y.detach(), rtol=0, atol=atol)
    torch.testing.assert_close(stepper.h, h.detach(), rtol=0, atol=atol)
    torch.testing.assert_close(stepper.c, c.detach(), rtol=0, atol=atol)


def test_its_tensors_are_its_own_and_stay(generator: torch.Generator) -> None:
    lstm = LSTM(2, 5, dtype=torch.float64)
    stepper, x = lstm.stepper(), normal(generator, 4, 1, 2)
    at = [t.data_ptr() for t in (stepper.x, stepper.y, stepper.h, stepper.c)]
    for step in x[:2]:
        stepper.x[:] = step
        stepper.step()
    kept = (stepper.h.clone(), stepper.c.clone())
    stepper(x[2])
    stepper.h.copy_(kept[0])  # back to where it was
    stepper.c.copy_(kept[1])
    y = stepper(x[3])
    assert torch.equal(y, lstm(x[[0, 1, 3]])[0][-1])
    stepper.reset()
    assert torch.equal(stepper(x[0]), lstm(x[:1])[0][0])
    assert at == [t.data_ptr() for t in (stepper.x, stepper.y, stepper.h, stepper.c)]
    assert not stepper.y.requires_grad


def test_weights_are_read_when_it_is_made_and_when_refreshed(generator: torch.Generator) -> None:
    lstm, x = LSTM(2, 5), normal(generator, 1, 1, 2).float()
    stepper = lstm.stepper()
    before = stepper(x[0]).clone()
    with torch.no_grad():
        lstm.weight_ih_l0.mul_(2)
    stepper.reset()
    assert torch.equal(stepper(x[0]), before)
    stepper.refresh()
    stepper.reset()
    assert torch.allclose(stepper(x[0]), lstm(x)[0][0])


def test_it_outlives_its_layer(generator: torch.Generator) -> None:
    def make() -> Stepper:
        return LSTM(2, 5, 3).stepper(4)

    stepper = make()
    x = normal(generator, 50, 4, 2).float()
    assert all(stepper(step).isfinite().all() for step in x)


def test_a_step_that_is_held_alone_keeps_what_it_writes() -> None:
    stepper = LSTM(1, 8).stepper()
    written = stepper.y.data_ptr()
    step = stepper.step
    del stepper
    gc.collect()
    held = step.__self__.kept  # type: ignore[attr-defined]
    assert [y.data_ptr() for _, y in held] == [written]
    step()


def test_what_cannot_be_stepped_is_refused() -> None:
    with pytest.raises(ValueError, match="bidirectional layer cannot be stepped"):
        LSTM(2, 3, bidirectional=True).stepper()
    with pytest.raises(ValueError, match="batch_size=0 makes no sense"):
        LSTM(2, 3).stepper(0)
    with pytest.raises(Declined, match="it has no projection"):
        LSTM(2, 3, proj_size=2).stepper()
    with pytest.raises(Declined, match="not float16"):
        LSTM(2, 3).half().stepper()
