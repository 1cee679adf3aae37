"""Prime numbers, by the sieve of Eratosthenes."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

__all__ = ["first_primes", "primes_between"]

Numbers = npt.NDArray[np.int64]


def first_primes(count: int) -> Numbers:
    """The first ``count`` primes."""
    n = max(count, 6)
    bound = math.ceil(n * (math.log(n) + math.log(math.log(n))))  # Rosser 1941, from n = 6 on
    return primes_between(2, bound)[:count]


def primes_between(low: int, high: int) -> Numbers:
    """The primes p with low ≤ p ≤ high; takes memory for √high and for high − low."""
    low = max(low, 2)
    if high < low:
        return np.empty(0, dtype=np.int64)
    root = math.isqrt(high)
    small = np.ones(root + 1, dtype=bool)
    small[:2] = False
    for n in range(2, math.isqrt(root) + 1):
        if small[n]:
            small[n * n :: n] = False
    prime = np.ones(high - low + 1, dtype=bool)
    for n in np.flatnonzero(small).tolist():
        first = max(n * n, -(-low // n) * n)
        prime[first - low :: n] = False
    found: Numbers = np.flatnonzero(prime) + low
    return found
