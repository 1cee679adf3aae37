"""Whatever a table is written in, it is read back as it was, or refused: never read wrongly."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unrolled.errors import InvalidValueError
from unrolled.files.numerals import Style
from unrolled.files.tables import Reading, read_table

STYLES = [Style(d, t) for d in ".," for t in ("", ",", ".", " ", "'") if d != t]
WORDS = {" ": "space", "": "none"}


def write(value: float | None, places: int, style: Style, unit: str) -> str:
    """A number in a style, as a spreadsheet writes it."""
    if value is None:
        return ""
    text = f"{value:,.{places}f}".replace(",", "\0").replace(".", style.decimal)
    return text.replace("\0", style.thousands) + unit


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[list[float | None]], int, Style, str, str, str, bytes]:
    places = draw(st.integers(0, 3))
    number = st.integers(-(10**8), 10**8).map(lambda n: round(n / 10**places, places))
    size = draw(st.sampled_from([1, 10**4, 10**8]))
    values = st.none() | number.map(lambda v: round(v / size, places))
    if draw(st.booleans()):  # those that may be read in two ways: 20,038
        places = draw(st.sampled_from([0, 3]))
        values = st.integers(1000, 999_999).map(lambda n: n / 1000 if places else float(n))
    rows = draw(st.lists(st.lists(values, min_size=2, max_size=2), min_size=3, max_size=12))
    style = draw(st.sampled_from(STYLES))
    # Who writes 20.038 for 20038 has commas in numbers, and so none between cells; a comma between
    # cells and one between thousands go together where cells are in quotes.
    mark = draw(
        st.sampled_from([",", ";", "\t", "|"] if style.thousands != "." else [";", "\t", "|"])
    )
    unit = draw(st.sampled_from(["", "", "%", " €"]))
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]))
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    ends = draw(st.sampled_from(["\n", "\r\n"]))
    box = io.StringIO()
    writer = csv.writer(box, delimiter=mark, quoting=quoting, lineterminator=ends)
    writer.writerow(["tag", "größe", "menge"])
    for n, row in enumerate(rows):
        writer.writerow([f"2020-01-{n + 1:02}", *(write(v, places, style, unit) for v in row)])
    return rows, places, style, mark, unit, encoding, box.getvalue().encode(encoding)


@given(table=tables())
def test_a_table_is_read_back_or_refused(
    table: tuple[list[list[float | None]], int, Style, str, str, str, bytes],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    rows, _, style, mark, _, _, data = table
    path = tmp_path_factory.getbasetemp() / "dialect.csv"
    path.write_bytes(data)
    for place, name in enumerate(("größe", "menge")):
        truth = [np.nan if row[place] is None else float(row[place] or 0) for row in rows]
        try:
            values = read_table(path).numbers(name)
        except InvalidValueError as refusal:
            assert "can be read in two ways" in str(refusal)  # noqa: PT017
        else:
            np.testing.assert_array_equal(values, truth)
        thousands = WORDS.get(style.thousands, style.thousands)
        said = Reading(decimal=style.decimal, thousands=thousands, separator=mark)
        np.testing.assert_array_equal(read_table(path, said).numbers(name), truth)


def test_a_table_that_is_refused_is_no_rule(tmp_path: Path) -> None:
    """The test above could hold by refusing all: these must be read."""
    for style in STYLES:
        cells = [write(v, 2, style, "") for v in (1234567.25, -3.5, 0.0)]
        path = tmp_path / "data.csv"
        path.write_text("n;x\n" + "".join(f"{n};{cell}\n" for n, cell in enumerate(cells)))
        assert read_table(path).numbers("x").tolist() == [1234567.25, -3.5, 0]
