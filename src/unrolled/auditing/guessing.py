"""The declaration of a learner's file, found by trying: what its arrays hold, and in which order.

Sizes are all different, so shapes decide most: a declaration under which ``forward`` cannot run, or
gives another shape, is none.  Of those that are left, the one under which ``forward`` is exact is
the file's own.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import torch
from torch import Tensor

from unrolled.auditing.exact import Draw, draw
from unrolled.auditing.examining import expected, relative
from unrolled.auditing.layouts import AuditError
from unrolled.auditing.learner import Learner
from unrolled.auditing.loading import Declaration, learner_of, run_file
from unrolled.auditing.names import Named, named_in_file
from unrolled.auditing.systems import HEADS, Sizes

__all__ = ["Guess", "guess"]

# All sizes of arrays differ: I, H, V, I + H, 4H, T, B.
T, B = 5, 2
SIZES = Sizes(4, 3, 6)
AXES = ("TBI", "BTI", "TIB", "ITB", "BIT", "IBT", "TI", "IT")
WEIGHTS = ("", ".T", ".stack", ".stack.T")
BIASES = ("", ".col", ".row", ".stack", ".stack.row", ".stack.col")
HEAD_NAMES = r"(?i)y|out|head|logit|soft|v"
CLOSE = 1e-6
MOST_RUNNING = 12  # declarations under which forward runs that are tried in every order of gates


class Guess(NamedTuple):
    """What a file would declare; the file so read; whether its forward pass is exact then."""

    declared: Declaration
    learner: Learner
    exact: bool


def guess(path: Path) -> Guess:
    """Find what a file would have to declare.

    Raises
    ------
    AuditError
        If the names of its parameters cannot be seen, or nothing lets its ``forward`` run.
    """
    module = run_file(path)
    ways = named_in_file(module, path, SIZES)
    exact: list[Guess] = []
    running: list[Guess] = []
    for head in (False, True):  # a file that reads without a head has none
        for one in itertools.chain.from_iterable(_shapes(named, head) for named in ways):
            if _returned(module, path, one) is None:
                continue
            running.append(Guess(one, learner_of(module, path, one), False))
            exact += _exact(module, path, one)
            if exact and _goes_back(exact[-1].learner):
                return exact[-1]
            if len(running) == MOST_RUNNING:
                break
        if running:
            return (exact or running)[0]
    names = ", ".join(dict.fromkeys(name for named in ways for name in named.names))
    raise AuditError(
        f"{path}: forward runs under no declaration of {names} that was tried: "
        "declare PARAMS yourself, as `unrolled audit --template` shows."
    )


def _exact(module: ModuleType, path: Path, one: Declaration) -> list[Guess]:
    """The first with these shapes under which forward is exact; none if there is none."""
    for tried in _finer(one):
        if _error(module, path, tried) <= CLOSE:
            return [Guess(tried, learner_of(module, path, tried), True)]
    return []


def _goes_back(learner: Learner) -> bool:
    """Whether its backward pass runs."""
    try:
        with _in_quiet():
            learner.backward(_drawn(learner))
    except AuditError:
        return False
    return True


# --- what differs in shapes ---


def _shapes(named: Named, head: bool) -> Iterator[Declaration]:
    """Every declaration that differs from others in shapes; those with a batch first."""
    held = [params for params in _held(named.names) if _has_head(params) == head]
    held = [params for params in held if named.shapes is None or _fits(params, named.shapes)]
    heads = named.heads if head else ((None, "index"),) if not named.inside else ()
    for axes, library, call in itertools.product(AXES, named.libraries, named.calls):
        for params, loss, (kind, target) in itertools.product(held, ("every", "last"), heads):
            if call == "sequence" or (loss == "every" and kind is None):
                yield Declaration(
                    params, "ifgo", axes, "tanh", library, loss, kind, target, call, named.kind
                )


def _fits(params: Mapping[str, str], shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether arrays that hold that have these shapes."""
    head = "linear" if _has_head(params) else None
    places = Declaration(params, head=head).system().places(SIZES)
    return all(tuple(place.shape) == shapes[name] for name, place in places.items())


def _has_head(params: Mapping[str, str]) -> bool:
    return any(spec.startswith("head") for spec in params.values())


def _held(names: Sequence[str]) -> Iterator[dict[str, str]]:
    """Every way in which arrays of these names may hold the parameters."""
    layers = _layers(names)
    groups = _grouped(layers[0])
    biases = [g for g in groups if all(re.match(r"(.*\.)?_?[bB]", name) for name in g.values())]
    weights = [g for g in groups if g not in biases]
    for parts, own in itertools.product(_parts(weights), _BIASES.get(len(biases), [])):
        head = "head" in parts
        if (len(layers) > 1 and head) or ("head_b" in own and not head):
            continue
        for of_w, of_b, of_head in itertools.product(
            WEIGHTS, BIASES if biases else ("",), ("", ".T") if head else ("",)
        ):
            if not biases or (".stack" in of_w) == (".stack" in of_b):
                ends = (of_w, of_b, (of_head, of_b.removeprefix(".stack")))
                params = _params(layers, weights, biases, parts, own, ends)
                if params is not None:
                    yield params


def _parts(weights: Sequence[Mapping[str, str]]) -> list[tuple[str, ...]]:
    """What the groups of weights can be; the one that is called after the output is the head."""
    named = [bool(re.search(HEAD_NAMES, "".join(g.values()))) for g in weights]
    kinds = _PARTS.get(len(weights), [])
    if sum(named) != 1:
        return kinds
    at = named.index(True)
    return [one for one in kinds if "head" not in one or one[at] == "head"]


def _params(
    layers: Sequence[Sequence[str]],
    weights: Sequence[Mapping[str, str]],
    biases: Sequence[Mapping[str, str]],
    parts: Sequence[str],
    own: Sequence[str],
    suffixes: tuple[str, str, tuple[str, str]],
) -> dict[str, str] | None:
    """What each array holds; None where that is no declaration."""
    of_w, of_b, of_head = suffixes
    words: dict[str, str] = {}
    for lot, kinds, suffix in ((weights, parts, of_w), (biases, own, of_b)):
        for group, part in zip(lot, kinds, strict=True):
            ends = {"head": of_head[0], "head_b": of_head[1]}.get(part, suffix)
            if part.startswith("head") and len(group) > 1:
                return None
            for gate, name in group.items():
                words[name] = (f"{gate}:" if gate else "") + part + ends
    if any(":" in spec and ".stack" in spec for spec in words.values()):
        return None
    if len(layers) == 1:
        return {name: words[name] for name in layers[0]}
    return {
        name: f"{words[first]}@{number}"
        for number, names in enumerate(layers)
        for first, name in zip(layers[0], names, strict=True)
    }


# What so many groups of weights, and of biases, can be.
_PARTS: dict[int, list[tuple[str, ...]]] = {
    1: [("ih|hh",), ("hh|ih",)],
    2: [
        ("ih", "hh"),
        ("hh", "ih"),
        ("ih|hh", "head"),
        ("hh|ih", "head"),
        ("head", "ih|hh"),
        ("head", "hh|ih"),
    ],
    3: list(itertools.permutations(("ih", "hh", "head"))),
}
_BIASES: dict[int, list[tuple[str, ...]]] = {
    0: [()],
    1: [("b",), ("head_b",)],
    2: [("b_ih", "b_hh"), ("b", "head_b"), ("head_b", "b")],
    3: [("b_ih", "b_hh", "head_b"), ("head_b", "b_ih", "b_hh")],
}


def _layers(names: Sequence[str]) -> list[list[str]]:
    """The names by layer, where they differ in a number alone; else all in one."""
    found: dict[str, list[str]] = {}
    numbered = [re.search(r"\d", name) for name in names]
    if not all(numbered) or len({m.group() for m in numbered if m}) < 2:
        return [list(names)]
    for name, number in zip(names, numbered, strict=True):
        assert number is not None
        found.setdefault(number.group(), []).append(name)
    each = [found[number] for number in sorted(found)]
    bare = [[re.sub(r"\d", "#", name, count=1) for name in one] for one in each]
    return each if all(one == bare[0] for one in bare) else [list(names)]


def _grouped(names: Sequence[str]) -> list[dict[str, str]]:
    """Names by group: one array of all gates (key ""), or four, by the gate that each is of."""
    left, groups = list(names), []
    while left:
        name = left[0]
        for place, letter in enumerate(name):
            four = [name[:place] + other + name[place + 1 :] for other in _alike(letter)]
            there = list(dict.fromkeys(other for other in four if other in left))
            if len(there) == 4:
                groups.append({_gate(other[place]): other for other in there})
                break
        else:
            groups.append({"": name})
        left = [one for one in left if one not in groups[-1].values()]
    return groups


def _alike(letter: str) -> Sequence[str]:
    """The letters of all gates, if it is one of them; a cell's may be large beside small ones."""
    known = "ifogcazCG" if letter.islower() else "IFOGCAZcg"
    return known if letter in known else ()


def _gate(letter: str) -> str:
    return letter.lower() if letter.lower() in "ifo" else "g"


# --- what differs in numbers ---


def _finer(one: Declaration) -> Iterator[Declaration]:
    """The same shapes, in every order of the gates, with every output and loss."""
    heads = [one.head]
    if one.head not in (None, "linear"):
        heads = [h for h in HEADS if h != "linear"] if one.head != "softmax" else ["softmax"]
        if one.target == "one-hot":
            heads = [h for h in HEADS if h != "linear"]
    losses = ("every", "last") if one.head not in (None, "linear") else (one.loss,)
    orders = ["ifgo"]
    if not all(":" in s or s.startswith("head") for s in one.params.values()):
        orders = ["".join(order) for order in itertools.permutations("ifgo")]
    for head, loss, order, output in itertools.product(heads, losses, orders, ("tanh", "identity")):
        target = one.target if head == "softmax" else "index"
        yield one._replace(head=head, target=target, loss=loss, gates=order, output=output)


def _error(module: ModuleType, path: Path, one: Declaration) -> float:
    """How far what forward returns is from the exact; infinite where forward does not run."""
    found = _returned(module, path, one)
    if found is None:
        return float("inf")
    value, learner, given = found
    return min(_off(value, right) for right in expected(learner, given).values())


def _returned(
    module: ModuleType, path: Path, one: Declaration
) -> tuple[Tensor, Learner, Draw] | None:
    """What forward returns, and for what; None where it does not run."""
    try:
        with _in_quiet():
            learner = learner_of(module, path, one)
            given = _drawn(learner)
            return learner.forward(given)[0], learner, given
    except AuditError:
        return None


@contextlib.contextmanager
def _in_quiet() -> Iterator[None]:
    """What is tried is not what they wrote it for, and may warn and print."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def _drawn(learner: Learner) -> Draw:
    rows = B if learner.system.batched else 1
    sizes = SIZES if learner.system.head is not None else SIZES._replace(outputs=0)
    generator = torch.Generator().manual_seed(0)
    last = learner.loss == "last"
    return draw(learner.system, sizes, T, rows, generator, last=last, states=learner.states)


def _off(found: Tensor, right: Tensor) -> float:
    return relative(found, right) if found.shape == right.shape else float("inf")
