"""Pictures that were written, looked at."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def read_png(path: Path) -> np.ndarray:
    from matplotlib.image import imread

    return np.asarray(imread(path))


def has_colour(path: Path, colour: str) -> bool:
    wanted = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    return bool((np.abs(read_png(path)[..., :3] - wanted).max(-1) < 0.02).any())


def margins_are_white(path: Path) -> bool:
    """Nothing is cut off: no ink touches the picture's edge."""
    picture = read_png(path)[..., :3]
    edges = (picture[0], picture[-1], picture[:, 0], picture[:, -1])
    return all((edge > 0.99).all() for edge in edges)
