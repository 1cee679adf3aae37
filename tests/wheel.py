"""What an installed wheel must do, without a checkout: run by `make wheel` and by cibuildwheel.

Say `python -I tests/wheel.py`, so that nothing but what is installed is found.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from importlib.metadata import version
from pathlib import Path

import torch

import unrolled


def main() -> None:
    """Import, forward, backward, whole steps; which engine; the version, here and on the shell."""
    place = Path(unrolled.__file__).parent
    assert place.is_relative_to(sysconfig.get_path("platlib")), f"{place} is not the installed one"
    torch.manual_seed(0)
    lstm, theirs = unrolled.LSTM(3, 5), torch.nn.LSTM(3, 5)
    theirs.load_state_dict(lstm.state_dict())
    x = torch.randn(7, 2, 3)
    chosen = lstm.engine_for(x)
    assert chosen.engine == "cpu", str(chosen)
    y, expected = lstm(x)[0], theirs(x)[0]
    torch.testing.assert_close(y, expected)
    y.square().sum().backward()
    expected.square().sum().backward()
    for ours, other in zip(lstm.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, other.grad)
    network = unrolled.Network(unrolled.LSTM(1, 8), torch.nn.Linear(8, 1))
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    rows = torch.rand(200, 6, 1, 1)
    losses = unrolled.train_steps(
        network, optimizer, "squared_error", (rows, rows / 2), engine="native"
    )
    assert losses[-20:].mean() < losses[:20].mean() / 2, losses
    assert unrolled.__version__ == version("unrolled")
    command = Path(sysconfig.get_path("scripts")) / "unrolled"
    said = subprocess.run([command, "--version"], capture_output=True, text=True, check=True).stdout
    assert version("unrolled") in said, said
    native = next(place.glob("_native*")).name
    print(f"{said.strip()}, Python {sys.version.split()[0]}, {native}: all is well")


if __name__ == "__main__":
    main()
