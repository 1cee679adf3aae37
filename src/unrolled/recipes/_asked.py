"""What is typed after `unrolled try DIR`, read: numbers and flags."""

from __future__ import annotations

import argparse
import math
from typing import NoReturn

from unrolled.errors import InvalidValueError

__all__ = ["TryParser", "real_number", "whole_number"]


def whole_number(word: str, what: str, least: int, most: int, *, such_as: int) -> int:
    """A whole number in digits alone, from ``least`` to ``most``; ``what`` it is to be."""
    if word.isascii() and word.isdecimal() and len(word) <= len(str(most)):
        number = int(word)
        if least <= number <= most:
            return number
    raise InvalidValueError(
        f"{word!r} is not {what}: expected one whole number from {least} to {most}, such as "
        f"{such_as}."
    )


def real_number(
    word: str, what: str, least: float, most: float = math.inf, *, such_as: float
) -> float:
    """A finite number from ``least`` to ``most``; ``what`` it is to be."""
    try:
        number = float(word)
    except ValueError:
        number = math.nan
    if least <= number <= most and number < math.inf:
        return number
    upwards = f"to {most:g}" if most < math.inf else "up"
    raise InvalidValueError(
        f"{word!r} is not {what}: expected one number from {least:g} {upwards}, such as {such_as}."
    )


class TryParser(argparse.ArgumentParser):
    """argparse, but refusing in one sentence, which ends with the ``epilog``."""

    def error(self, message: str) -> NoReturn:
        raise InvalidValueError(f"{message}; {self.epilog}.")
