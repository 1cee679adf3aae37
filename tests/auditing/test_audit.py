"""The audit of hand-written passes: a real one, with mistakes written into its source."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

import unrolled
from fault_pairs import cases, verdict, verdicts
from hand_written import SOURCE, keys, write
from unrolled.auditing import ArrayLayout, AuditError
from unrolled.auditing.checks import audit_learner
from unrolled.auditing.loading import load
from unrolled.auditing.published import SYSTEMS, measure
from unrolled.auditing.search import Case, FaultSearch
from unrolled.equations import CELLS, Cell, step
from unrolled.faults import PUBLISHED, compatible, fault

# What is wrong, where in the source, and what stands there instead.
BACKWARD = {
    "h-not-carried": ("d_y[t] + d_h_next", "d_y[t]"),
    "h-replaces": ("d_h = d_y[t] + d_h_next", "d_h = d_h_next if t < len(x) - 1 else d_y[t]"),
    "c-not-carried": ("d_c = d_c_next + ", "d_c = "),
    "c-without-f": ("d_c_next = d_c * f", "d_c_next = d_c"),
    "c-squared": ("(1 - np.tanh(c) ** 2)", "(1 - c**2)"),
    "phi-prime-forgotten": (" * (1 - np.tanh(c) ** 2)", ""),
    "c-prev-for-c": ("1 - np.tanh(c) ** 2", "1 - np.tanh(c_prev) ** 2"),
    "o-reads-old-c": ("d_h * np.tanh(c) *", "d_h * np.tanh(c_prev) *"),
    "o-reads-raw-c": ("d_h * np.tanh(c) *", "d_h * c *"),
    "o-prime-forgotten": (" * o * (1 - o)", ""),
    "i-prime-forgotten": (" * i * (1 - i)", ""),
    "f-prime-forgotten": (" * f * (1 - f)", ""),
    "g-prime-forgotten": (" * (1 - g**2)", ""),
    "f-reads-c": ("d_c * c_prev", "d_c * c"),
    "f-delta-sign": ("d_a_f = ", "d_a_f = -"),
    "hh-transposed": (
        "d_z[:, :I], d_z[:, I:]",
        "d_z[:, :I], sum(d_a[:, k:k + c.shape[1]] @ W[k:k + c.shape[1], I:].T"
        " for k in range(0, len(W), c.shape[1]))",
    ),
    "hh-reads-h": ("d_a.T @ z", "d_a.T @ np.concatenate([x[t], steps[t][-1]], 1)"),
    "b-i-from-f": (
        "d_b += d_a.sum(0)",
        "d_b += np.concatenate([d_a_f, d_a_f, d_a_o, d_a_g], 1).sum(0)",
    ),
    "b-last": ("d_b += d_a.sum(0)", "d_b += d_a.sum(0) * (t == len(x) - 1)"),
    "b-mean": ("d_b += d_a.sum(0)", "d_b += d_a.mean(0)"),
    "b-first-row": ("d_b += d_a.sum(0)", "d_b += d_a[0]"),
    "b-sign": ('"b": d_b', '"b": -d_b'),
    "detached-2": (
        "d_c_next = d_c * f",
        "d_c_next = d_c * f * (t % 2)\n        d_h_next = d_h_next * (t % 2)",
    ),
    "stopped-2": ("reversed(range(len(x)))", "reversed(range(max(0, len(x) - 2), len(x)))"),
    "ih-first hh-first": ("d_W += ", "d_W = "),
    "batch-mean": ('{"W": d_W, "b": d_b', '{"W": d_W / x.shape[1], "b": d_b / x.shape[1]'),
    "ih-last": (
        "d_W += d_a.T @ z",
        "d_W += d_a.T @ z * np.concatenate([0 * x[0, 0] + (t == len(x) - 1), 0 * c[0] + 1], 0)",
    ),
}
FORWARD = {
    "output-raw": ("h = o * np.tanh(c)", "h = o * c"),
    "output-sigmoid": ("h = o * np.tanh(c)", "h = o * sigmoid(c)"),
    "o-missing": ("h = o * np.tanh(c)", "h = np.tanh(c)"),
    "output-reads-old-c": ("h = o * np.tanh(c)", "h = o * np.tanh(c_prev)"),
    "g-other": ("np.tanh(a_g)", "sigmoid(a_g)"),
    "g-raw": ("np.tanh(a_g)", "a_g"),
    "f-other": ("sigmoid(a_f)", "np.tanh(a_f)"),
    "i-f-swapped": ("a_i, a_f, a_o, a_g = ", "a_f, a_i, a_o, a_g = "),
    "g-o-swapped": ('GATES = "ifog"', 'GATES = "ifgo"'),
    "b-missing": ("z @ W.T + b", "z @ W.T"),
    "b-twice": ("z @ W.T + b", "z @ W.T + b + b"),
    "f-missing": ("c, f * c + i * g", "c, c + i * g"),
    "c-not-kept": ("c, f * c + i * g", "c, i * g"),
    "i-missing": ("c, f * c + i * g", "c, f * c + g"),
    "c-reads-h": ("c, f * c + i * g", "c, f * h + i * g"),
    "recurrent-missing": ("[x_t, h], 1)", "[x_t, 0 * h], 1)"),
    "recurrent-reads-c": ("[x_t, h], 1)", "[x_t, c], 1)"),
    "returns-c": ("step[-1] for", "step[-2] for"),
}


SEARCHES: dict[Any, FaultSearch] = {}


def search_of(cell: Cell, given: Sequence[Case]) -> FaultSearch:
    """One search for all tests whose gradients were computed from the same numbers."""
    tensors = [t for case in given for t in (*case.weights, case.run.x, case.d_y)]
    key = (cell, *(None if t is None else t.numpy().tobytes() for t in tensors))
    if key not in SEARCHES:
        SEARCHES[key] = FaultSearch(cell, given)
    return SEARCHES[key]


@pytest.fixture(autouse=True)
def _searches_are_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unrolled.auditing.explaining.FaultSearch", search_of)


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_the_example_is_exact(tmp_path: Path, library: str) -> None:
    report = audit_learner(load(write(tmp_path, torch_too=library == "torch")))
    assert report.exact
    assert max(max(of.values()) for of in report.errors.values()) < 1e-12
    assert "Every gradient is exact." in str(report)


@pytest.mark.parametrize("name", BACKWARD)
def test_a_mistake_in_the_backward_pass_is_named(tmp_path: Path, name: str) -> None:
    in_torch = len(name) % 2 == 1  # each library has half of them, and the pairs below the rest
    report = audit_learner(load(write(tmp_path, BACKWARD[name], torch_too=in_torch)))
    assert not report.exact
    assert set(name.split()) in keys(report.faults)
    named = report.faults[keys(report.faults).index(set(name.split()))]
    assert all(wrong.wrong in str(report) and wrong.mend in str(report) for wrong in named)


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize(
    "names",
    [
        ("c-squared", "c-without-f"),
        ("h-not-carried", "b-sign"),
        ("f-reads-c", "hh-reads-h"),
        ("b-i-from-f", "hh-transposed"),
        ("h-not-carried", "c-not-carried", "c-squared"),  # document 000
        ("ih-last", "b-i-from-f", "c-not-carried"),  # document 002, all but one bias
    ],
)
def test_mistakes_in_twos_and_threes_are_named(
    tmp_path: Path, names: tuple[str, ...], library: str
) -> None:
    changes = [BACKWARD[name] for name in names]
    report = audit_learner(load(write(tmp_path, *changes, torch_too=library == "torch")))
    assert keys(report.faults) == [set(names)]


@pytest.mark.parametrize("name", FORWARD)
def test_a_mistake_in_the_forward_pass_is_named_first(tmp_path: Path, name: str) -> None:
    in_torch = len(name) % 2 == 1
    report = audit_learner(load(write(tmp_path, FORWARD[name], torch_too=in_torch)))
    assert report.forward_faults is not None
    assert {name} in keys(report.forward_faults)
    assert not report.exact
    assert not report.errors


def test_both_passes_wrong_alike_are_told_apart_from_wrong_twice(tmp_path: Path) -> None:
    linear = (FORWARD["output-raw"], BACKWARD["phi-prime-forgotten"], BACKWARD["o-reads-raw-c"])
    report = audit_learner(load(write(tmp_path, *linear)))
    assert "is the derivative of this forward pass" in report.notes[0]
    report = audit_learner(load(write(tmp_path, FORWARD["output-raw"])))
    assert report.notes[0].startswith("Nor is your backward pass the derivative")
    declared = ('GATES = "ifog"', 'GATES = "ifog"\nOUTPUT = "identity"')
    assert audit_learner(load(write(tmp_path, *linear, declared))).exact


def test_what_nothing_explains_is_said_to_be_so(tmp_path: Path) -> None:
    change = ("d_a_f = d_c", "d_a_f = 1.1 * d_c")
    report = audit_learner(load(write(tmp_path, change)))
    assert not report.exact
    assert report.faults == ()
    assert "no set of faults in the catalogue explains it" in str(report)
    # From c = 0 the forget gate has no gradient at the first step.
    assert "exact up to T = 1, and departs at T = 2" in str(report)
    assert "the first wrong delta is that of f at step 2 of 2" in str(report)


def test_a_forward_pass_that_nothing_explains(tmp_path: Path) -> None:
    report = audit_learner(load(write(tmp_path, ("f * c + i * g", "f * c + 1.1 * i * g"))))
    assert report.forward_faults == ()
    assert "No set of faults in the catalogue explains its numbers" in str(report)


def test_sums_that_are_not_set_to_zero_are_noticed() -> None:
    kept: dict[str, Any] = {}
    source = ModuleType("mine")
    exec(SOURCE, source.__dict__)

    def adds(params: Any, x: Any, d_h: Any) -> Any:
        for name, value in source.backward(params, x, d_h).items():
            key = (name, value.shape)
            kept[key] = kept.get(key, 0) + value
        return {name: value for (name, shape), value in kept.items() if name != "x"}

    report = unrolled.audit(source.forward, adds, params={"W": "ih|hh", "b": "b"}, gates="ifog")
    assert "set the sums to zero" in report.notes[0]


# --- numbers alone ---


@pytest.mark.parametrize(
    ("name", "lengths"),
    [
        ("vanilla", (3, 6, 2, 1)),
        ("linear", (3,)),
        ("peephole", (4, 3)),
        ("coupled", (3, 5)),
        ("carousel", (5,)),
    ],
)
def test_faults_and_pairs_are_named_from_numbers_alone(name: str, lengths: tuple[int, ...]) -> None:
    """Every fault, and a sample of the pairs; `tests/fault_pairs.py` runs all."""
    draw = random.Random(0)
    search = search_of(CELLS[name], cases(CELLS[name], lengths))
    known = list(search.faults.values())
    for (one,), said in verdicts(search, [(one,) for one in known]):
        # A state of zeros hides what is wrong with the first step of W_hh's gradient.
        assert said in ("named", "equivalent") or one.key == "hh-without-first", one.key
    pairs = [tuple(draw.sample(known, 2)) for _ in range(60)]
    for faults, said in verdicts(search, [pair for pair in pairs if compatible(pair)]):
        assert said in ("named", "equivalent", "hidden"), [f.key for f in faults]


def test_equivalent_sets_are_all_named() -> None:
    """From a state of zeros, W_hh's gradient of the first step is zero."""
    search = search_of(Cell(), cases(Cell()))
    assert verdict(search, (fault("hh-first"),)) == "equivalent"
    assert verdict(search, PUBLISHED["002"]) == "named"
    assert verdict(search, PUBLISHED["000"]) == "named"


# --- layouts ---


def random_layout(draw: random.Random) -> ArrayLayout:
    gates = "".join(draw.sample("ifgo", 4))
    joined = draw.choice((("ih", "hh"), ("ih|hh",), ("hh|ih",)))
    bias = draw.choice(((), ("b",), ("b_ih", "b_hh")))
    params: dict[str, str] = {}
    for part in (*joined, *bias):
        ends = ("", ".col", ".row") if part.startswith("b") else ("", ".T")
        groups = draw.choice(([""], [f"{k}:" for k in gates], ["fi:", "og:"]))
        for group in groups:
            params[f"{part}{group}"] = group + part + draw.choice(ends)
    if draw.random() < 0.2:
        params["peep"] = "p" + draw.choice(("", ".col"))
    axes = "".join(draw.sample("TBI", 3)) if draw.random() < 0.8 else draw.choice(("TI", "IT"))
    return ArrayLayout(params, gates, axes, draw.choice(("tanh", "identity")))


def by_autograd(layout: ArrayLayout, library: str, inputs: int, hidden: int) -> tuple[Any, Any]:
    """Passes in this layout whose gradient is autograd's, so that nothing here is ours."""
    places = layout.places(inputs, hidden)

    def run(params: dict[str, Any], x: Any) -> tuple[list[Tensor], Tensor, Tensor]:
        given = [torch.as_tensor(params[name]).clone().requires_grad_() for name in places]
        flat = torch.zeros(sum(p.numel() for p in places.values()), dtype=torch.float64)
        for place, value in zip(places.values(), given, strict=True):
            flat = flat.index_put((place.flatten(),), value.flatten())
        w = layout.weights(flat, inputs, hidden)
        sequence = torch.as_tensor(x).clone().requires_grad_()
        h = c = torch.zeros(layout.ours(sequence).shape[1], hidden, dtype=torch.float64)
        out = []
        for x_t in layout.ours(sequence):
            bias = 0 if w.bias is None else w.bias
            s = step(layout.cell, x_t @ w.w_ih.T + h @ w.w_hh.T + bias, c, w.p)
            h, c = s.h, s.c
            out.append(h)
        return given, sequence, layout.theirs(torch.stack(out))

    def give(value: Tensor) -> Any:
        return value.detach().numpy() if library == "numpy" else value.detach()

    def forward(params: dict[str, Any], x: Any) -> Any:
        return give(run(params, x)[2]), "what the backward pass needs"

    def backward(params: dict[str, Any], x: Any, d_h: Any) -> Any:
        given, sequence, h = run(params, x)
        found = torch.autograd.grad(
            h, [*given, sequence], torch.as_tensor(d_h), allow_unused=True, materialize_grads=True
        )
        return {name: give(d) for name, d in zip([*places, "x"], found, strict=True)}

    return forward, backward


def test_no_false_alarm_on_a_hundred_exact_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(0)
    for seed in range(100):
        monkeypatch.setattr("unrolled.auditing.examining.LENGTHS", (1, 3, draw.randint(4, 9)))
        layout, library = random_layout(draw), draw.choice(("numpy", "torch"))
        inputs, hidden, batch = (draw.randint(1, 6) for _ in range(3))
        passes = by_autograd(layout, library, inputs, hidden)
        report = unrolled.audit(
            *passes,
            params=layout.params,
            gates=layout.gates,
            axes=layout.axes,
            output=layout.output,
            library=library,
            inputs=inputs,
            hidden=hidden,
            batch=batch,
            seed=seed,
        )
        assert report.exact, (layout, report)


def test_a_layout_written_out_by_hand() -> None:
    """Places of a flat vector that holds i, f, g, o of W_ih, then of W_hh, then of b."""
    layout = ArrayLayout({"U": "oi:ih.T", "V": "fg:ih", "R": "hh", "s": "b.col"}, "fiog")
    places = layout.places(inputs=2, hidden=1)
    assert places["U"].tolist() == [[6, 0], [7, 1]]
    assert places["V"].tolist() == [[2, 3], [4, 5]]
    assert places["R"].tolist() == [[9], [8], [11], [10]]
    assert places["s"].tolist() == [[13], [12], [15], [14]]
    x = torch.arange(6).view(3, 1, 2)
    assert torch.equal(ArrayLayout({"W": "ih|hh"}, axes="IT").theirs(x), x[:, 0].T)


def test_float32_gradients_are_judged_as_such(tmp_path: Path) -> None:
    single = ('{"W": d_W, "b": d_b, "x": d_x}', '{"W": d_W.astype("f4"), "b": d_b.astype("f4")}')
    assert audit_learner(load(write(tmp_path, single))).exact
    report = audit_learner(load(write(tmp_path, single, BACKWARD["c-not-carried"])))
    assert {"c-not-carried"} in keys(report.faults)


def test_for_somebody_s_own_tests(tmp_path: Path) -> None:
    right, wrong = load(write(tmp_path)), load(write(tmp_path, BACKWARD["c-squared"]))
    how = {"params": {"W": "ih|hh", "b": "b"}, "gates": "ifog"}
    unrolled.assert_exact(right.run_forward, right.run_backward, **how)
    with pytest.raises(AssertionError, match=r"1 - c² stands where 1 - tanh²\(c\) belongs"):
        unrolled.assert_exact(wrong.run_forward, wrong.run_backward, **how)
    with pytest.raises(AuditError, match="hidden = 0 makes no sense"):
        unrolled.audit(right.run_forward, right.run_backward, hidden=0)


# --- the documents ---

SEEDS = {
    "000": {1: (0.011, 0.9999), 2: (0.34, 0.950), 8: (0.72, 0.716)},
    "002": {1: (0.18, 0.984), 2: (0.40, 0.926), 8: (0.47, 0.903)},
}


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.name)
def test_the_published_passes_are_as_wrong_as_when_run_as_printed(system: Any) -> None:
    """The published medians of 20 lie among medians of 20 of ours, all but at the very ends."""
    number = system.name[:3]
    if number == "001":
        found = measure(system, draws=3)
        assert all(error < 1e-9 for of in found.values() for error, _ in of.values())
        return
    for steps, (error, cosine) in SEEDS[number].items():
        drawn = []
        for seed in range(80):
            theirs, exact = system.draw(steps, torch.Generator().manual_seed(1000 + seed))
            a = torch.cat([theirs[name].flatten() for name in exact])
            b = torch.cat([value.flatten() for value in exact.values()])
            drawn.append(((a - b).norm() / b.norm(), torch.cosine_similarity(a, b, 0)))
        numbers = torch.tensor(drawn, dtype=torch.float64).T
        again = torch.randint(0, 80, (400, 20), generator=torch.Generator().manual_seed(0))
        medians = numbers[:, again].quantile(0.5, -1)
        for published, some in zip((error, cosine), medians, strict=True):
            low, high = some.quantile(torch.tensor([0.005, 0.995], dtype=torch.float64))
            assert low - 5e-4 <= published <= high + 5e-4, (steps, published, low, high)
