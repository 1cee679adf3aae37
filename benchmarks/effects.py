"""Three effects that nobody here wrote, learnt from music; and the time beside plain torch.

    pip install 'unrolled[cli,sound]' pedalboard
    python benchmarks/effects.py MUSIC

MUSIC is any file of sound, of 90 seconds and more: its first channels' mean, 90 seconds of it, goes
through each effect of Spotify's `pedalboard`.  The recipe `signal` learns each with its own
settings; the same updates, of the same network with the same settings, are then made by
`torch.nn.LSTM`, autograd and `torch.optim.Adam`, turn by turn with ours, on one thread.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from unrolled import Batches, Loss, Network, train_steps, training
from unrolled.files.sound import write_sound
from unrolled.layer.lstm import LSTM
from unrolled.recipes.signal import Recipe

SECONDS = 90
ROUNDS, UPDATES = 5, 2


def effects() -> dict[str, Any]:
    """The effects, each with a setting that is heard."""
    import pedalboard

    low = pedalboard.LadderFilter.Mode.LPF24
    return {
        "Distortion, 25 dB": pedalboard.Distortion(drive_db=25),
        "LadderFilter, 1,500 Hz, drive 4": pedalboard.LadderFilter(
            mode=low, cutoff_hz=1500, resonance=0.3, drive=4
        ),
        "Compressor, 4:1 above −24 dB": pedalboard.Compressor(
            threshold_db=-24, ratio=4, attack_ms=5, release_ms=100
        ),
    }


def music(path: Path) -> tuple[Any, int]:
    """The mean of the channels of its first seconds, as loud as it goes, and the rate."""
    from pedalboard.io import AudioFile

    with AudioFile(str(path)) as file:
        rate = int(file.samplerate)
        sound = file.read(SECONDS * rate).mean(0)
    return 0.9 * sound / np.abs(sound).max(), rate


def learnt(source: Path, target: Path, steps: int, seed: int) -> dict[str, Any]:
    """The figures of a run, and its seconds."""
    recipe = Recipe(data=source, target=target, steps=steps, seed=seed, report_every=100)
    *_, last = training.train(recipe)
    return recipe.result(last.model) | {"seconds": last.seconds}


def ours(hidden: int) -> Callable[[torch.Tensor, torch.Tensor], None]:
    """Makes an update for each window [N, T, B, 1], natively."""
    network = Network(LSTM(1, hidden), nn.Linear(hidden, 1))
    adam = torch.optim.Adam(network.parameters(), lr=0.005)

    def update(x: torch.Tensor, y: torch.Tensor) -> None:
        state = tuple(torch.zeros(1, x.shape[2], hidden) for _ in range(2))
        loss = Loss("emphasised_squared_error", emphasis=0.85, offset=1 / 3)
        train_steps(network, adam, loss, Batches(x, y), clip=1.0, state=state, engine="native")

    return update


def theirs(hidden: int) -> Callable[[torch.Tensor, torch.Tensor], None]:
    """The same with torch's own layer, as one writes it down."""
    lstm, head = nn.LSTM(1, hidden), nn.Linear(hidden, 1)
    parameters = [*lstm.parameters(), *head.parameters()]
    adam = torch.optim.Adam(parameters, lr=0.005)

    def update(x: torch.Tensor, y: torch.Tensor) -> None:
        state = None
        for window, target in zip(x, y, strict=True):
            h, state = lstm(window, state)
            error = head(h) - target
            filtered = torch.cat((error[:1], error[1:] - 0.85 * error[:-1]))
            loss = filtered.square().mean() + error.mean(0).square().mean() / 3
            adam.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            adam.step()
            state = tuple(part.detach() for part in state)

    return update


def seconds_each(hidden: int) -> tuple[float, float]:
    """Processor seconds of an update of 50 rows of 2,048 steps: ours, torch's; turn by turn."""
    random = torch.Generator().manual_seed(0)
    x = torch.randn(UPDATES, 2048, 50, 1, generator=random)
    y = torch.tanh(3 * x)
    makers = (ours(hidden), theirs(hidden))
    taken: tuple[list[float], list[float]] = ([], [])
    for each in range(ROUNDS + 1):
        for update, times in zip(makers, taken, strict=True):
            began = time.process_time()
            update(x, y)
            if each:  # the first one warms up
                times.append((time.process_time() - began) / UPDATES)
    return statistics.median(taken[0]), statistics.median(taken[1])


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("music", type=Path)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    sound, rate = music(asked.music)
    print("| effect | ESR, LSTM 1×32 | ESR, linear filter of 512 taps | minutes |")
    print("|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "in.wav"), Path(folder, "out.wav")
        write_sound(source, [sound], rate)
        for name, effect in effects().items():
            write_sound(target, [effect(sound, rate)], rate)
            figures = learnt(source, target, asked.steps, asked.seed)
            shown = f"{figures['test_esr']:.3%} | {figures['test_esr_linear']:.2%}"
            print(f"| {name} | {shown} | {figures['seconds'] / 60:.1f} |", flush=True)
    print("\n| hidden units | ms an update, unrolled | torch | times |\n|---|---|---|---|")
    for hidden in (20, 32, 40):
        one, other = seconds_each(hidden)
        print(f"| {hidden} | {1000 * one:.0f} | {1000 * other:.0f} | {other / one:.1f} |")


if __name__ == "__main__":
    main()
