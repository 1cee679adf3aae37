"""`unrolled.LSTMCell` is `torch.nn.LSTMCell`, and one step of `unrolled.LSTM`."""

import pytest
import torch

from cases import CELLS, name_of, normal
from unrolled import LSTM, Cell, LSTMCell


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("batch", [(), (4,)])
def test_as_in_torch(bias: bool, batch: tuple[int, ...], generator: torch.Generator) -> None:
    torch.manual_seed(0)
    theirs = torch.nn.LSTMCell(3, 5, bias, dtype=torch.float64)
    torch.manual_seed(0)
    ours = LSTMCell(3, 5, bias, dtype=torch.float64)
    for (a, p), (b, q) in zip(theirs.named_parameters(), ours.named_parameters(), strict=True):
        assert a == b
        assert torch.equal(p, q)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    x = normal(generator, *batch, 3)
    hx = (normal(generator, *batch, 5), normal(generator, *batch, 5))
    for state in (None, hx):
        expected, found = theirs(x, state), ours(x, state)
        wanted = torch.autograd.grad(sum(t.sin().sum() for t in expected), theirs.parameters())
        grads = torch.autograd.grad(sum(t.sin().sum() for t in found), ours.parameters())
        for a, b in zip((*expected, *wanted), (*found, *grads), strict=True):
            torch.testing.assert_close(b, a, rtol=0, atol=1e-12)


@pytest.mark.parametrize("cell", CELLS, ids=name_of)
def test_a_loop_over_the_cell_is_the_layer(cell: Cell, generator: torch.Generator) -> None:
    layer, one = LSTM(3, 5, cell=cell, dtype=torch.float64), LSTMCell(3, 5, cell=cell)
    one.double().load_state_dict({n.removesuffix("_l0"): p for n, p in layer.state_dict().items()})
    x, state = normal(generator, 6, 2, 3), None
    y, (_h, c) = layer(x)
    for t in range(6):
        state = one(x[t], state)
        torch.testing.assert_close(state[0], y[t], rtol=0, atol=1e-12)
    assert state is not None
    torch.testing.assert_close(state[1], c[0], rtol=0, atol=1e-12)


def test_bad_shapes_raise_what_torch_raises() -> None:
    for x, says in ((torch.zeros(1, 2, 3), "3 dimensions"), (torch.zeros(2, 4), "input_size=3")):
        with pytest.raises((ValueError, RuntimeError)) as theirs:
            torch.nn.LSTMCell(3, 5)(x)
        with pytest.raises(theirs.type, match=says):
            LSTMCell(3, 5)(x)
    with pytest.raises(RuntimeError, match=r"h is \[2, 4\], expected \[2, 5\]"):
        LSTMCell(3, 5)(torch.zeros(2, 3), (torch.zeros(2, 4), torch.zeros(2, 5)))
    with pytest.raises(ValueError, match="hidden_size=0"):
        LSTMCell(3, 0)
    assert str(LSTMCell(3, 5, bias=False)) == "LSTMCell(3, 5, bias=False)"
