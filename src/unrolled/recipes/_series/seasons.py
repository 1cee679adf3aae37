"""How many steps a season has: as the frequency says it, or else as the series itself does."""

from __future__ import annotations

from typing import Any

import numpy as np

from unrolled.errors import InvalidValueError
from unrolled.files.columns import Floats
from unrolled.files.spacing import LENGTHS, Spacing

__all__ = ["period_found", "period_of", "season_of", "spacing_of_frequency"]

DAY = LENGTHS["day"]
WEEK = LENGTHS["week"]
LONGEST = 3600  # steps of a season: a series of seconds has the hour, and not the day
RECENT = 20_000  # rows that the autocorrelation looks at, the last ones
CLEAR, LEAST = 0.5, 0.3  # autocorrelation that makes a season: of the changes, of the values
NEARLY = 0.75  # of the highest peak: what chance and gaps take from one of several equals

# pandas' names of offsets, without what follows the dash: W-SUN is a week as W-MON is.
OFFSETS = {
    **{"h": (LENGTHS["h"], "us"), "min": (LENGTHS["min"], "us"), "s": (LENGTHS["s"], "us")},
    **{"ms": (LENGTHS["ms"], "us"), "us": (1, "us"), "D": (DAY, "us"), "W": (WEEK, "us")},
    **dict.fromkeys(("B", "C"), (1, "business day")),
    **dict.fromkeys(("MS", "ME", "M", "BMS", "BME", "BM", "CBMS", "CBME"), (1, "month")),
    **dict.fromkeys(("QS", "QE", "Q", "BQS", "BQE", "BQ"), (3, "month")),
    **dict.fromkeys(("YS", "YE", "Y", "BYS", "BYE", "BY"), (12, "month")),
}


def spacing_of_frequency(frequency: Any) -> Spacing:
    """Turn what pandas calls a frequency, an alias such as "h" or an offset, into a Spacing.

    A Spacing is given back as it is.

    Raises
    ------
    ValueError
        If pandas does not know the alias, or its steps are of no length.
    """
    if isinstance(frequency, Spacing):
        return frequency
    # Only here: pandas is half a second that no other command pays.
    from pandas.tseries.frequencies import to_offset

    try:
        offset: Any = to_offset(frequency)
        count, unit = OFFSETS[offset.rule_code.partition("-")[0]]
    except (ValueError, TypeError, KeyError, AttributeError):
        raise InvalidValueError(
            f"frequency={frequency!r} makes no sense: expected one that pandas knows, such as "
            "h, 30min, D, B, W, MS, QS or YS."
        ) from None
    return Spacing(count * offset.n, unit)


def period_of(frequency: Any) -> int | None:
    """Give the season's length in steps; None where the frequency says nothing of one.

    Of an hour or less it is the day (of seconds, the hour), of days the week, of weeks and months
    the year; years have none, nor have numbers.

    Parameters
    ----------
    frequency
        A Spacing, an alias of pandas' such as "h" or "MS", one of its offsets, or None.
    """
    if frequency is None:
        return None
    spacing = spacing_of_frequency(frequency)
    if spacing.unit == "business day":
        return _parts(5, spacing.count)
    if spacing.unit == "month":
        return _parts(12, spacing.count)
    return _of_length(int(spacing.count)) if spacing.unit == "us" else None


def _of_length(length: int) -> int | None:
    if length % WEEK == 0:
        return _parts(52, length // WEEK)
    if length % DAY == 0:
        return _parts(7, length // DAY)
    for whole in (DAY, LENGTHS["h"], LENGTHS["min"], LENGTHS["s"]):
        steps = _parts(whole, length)
        if steps is not None and steps <= LONGEST:
            return steps
    return None


def _parts(whole: int, length: float) -> int | None:
    """How often a length goes into the whole, if it is twice or more and leaves no rest."""
    return int(whole // length) if whole % length == 0 and whole > length else None


def season_of(frequency: Any, training: Floats) -> int | None:
    """Give the season's length as the frequency says it, or else as the training part shows it."""
    return period_of(frequency) or period_found(training)


def period_found(training: Floats) -> int | None:
    """Give the lag at which the series is most like itself; None where it is like itself nowhere.

    That is the highest peak of the autocorrelation beyond the lag at which it first falls below 0;
    of several that are nearly as high, the first, since two seasons are as like as one.  It has to
    be more than chance would give, and the series has to hold the lag three times.

    The changes from step to step are asked first, since a slow wander says nothing in them: where
    their peak is 0.5 or more, it is that.  Then the values without their straight line are, which
    noise in single values does not drown: theirs has to be 0.3.  Missing values (NaN) are left
    out of each lag's mean.
    """
    recent = training[-RECENT:]
    return _peak(np.diff(recent), CLEAR) or _peak(recent, LEAST)


def _peak(values: Floats, least: float) -> int | None:
    known = np.isfinite(values)
    if known.sum() < 12:
        return None
    lags = len(values) // 3
    similar = _autocorrelation(_detrended(values, known), known)[: lags + 2]
    below = np.flatnonzero(similar < 0)
    if not len(below):
        return None
    inner = similar[1:-1]
    peaks = 1 + np.flatnonzero((inner > similar[:-2]) & (inner >= similar[2:]))
    peaks = peaks[peaks > below[0]]
    if not len(peaks) or similar[peaks].max() < max(least, 4 / np.sqrt(known.sum())):
        return None
    return int(peaks[similar[peaks] >= NEARLY * similar[peaks].max()][0])


def _detrended(values: Floats, known: Any) -> Floats:
    """Take the straight line away; 0 where the value is missing."""
    places = np.arange(float(len(values)))
    line = np.polynomial.Polynomial.fit(places[known], values[known], 1)
    return np.where(known, values - line(places), 0.0)


def _autocorrelation(values: Floats, known: Any) -> Floats:
    """Correlate with the series itself, so many steps earlier, over the pairs that are known."""
    products, pairs = _lagged(values), _lagged(known.astype(np.float64))
    mean = products / np.maximum(np.round(pairs), 1)
    scale = mean[0] if mean[0] > 0 else 1.0
    similar: Floats = mean / scale
    return similar


def _lagged(values: Floats) -> Floats:
    """Σ x[t]·x[t−k] for each lag k, by way of the Fourier transform."""
    spectrum = np.fft.rfft(values, 2 * len(values))
    return np.fft.irfft(spectrum * spectrum.conj())[: len(values)]
