"""The C file with int8 weights: the network it is, how near the float one, and how small."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import torch
from c_networks import Case, inputs, loaded, random_lstm
from torch import nn

from c_compilers import compiled, needs
from cases import CELLS
from unrolled import LSTM, Network
from unrolled.export import to_c


def text_bytes(path: Path) -> dict[str, int]:
    """What `size` says of an object file."""
    out = subprocess.run(["size", path], capture_output=True, text=True, check=True).stdout
    names, numbers = (line.split()[:3] for line in out.splitlines()[:2])
    return dict(zip(names, map(int, numbers), strict=True))


def rounded_to_int8(lstm: LSTM, head: nn.Linear) -> tuple[LSTM, nn.Linear]:
    """The same network with every matrix's rows rounded to 255 whole multiples of a number."""
    twin = random_lstm(lstm.cell, lstm.input_size, lstm.hidden_size, lstm.num_layers, True, seed=0)
    twin.load_state_dict(lstm.state_dict())
    other = nn.Linear(head.in_features, head.out_features)
    other.load_state_dict(head.state_dict())
    matrices = [
        p for name, p in twin.named_parameters() if name.startswith(("weight_ih", "weight_hh"))
    ]
    with torch.no_grad():
        for weight in [*matrices, other.weight]:
            scale = weight.abs().amax(1, keepdim=True) / 127
            weight.copy_((weight / scale).round() * scale)
    return twin, other


@needs("gcc")
def test_int8_is_the_network_with_rounded_weights_and_stays_near_the_float_one(
    tmp_path: Path,
) -> None:
    apart = []
    for seed in range(5):
        torch.manual_seed(seed)
        lstm, head = LSTM(2, 24, 2), nn.Linear(24, 3)
        network, path = Network(lstm, head), tmp_path / f"net{seed}.c"
        source, _ = to_c(network, path, name="net", weights="int8")
        case = Case("net", lstm, head, source)
        x = inputs(case, 200)
        y = loaded(case, "gcc").run(x.numpy())
        with torch.no_grad():
            exact = head(lstm(x)[0]).numpy()
            twin, other = rounded_to_int8(lstm, head)
            np.testing.assert_allclose(y, other(twin(x)[0]).numpy(), rtol=0, atol=2e-6)
        apart.append(float(np.abs(y - exact).max() / exact.std()))
    assert 0 < max(apart) < 0.05


@needs("gcc", "size")
def test_int8_takes_a_third_of_the_bytes(tmp_path: Path) -> None:
    lstm = random_lstm(CELLS[0], 1, 64, 1, True, seed=0)
    size = {}
    for weights in ("float", "int8"):
        source, _ = to_c(lstm, tmp_path / f"net_{weights}.c", weights=weights)
        made = compiled("gcc", source.with_suffix(".o"), [source], ["-c", "-Os"])
        size[weights] = text_bytes(made)["text"]
    assert size["int8"] < size["float"] / 3
