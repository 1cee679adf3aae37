"""Opacus: each sample's gradient against that of the sample alone, and against its own LSTM."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cases import normal
from ecosystem_needs import needs
from processes import one_sentence
from unrolled import LSTM

pytestmark = [needs("opacus"), pytest.mark.filterwarnings("ignore")]


class Model(nn.Module):
    """A sequence to one number a step."""

    def __init__(self, recurrent: nn.Module) -> None:
        super().__init__()
        self.recurrent = recurrent
        self.head = nn.Linear(5, 1, dtype=torch.float64)

    def forward(self, x: Tensor, **named: Any) -> Tensor:
        out: Tensor = self.head(self.recurrent(x, **named)[0])
        return out


def made(**options: Any) -> Model:
    torch.manual_seed(0)
    return Model(LSTM(3, 5, dtype=torch.float64, **options))


def watched(model: nn.Module, **options: Any) -> nn.Module:
    from opacus.grad_sample import GradSampleModule

    found: nn.Module = GradSampleModule(model, loss_reduction="sum", **options)
    return found


@pytest.mark.parametrize("batch_first", [True, False])
def test_each_samples_gradient_is_the_one_that_it_has_alone(
    batch_first: bool, generator: torch.Generator
) -> None:
    from unrolled.estimators.opacus import prepare

    model, x = prepare(made(batch_first=batch_first, cell="peephole")), normal(generator, 4, 7, 3)
    alone = copy.deepcopy(model)
    given = x if batch_first else x.transpose(0, 1)
    watched(model, batch_first=batch_first)(given).square().sum().backward()
    for k in range(4):
        alone.zero_grad()
        alone(given[k : k + 1] if batch_first else given[:, k : k + 1]).square().sum().backward()
        for p, right in zip(model.parameters(), alone.parameters(), strict=True):
            assert right.grad is not None
            torch.testing.assert_close(p.grad_sample[k], right.grad, rtol=0, atol=1e-12)  # type: ignore[attr-defined]


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}])
def test_opacus_own_lstm_gives_the_same(
    options: dict[str, Any], generator: torch.Generator
) -> None:
    from opacus.layers import DPLSTM

    from unrolled.estimators.opacus import prepare

    torch.manual_seed(0)
    ours = prepare(LSTM(3, 5, batch_first=True, **options))
    theirs = DPLSTM(3, 5, batch_first=True, **options)
    theirs.load_state_dict(ours.state_dict())
    x = normal(generator, 4, 7, 3).float()
    names: dict[str, dict[str, Tensor]] = {}
    for layer in (ours, theirs):
        watched(layer)(x)[0].square().sum().backward()
        names[type(layer).__name__] = {
            name: p.grad_sample  # type: ignore[attr-defined]
            for name, p in layer.named_parameters()
        }
    for name, found in names["LSTM"].items():
        torch.testing.assert_close(found, names["DPLSTM"][theirs.old_to_new.get(name, name)])


def test_a_layer_that_is_not_prepared_says_so(generator: torch.Generator) -> None:
    import unrolled.estimators.opacus  # noqa: F401 - it registers the sampler

    loss = watched(made(batch_first=True))(normal(generator, 4, 7, 3)).sum()
    with pytest.raises(RuntimeError, match=r"call unrolled\.estimators\.opacus\.prepare") as caught:
        loss.backward()
    one_sentence(caught.value)


@pytest.mark.parametrize("name", ["hx", "lengths", "mask", "resets"])
def test_what_opacus_does_not_tell_of_is_refused(name: str, generator: torch.Generator) -> None:
    from unrolled.estimators.opacus import prepare

    model, x = prepare(made(batch_first=True)), normal(generator, 4, 7, 3)
    state = (torch.ones(1, 4, 5, dtype=torch.float64),) * 2
    flags = torch.ones(4, 7, dtype=torch.bool)
    value: Any = {"hx": state, "lengths": [7, 3, 1, 7], "mask": flags, "resets": flags}[name]
    with pytest.raises(RuntimeError, match=f"got {name}=, which Opacus") as caught:
        watched(model)(x, **{name: value})
    one_sentence(caught.value)
    model.eval()
    assert model(x, **{name: value}).shape == (4, 7, 1)


def test_a_loss_on_the_final_state_is_refused(generator: torch.Generator) -> None:
    from unrolled.estimators.opacus import prepare

    layer, x = LSTM(3, 5, batch_first=True, dtype=torch.float64), normal(generator, 4, 7, 3)
    model = watched(prepare(layer))
    y, _ = model(x)
    y.sum().backward()
    y, (h, _) = model(x)
    with pytest.raises(RuntimeError, match="the loss reads the final state"):
        (y.sum() + h.sum()).backward()


def test_what_cannot_be_prepared_is_refused() -> None:
    from unrolled.estimators.opacus import prepare

    class Other(LSTM):
        pass

    with pytest.raises(ValueError, match=r"holds no unrolled\.LSTM"):
        prepare(nn.Linear(3, 4))
    with pytest.raises(ValueError, match="Other is a subclass"):
        prepare(Other(3, 4))
    with pytest.raises(RuntimeError, match=r"zoneout=\(0\.1, 0\.1\) cannot be had"):
        prepare(LSTM(3, 4, zoneout=0.1))
