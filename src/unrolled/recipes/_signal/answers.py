"""What `unrolled try` prints of an effect: how far it is from the target on another pair."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from unrolled.errors import InvalidValueError
from unrolled.recipes._asked import TryParser
from unrolled.recipes._signal.data import Data, late
from unrolled.recipes._signal.delay import delay_between, shifted
from unrolled.recipes._signal.judging import error_to_signal, steps_told
from unrolled.recipes._signal.made_up import RATE, drive, played
from unrolled.recipes._signal.network import SignalNetwork, predict
from unrolled.recipes._signal.reading import Signal, kind_of

__all__ = ["judged_anew"]

FRESH = 2 * RATE


def judged_anew(recipe: Data, model: SignalNetwork, words: Sequence[str]) -> str:
    """The error-to-signal ratio of other files, or of a fresh made-up sound.

    Raises
    ------
    ValueError
        In one sentence: words that make no sense, or files that are not like the run's.
    """
    signal, said = _asked(recipe, words)
    _check_like(recipe.signal, signal)
    output = predict(model, signal.inputs, 0, len(signal), 0)
    share = error_to_signal(output, signal.outputs, model.mean_out.numpy())
    told = steps_told(len(signal), signal.rate)
    return "\n".join([*said, f"error-to-signal ratio over {told}: {share:.3%}"])


def _asked(recipe: Data, words: Sequence[str]) -> tuple[Signal, Sequence[str]]:
    parser = TryParser(
        prog="unrolled try DIR",
        description="How far the network is from the target on another pair of files.",
        allow_abbrev=False,
        epilog="see `unrolled try DIR --help`; `unrolled apply` writes what comes out",
    )
    parser.add_argument("data", metavar="IN", nargs="?", type=Path, help="what goes in")
    parser.add_argument(
        "target", metavar="TARGET", nargs="?", type=Path, help="the same as it comes out"
    )
    asked = parser.parse_args(list(words))
    if recipe.data is None and asked.data is None:
        x = played(FRESH, recipe.seed + 1)
        pair = (x.astype(np.float32)[:, None], drive(x).astype(np.float32)[:, None])
        return Signal(*pair, recipe.signal.names, RATE), ["a fresh made-up sound, played through"]
    if asked.data is None:
        raise InvalidValueError(
            "what is to be tried? `unrolled try DIR IN TARGET` names what goes in and what comes "
            "out; `unrolled apply DIR IN --out OUT` needs what goes in alone."
        )
    if asked.target is None and kind_of(asked.data) == "sound":
        raise InvalidValueError(
            f"{asked.data.name} is what goes in: name a second file, the same as it comes out."
        )
    signal = recipe.read(asked.data, asked.target, recipe.signal.names)
    delay = recipe.delay
    if delay is None and signal.is_sound:
        delay = delay_between(signal.inputs[:, 0], signal.outputs[:, 0], round(signal.rate / 2))
    delay = delay or 0
    x, y = shifted(signal.inputs, signal.outputs, delay)
    told = f"the target comes {late(delay)}, which is undone"
    return Signal(x, y, signal.names, signal.rate), [*signal.said, *([told] if delay else [])]


def _check_like(own: Signal, other: Signal) -> None:
    """Refuse what is not of the rate and the channels that were learnt from."""
    if own.rate != other.rate:
        raise InvalidValueError(
            f"the run learnt at {own.rate:,} Hz and this has {other.rate:,} Hz: write it again at "
            f"{own.rate:,} Hz."
        )
    for one, two, what in zip(own.names, other.names, ("in", "out"), strict=True):
        if len(one) != len(two):
            raise InvalidValueError(
                f"the run has {_channels(len(one))} going {what} and this has {len(two)}: expected "
                "as many; `unrolled apply` plays each channel of a file by itself."
            )


def _channels(count: int) -> str:
    return "1 channel" if count == 1 else f"{count} channels"
