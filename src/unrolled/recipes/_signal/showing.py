"""What a run of `signal` leaves: pictures of both waves and of the error, and the sounds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from unrolled.files.columns import Floats
from unrolled.files.sound import write_sound
from unrolled.pictures import plots, toolkit
from unrolled.recipes._signal.reading import Numbers, Signal

__all__ = ["drawn", "spectrum", "waves"]

SHOWN = 720  # steps in the picture of both waves: of sound 15 ms
BLOCK = 4_096


def drawn(
    signal: Signal,
    outputs: Mapping[str, Numbers],
    linear_esr: float,
    history: list[dict[str, Any]],
    folder: Path,
) -> list[Path]:
    """Draw all of it into a folder, and write the sounds.

    Parameters
    ----------
    signal
        The test part.
    outputs
        What comes out of it, by who made it: the network, and then the linear filter.
    linear_esr
        The filter's error-to-signal ratio.
    """
    target, rate = signal.outputs, signal.rate
    _, filtered = outputs
    ours = next(iter(outputs.values()))
    made = [
        plots.learning_curve(
            history,
            folder / "learning.png",
            metric="validation_esr",
            levels={f"{filtered} (test part)": linear_esr},
            title="signal: learning (error-to-signal ratio on the validation part)",
        ),
        waves(target, outputs, rate, folder / "waves.png"),
        spectrum(target, outputs, rate, folder / "error_spectrum.png"),
    ]
    if signal.is_sound:
        for name, sound in {"input": signal.inputs, "target": target, "output": ours}.items():
            made.append(folder / f"test_{name}.wav")
            write_sound(made[-1], [np.asarray(sound, np.float32)], signal.rate)
    return made


def waves(target: Numbers, outputs: Mapping[str, Numbers], rate: int, path: Path) -> Path:
    """Draw the first output over the loudest short stretch, and below it the errors."""
    shown = _loudest(target[:, 0], SHOWN)
    count = shown.stop - shown.start
    at = np.arange(count) * (1000 / rate if rate else 1)
    figure = Figure(figsize=(9, 5.2), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    above.plot(at, target[shown, 0], color="#BBBBBB", linewidth=5, label="target")
    for place, (name, output) in enumerate(outputs.items()):
        look = toolkit.PAGE.look(place)
        above.plot(at, output[shown, 0], label=name, **look)
        below.plot(at, output[shown, 0] - target[shown, 0], **look)
    toolkit.dress(above, ylabel="output")
    below_label = "milliseconds" if rate else "step"
    toolkit.dress(below, title="Error: output less target", xlabel=below_label, ylabel="error")
    for axes in (above, below):
        axes.margins(x=0)
    toolkit.legend_below(figure, above)
    return toolkit.save(figure, path, "The loudest stretch of the test part")


def _loudest(wave: Numbers, length: int) -> slice:
    length = min(length, len(wave))
    begins = np.arange(0, len(wave) - length + 1, max(length // 2, 1))
    loud = [float(np.square(wave[b : b + length] - wave.mean()).sum()) for b in begins]
    begin = int(begins[int(np.argmax(loud))])
    return slice(begin, begin + length)


def spectrum(target: Numbers, outputs: Mapping[str, Numbers], rate: int, path: Path) -> Path:
    """Draw how loud the target is in each band, and how loud each error."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.subplots()
    size = min(BLOCK, 1 << (len(target).bit_length() - 2))
    bands = np.fft.rfftfreq(size, 1 / (rate or 1))[1:]
    loudest = _power(target[:, 0], size).max()
    axes.plot(bands, _decibels(_power(target[:, 0], size) / loudest), color="#BBBBBB", lw=3)
    axes.lines[-1].set_label("target")
    for place, (name, output) in enumerate(outputs.items()):
        power = _power(output[:, 0] - target[:, 0], size) / loudest
        axes.plot(bands, _decibels(power), label=f"error: {name}", **toolkit.PAGE.look(place))
    axes.set_xscale("log")
    toolkit.dress(axes, xlabel="Hz" if rate else "cycles a step", ylabel="dB")
    toolkit.legend_below(figure, axes)
    return toolkit.save(figure, path, "Where the error lies: the spectra of the test part")


def _power(wave: Numbers, size: int) -> Floats:
    """The mean power of each band but the lowest, over blocks."""
    window = np.hanning(size)
    total = np.zeros(size // 2)
    for begin in range(0, len(wave) - size + 1, size // 2):
        total += np.abs(np.fft.rfft(wave[begin : begin + size] * window))[1:] ** 2
    return total


def _decibels(power: Floats) -> Floats:
    found: Floats = 10 * np.log10(np.maximum(power, 1e-14))
    return found
