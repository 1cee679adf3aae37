"""Real series that packages bring along, so that none has to be fetched from a network.

They were taken for their frequencies and lengths before anybody had forecast them.  The three that
the defaults of `unrolled.recipes.series` were developed on are marked, to be told apart.
"""

from __future__ import annotations

import importlib
import importlib.resources
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["SERIES", "Sample", "write"]

Table = Any  # a pandas.DataFrame: pandas is imported only where a series is read


@dataclass(frozen=True)
class Sample:
    """A series: where it comes from, and how far ahead it makes sense to forecast it."""

    name: str
    steps: str
    horizon: int
    source: str
    read: Callable[[], Table]  # two columns: when, as text, and the value
    development: bool = False

    @property
    def package(self) -> str:
        """The package that has to be installed."""
        return self.source.partition(".")[0]


def write(sample: Sample, folder: Path) -> Path:
    """Write a series as a table of the columns ``time`` and ``value``."""
    table = sample.read()
    table.columns = ["time", "value"]
    path = folder / f"{sample.name}.csv"
    table.to_csv(path, index=False)
    return path


# --- how each package is read ---


def _table(times: Any, values: Any) -> Table:
    import pandas as pd

    return pd.DataFrame({"time": list(times), "value": list(values)})


def _statsmodels(name: str) -> Table:
    return importlib.import_module(f"statsmodels.datasets.{name}").load_pandas().data


def _vega(name: str) -> Table:
    from vega_datasets import local_data

    return getattr(local_data, name)()


def _sktime(name: str) -> Any:
    return getattr(importlib.import_module("sktime.datasets"), name)()


def _dated(table: Table, time: str, value: str, form: str) -> Table:
    import pandas as pd

    return _table(pd.to_datetime(table[time]).dt.strftime(form), table[value])


def _nile() -> Table:
    data = _statsmodels("nile")
    return _table(data["year"].astype(int), data["volume"])


def _lynx() -> Table:
    series = _sktime("load_lynx")
    return _table(series.index.year, series)


def _quarterly(column: str) -> Callable[[], Table]:
    def read() -> Table:
        data = _statsmodels("macrodata")
        quarters = zip(data["year"].astype(int), data["quarter"].astype(int), strict=True)
        return _table((f"{year}Q{quarter}" for year, quarter in quarters), data[column])

    return read


def _elnino() -> Table:
    wide = _statsmodels("elnino").set_index("YEAR")
    months = range(1, len(wide.columns) + 1)
    times = (f"{int(year)}-{month:02}" for year in wide.index for month in months)
    return _table(times, wide.to_numpy().ravel())


def _equipment() -> Table:
    import pandas as pd

    data = _statsmodels("elec_equip")
    if "DATE" in data:
        data = data.set_index("DATE")
    return _table(pd.to_datetime(data.index).strftime("%Y-%m"), data.iloc[:, 0])


def _sktime_file(name: str) -> Table:
    """A file that has no reader of its own, or one that asks a network first."""
    import pandas as pd

    folder = importlib.resources.files("sktime.datasets") / "data" / name
    return pd.read_csv(str(folder / f"{name}.csv"))


def _seatbelts() -> Table:
    data = _sktime_file("seatbelts")
    return _table(data.iloc[:, 0].str[:7], data["KSI"])


def _stock() -> Table:
    data = _vega("stocks")
    return _dated(data[data["symbol"] == "MSFT"], "date", "price", "%Y-%m")


def _employment() -> Table:
    return _dated(_vega("us_employment"), "month", "nonfarm", "%Y-%m")


def _rain() -> Table:
    import pandas as pd

    data = _vega("seattle_weather")
    days = data["precipitation"].set_axis(pd.to_datetime(data["date"]))
    weeks = days.resample("W").agg(["sum", "count"])
    whole = weeks[weeks["count"] == 7]["sum"]
    return _table(whole.index.strftime("%Y-%m-%d"), whole)


def _daily(column: str) -> Callable[[], Table]:
    return lambda: _dated(_vega("seattle_weather"), "date", column, "%Y-%m-%d")


def _hourly() -> Table:
    """Hourly means of many years, and so smoother than any one year was."""
    quarter_of_a_year = _vega("sf_temps").iloc[: 24 * 90]
    return _dated(quarter_of_a_year, "date", "temp", "%Y-%m-%d %H:%M")


def _solar() -> Table:
    data = _sktime_file("solar")
    return _table(data["datetime_gmt"].str[:16], data["solar_gen"])


def _sunspots() -> Table:
    data = _statsmodels("sunspots")
    return _table(data["YEAR"].astype(int), data["SUNACTIVITY"])


def _airline() -> Table:
    series = _sktime("load_airline")
    return _table(series.index.strftime("%Y-%m"), series)


def _co2() -> Table:
    data = _statsmodels("co2")
    return _table(data.index.strftime("%Y-%m-%d"), data["co2"])


SERIES = (
    Sample("nile", "years", 5, "statsmodels.datasets.nile", _nile),
    Sample("lynx", "years", 5, "sktime.datasets.load_lynx", _lynx),
    Sample("unemployment", "quarters", 8, "statsmodels.datasets.macrodata", _quarterly("unemp")),
    Sample("investment", "quarters", 8, "statsmodels.datasets.macrodata", _quarterly("realinv")),
    Sample("employment", "months", 12, "vega_datasets.local_data.us_employment", _employment),
    Sample("stock", "months", 12, "vega_datasets.local_data.stocks", _stock),
    Sample("casualties", "months", 12, "sktime.datasets, data/seatbelts", _seatbelts),
    Sample("equipment", "months", 12, "statsmodels.datasets.elec_equip", _equipment),
    Sample("elnino", "months", 12, "statsmodels.datasets.elnino", _elnino),
    Sample("rain", "weeks", 13, "vega_datasets.local_data.seattle_weather", _rain),
    Sample("solar", "half-hours", 48, "sktime.datasets, data/solar", _solar),
    Sample("warmth", "days", 14, "vega_datasets.local_data.seattle_weather", _daily("temp_max")),
    Sample("wind", "days", 14, "vega_datasets.local_data.seattle_weather", _daily("wind")),
    Sample("temperature", "hours", 24, "vega_datasets.local_data.sf_temps", _hourly),
    Sample("sunspots", "years", 11, "statsmodels.datasets.sunspots", _sunspots, True),
    Sample("airline", "months", 12, "sktime.datasets.load_airline", _airline, True),
    Sample("co2", "weeks", 13, "statsmodels.datasets.co2", _co2, True),
)
