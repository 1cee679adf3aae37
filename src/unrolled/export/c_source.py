"""The text of the .h and the .c file, out of a network's numbers.

The arithmetic is the native engine's, operation for operation: `src/native/activations.hpp` and
`cell.hpp` have the same lines.  Whoever changes one changes both; tests/export holds the bits.
"""

from __future__ import annotations

import hashlib
from string import Template
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from unrolled.export import c_parts
from unrolled.export.c_tables import Drawn, Head, Layer, Table, tiles

__all__ = ["Sources", "sources"]

_LINE = 96  # characters


class Sources(NamedTuple):
    """What the two files say."""

    header: str
    source: str


def sources(net: Drawn, name: str, stem: str) -> Sources:
    """The two files of a network.

    Parameters
    ----------
    net : Drawn
    name : str
        What every name in them begins with.
    stem : str
        The name of the .h file, without the end.
    """
    words = {
        "name": name,
        "NAME": name.upper(),
        "stem": stem,
        "inputs": net.inputs,
        "outputs": net.outputs,
        "units": net.units,
        "layers": len(net.layers),
        "gates": len(net.cell.gates),
        "about": _about(net),
        "equations": _equations(net),
        "y": _y(net),
        "state": 8 * net.units * len(net.layers),
        "stack": _stack(net),
    }
    body = _filled(_body(net), words)
    words["mark"] = hashlib.sha256(body.encode()).hexdigest()[:8]
    header = _filled(c_parts.HEADER, words)
    return Sources(header, _filled(c_parts.OPENING, words) + body)


def _stack(net: Drawn) -> int:
    """Bytes: all pre-activations, a tile's sums (and, with int8, those with x), and the calls."""
    tile = max(_tiles(net, _sums(net)))
    return 4 * (_sums(net) + tile * (2 if net.weights == "int8" else 1)) + 256


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _filled(text: str, words: dict[str, object]) -> str:
    return Template(text).substitute(words)


def _sums(net: Drawn) -> int:
    return len(net.cell.gates) * net.units


def _tiles(net: Drawn, sums: int) -> list[int]:
    return tiles(sums, net.weights)


def _about(net: Drawn) -> str:
    """In words: cell, sizes, head, weights."""
    cell = net.cell
    count = len(net.layers)
    lines = [
        f"{_counted(count, 'LSTM layer')}: {_counted(net.inputs, 'number')} in, "
        f"{_counted(net.units, 'unit')}" + (", each reading the one before." if count > 1 else "."),
        f"The cell: forget gate {cell.forget}, {'with' if cell.peephole else 'without'} peepholes, "
        f"h = o * {'tanh(c)' if cell.output == 'tanh' else 'c'}.",
        "No head: y is h of the last layer."
        if net.head is None
        else f"A linear head gives y, {_counted(net.outputs, 'number')}.",
    ]
    if net.weights == "int8":
        lines.append("Weights are int8, with a scale for each row; biases and sums are float.")
    return "\n * ".join(lines)


def _y(net: Drawn) -> str:
    return "h of the last layer" if net.head is None else "W h + b, the linear head"


def _equations(net: Drawn) -> str:
    """E1 to E8 as this network has them."""
    cell = net.cell
    peep = {g: f" + p_{g} * {'c' if g == 'o' else 'c_in'}" for g in cell.peepholes}
    forget = {"one": "1", "coupled": "1 - i"}.get(cell.forget, f"sigmoid(a_f{peep.get('f', '')})")
    lines = [
        "a = b + W_ih x + W_hh h_in, with b = b_ih + b_hh",
        f"E1  i = sigmoid(a_i{peep.get('i', '')})",
        f"E2  f = {forget}",
        "E3  g = tanh(a_g)",
        "E4  c = f * c_in + i * g",
        f"E5  o = sigmoid(a_o{peep.get('o', '')})",
        f"E6  h = o * {'tanh(c)' if cell.output == 'tanh' else 'c'}",
        "E7  h_in, c_in: what the step before left; zero after a reset",
    ]
    for letter, keep in zip("hc", net.keep, strict=True):
        if keep is not None:
            lines.append(f"E8  {letter} = {letter}_in + {keep:g} * ({letter} - {letter}_in)")
    return "\n *   ".join(lines)


def _body(net: Drawn) -> str:
    """Everything below the .c file's opening."""
    sums = c_parts.SUMS_INT8 if net.weights == "int8" else c_parts.SUMS
    blocks = [_tables(net), c_parts.ACTIVATIONS]
    blocks += [
        Template(sums).safe_substitute(width=w) for w in sorted(set(_tiles(net, _sums(net))))
    ]
    if net.head is not None:
        head = c_parts.HEAD_INT8 if net.weights == "int8" else c_parts.HEAD
        blocks += [
            Template(head).safe_substitute(width=w) for w in sorted(set(_tiles(net, net.outputs)))
        ]
    return "\n".join([*blocks, _cell(net), _step(net), c_parts.CLOSING])


def _tables(net: Drawn) -> str:
    found: list[str] = []
    for k, layer in enumerate(net.layers):
        found += _table(f"w{k}", layer.weights, ("scale_x", "scale_h"))
        found.append(_array(f"b{k}", layer.bias))
        if layer.peepholes is not None:
            found.append(_array(f"p{k}", layer.peepholes))
    if net.head is not None:
        found += _table("head_w", net.head.weights, ("scale",))
        found.append(_array("head_b", net.head.bias))
    return "\n".join(found)


def _table(name: str, table: Table, scales: tuple[str, ...]) -> list[str]:
    found = [_array(name, table.numbers)]
    for one, scale in zip(scales, table.scales, strict=False):  # of floats there is none
        found.append(_array(f"{name}_{one}", scale))
    return found


def _array(name: str, numbers: npt.NDArray[np.float32 | np.int8]) -> str:
    """A const table; floats with nine digits, from which the same float is read."""
    whole = numbers.dtype == np.int8
    words = [str(n) if whole else _number(n) for n in numbers.tolist()]
    kind = "int8_t" if whole else "float"
    return f"static const {kind} ${{name}}_{name}[{len(words)}] = {{\n{_wrapped(words)}\n}};\n"


def _number(value: float) -> str:
    text = f"{value:.9g}"
    return f"{text}f" if set(text) & set(".e") else f"{text}.0f"


def _wrapped(words: list[str]) -> str:
    lines, line = [], "   "
    for word in words:
        if len(line) + len(word) + 2 > _LINE:
            lines.append(line)
            line = "   "
        line += f" {word},"
    return "\n".join([*lines, line])[:-1]


def _cell(net: Drawn) -> str:
    """E1 to E8 for all units of a layer, after `step` in `src/native/cell.hpp`."""
    cell, units = net.cell, net.units
    place = {gate: n for n, gate in enumerate(cell.gates)}
    row = {gate: n for n, gate in enumerate(cell.peepholes)}

    def at(table: str, n: int) -> str:
        return f"{table}[u]" if n == 0 else f"{table}[{n * units} + u]"

    def seen(gate: str, c: str) -> str:
        a = at("a", place[gate])
        return f"${{NAME}}_FMA({at('p', row[gate])}, {c}, {a})" if gate in row else a

    forget = {"one": "1.0f", "coupled": "1.0f - i"}.get(
        cell.forget, f"${{name}}_sigmoid({seen('f', 'c_in')})" if "f" in place else ""
    )
    c_new = "${NAME}_FMA(i, g, c_in)" if cell.forget == "one" else "${NAME}_FMA(f, c_in, i * g)"
    lines = [
        "const float c_in = c[u];",
        f"const float i = ${{name}}_sigmoid({seen('i', 'c_in')}); /* E1 */",
        f"const float f = {forget}; /* E2 */" if cell.forget != "one" else "/* E2: f = 1 */",
        f"const float g = ${{name}}_tanh({at('a', place['g'])}); /* E3 */",
        f"const float c_new = {c_new}; /* E4 */",
        f"const float o = ${{name}}_sigmoid({seen('o', 'c_new')}); /* E5 */",
        "const float h_new = o * "
        + ("${name}_tanh(c_new)" if cell.output == "tanh" else "c_new")
        + "; /* E6 */",
    ]
    keep_h, keep_c = net.keep
    lines += [_kept("h", keep_h), _kept("c", keep_c)]
    return Template(c_parts.CELL).safe_substitute(
        p=", const float *restrict p" if cell.peephole else "", lines="\n    ".join(lines)
    )


def _kept(letter: str, keep: float | None) -> str:
    if keep is None:
        return f"{letter}[u] = {letter}_new;"
    number = _number(float(np.float32(keep)))
    return (
        f"{letter}[u] = ${{NAME}}_FMA({number}, {letter}_new - {letter}[u], {letter}[u]); /* E8 */"
    )


def _step(net: Drawn) -> str:
    lines = [line for k, layer in enumerate(net.layers) for line in _layer(net, k, layer)]
    last = f"state->h[{len(net.layers) - 1}]"
    if net.head is None:
        lines.append(f"memcpy(y, {last}, sizeof {last});")
    else:
        lines += _head(net, net.head, last)
    return Template(c_parts.STEP).safe_substitute(sums=_sums(net), lines="\n  ".join(lines))


def _head(net: Drawn, head: Head, h: str) -> list[str]:
    """The calls that make y."""
    first, lines = 0, ["/* The head */"]
    for width in _tiles(net, net.outputs):
        places = [f"${{name}}_head_w + {first * net.units}", f"${{name}}_head_b + {first}"]
        places += [f"${{name}}_head_w_scale + {first}" for _ in head.weights.scales]
        lines.append(f"${{name}}_head_{width}({', '.join(places)}, {h}, y + {first});")
        first += width
    return lines


def _layer(net: Drawn, k: int, layer: Layer) -> list[str]:
    """The calls that take one layer a step further."""
    read = "x" if k == 0 else f"state->h[{k - 1}]"
    columns, first = layer.inputs + net.units, 0
    lines = [f"/* Layer {k} */"]
    for width in _tiles(net, _sums(net)):
        places = [f"${{name}}_w{k} + {first * columns}", f"${{name}}_b{k} + {first}"]
        places += [f"${{name}}_w{k}_scale_{one} + {first}" for one in "xh" if layer.weights.scales]
        lines.append(
            f"${{name}}_sums_{width}({', '.join(places)}, {read}, {layer.inputs}, "
            f"state->h[{k}], a + {first});"
        )
        first += width
    peepholes = "" if layer.peepholes is None else f", ${{name}}_p{k}"
    return [*lines, f"${{name}}_cell(a{peepholes}, state->h[{k}], state->c[{k}]);"]
