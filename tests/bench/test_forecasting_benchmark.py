"""`benchmarks/forecasting.py`: that it ends with a table, and says what is not installed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from processes import Ended, python

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
WITHOUT_SKTIME = """
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == "sktime" else find(name, *more)
"""


# One network of a few steps: what is looked at is the benchmark, not how good we are.
SHORT = """
import functools
import forecasting
forecasting.Recipe = functools.partial(forecasting.Recipe, search=1, ensemble=1, steps=50)
"""


def benchmark(*words: str, first: str = "") -> Ended:
    at = f"import sys; sys.path.insert(0, {str(BENCHMARKS)!r})"
    return python(f"{at}\n{first}\n{SHORT}\nforecasting.main({list(words)!r})", seconds=180)


def test_a_series_is_measured_and_summed_up() -> None:
    pytest.importorskip("statsmodels")
    ended = benchmark("--only", "nile", "--without-networks")
    assert ended.rc == 0, ended.err
    assert "nile: 100 years, 5 ahead from 16 origins" in ended.out
    rows = re.findall(r"^  (\S.*?) +(\d\.\d{3})\b", ended.out, re.MULTILINE)
    figures = dict(rows)
    assert figures["AR(2)"] == "0.731"
    assert figures["naive forecast"] == figures["persistence"] == "1.024"
    assert 0 < float(figures["unrolled"]) < 1.5
    assert re.search(r"better than naive forecast on [01] of 1$", ended.out, re.MULTILINE)
    assert re.search(r"intervals of 80 % held \d+\.\d % in the mean", ended.out)


def test_a_package_that_is_not_there_is_named() -> None:
    ended = benchmark("--only", "lynx", "--without-networks", first=WITHOUT_SKTIME)
    assert (ended.rc, ended.out) == (1, "")
    said = "forecasting.py: sktime cannot be imported, and the series or networks that were asked"
    assert ended.err.startswith(said)
    assert ended.err.endswith("pip install '.[ecosystem]' brings it.\n")
    assert ended.err.count("\n") == 1
