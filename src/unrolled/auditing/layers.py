"""Anybody's drop-in LSTM, held to the equations: a conformance suite for layers.

What takes the arguments and has the parameters of `torch.nn.LSTM` is built anew for every case,
given weights, and compared with this library's reference in float64: output, states, and the
gradient of all of them with respect to the input, the initial states and every parameter.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from unrolled.auditing.layouts import AuditError
from unrolled.auditing.learner import DEFAULT_PARAMS, Learner
from unrolled.auditing.loading import run_file
from unrolled.auditing.systems import System
from unrolled.errors import InvalidValueError
from unrolled.layer.lstm import LSTM

__all__ = ["CASES", "Conformance", "Finding", "LayerCase", "as_learner", "hold", "load_layer"]

I, H, T, B = 4, 5, 7, 3
TOLERANCES = {torch.float64: 1e-9, torch.float32: 2e-5, torch.bfloat16: 0.06}

Build = Callable[..., nn.Module]


@dataclass(frozen=True)
class LayerCase:
    """One way of using a layer: how it is built, and what it is given."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    dtype: torch.dtype = torch.float64
    steps: int = T
    rows: int | None = B  # None: one sequence [T, I]
    states: bool = True
    lengths: tuple[int, ...] = ()
    special: bool = False  # of an input that a layer need not take


CASES = (
    LayerCase("one layer"),
    LayerCase("without initial states", states=False),
    LayerCase("one step", steps=1),
    LayerCase("one row", rows=1),
    LayerCase("one sequence, [T, I]", rows=None, special=True),
    LayerCase("batch_first", {"batch_first": True}),
    LayerCase("without bias", {"bias": False}),
    LayerCase("two layers", {"num_layers": 2}),
    LayerCase("both directions", {"bidirectional": True}),
    LayerCase(
        "two layers, both directions, batch_first",
        {"num_layers": 2, "bidirectional": True, "batch_first": True},
    ),
    LayerCase("a projection", {"proj_size": 2}),
    LayerCase("packed, of several lengths", lengths=(7, 4, 1), special=True),
    LayerCase(
        "packed, in both directions", {"bidirectional": True}, lengths=(7, 7, 2), special=True
    ),
    LayerCase("float32", dtype=torch.float32),
    LayerCase("bfloat16", dtype=torch.bfloat16, special=True),
)


@dataclass(frozen=True)
class Finding:
    """What a case came to.

    ``errors`` are relative, by what was compared; ``declined`` is what was raised instead.
    """

    case: LayerCase
    errors: Mapping[str, float] = field(default_factory=dict)
    declined: str = ""
    note: str = ""

    @property
    def wrong(self) -> dict[str, float]:
        """What is not within the dtype's rounding."""
        bound = TOLERANCES[self.case.dtype]
        return {name: error for name, error in self.errors.items() if not error <= bound}

    @property
    def exact(self) -> bool:
        """Whether nothing is wrong."""
        return not self.wrong and not self.note


@dataclass(frozen=True)
class Conformance:
    """What all cases came to; ``str(…)`` says it in words."""

    name: str
    findings: Sequence[Finding]

    @property
    def exact(self) -> bool:
        """Whether every case that the layer takes is right, and there is one."""
        taken = [found for found in self.findings if not found.declined]
        return bool(taken) and all(found.exact for found in taken)

    def __str__(self) -> str:
        width = max(len(found.case.name) for found in self.findings)
        return "\n".join([self.name, "", *(_line(found, width) for found in self.findings)])


def _line(found: Finding, width: int) -> str:
    head = f"{found.case.name:<{width}}  "
    if found.declined:
        return f"{head}not taken: {found.declined}"
    if found.exact:
        return f"{head}right: output, states and {len(found.errors) - 3} gradients"
    wrong = ", ".join(f"{name} {error:.2g}" for name, error in found.wrong.items())
    told = [f"wrong, by a relative error of: {wrong}"] if wrong else []
    return head + "; ".join([*told, *([found.note] if found.note else [])])


def load_layer(name: str) -> Build:
    """The class that ``"package.module:Class"`` or ``"file.py:Class"`` names.

    Raises
    ------
    AuditError
        If there is none.
    """
    module, _, attribute = name.rpartition(":")
    if not module or not attribute:
        raise AuditError(f"--layer {name!r} names no class: expected 'module:Class'.")
    if module.endswith(".py"):
        there: Any = run_file(Path(module))
    else:
        try:
            there = importlib.import_module(module)
        except (ImportError, TypeError, ValueError) as error:
            raise AuditError(f"--layer {name}: {error}.") from error
    try:
        found = attrgetter(attribute)(there)
    except AttributeError:
        found = None
    if not callable(found):
        raise AuditError(f"--layer {name}: {module} has no class {attribute}.")
    return found  # type: ignore[no-any-return]


def hold(build: Build, name: str = "the layer", seed: int = 0) -> Conformance:
    """Hold a layer to the equations, in every case.

    Parameters
    ----------
    build : callable
        Takes ``(input_size, hidden_size, **options)`` as `torch.nn.LSTM` does, and gives a module
        with its parameters' names.  A case whose options it does not take is left out, and said.
    name : str
        What it is called.
    seed : int
        What is drawn is drawn from it.

    Returns
    -------
    Conformance

    Raises
    ------
    AuditError
        If no module can be built at all, or its parameters have other names.
    """
    generator = torch.Generator().manual_seed(seed)
    return Conformance(name, [_held(build, case, generator) for case in CASES])


def _held(build: Build, case: LayerCase, generator: torch.Generator) -> Finding:
    ours = LSTM(I, H, engine="reference", **case.options)
    _draw(ours, generator)
    try:
        theirs = build(I, H, **case.options)
    except Exception as error:
        if case is CASES[0]:
            raise AuditError(f"it cannot be built with ({I}, {H}): {_told(error)}") from error
        return Finding(case, declined=_told(error))
    if not isinstance(theirs, nn.Module):
        raise AuditError(f"it gives a {type(theirs).__name__}, expected a torch.nn.Module.")
    _give(theirs, ours, case.dtype)
    ours.double()
    given = _inputs(ours, case, generator)
    kept = [None if t is None else t.clone() for t in given]
    try:
        found, found_grads = _run(theirs, case, given, case.dtype)
        again, _ = _run(theirs, case, given, case.dtype)
    except Exception as error:
        told = _told(error)
        return Finding(case, declined=told) if case.special else Finding(case, note=told)
    right, right_grads = _run(ours, case, given, torch.float64)
    errors = {
        what: _relative(a, b)
        for what, a, b in zip(("output", "h_n", "c_n"), found, right, strict=True)
    }
    for what, gradient in right_grads.items():
        errors[f"gradient of {what}"] = _relative(found_grads.get(what), gradient)
    notes = []
    if any(not torch.equal(a, b) for a, b in zip(found, again, strict=True)):
        notes.append("a second call gives other numbers")
    if any(a is not None and not torch.equal(a, b) for a, b in zip(given, kept, strict=True)):  # type: ignore[arg-type]
        notes.append("it changes what it was given")
    return Finding(case, errors, note="; ".join(notes))


def _draw(module: nn.Module, generator: torch.Generator) -> None:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.uniform_(-0.8, 0.8, generator=generator)


def _give(theirs: nn.Module, ours: nn.Module, dtype: torch.dtype) -> None:
    """The same weights; what both round to where the dtype is short."""
    theirs.to(dtype)
    mine, own = dict(ours.named_parameters()), dict(theirs.named_parameters())
    if missing := sorted(mine.keys() - own.keys()):
        there = ", ".join(own) or "none"
        raise AuditError(
            f"it has no parameter {missing[0]}: expected torch.nn.LSTM's names, found {there}."
        )
    with torch.no_grad():
        for name, parameter in mine.items():
            if own[name].shape != parameter.shape:
                raise AuditError(
                    f"its {name} is {list(own[name].shape)}, expected {list(parameter.shape)} as "
                    "of torch.nn.LSTM."
                )
            own[name].copy_(parameter)
            parameter.copy_(own[name])


def _inputs(ours: LSTM, case: LayerCase, generator: torch.Generator) -> list[Tensor | None]:
    """X, h_0 and c_0, in numbers that every dtype has."""

    def drawn(*shape: int) -> Tensor:
        t = torch.rand(shape, generator=generator, dtype=torch.float64) * 2 - 1
        return t.to(case.dtype).double()

    rows = () if case.rows is None else (case.rows,)
    sizes: tuple[int, ...] = (case.steps, *rows, I)
    if ours.batch_first and rows:
        sizes = (case.rows or 1, case.steps, I)
    layers = ours.num_layers * (2 if ours.bidirectional else 1)
    if not case.states:
        return [drawn(*sizes), None, None]
    return [
        drawn(*sizes),
        drawn(layers, *rows, ours.proj_size or H),
        drawn(layers, *rows, H),
    ]


def _run(
    module: nn.Module, case: LayerCase, given: Sequence[Tensor | None], dtype: torch.dtype
) -> tuple[list[Tensor], dict[str, Tensor]]:
    """Output and states, and every gradient for one fixed gradient of all three."""
    leaves = [None if t is None else t.to(dtype).requires_grad_() for t in given]
    x, h, c = leaves
    assert x is not None
    hx = None if h is None else (h, c)
    read: Any = x
    if case.lengths:
        lengths = torch.tensor(case.lengths)
        read = pack_padded_sequence(x, lengths, bool(getattr(module, "batch_first", False)))
    returned = module(read, hx)
    try:
        output, (h_n, c_n) = returned
    except (TypeError, ValueError):
        raise InvalidValueError("it returns something else than output, (h_n, c_n)") from None
    y = output.data if isinstance(output, PackedSequence) else output
    out = [y, h_n, c_n]
    wave = [torch.linspace(0.3, 5, t.numel(), dtype=torch.float64).sin().view(t.shape) for t in out]
    if not all(t.requires_grad for t in out):
        raise InvalidValueError("no gradient goes back from what it returns")
    loss = sum((t * w.to(t.dtype)).sum() for t, w in zip(out, wave, strict=True))
    named = {"x": x, "h_0": h, "c_0": c, **dict(module.named_parameters())}
    wanted = {name: t for name, t in named.items() if t is not None}
    grads = torch.autograd.grad(loss, list(wanted.values()), allow_unused=True)
    found = {
        name: torch.zeros_like(t) if g is None else g
        for (name, t), g in zip(wanted.items(), grads, strict=True)
    }
    return [t.detach() for t in out], found


def _relative(found: Tensor | None, right: Tensor) -> float:
    if found is None or found.shape != right.shape:
        return float("inf")
    size = float(right.norm())
    return float((found.double() - right.double()).norm()) / (size or 1.0)


def _told(error: Exception) -> str:
    first = str(error).strip().splitlines()
    return f"{type(error).__name__}: {first[0][:150] if first else 'no message'}"


def as_learner(build: Build) -> Learner:
    """One layer as a pair of passes, for the search that names what is wrong with it."""

    def module_with(params: Mapping[str, Tensor], x: Tensor) -> nn.Module:
        module = build(x.shape[2], params["w_hh"].shape[1]).double()
        own = dict(module.named_parameters())
        with torch.no_grad():
            for name, of in _TORCH.items():
                own[of].copy_(params[name])
        return module

    def forward(params: Mapping[str, Tensor], x: Tensor) -> Tensor:
        output: Tensor = module_with(params, x)(x)[0]
        return output.detach()

    def backward(params: Mapping[str, Tensor], x: Tensor, d_h: Tensor) -> dict[str, Tensor]:
        module, x = module_with(params, x), x.clone().requires_grad_()
        own = dict(module.named_parameters())
        wanted = [own[of] for of in _TORCH.values()]
        with torch.enable_grad():
            output = module(x)[0]
        grads = torch.autograd.grad(output, [*wanted, x], d_h, allow_unused=True)
        pairs = zip((*_TORCH, "x"), grads, (*wanted, x), strict=True)
        return {name: torch.zeros_like(t) if g is None else g for name, g, t in pairs}

    return Learner(forward, backward, System(dict(DEFAULT_PARAMS)), "torch")


_TORCH = {
    "w_ih": "weight_ih_l0",
    "w_hh": "weight_hh_l0",
    "b_ih": "bias_ih_l0",
    "b_hh": "bias_hh_l0",
}
