"""What other libraries do to a layer is right, or is said."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from cases import normal
from processes import one_sentence
from unrolled import LSTM

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
from inside_other_forecasters import in_place_of, with_darts, with_neuralforecast


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
