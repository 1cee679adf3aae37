"""Kinds of files that are not read, told by how they begin: each is refused by its name."""

from __future__ import annotations

import re

from unrolled.errors import InvalidValueError

__all__ = ["refuse_foreign"]

LOOKED_AT = 20_000  # bytes from the begin
KINDS = (
    (rb"\xd0\xcf\x11\xe0", "a file of old Excel (.xls)"),
    (rb"(?:ARROW1|FEA1)\x00", "a Feather or Arrow file"),
    (rb"ORC[^\x09\x0a\x0d\x20-\x7e]", "an ORC file"),
    (rb"\x89HDF", "an HDF5 file"),
    (rb"CDF[\x01\x02\x05]", "a NetCDF file"),
    (rb"SQLite format 3\x00", "an SQLite database"),
    (rb"[\x6c-\x73][\x01\x02]\x01\x00|<stata_dta>", "a Stata file (.dta)"),
    (rb"\$FL[23]@", "an SPSS file (.sav)"),
    (rb"HEADER RECORD\*|\x00{12}\xc2\xea\x81\x60", "a SAS file"),
    (rb"RD[AX]\d\n|[XA]\n\x00\x00", "a file of R's"),
    (rb"MATLAB 5.0 MAT-file", "a MATLAB file (.mat)"),
    (rb"\x93NUMPY", "an array of NumPy's"),
    (rb"\x80[\x02-\x05]", "a pickle"),
    (rb"%PDF-", "a PDF"),
    (rb"\x89PNG|\xff\xd8\xff|GIF8[79]a", "a picture"),
    (rb'\s*(?:\{\s*["}]|\[\s*(?:[\[{\]"]|-?[\d.]+\s*,))', "JSON"),
    (rb"\s*<(?:!doctype|html|table|\?xml|\w+:?\w*\s*xmlns)", "a page of HTML or XML"),
    (rb"(?s:.*\n)?@(?:relation|problemname)\b", "an ARFF, .ts or .tsf file"),
)
PATTERNS = [(re.compile(pattern, re.IGNORECASE), kind) for pattern, kind in KINDS]


def refuse_foreign(data: bytes, file: str) -> None:
    """Raise ValueError where a file is of a known kind that is not read."""
    begin = data[:LOOKED_AT].removeprefix(b"\xef\xbb\xbf")
    for pattern, kind in PATTERNS:
        if pattern.match(begin):
            raise InvalidValueError(
                f"{file} is {kind}, which is not read: save the table as CSV, .xlsx or Parquet."
            )
