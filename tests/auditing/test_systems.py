"""Heads, losses inside, several layers, states and classes: exact, and with slips."""

from __future__ import annotations

from pathlib import Path

import pytest

from hand_written import keys
from unrolled.auditing.checks import audit_learner
from unrolled.auditing.guessing import guess
from unrolled.auditing.layouts import AuditError
from unrolled.auditing.loading import load
from written import declaration, read, written

Changes = list[tuple[str, str]]

# style, what is wrong, where
BACKWARD: list[tuple[str, set[str], Changes]] = [
    # the head and the loss
    ("head", {"output-without-target"}, [("        dy[targets[t]] -= 1\n", "")]),
    ("head", {"output-sign"}, [("dy = prob.copy()", "dy = -prob"), ("] -= 1", "] += 1")]),
    ("head", {"head-w-last"}, [('grads["dWy"] +=', 'grads["dWy"] += (t == len(x) - 1) *')]),
    ("head", {"head-b-sign"}, [('grads["dby"] += dy', 'grads["dby"] -= dy')]),
    ("head", {"c-without-f"}, [("dc_next = f * dc", "dc_next = dc")]),
    (
        "head",
        {"output-prime-again", "h-not-carried"},
        [
            ("] -= 1\n", "] -= 1\n        dy = dy * prob * (1 - prob)\n"),
            ("@ dy + dh_next", "@ dy"),
        ],
    ),
    ("head", {"sigmoid-value"}, [(f"* {k} * (1 - {k})", f"* {k}") for k in "oif"]),
    ("head", {"head-into-h-zero"}, [('p["Wy"].T @ dy + dh_next', "0 * dh_next")]),
    ("head", {"head-w-reads-c"}, [("dy @ h.T", "dy @ c.T")]),
    ("net", {"output-of-sum"}, [(" / self.y.size", "")]),
    ("net", {"output-of-steps-batch-outputs-half"}, [("d_out = 2 * ", "d_out = ")]),
    ("net", {"head-w-reads-h-prev"}, [("self.h[:, 1:], d_out)", "self.h[:, :-1], d_out)")]),
    ("net", {"output-sign"}, [("(self.out - self.y) / s", "(self.y - self.out) / s")]),
    ("net", {"o-reads-raw-c"}, [("dh * tc * o", "dh * self.c[:, k + 1] * o")]),
    ("net", {"hh-reads-h"}, [("self.h[:, k].T @ da", "self.h[:, k + 1].T @ da")]),
    # several layers
    ("two", {"f-reads-c"}, [("dc * c * f", "dc * c_new * f")]),
    ("two", {"c-not-carried"}, [("dh, dc = da @ U.T, dc * f", "dh, dc = da @ U.T, dc * 0")]),
    ("two", {"phi-prime-twice"}, [("np.tanh(c_new) ** 2", "np.tanh(np.tanh(c_new)) ** 2")]),
    ("two", {"b-sign@1"}, [("W1=dW1, U1=dU1, b1=db1", "W1=dW1, U1=dU1, b1=-db1")]),
    ("two", {"hh-zero@0"}, [("U0=dU0", "U0=0 * dU0")]),
    ("two", {"whole-half@0"}, [("tape0, dh)", "tape0, 0.5 * dh)")]),
    # the states
    ("states", {"h_0-zero"}, [('"h_0": dh', '"h_0": 0 * dh')]),
    ("states", {"c_0-without-f"}, [('"c_0": dc', '"c_0": dc / tape[0][3]')]),
    ("states", {"c_0-sign"}, [('"c_0": dc', '"c_0": -dc')]),
    ("states", {"whole-twice"}, [("dh = dh + dy[t]", "dh = dh + 2 * dy[t]")]),
    ("states", {"hh-wraps"}, [("da.T @ h", "da.T @ (tape[t-1][5] * np.tanh(tape[t-1][6]))")]),
    # classes
    ("node", {"every-forgotten"}, [
        *((f"self.{k} * (1 - self.{k}) * d{k}", f"d{k}") for k in "ifo"),
        ("(1 - self.g ** 2) * dg", "dg"),
    ]),
    ("node", {"phi-prime-forgotten"}, [(" * (1 - np.tanh(self.s) ** 2)", "")]),
    ("node", {"f-reads-c"}, [("df = self.s_prev * ds", "df = self.s * ds")]),
    ("node", {"h-without-o"}, [
        ("+ self.wo.T @ do_input ", "+ self.wo.T @ do_input * keep "),
        ("        dxc = self.wi.T",
         "        keep = np.r_[np.ones(n), np.zeros(len(self.h))]\n        dxc = self.wi.T"),
        ("        n = len(self.xc) - len(self.h)\n", ""),
        ("        do = np.tanh", "        n = len(self.xc) - len(self.h)\n        do = np.tanh"),
    ]),
    ("module", {"c-replaces"}, [("grad_c = grad_c + grad_h * o * (1 - c.tanh() ** 2)",
        "grad_c = torch.where(grad_c.abs().sum() > 0, grad_c, grad_h * o * (1 - c.tanh() ** 2))")]),
    ("module", {"o-prime-forgotten"}, [(" * o * (1 - o)", "")]),
    ("module", {"i-g-swapped"}, [
        ("grad_c * g * i", "grad_c * i * i"), ("grad_c * i * (1 - g", "grad_c * g * (1 - g")
    ]),
]  # fmt: skip

SIGMOIDS = "f, i, o, g = sigmoid(f), sigmoid(i), sigmoid(o), np.tanh(g)"
FORWARD: list[tuple[str, set[str], Changes]] = [
    ("states", {"states-missing"}, [("    tape = []\n", "    tape, h, c = [], 0 * h, 0 * c\n")]),
    ("states", {"states-swapped"}, [("    tape = []\n", "    tape, h, c = [], c, h\n")]),
    ("states", {"c_0-missing"}, [("    tape = []\n", "    tape, c = [], 0 * c\n")]),
    ("states", {"i-squashes-f"}, [
        (SIGMOIDS, SIGMOIDS.replace("sigmoid(i)", "sigmoid(sigmoid(f))"))
    ]),
    ("two", {"output-raw"}, [("h, c = o * np.tanh(c_new), c_new", "h, c = o * c_new, c_new")]),
    ("two", {"recurrent-missing"}, [("x[t] @ W + h @ U + b", "x[t] @ W + 0 * h @ U + b")]),
    ("head", {"f-missing"}, [("f * c + i * g", "c + i * g")]),
    ("head", {"g-other"}, [('np.tanh(p["Wc"] @ z + p["bc"])', 'sigmoid(p["Wc"] @ z + p["bc"])')]),
    ("net", {"c-squashed"}, [
        ("self.c[:, k + 1] = f * self.c[:, k]", "self.c[:, k + 1] = f * np.tanh(self.c[:, k])")
    ]),
    ("node", {"o-raw"}, [
        ("self.o = sigmoid(self.wo @ self.xc + self.bo)", "self.o = self.wo @ self.xc + self.bo")
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("style", "names", "changes"), BACKWARD)
def test_a_slip_is_named(style: str, names: set[str], changes: Changes, tmp_path: Path) -> None:
    report = audit_learner(read(tmp_path, style, changes))
    assert names in keys(report.faults), report
    assert len(report.faults[0]) == len(names)


@pytest.mark.parametrize(("style", "names", "changes"), FORWARD)
def test_a_slip_in_the_forward_pass_is_named(
    style: str, names: set[str], changes: Changes, tmp_path: Path
) -> None:
    report = audit_learner(read(tmp_path, style, changes))
    assert report.forward_faults is not None
    assert names in keys(report.forward_faults), report
    assert len(report.forward_faults[0]) == len(names)


@pytest.mark.parametrize("style", ["head", "net", "two", "node"])
def test_a_slip_does_not_change_what_is_found(style: str, tmp_path: Path) -> None:
    changes = next(changes for own, _, changes in BACKWARD if own == style)
    found = guess(written(tmp_path, style, changes))
    assert found.exact
    assert str(found.declared) == declaration(style)


def test_a_loss_that_nothing_explains_is_said_to_be_wrong(tmp_path: Path) -> None:
    learner = read(tmp_path, "head", [("return -sum(", "return -1.1 * sum(")])
    assert "the loss is wrong" in str(audit_learner(learner))


def test_where_several_layers_depart_is_said(tmp_path: Path) -> None:
    report = audit_learner(read(tmp_path, "two", [("db += da.sum(0)", "db += 1.3 * da.sum(0)")]))
    assert not report.faults
    said = "departs at T = 1 in the bias of layer 0 (i, g, o) and the bias of layer 1 (i, g, o)."
    assert said in str(report)


@pytest.mark.parametrize(
    ("declaration", "said"),
    [
        ('HEAD = "tanh"', "HEAD = 'tanh' is not known: expected one of linear, softmax"),
        ('HEAD = "linear"', "PARAMS has no 'head'"),
        ('PARAMS = {"W": "ih|hh", "b": "b", "V": "head"}', "HEAD does not say what it is"),
        ('PARAMS = {"W": "ih|hh@0", "b": "b@0", "V": "ih|hh@2"}', "the layers 0, 2: expected @0"),
        ('TARGET = "class"', "TARGET = 'class' is not known: expected 'index' or 'one-hot'"),
        ('CALL = "all"', "CALL = 'all' is not known: expected 'sequence' or 'step'"),
        ('CLASS = "Net"', "the file has no class of that name"),
    ],
)  # fmt: skip
def test_a_declaration_that_makes_no_sense(declaration: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    functions = "def forward(params, x): ...\ndef backward(params, x, d): ...\n"
    path.write_text(f'{functions}PARAMS = {{"W": "ih|hh", "b": "b"}}\n{declaration}\n')
    with pytest.raises(AuditError, match=said.replace("|", r"\|")):
        load(path)
