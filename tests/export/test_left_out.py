"""What a layer does beside its weights is exported, or refused: never left out in silence."""

import copy

import pytest
import torch
import torch.nn.utils.parametrizations as made_of
from torch import nn

from unrolled import LSTM, Network
from unrolled.errors import UnrolledError
from unrolled.export import for_export, from_guitarml, from_nam, from_rtneural, parts_of, to_keras
from unrolled.export.targets import write

TARGETS = {"c": "a.c", "rtneural": "a.json", "guitarml": "b.json", "nam": "a.nam", "torch": "a.st"}


def network():
    torch.manual_seed(0)
    return Network(LSTM(1, 4), nn.Linear(4, 1))


def thrice(module, given, out):
    return (out[0] * 3, out[1]) if isinstance(out, tuple) else out * 3


class Squashed(nn.Linear):
    def forward(self, input):
        return super().forward(input).tanh()


class Doubled(LSTM):
    def forward(self, *given, **named):
        y, state = super().forward(*given, **named)
        return y * 2, state


def hooked_layer():
    net = network()
    net.recurrent.register_forward_hook(thrice)
    return net


def hooked_head():
    net = network()
    net.head.register_forward_hook(thrice)
    return net


CASES = [
    hooked_layer,
    hooked_head,
    lambda: Network(LSTM(1, 4), Squashed(4, 1)),
    lambda: Network(Doubled(1, 4), nn.Linear(4, 1)),
]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("make", CASES)
def test_what_stands_beside_the_weights_is_refused(make, target, tmp_path):
    with pytest.raises(UnrolledError):
        write(make(), target, tmp_path / TARGETS[target])


@pytest.mark.parametrize("target", TARGETS)
def test_a_patched_layer_is_refused(target, tmp_path):
    net = network()
    with net.recurrent.patched({"l0.f": torch.zeros_like}), pytest.raises(UnrolledError):
        write(net, target, tmp_path / TARGETS[target])
    with net.recurrent.patched({"l0.f": torch.zeros_like}), pytest.raises(UnrolledError):
        net.recurrent.to_torch()


@pytest.mark.parametrize(
    ("target", "read"),
    [("rtneural", from_rtneural), ("guitarml", from_guitarml), ("nam", from_nam)],
)
def test_weights_made_of_others_are_written_as_they_are(target, read, tmp_path):
    net = network()
    made_of.weight_norm(net.recurrent, "weight_hh_l0")
    nn.utils.parametrize.register_parametrization(net.recurrent, "bias_ih_l0", nn.Tanh())
    x = torch.randn(5, 2, 1)
    write(net, target, tmp_path / "file")
    torch.testing.assert_close(read(tmp_path / "file")(x)[0], net(x)[0])
    assert [len(arrays) for arrays in to_keras(net.recurrent)] == [3]


def test_torch_names_are_torchs_where_weights_are_made_of_others(tmp_path):
    from safetensors.torch import load_file

    net = network()
    made_of.weight_norm(net.recurrent, "weight_hh_l0")
    write(net, "torch", tmp_path / "a.safetensors")
    state = load_file(tmp_path / "a.safetensors")
    theirs = nn.LSTM(1, 4)
    theirs.load_state_dict({k: v for k, v in state.items() if not k.startswith("head.")})
    x = torch.randn(5, 2, 1)
    torch.testing.assert_close(theirs(x)[0], net.recurrent(x)[0])


def test_for_export_keeps_hooks():
    lstm, x = LSTM(1, 4), torch.randn(5, 2, 1)
    lstm.register_forward_hook(thrice)
    torch.testing.assert_close(for_export(lstm)(x)[0], lstm(x)[0])


def test_asking_leaves_the_training_flags():
    net = network()
    net.recurrent.eval()
    before = [one.training for one in net.modules()]
    parts_of(net)
    assert [one.training for one in net.modules()] == before == [True, False, True]


def test_a_tied_weight_has_the_sum_of_its_per_sample_gradients():
    from unrolled.layer.per_sample import per_sample_gradients

    lstm = LSTM(4, 4, num_layers=2)
    lstm.weight_hh_l1 = lstm.weight_hh_l0
    x = torch.randn(5, 2, 4)
    y, _ = lstm(x)
    (whole,) = torch.autograd.grad(y.sum(), [lstm.weight_hh_l0])
    ones = torch.ones(2, 5, 4)
    each = per_sample_gradients(lstm, x.transpose(0, 1), ones)[lstm.weight_hh_l0]
    torch.testing.assert_close(each.sum(0), whole)


def test_nan_in_the_head_is_called_not_finite(tmp_path):
    net = copy.deepcopy(network())
    with torch.no_grad():
        net.head.weight[0, 0] = torch.nan
    with pytest.raises(UnrolledError, match="finite"):
        write(net, "c", tmp_path / "a.c")
