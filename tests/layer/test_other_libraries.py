"""What other libraries do to a layer is right, or is said."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cases import normal
from processes import one_sentence
from unrolled import LSTM

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
from inside_other_forecasters import in_place_of, with_darts, with_neuralforecast
from opacus_lstm import Model, per_sample_gradients


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_script_is_refused_in_a_sentence() -> None:
    with pytest.raises(TypeError) as caught:
        torch.jit.script(nn.Sequential(LSTM(3, 4)))
    assert "torch.jit.trace" in one_sentence(caught.value)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_quantization_that_leaves_the_layer_in_float_says_so() -> None:
    with pytest.warns(UserWarning, match=r"leaves LSTM of unrolled as it is, in floating point"):
        model = torch.ao.quantization.quantize_dynamic(nn.Sequential(LSTM(3, 4)), {nn.LSTM})
    assert isinstance(model[0], LSTM)


def test_each_samples_gradient_is_the_one_that_it_has_alone(generator: torch.Generator) -> None:
    model, x = Model().double(), normal(generator, 5, 7, 3)
    y, _ = model.recurrent(x)
    d_y = torch.autograd.grad(model.head(y).square().sum(), y)[0]
    found = per_sample_gradients(model.recurrent, [x], d_y)
    for k in range(5):
        model.zero_grad()
        model(x[k : k + 1]).square().sum().backward()
        for p in model.recurrent.parameters():
            right: Tensor | None = p.grad
            assert right is not None
            torch.testing.assert_close(found[p][k], right, rtol=0, atol=1e-12)


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}])
def test_a_layer_in_torchs_place_gives_what_it_gave(
    generator: torch.Generator, options: dict[str, int]
) -> None:
    old = nn.LSTM(3, 5, batch_first=True, dtype=torch.float64, **options)
    new = in_place_of(old.float())
    x = normal(generator, 2, 7, 3).float()
    torch.testing.assert_close(new(x)[0], old(x)[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("library", "forecast"), [("darts", with_darts), ("neuralforecast", with_neuralforecast)]
)
@pytest.mark.filterwarnings("ignore")
def test_other_forecasters_train_with_our_layer_inside(
    library: str, forecast: Callable[[], Any]
) -> None:
    pytest.importorskip(library, reason="pip install '.[ecosystem]' brings it")
    assert len(forecast()) == 12
