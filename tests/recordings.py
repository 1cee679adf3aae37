"""Recordings in files, made by hand, and what is read of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from unrolled.recipes._events.signals import Signal


def written(folder: Path, text: str | bytes, name: str = "data.csv") -> Path:
    """Write a file, and say where it is."""
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def where(signal: Signal) -> dict[str, list[int]]:
    """At which steps each event is."""
    assert signal.events is not None
    return {name: np.flatnonzero(flags).tolist() for name, flags in signal.events.items()}


def edf(seconds: int = 4, rate: int = 50) -> bytes:
    """An EDF+ file of two channels, in which a seizure lasts from second 1 to 2.5."""
    labels, text = ["C3", "C4", "EDF Annotations"], 60
    head = ["0", "X X X X", "Startdate 01-JAN-2020 X X X", "01.01.20", "00.00.00", str(256 * 4)]
    head += ["EDF+C", str(seconds), "1", "3"]
    widths = [8, 80, 80, 8, 8, 8, 44, 8, 8, 4]
    fields: list[tuple[int, list[str]]] = [
        (16, labels),
        (80, [""] * 3),
        (8, ["uV", "uV", ""]),
        (8, ["-100", "-100", "-1"]),
        (8, ["100", "100", "1"]),
        (8, ["-32768"] * 3),
        (8, ["32767"] * 3),
        (80, [""] * 3),
        (8, [str(rate), str(rate), str(text)]),
        (32, [""] * 3),
    ]
    whole = "".join(word.ljust(width) for word, width in zip(head, widths, strict=True))
    whole += "".join(word.ljust(width) for width, words in fields for word in words)
    data = whole.encode()
    for second in range(seconds):
        step = np.arange(second * rate, (second + 1) * rate)
        for channel in (100 * step, 32767 * np.sin(step)):
            data += channel.astype("<i2").tobytes()
        notes = f"+{second}\x14\x14\x00"
        if second == 0:
            notes += "+1\x151.5\x14seizure\x14\x00"
        data += notes.encode().ljust(2 * text, b"\x00")
    return data
