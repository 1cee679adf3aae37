"""The declaration of a learner's file, found by trying: what its arrays hold, and in which order.

Sizes are all different, so shapes decide most: a declaration under which ``forward`` cannot run, or
gives another shape, is none.  Of those that are left, the one under which ``forward`` is exact is
the file's own.
"""

from __future__ import annotations

import ast
import contextlib
import io
import itertools
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from unrolled.auditing.layouts import ArrayLayout, AuditError
from unrolled.auditing.learner import Learner, passes_of, run_file
from unrolled.faults.passes import forward

__all__ = ["Declaration", "guess", "learner_of"]

T, B, I, H = 5, 2, 4, 3
AXES = ("TBI", "BTI", "TIB", "ITB", "BIT", "IBT", "TI", "IT")
WEIGHTS = ("", ".T", ".stack", ".stack.T")
BIASES = ("", ".col", ".row", ".stack", ".stack.row", ".stack.col")
CLOSE = 1e-6


class Declaration(NamedTuple):
    """What a file would declare; ``exact`` says whether its forward pass is exact then."""

    params: Mapping[str, str]
    gates: str
    axes: str
    output: str
    library: str
    loss: str
    exact: bool

    def __str__(self) -> str:
        lines = ["PARAMS = {", *(f'    "{k}": "{v}",' for k, v in self.params.items()), "}"]
        for name, value, usual in (
            ("GATES", self.gates, "ifgo"),
            ("X", self.axes, "TBI"),
            ("OUTPUT", self.output, "tanh"),
            ("LIBRARY", self.library, "numpy"),
            ("LOSS", self.loss, "every"),
        ):
            if value != usual:
                lines.append(f'{name} = "{value}"')
        return "\n".join(lines)


def guess(path: Path) -> Declaration:
    """Find what a file would have to declare.

    Raises
    ------
    AuditError
        If the names of its parameters cannot be seen, or nothing lets its ``forward`` run.
    """
    module = run_file(path)
    names = _names(path)
    if not names:
        raise AuditError(
            f'{path}: no params["…"] stands in its functions, so their names are not known: '
            "declare PARAMS yourself, as `unrolled audit --template` shows."
        )
    running = [one for one in _shapes(names) if _runs(module, path, one)]
    if not running:
        raise AuditError(
            f"{path}: forward runs under no declaration of {', '.join(names)} that was tried: "
            "declare PARAMS yourself, as `unrolled audit --template` shows."
        )
    for one in running:
        for order, output in itertools.product(_orders(one.params), ("tanh", "identity")):
            tried = one._replace(gates=order, output=output)
            if _error(module, path, tried) <= CLOSE:
                return tried._replace(exact=True)
    return running[0]


def learner_of(path: Path, declared: Declaration) -> Learner:
    """The file's functions, read as if it declared that."""
    return _learner(run_file(path), path, declared)


def _names(path: Path) -> list[str]:
    """What the file takes out of its parameters by name, in the order of the text."""
    tree = ast.parse(path.read_bytes())
    found: dict[str, None] = {}
    nodes = sorted(
        (n for n in ast.walk(tree) if isinstance(n, ast.Subscript)),
        key=lambda n: (n.lineno, n.col_offset),
    )
    firsts = {
        f.args.args[0].arg for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) and f.args.args
    }
    for node in nodes:
        key = node.slice
        of_params = isinstance(node.value, ast.Name) and node.value.id in firsts
        if of_params and isinstance(key, ast.Constant) and isinstance(key.value, str):
            found[key.value] = None
    return list(found)


def _grouped(names: Sequence[str]) -> list[dict[str, str]]:
    """Names by group: one array of all gates (key ""), or four, by the gate that each is of."""
    left, groups = list(names), []
    while left:
        name = left[0]
        for place, letter in enumerate(name):
            four = [name[:place] + other + name[place + 1 :] for other in _alike(letter)]
            there = [other for other in four if other in left]
            if len(there) == 4:
                groups.append({_gate(other[place]): other for other in there})
                break
        else:
            groups.append({"": name})
        left = [one for one in left if one not in groups[-1].values()]
    return groups


def _alike(letter: str) -> Sequence[str]:
    """The letters of all gates, if it is one of them, as large or small as it is."""
    known = "ifogcaz" if letter.islower() else "IFOGCAZ"
    return known if letter in known else ()


def _gate(letter: str) -> str:
    return letter.lower() if letter.lower() in "ifo" else "g"


def _shapes(names: Sequence[str]) -> Iterator[Declaration]:
    """Every declaration that differs from others in shapes."""
    groups = _grouped(names)
    biases = [g for g in groups if all(re.match(r"_?[bB]", name) for name in g.values())]
    weights = [g for g in groups if g not in biases]
    if len(weights) not in (1, 2) or len(biases) > 2:
        return
    kinds = [("ih|hh",), ("hh|ih",)] if len(weights) == 1 else [("ih", "hh"), ("hh", "ih")]
    of_biases = (("b",), ("b_ih", "b_hh"))[len(biases) == 2][: len(biases)]
    for library, loss, axes, parts, of_w, of_b in itertools.product(
        ("numpy", "torch"), ("every", "last"), AXES, kinds, WEIGHTS, BIASES if biases else ("",)
    ):
        params: dict[str, str] = {}
        for lot, own, suffix in ((weights, parts, of_w), (biases, of_biases, of_b)):
            for group, part in zip(lot, own, strict=True):
                for gate, name in group.items():
                    params[name] = (f"{gate}:" if gate else "") + part + suffix
        if any(":" in spec and ".stack" in spec for spec in params.values()):
            continue
        ordered = {name: params[name] for name in names}
        yield Declaration(ordered, "ifgo", axes, "tanh", library, loss, False)


def _orders(params: Mapping[str, str]) -> Iterator[str]:
    """The orders in which the gates may stand in one array."""
    if all(":" in spec for spec in params.values()):
        yield "ifgo"
        return
    yield from map("".join, itertools.permutations("ifgo"))


def _learner(module: Any, path: Path, one: Declaration) -> Learner:
    layout = ArrayLayout(dict(one.params), one.gates, one.axes, one.output)  # type: ignore[arg-type]
    return Learner(*passes_of(module, path, layout), layout, one.library, path, one.loss)


def _runs(module: Any, path: Path, one: Declaration) -> bool:
    return _error(module, path, one) < float("inf")


def _error(module: Any, path: Path, one: Declaration) -> float:
    """How far h is from the exact one; infinite where forward does not run."""
    learner = _learner(module, path, one)
    generator = torch.Generator().manual_seed(0)
    rows = B if learner.layout.batched else 1

    def drawn(*shape: int) -> torch.Tensor:
        return torch.rand(shape, generator=generator, dtype=torch.float64) * 2 - 1

    blocks = learner.layout.blocks(I, H)
    flat = drawn(sum(torch.Size(shape).numel() for _, shape in blocks.values()))
    x, zero = drawn(T, rows, I), torch.zeros(rows, H, dtype=torch.float64)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")  # what is tried is not what they wrote it for
            h, _ = learner.forward(flat, x, H)
    except AuditError:
        return float("inf")
    right = forward(learner.layout.cell, learner.layout.weights(flat, I, H), x, zero, zero)
    return float((h - right.h[-len(h) :]).abs().max())
