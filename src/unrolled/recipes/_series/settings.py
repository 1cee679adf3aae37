"""How one network of a forecaster reads its series, and which settings a search tries.

The first is what was asked for.  The others differ from it in what their forecasts are counted from
(the last value, the value a season before, or the window's mean), in whether they see values on a
bent scale, and in how far they look back, how large they are and how fast they learn.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Setting", "described", "revived", "settings_of"]

LONGEST_SEASON = 400
"""Steps of a season that forecasts are counted from; beyond it a window is too long to be quick."""

FEWEST = 30
"""Origins that a network with a season learns from, at the least."""
SHORTEST = 5
"""Steps of its window, at the least: the changes over the last season tell most."""

# Windows, units and rates as multiples of what was asked for, in the order in which they are tried.
_VARIED = ((1.0, 1.0, 1.0), (2.0, 1.0, 1.0), (1.0, 2.0, 2.0), (1.0, 0.5, 2.0), (2.0, 2.0, 0.5))


@dataclass(frozen=True)
class Setting:
    """What one network is, and what it sees.

    Attributes
    ----------
    window
        Steps that it reads.
    season
        Steps: forecasts are counted from the value so long before, and changes over a season are
        read beside the values; 0: they are counted from the last value, or the mean.
    level
        Forecasts and what is read are counted from the window's mean.
    bent
        Values are seen on a scale on which equal ratios are nearly equal distances.
    """

    window: int
    hidden: int
    learning_rate: float
    season: int = 0
    bent: bool = False
    level: bool = False

    @property
    def context(self) -> int:
        """Steps that it has to be given."""
        return self.window + self.season


def settings_of(
    first: Setting, count: int, season: int, rows: int, *, positive: bool
) -> list[Setting]:
    """Up to ``count`` settings around the first one.

    Parameters
    ----------
    season
        Steps of the series' season; 0: it has none.
    rows
        Of the shortest training part: a setting that would leave too few of them to learn from is
        tried with a shorter window, or not at all.
    positive
        Whether nothing that is learnt from is below 0, so that ratios make sense.
    """
    found = [first]
    for setting in _around(first, season if season <= LONGEST_SEASON else 0, positive):
        if len(found) == count:
            break
        fitting = _fitting(setting, rows)
        if fitting is not None and fitting not in found:
            found.append(fitting)
    return found


def _fitting(setting: Setting, rows: int) -> Setting | None:
    """The setting, or with a season one of a window short enough that 30 origins are left."""
    if not setting.season:
        return setting if 2 * setting.window <= rows else None
    window = min(setting.window, rows - setting.season - FEWEST)
    return dataclasses.replace(setting, window=window) if window >= SHORTEST else None


def _around(first: Setting, season: int, positive: bool) -> Iterator[Setting]:
    kinds = [(season, False)] if season else []
    kinds += [(0, False), (0, True)]
    for window, hidden, rate in _VARIED:
        for (of, level), bent in itertools.product(kinds, (False, True)):
            if bent and (level or not positive):
                continue
            yield Setting(
                round(first.window * window),
                max(round(first.hidden * hidden), 1),
                first.learning_rate * rate,
                of,
                bent,
                level,
            )


def described(setting: Setting) -> str:
    """A setting in words."""
    of = f", counted from {setting.season} steps before" if setting.season else ""
    of = ", counted from its mean" if setting.level else of
    bent = ", as ratios" if setting.bent else ""
    return f"window {setting.window}, {setting.hidden} units{of}{bent}"


def revived(tree: Mapping[str, Any]) -> Setting:
    """The setting that `dataclasses.asdict` made a tree of.

    Raises
    ------
    KeyError, ValueError
        If it is no such tree.
    """
    window, hidden, season = (int(tree[name]) for name in ("window", "hidden", "season"))
    if min(window, hidden, season + 1) < 1:
        raise ValueError("a network's sizes are below 1")
    bent, level = bool(tree["bent"]), bool(tree["level"])
    return Setting(window, hidden, float(tree["learning_rate"]), season, bent, level)
