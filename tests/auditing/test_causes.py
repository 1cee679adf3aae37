"""Causes that public code shows, written into a real pass: each is one thing to mend."""

from __future__ import annotations

from pathlib import Path

import pytest

from hand_written import keys, write
from unrolled.auditing.checks import audit_learner
from unrolled.auditing.loading import load

# What is wrong, and what stands in the source instead of what.
GATES = (" * o * (1 - o)", " * i * (1 - i)", " * f * (1 - f)", " * (1 - g**2)")


def gates(sigmoid: str, tanh: str | None = None) -> list[tuple[str, str]]:
    """The same slip in every gate; of g as it is, where nothing else is said."""
    new = [sigmoid.replace("s", k) for k in "oif"]
    changes = list(zip(GATES[:3], (f" * ({one})" for one in new), strict=True))
    return changes if tanh is None else [*changes, (GATES[3], f" * ({tanh})")]


def squash(k: str) -> str:
    return f"(1 / (1 + np.exp(-{k})))"


PHI = "(1 - np.tanh(c) ** 2)"
RETURNED = '{"W": d_W, "b": d_b, "x": d_x}'
CAUSES: dict[str, list[tuple[str, str]]] = {
    # a helper that every gate calls
    "sigmoid-value": gates("s"),
    "sigmoid-squashed": [(old, f" * {squash(k)}") for old, k in zip(GATES, "oif", strict=False)],
    "sigmoid-twice": [
        (old, f" * {squash(k)} * (1 - {squash(k)})") for old, k in zip(GATES, "oif", strict=False)
    ],
    "tanh-twice": [
        (GATES[3], " * (1 - np.tanh(g) ** 2)"),
        (PHI, "(1 - np.tanh(np.tanh(c)) ** 2)"),
    ],
    "every-forgotten": [(old, "") for old in GATES],
    "all-forgotten": [*((old, "") for old in GATES), (f" * {PHI}", "")],
    "sigmoid-squared": gates("(s * (1 - s)) ** 2"),
    "every-squared": gates("(s * (1 - s)) ** 2", "(1 - g**2) ** 2"),
    "phi-prime-twice": [(PHI, "(1 - np.tanh(np.tanh(c)) ** 2)")],
    "f-prime-squashed": [(GATES[2], f" * {squash('f')}")],
    "every-sign": [
        ("d_a.T @ z", "-d_a.T @ z"),
        ("+= d_a.sum", "-= d_a.sum"),
        ("d_a @ W", "-d_a @ W"),
    ],
    # what is carried
    "o-own-loss": [("d_a_o = d_h *", "d_a_o = d_y[t] *")],
    "c-own-loss": [("d_c_next + d_h * o", "d_c_next + d_y[t] * o")],
    "c-twice": [("d_c_next = d_c * f", "d_c_next = 2 * d_c * f")],
    "h-twice": [("d_y[t] + d_h_next", "d_y[t] + 2 * d_h_next")],
    "c-with-other-f": [("d_c_next = d_c * f", "d_c_next = d_c * steps[max(t - 1, 0)][2]")],
    "h-g-o-exchanged": [
        ("d_z = d_a @ W", "d_z = np.concatenate([d_a_i, d_a_f, d_a_g, d_a_o], 1) @ W"),
        ("d_x[t], d_h_next = d_z[:, :I], d_z", "d_x[t], d_h_next = (d_a @ W)[:, :I], d_z"),
    ],
    "stacked-fgoi": [
        ("[d_a_i, d_a_f, d_a_o, d_a_g], 1)", "[d_a_f, d_a_g, d_a_i, d_a_o], 1)"),
    ],
    # indices and loops
    "f-wraps": [("d_a_f = d_c * c_prev", "d_a_f = d_c * steps[t - 1][6]")],
    "hh-wraps": [("d_a.T @ z", "d_a.T @ np.concatenate([x[t], steps[t - 1][7]], 1)")],
    "ih-reads-earlier": [("d_a.T @ z", "d_a.T @ np.concatenate([x[t - 1], z[:, I:]], 1)")],
    "loop-forward": [("reversed(range(len(x)))", "range(len(x))")],
    "begins-late": [("reversed(range(len(x)))", "reversed(range(len(x) - 1))")],
    "sums-without-first": [
        ("d_W += d_a.T @ z", "d_W += (t > 0) * d_a.T @ z"),
        ("d_b += d_a.sum(0)", "d_b += (t > 0) * d_a.sum(0)"),
    ],
    "sums-last": [
        ("d_W += d_a.T @ z", "d_W += (t == len(x) - 1) * d_a.T @ z"),
        ("d_b += d_a.sum(0)", "d_b += (t == len(x) - 1) * d_a.sum(0)"),
    ],
    # the whole
    "whole-twice": [("d_h = d_y[t] + d_h_next", "d_h = 2 * d_y[t] + d_h_next")],
    "whole-half": [("d_h = d_y[t] + d_h_next", "d_h = 0.5 * d_y[t] + d_h_next")],
    "twice": [(RETURNED, '{"W": 2 * d_W, "b": 2 * d_b, "x": d_x}')],
    "whole-sign": [("d_h = d_y[t] + d_h_next", "d_h = -d_y[t] + d_h_next")],
    "batch-mean-twice": [
        (RETURNED, '{"W": d_W / x.shape[1] ** 2, "b": d_b / x.shape[1] ** 2, "x": d_x}')
    ],
    "time-mean": [(RETURNED, '{"W": d_W / len(x), "b": d_b / len(x), "x": d_x}')],
    "decay-weights": [(RETURNED, '{"W": d_W + 0.01 * W, "b": d_b, "x": d_x}')],
    "decay-parameters": [
        (RETURNED, '{"W": d_W + 0.01 * W, "b": d_b + 0.01 * params["b"], "x": d_x}')
    ],
    "clipped": [(RETURNED, '{"W": d_W.clip(-0.25, 0.25), "b": d_b.clip(-0.25, 0.25), "x": d_x}')],
    "norm-clipped": [
        (
            RETURNED,
            '{"W": d_W / max(1, 2 * np.sqrt((d_W**2).sum() + (d_b**2).sum())), '
            '"b": d_b / max(1, 2 * np.sqrt((d_W**2).sum() + (d_b**2).sum())), "x": d_x}',
        )
    ],
    # the order of gates, and of columns
    "order-all-foig": [
        ("d_a.T @ z", "np.concatenate([d_a_f, d_a_o, d_a_g, d_a_i], 1).T @ z"),
        ("+= d_a.sum(0)", "+= np.concatenate([d_a_f, d_a_o, d_a_g, d_a_i], 1).sum(0)"),
    ],
    "order-b-fgio": [
        ("+= d_a.sum(0)", "+= np.concatenate([d_a_f, d_a_g, d_a_o, d_a_i], 1).sum(0)")
    ],
    "columns-exchanged": [("d_a.T @ z", "d_a.T @ np.concatenate([z[:, I:], x[t]], 1)")],
    # x's own
    "x-sign": [("d_x[t], d_h_next = d_z[:, :I]", "d_x[t], d_h_next = -d_z[:, :I]")],
    "x-zero": [("d_x[t], d_h_next = d_z[:, :I]", "_, d_h_next = d_z[:, :I]")],
    "x-reversed": [("d_x[t], d_h_next", "d_x[len(x) - 1 - t], d_h_next")],
    "x-without-o": [
        ("d_x[t], d_h_next = d_z[:, :I]", "d_x[t], d_h_next = d_z[:, :I] - d_a_o @ W[6:9, :I]")
    ],
}


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("name", CAUSES)
def test_a_cause_is_named_as_one_fault(tmp_path: Path, name: str, library: str) -> None:
    report = audit_learner(load(write(tmp_path, *CAUSES[name], torch_too=library == "torch")))
    assert keys(report.faults) == [{name}]
    ((fault,),) = report.faults
    assert fault.wrong in str(report)
    assert fault.mend in str(report)


@pytest.mark.parametrize(
    "names",
    [
        ("sigmoid-squashed", "c-twice"),
        ("every-forgotten", "h-twice", "x-sign"),
        ("sigmoid-squared", "tanh-twice", "o-own-loss"),
        ("order-b-fgio", "h-not-carried"),
        ("clipped", "c-twice"),
        ("decay-weights", "x-sign", "b-sign"),
        ("twice", "c-own-loss"),
    ],
)
def test_causes_in_twos_and_threes_are_named(tmp_path: Path, names: tuple[str, ...]) -> None:
    more = {"h-not-carried": ("d_y[t] + d_h_next", "d_y[t]"), "b-sign": ("+= d_a.s", "-= d_a.s")}
    known = CAUSES | {name: [change] for name, change in more.items()}
    changes = [change for name in names for change in known[name]]
    report = audit_learner(load(write(tmp_path, *changes)))
    assert keys(report.faults) == [set(names)]


def test_an_order_is_told_as_the_learner_s_arrays_have_it(tmp_path: Path) -> None:
    # The example's are i, f, o, g; this library's i, f, g, o.
    stacked = ("[d_a_i, d_a_f, d_a_o, d_a_g], 1)", "[d_a_i, d_a_f, d_a_g, d_a_o], 1)")
    said = str(audit_learner(load(write(tmp_path, stacked))))
    assert "stacked in the order i, f, g, o and used in the order i, f, o, g" in said
    assert "stack the deltas in the order of W_hh's rows: i, f, o, g" in said


SPLIT = "a_i, a_f, a_o, a_g = np.split(z @ W.T + b, 4, axis=1)"
ACTIVE = "i, f, o, g = sigmoid(a_i), sigmoid(a_f), sigmoid(a_o), np.tanh(a_g)"
FORWARD = {
    "i-squashes-f": (ACTIVE, ACTIVE.replace("sigmoid(a_i)", "sigmoid(sigmoid(a_f))")),
    "o-of-g": (ACTIVE, ACTIVE.replace("a_o", "a_g")),
    "g-squashed-twice": (ACTIVE, ACTIVE.replace("np.tanh(a_g)", "np.tanh(np.tanh(a_g))")),
    "every-squashed-twice": (
        ACTIVE,
        "i, f, o, g = sigmoid(sigmoid(a_i)), sigmoid(sigmoid(a_f)), sigmoid(sigmoid(a_o)), "
        "np.tanh(np.tanh(a_g))",
    ),
    "sigmoid-other": (ACTIVE, ACTIVE.replace("sigmoid", "np.tanh")),
    "every-before-bias": (
        f"{SPLIT}\n        {ACTIVE}",
        "a_i, a_f, a_o, a_g = np.split(z @ W.T, 4, axis=1); "
        "b_i, b_f, b_o, b_g = b[:H], b[H:2 * H], b[2 * H:3 * H], b[3 * H:]; "
        "i, f, o, g = sigmoid(a_i) + b_i, sigmoid(a_f) + b_f, sigmoid(a_o) + b_o, "
        "np.tanh(a_g) + b_g",
    ),
    "order-fgio": (SPLIT, SPLIT.replace("a_i, a_f, a_o, a_g", "a_g, a_i, a_o, a_f")),
}


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("name", FORWARD)
def test_a_cause_in_the_forward_pass_is_named(tmp_path: Path, name: str, library: str) -> None:
    report = audit_learner(load(write(tmp_path, FORWARD[name], torch_too=library == "torch")))
    assert report.forward_faults is not None
    assert {name} in keys(report.forward_faults)
    assert len(report.forward_faults[0]) == 1


def test_nearest_is_said_only_where_it_explains_most(tmp_path: Path) -> None:
    odd = ("d_b += d_a.sum(0)", "d_b += 1.3 * d_a.sum(0)")
    report = audit_learner(load(write(tmp_path, *CAUSES["c-twice"], odd)))
    assert not report.faults
    (said,) = [note for note in report.notes if note.startswith("Nearest")]
    assert said.startswith("Nearest: all but the bias (i, f, g, o) would be explained by: the cell")
    report = audit_learner(load(write(tmp_path, ("d_a_i = d_c", "d_a_i = 1.1 * d_c"))))
    assert not report.faults
    assert not [note for note in report.notes if note.startswith("Nearest")]


TWO = [
    ('PARAMS = {"W": "ih|hh", "b": "b"}', 'PARAMS = {"W": "ih|hh", "b": "b_ih", "v": "b_hh"}'),
    ("W.T + b, 4", 'W.T + b + params["v"], 4'),
]


@pytest.mark.parametrize(
    ("names", "returned"),
    [
        ({"decay-weights"}, '{"W": d_W + 0.01 * W, "b": d_b, "v": d_b, "x": d_x}'),
        (
            {"decay-parameters"},
            '{"W": d_W + 0.01 * W, "b": d_b + 0.01 * params["b"], '
            '"v": d_b + 0.01 * params["v"], "x": d_x}',
        ),
        (
            {"clipped"},
            '{k: v.clip(-0.25, 0.25) for k, v in {"W": d_W, "b": d_b, "v": d_b, "x": d_x}.items()}',
        ),
        (
            {"norm-clipped", "x-sign"},
            "{k: v / max(1, 2 * np.sqrt((d_W**2).sum() + 2 * (d_b**2).sum())) for k, v in "
            '{"W": d_W, "b": d_b, "v": d_b}.items()} | {"x": -d_x}',
        ),
    ],
)
def test_a_whole_gradient_with_two_biases_and_that_of_x(
    tmp_path: Path, names: set[str], returned: str
) -> None:
    report = audit_learner(load(write(tmp_path, *TWO, (RETURNED, returned))))
    assert keys(report.faults) == [names]
