"""What leaves Python, broken: the C file."""

_FORWARDS = """\
  for (k = 0; k + 1 < ${NAME}_UNITS; ++k, w += ${width})
    for (j = 0; j < ${width}; ++j) sum[j] = ${NAME}_FMA(w[j], h[k], sum[j]);
  for (j = 0; j < ${width}; ++j) a[j] = ${NAME}_FMA(w[j], h[${NAME}_UNITS - 1], sum[j]);
"""
_BACKWARDS = """\
  for (k = ${NAME}_UNITS; k-- > 0;)
    for (j = 0; j < ${width}; ++j) sum[j] = ${NAME}_FMA(w[k * ${width} + j], h[k], sum[j]);
  for (j = 0; j < ${width}; ++j) a[j] = sum[j];
"""

# what is broken, file, code, broken code, tests
MUTANTS: list[tuple[str, str, str, str, list[str]]] = [
    (
        "C: the gates in another order",
        "export/c_source.py",
        "place = {gate: n for n, gate in enumerate(cell.gates)}",
        "place = {gate: n for n, gate in enumerate(sorted(cell.gates))}",
        ["test_c.py"],
    ),
    (
        "C: the peepholes in another order",
        "export/c_source.py",
        "row = {gate: n for n, gate in enumerate(cell.peepholes)}",
        "row = {gate: n for n, gate in enumerate(reversed(cell.peepholes))}",
        ["test_c.py"],
    ),
    (
        "C: one bias of the two",
        "export/c_tables.py",
        "else b_ih + b_hh,",
        "else b_ih,",
        ["test_c.py", "test_c_int8.py"],
    ),
    (
        "C: the sum over h goes from the last unit to the first",
        "export/c_parts.py",
        _FORWARDS,
        _BACKWARDS,
        ["test_c.py"],
    ),
    (
        "C: no bias",
        "export/c_parts.py",
        "sum[j] = ${NAME}_FMA(w[j], x[0], b[j]);",
        "sum[j] = w[j] * x[0]; (void)b;",
        ["test_c.py"],
    ),
    (
        "C: a sum of E4 is rounded twice",
        "export/c_source.py",
        '"${NAME}_FMA(f, c_in, i * g)"',
        '"f * c_in + i * g"',
        ["test_c.py"],
    ),
    (
        "C: tanh's polynomial, one digit off",
        "export/c_parts.py",
        "0.00833333377f",
        "0.00833333470f",
        ["test_c.py"],
    ),
    (
        "C: zoneout is left out",
        "export/c_tables.py",
        "keep = tuple(1 - p if p else None",
        "keep = tuple(None if p else None",
        ["test_c.py"],
    ),
    (
        "C: the scale of x for h",
        "export/c_parts.py",
        "a[j] = ${NAME}_FMA(scale_h[j], sum[j], with_x[j]);",
        "a[j] = ${NAME}_FMA(scale_x[j], sum[j], with_x[j]);",
        ["test_c_int8.py"],
    ),
    (
        "C: the .h file is there before the .c file",
        "export/c.py",
        "        _fill(beside, texts.header)\n        replace_file(path,",
        "        header.write_text('')\n        replace_file(path,",
        ["test_c_files.py"],
    ),
    (
        "C: a file that is not of this export is taken",
        "export/c_source.py",
        'words["mark"] = hashlib.sha256(body.encode()).hexdigest()[:8]',
        'words["mark"] = "12345678"',
        ["test_c_files.py"],
    ),
    (
        "C: a weight with seven digits",
        "export/c_source.py",
        'text = f"{value:.9g}"',
        'text = f"{value:.7g}"',
        ["test_c.py", "test_c_files.py"],
    ),
]
