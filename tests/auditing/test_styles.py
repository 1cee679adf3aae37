"""Passes in the styles of public tutorials: read without a declaration, exact, and with a slip."""

from __future__ import annotations

from pathlib import Path

import pytest

from hand_written import keys
from unrolled import cli
from unrolled.auditing.checks import audit_learner
from unrolled.auditing.guessing import guess, learner_of
from unrolled.auditing.layouts import AuditError
from unrolled.auditing.learner import load

# A step at a time, a matrix for each gate that holds [h, x], biases as columns, one sequence or
# many in columns.
CELLWISE = """
import numpy as np

def sigmoid(v):
    return 1 / (1 + np.exp(-v))

def step(p, x, h, c):
    z = np.concatenate([h, x], 0)
    f = sigmoid(p["Wf"] @ z + p["bf"])
    i = sigmoid(p["Wi"] @ z + p["bi"])
    g = np.tanh(p["Wc"] @ z + p["bc"])
    o = sigmoid(p["Wo"] @ z + p["bo"])
    c_new = f * c + i * g
    return o * np.tanh(c_new), c_new, (z, f, i, g, o, c, c_new)

def step_backward(p, dh, dc, cache):
    z, f, i, g, o, c, c_new = cache
    H = len(f)
    do = dh * np.tanh(c_new) * o * (1 - o)
    dc = dc + dh * o * (1 - np.tanh(c_new) ** 2)
    di = dc * g * i * (1 - i)
    df = dc * c * f * (1 - f)
    dg = dc * i * (1 - g ** 2)
    dz = 0
    found = {}
    for name, d in (("f", df), ("i", di), ("c", dg), ("o", do)):
        found["W" + name] = d @ z.T
        found["b" + name] = d.sum(1, keepdims=True)
        dz = dz + p["W" + name].T @ d
    return found | {"h": dz[:H], "x": dz[H:], "c": dc * f}
"""

# Sequences in rows, one matrix for x and one for h, to be multiplied from the right; a loss on the
# last step alone.
LAST = """
import numpy as np

def sigmoid(v):
    return 1 / (1 + np.exp(-v))

def run(params, x):
    Wx, Wh, b = params["Wx"], params["Wh"], params["b"]
    N, T, D = x.shape
    H = Wh.shape[0]
    h, c, tape = np.zeros((N, H)), np.zeros((N, H)), []
    for t in range(T):
        a = x[:, t] @ Wx + h @ Wh + b
        i, f = sigmoid(a[:, :H]), sigmoid(a[:, H:2 * H])
        o, g = sigmoid(a[:, 2 * H:3 * H]), np.tanh(a[:, 3 * H:])
        c_new = f * c + i * g
        tape.append((h, c, i, f, o, g, c_new))
        h, c = o * np.tanh(c_new), c_new
    return h, tape

def forward(params, x):
    return run(params, x)[0]

def backward(params, x, dh):
    Wx, Wh, b = params["Wx"], params["Wh"], params["b"]
    _, tape = run(params, x)
    dWx, dWh, db, dx = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b), np.zeros_like(x)
    dc = np.zeros_like(dh)
    for t in range(len(tape) - 1, -1, -1):
        h, c, i, f, o, g, c_new = tape[t]
        dc = dc + dh * o * (1 - np.tanh(c_new) ** 2)
        da = np.hstack([
            dc * g * i * (1 - i),
            dc * c * f * (1 - f),
            dh * np.tanh(c_new) * o * (1 - o),
            dc * i * (1 - g ** 2),
        ])
        dWx += x[:, t].T @ da
        dWh += h.T @ da
        db += da.sum(axis=0)
        dx[:, t] = da @ Wx.T
        dh = da @ Wh.T
        dc = dc * f
    return {"Wx": dWx, "Wh": dWh, "b": db, "x": dx}
"""

# torch, the gates along an axis of their own, two biases; one sequence.
STACKED = """
import torch

def run(params, x):
    U, V, bu, bv = params["U"], params["V"], params["bu"], params["bv"]
    h = c = torch.zeros(V.shape[2], dtype=x.dtype)
    tape = []
    for t in range(len(x)):
        a = torch.einsum("ghi,i->gh", U, x[t]) + torch.einsum("ghk,k->gh", V, h) + bu + bv
        f, i, o = torch.sigmoid(a[0]), torch.sigmoid(a[1]), torch.sigmoid(a[2])
        g = torch.tanh(a[3])
        c_new = f * c + i * g
        tape.append((h, c, f, i, o, g, c_new))
        h, c = o * torch.tanh(c_new), c_new
    return tape

def forward(params, x):
    return torch.stack([s[4] * torch.tanh(s[6]) for s in run(params, x)])

def backward(params, x, d_y):
    tape = run(params, x)
    found = {name: torch.zeros_like(value) for name, value in params.items()}
    d_h_next = d_c_next = torch.zeros_like(d_y[0])
    for t in reversed(range(len(x))):
        h, c, f, i, o, g, c_new = tape[t]
        d_h = d_y[t] + d_h_next
        d_c = d_c_next + d_h * o * (1 - torch.tanh(c_new) ** 2)
        d_a = torch.stack([
            d_c * c * f * (1 - f),
            d_c * g * i * (1 - i),
            d_h * torch.tanh(c_new) * o * (1 - o),
            d_c * i * (1 - g ** 2),
        ])
        found["U"] += torch.einsum("gh,i->ghi", d_a, x[t])
        found["V"] += torch.einsum("gh,k->ghk", d_a, h)
        found["bu"] += d_a
        found["bv"] += d_a
        d_h_next = torch.einsum("gh,ghk->k", d_a, params["V"])
        d_c_next = d_c * f
    return found
"""

# A class, whose methods the two functions call; the gradients by autograd's own Function.
CLASS = """
import torch

class Step(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a, c_prev):
        i, f, g, o = a.chunk(4, 1)
        i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
        c = f * c_prev + i * g
        ctx.save_for_backward(i, f, g, o, c, c_prev)
        return o * c.tanh(), c

    @staticmethod
    def backward(ctx, d_h, d_c):
        i, f, g, o, c, c_prev = ctx.saved_tensors
        d_c = d_c + d_h * o * (1 - c.tanh() ** 2)
        d_o = d_h * c.tanh() * o * (1 - o)
        d_i, d_f, d_g = d_c * g * i * (1 - i), d_c * c_prev * f * (1 - f), d_c * i * (1 - g * g)
        return torch.cat([d_i, d_f, d_g, d_o], 1), d_c * f

class Net:
    def __init__(self, params):
        self.W_ih, self.W_hh, self.b = params["W_ih"], params["W_hh"], params["b"]

    def __call__(self, x):
        h = c = x.new_zeros(x.shape[1], self.W_hh.shape[1])
        out = []
        for x_t in x:
            h, c = Step.apply(x_t @ self.W_ih.T + h @ self.W_hh.T + self.b, c)
            out.append(h)
        return torch.stack(out)

def forward(params, x):
    return Net({"W_ih": params["W_ih"], "W_hh": params["W_hh"], "b": params["b"]})(x)

def backward(params, x, d_h):
    leaves = {k: v.clone().requires_grad_() for k, v in params.items()}
    y = Net(leaves)(x)
    return dict(zip(leaves, torch.autograd.grad(y, list(leaves.values()), d_h)))
"""

STYLES = {"cellwise": CELLWISE, "last": LAST, "stacked": STACKED, "class": CLASS}

# style, what is wrong, where
SLIPS = [
    ("cellwise", {"sigmoid-value"}, [(f"* {k} * (1 - {k})", f"* {k}") for k in "oif"]),
    ("cellwise", {"c-without-f"}, [('"c": dc * f}', '"c": dc}')]),
    ("cellwise", {"x-sign"}, [('"x": dz[H:]', '"x": -dz[H:]')]),
    (
        "cellwise",
        {"phi-prime-twice"},
        [("(1 - np.tanh(c_new) ** 2)", "(1 - np.tanh(np.tanh(c_new)) ** 2)")],
    ),
    (
        "cellwise",
        {"every-squared"},
        [
            *((f"* {k} * (1 - {k})", f"* ({k} * (1 - {k})) ** 2") for k in "oif"),
            ("(1 - g ** 2)", "(1 - g ** 2) ** 2"),
        ],
    ),
    (
        "last",
        {"h-g-o-exchanged"},
        [
            (
                "dh = da @ Wh.T",
                "q = np.split(da, 4, 1); dh = np.hstack([q[0], q[1], q[3], q[2]]) @ Wh.T",
            )
        ],
    ),
    (
        "last",
        {"sums-last"},
        [
            ("dWx +=", "dWx += (t == len(tape) - 1) *"),
            ("dWh +=", "dWh += (t == len(tape) - 1) *"),
            ("db +=", "db += (t == len(tape) - 1) *"),
        ],
    ),
    ("last", {"c-twice"}, [("        dc = dc * f", "        dc = 2 * dc * f")]),
    (
        "last",
        {"batch-mean"},
        [
            (
                '{"Wx": dWx, "Wh": dWh, "b": db',
                '{"Wx": dWx / len(x), "Wh": dWh / len(x), "b": db / len(x)',
            )
        ],
    ),
    (
        "last",
        {"order-b-gifo"},
        [
            (
                "db += da.sum(axis=0)",
                "q = np.split(da.sum(axis=0), 4); db += np.concatenate([q[3], q[0], q[2], q[1]])",
            )
        ],
    ),
    ("stacked", {"hh-wraps"}, [("d_a, h)", "d_a, tape[t - 1][4] * torch.tanh(tape[t - 1][6]))")]),
    ("stacked", {"f-reads-c"}, [("d_c * c * f", "d_c * c_new * f")]),
    (
        "stacked",
        {"decay-weights"},
        [
            (
                "    return found",
                '    for k in "UV": found[k] += 0.001 * params[k]\n    return found',
            )
        ],
    ),
    ("class", {"o-reads-old-c"}, [("d_h * c.tanh() * o", "d_h * c_prev.tanh() * o")]),
    (
        "class",
        {"all-forgotten"},
        [
            (" * (1 - c.tanh() ** 2)", ""),
            (" * o * (1 - o)", ""),
            (" * i * (1 - i)", ""),
            (" * f * (1 - f)", ""),
            (" * (1 - g * g)", ""),
        ],
    ),
    ("class", {"half"}, [("leaves.values()), d_h)", "leaves.values()), 0.5 * d_h)")]),
]


def written(folder: Path, style: str, changes: list[tuple[str, str]]) -> Path:
    source = STYLES[style]
    for old, new in changes:
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    path = folder / f"{style}.py"
    path.write_text(source, encoding="utf-8")
    return path


@pytest.mark.parametrize("style", STYLES)
def test_a_style_is_read_without_a_declaration_and_is_exact(
    style: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, style, [])
    assert cli.main(["audit", str(path), "--guess"]) == 0
    said = capsys.readouterr().out
    declaration = said.partition("declared:\n\n")[2].partition("\n\n")[0]
    assert "PARAMS = {" in declaration
    path.write_text(path.read_text() + "\n" + declaration + "\n")
    assert audit_learner(load(path)).exact  # what was printed can be pasted


@pytest.mark.parametrize(("style", "names", "changes"), SLIPS)
def test_a_slip_in_a_style_is_named(
    style: str, names: set[str], changes: list[tuple[str, str]], tmp_path: Path
) -> None:
    path = written(tmp_path, style, changes)
    declared = guess(path)
    assert declared.exact
    report = audit_learner(learner_of(path, declared))
    assert names in keys(report.faults)
    assert len(report.faults[0]) == len(names)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("seed", range(1, 11))
def test_there_is_no_false_alarm(style: str, seed: int, tmp_path: Path) -> None:
    path = written(tmp_path, style, [])
    assert audit_learner(learner_of(path, guess(path)), seed=seed).exact


def test_what_cannot_be_guessed_is_said(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "def forward(params, x):\n    return x\n\ndef backward(params, x, d):\n    return {}\n"
    )
    with pytest.raises(AuditError, match="their names are not known: declare PARAMS"):
        guess(path)
    path.write_text(
        'def forward(params, x):\n    return params["a"] @ params["b"]\n\n'
        "def backward(params, x, d):\n    return {}\n"
    )
    with pytest.raises(AuditError, match="runs under no declaration of a, b that was tried"):
        guess(path)
    with pytest.raises(AuditError, match="there is no file"):
        guess(tmp_path / "nowhere.py")


def test_a_forward_pass_that_is_exact_in_no_order_is_said_to_be_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, "class", [("f * c_prev + i * g", "f * c_prev + 1.1 * i * g")])
    assert cli.main(["audit", str(path), "--guess"]) == 1
    assert "the order of the gates is not known" in capsys.readouterr().out
