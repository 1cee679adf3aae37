"""`unrolled.Elman` is `torch.nn.RNN`, with a sigmoid too."""

import pytest
import torch

from cases import normal
from unrolled import Elman


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("batch_first", [True, False])
def test_as_in_torch(
    activation: str, bias: bool, batch_first: bool, generator: torch.Generator
) -> None:
    torch.manual_seed(0)
    theirs = torch.nn.RNN(3, 5, 1, activation, bias, batch_first, dtype=torch.float64)
    torch.manual_seed(0)
    ours = Elman(3, 5, activation, bias, batch_first, dtype=torch.float64)
    for (a, p), (b, q) in zip(theirs.named_parameters(), ours.named_parameters(), strict=True):
        assert a == b
        assert torch.equal(p, q)
    for shape, h_0 in (((4, 4, 3), normal(generator, 1, 4, 5)), ((6, 3), None)):
        x = normal(generator, *shape)
        for expected, found in zip(theirs(x, h_0), ours(x, h_0), strict=True):
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_sigmoid(generator: torch.Generator) -> None:
    """Document 001's network: s(W_0 x + W_h h), no bias."""
    m = Elman(2, 4, "sigmoid", bias=False, dtype=torch.float64)
    x, h = normal(generator, 5, 3, 2), torch.zeros(3, 4, dtype=torch.float64)
    y, h_n = m(x)
    for t in range(5):
        h = 1 / (1 + torch.exp(-(x[t] @ m.weight_ih_l0.T + h @ m.weight_hh_l0.T)))
        torch.testing.assert_close(y[t], h, rtol=0, atol=1e-12)
    assert torch.equal(h_n[0], y[-1])
    assert torch.autograd.gradcheck(lambda x: m(x)[0], x.requires_grad_())


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="activation='gelu' makes no sense: expected tanh, "):
        Elman(2, 4, "gelu")
    with pytest.raises(ValueError, match="hidden_size=0 makes no sense: expected 1 or more"):
        Elman(2, 0)
    with pytest.raises(RuntimeError, match="expected input_size=2"):
        Elman(2, 4)(torch.zeros(3, 1, 5))
    with pytest.raises(RuntimeError, match=r"hx is \[3, 4\], expected \[1, 1, 4\]"):
        Elman(2, 4)(torch.zeros(3, 1, 2), torch.zeros(3, 4))
    assert str(Elman(2, 4)) == "Elman(2, 4, activation='tanh')"
